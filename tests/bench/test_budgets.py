"""Budgets: nothing is asked of a data set that it does not have, and nothing is cut without being said."""

from pathlib import Path

import pytest

from gancluster.bench.budgets import SIZES, Budget, marks, reduced
from gancluster.bench.cells import Cell
from gancluster.data import catalogue
from gancluster.data.splits import Split


@pytest.mark.parametrize("name", ["digits", "usps", "mnist", "cifar10-compact", "reuters-r8"])
def test_sizes_are_those_of_the_data(name: str, data_dir: Path) -> None:
    splits: list[Split] = ["all", "train"]
    for split in splits:
        if (name, split) in SIZES:
            assert len(catalogue.load(name, data_dir, split)) == SIZES[name, split]


@pytest.mark.parametrize(
    ("dataset", "budget", "limit", "told"),
    [
        ("mnist", "smoke", 2_000, ["2,000 samples", "preset smoke"]),
        ("mnist", "cpu", 20_000, ["20,000 samples"]),
        ("mnist", "full", None, []),
        ("digits", "smoke", None, ["preset smoke"]),
        ("usps", "cpu", None, []),
        ("celeba:Bald", "smoke", 1_000, ["1,000 samples", "preset smoke"]),
        ("cells.npz", "smoke", None, ["preset smoke"]),  # nobody knows how many there are
    ],
)
def test_a_cell_is_cut_to_its_budget_and_marked(
    dataset: str, budget: Budget, limit: int | None, told: list[str]
) -> None:
    cell = Cell(method="clustergan", dataset=dataset)
    assert reduced(cell, budget).limit == limit
    assert marks(cell, budget) == told


def test_a_preset_that_was_asked_for_is_kept_in_a_smoke_test() -> None:
    cell = Cell(method="clustergan", dataset="digits", preset="paper")
    assert reduced(cell, "smoke") == cell
    assert marks(cell, "smoke") == []


def test_a_limit_of_one_s_own_is_no_cut_unless_the_budget_s_is_lower() -> None:
    cell = Cell(method="clustergan", dataset="mnist", limit=1_500)
    assert reduced(cell, "smoke").limit == 1_500
    assert marks(cell, "cpu") == []
