"""Budgets: what a cell is cut down to so that a table can be had in minutes or in a night, and how that is marked."""

from __future__ import annotations

from typing import Any, Literal

from gancluster.bench.cells import Cell

Budget = Literal["smoke", "cpu", "full"]

SEEDS: dict[Budget, int] = {"smoke": 1, "cpu": 3, "full": 5}
LIMITS: dict[Budget, int | None] = {"smoke": 2_000, "cpu": 20_000, "full": None}
COLOUR_LIMITS: dict[Budget, int | None] = {"smoke": 1_000, "cpu": 5_000, "full": None}

SIZES: dict[tuple[str, str], int] = {
    ("digits", "all"): 1_797,
    ("mnist", "all"): 70_000,
    ("mnist", "train"): 60_000,
    ("usps", "all"): 11_000,
    ("frgc", "all"): 2_462,
    ("cifar10", "all"): 60_000,
    ("cifar10-compact", "all"): 11_000,
    ("stl10", "all"): 13_000,
    ("svhn", "train"): 73_257,
    ("reuters10k", "all"): 10_000,
    ("reuters-r8", "all"): 7_674,
}
"""Samples of the tables' data sets by split: no more can be asked for. Of one that is not here nothing is left out."""
COLOUR = ("frgc", "cifar10", "cifar10-compact", "stl10", "svhn", "celeba")
CELEBA = 9_000  # images in each of its two-class problems, at least: twice those of its rarest attribute


def reduced(cell: Cell, budget: Budget) -> Cell:
    """The cell within a budget: fewer samples, and in a smoke test the method's preset of that name."""
    limit = _limit(cell, budget)
    change: dict[str, Any] = {} if limit is None else {"limit": limit}
    if budget == "smoke" and cell.preset == "default":
        change["preset"] = "smoke"
    return cell.model_copy(update=change)


def marks(cell: Cell, budget: Budget) -> list[str]:
    """What the budget takes away, in words for the table; nothing where the cell is as it should be."""
    small = reduced(cell, budget)
    cut = [f"{small.limit:,} samples"] if small.limit != cell.limit else []
    return cut + ([f"preset {small.preset}"] if small.preset != cell.preset else [])


def _limit(cell: Cell, budget: Budget) -> int | None:
    name = cell.dataset.partition(":")[0]
    limit = (COLOUR_LIMITS if name in COLOUR else LIMITS)[budget]
    size = CELEBA if name == "celeba" else SIZES.get((name, cell.split), 0)
    if limit is None or size <= limit:
        return None
    return limit if cell.limit is None else min(limit, cell.limit)
