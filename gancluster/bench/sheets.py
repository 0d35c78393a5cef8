"""A filled table: published beside measured with a verdict, as one plain object that JSON holds and all outputs show.

Nothing is left out: what failed is named and never averaged, data that are not here with the way to get them, and a
system that is not run here with its figures as published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from gancluster import __version__
from gancluster.bench.budgets import Budget, marks, reduced
from gancluster.bench.cells import Outcome
from gancluster.bench.layout import Column, Row, Table, lacking
from gancluster.bench.published import Figure
from gancluster.data import catalogue
from gancluster.errors import DataError, UserError
from gancluster.metrics.statistics import FOR_INTERVAL, mean_interval, seeds_needed, verdict

Seeds = dict[int, float]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Plain):
    """Scores over seeds in the unit of print; `std` (n - 1) from two seeds, a 95 % `interval` of the mean from five."""

    n: int
    mean: float
    std: float | None
    interval: tuple[float, float] | None
    by_seed: Seeds
    seconds: float


class Judgement(_Plain):
    """`name`: as `metrics.statistics.verdict` has it, or why there is none.

    `difference`: measured - published, with its interval. `seeds_needed`: how many more would probably decide it, None
    where a thousand would not do.
    """

    name: str
    difference: float | None = None
    interval: tuple[float, float] | None = None
    seeds_needed: int | None = 0


class Entry(_Plain):
    """Where a row and a column cross. `what`: what is known of the published figure.

    `found`: what was measured where it is no score. `reduced`: what the budget took away. `failed`: a line a seed.
    `missing`: how to get the data. `not_run`: why nothing is asked here. `waiting`: how many seeds are still to be run.
    `unscored`: how many are finished and have no such score. `starts`: where each run is the best of several starts,
    what all of them came to in the mean, where they were ranked.
    """

    published: str = ""
    what: str = ""
    measured: Measured | None = None
    found: str = ""
    verdict: Judgement | None = None
    reduced: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    missing: str = ""
    not_run: str = ""
    waiting: int = 0
    unscored: int = 0
    starts: float | None = None


class Line(_Plain):
    """A row of the sheet. `method`: what it is run as, a + where extensions are in use; "" for a quoted row."""

    title: str
    method: str
    floor: bool
    note: str
    entries: tuple[Entry, ...]


class Head(_Plain):
    """A column of the sheet; `lower`: lower is better."""

    dataset: str
    metric: str
    unit: Literal["fraction", "percent", "count"]
    decimals: int
    lower: bool


class Sheet(_Plain):
    """`command`: what makes it. `machines`: where its runs ran."""

    name: str
    paper: str
    title: str
    budget: Budget
    command: str
    version: str
    machines: tuple[str, ...]
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def filled(
    table: Table, outcomes: Sequence[Outcome], budget: Budget, data_dir: Path | None = None, command: str = ""
) -> Sheet:
    """The table with what came of its cells; of data sets it looks at those in `data_dir` (Table 1 of ClusterGAN).

    Reasons say DIR for `data_dir`, so that a sheet tells nobody where its maker keeps his data.
    """
    folder, by_cell = catalogue.data_folder(data_dir), defaultdict[str, list[Outcome]](list)
    for outcome in outcomes:
        hidden = outcome.reason.replace(str(folder), "DIR")
        by_cell[outcome.cell.series].append(outcome.model_copy(update={"reason": hidden}))
    return Sheet(
        name=table.name,
        paper=table.paper,
        title=table.title,
        budget=budget,
        command=command,
        version=__version__,
        machines=tuple(sorted({outcome.machine for outcome in outcomes if outcome.machine})),
        heads=tuple(_head(column) for column in table.columns),
        lines=tuple(_line(table, row, by_cell, budget, folder) for row in table.rows),
        notes=table.notes,
    )


def read(path: Path) -> Sheet:
    """The sheet in a JSON file; `UserError` where there is none."""
    try:
        return Sheet.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({(error.strerror or str(error)).lower()}): name a table's JSON"
        ) from error
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "its beginning"
        raise UserError(f"{path} is no table at {where}: gancluster bench writes one as JSON") from error


def _head(column: Column) -> Head:
    lower = column.score.startswith("1 - ") or column.score == "error"
    return Head(dataset=column.dataset, metric=column.metric, unit=column.unit, decimals=column.decimals, lower=lower)


def _line(table: Table, row: Row, by_cell: dict[str, list[Outcome]], budget: Budget, data_dir: Path) -> Line:
    if row.method or row.cell is None:
        entries = [_entry(table, row, column, by_cell, budget) for column in table.columns]
    else:
        entries = _sizes(table, row, data_dir)
    cells = [reduced(cell, budget) for column in table.columns for cell in table.asked(row, column)]
    names = [outcome.row for cell in cells for outcome in by_cell.get(cell.series, []) if outcome.row]
    return Line(
        title=row.title,
        method=names[0] if names else row.method,
        floor=row.floor,
        note=row.note,
        entries=tuple(entries),
    )


# An entry -------------------------------------------------------------------------------------------------------------


def _entry(table: Table, row: Row, column: Column, by_cell: dict[str, list[Outcome]], budget: Budget) -> Entry:
    figure, cells = table.figure(row, column), table.asked(row, column)
    entry = Entry(published=figure.text, what=figure.note) if figure else Entry()
    outcomes = [by_cell.get(reduced(cell, budget).series, []) for cell in cells]
    every = [outcome for of_cell in outcomes for outcome in of_cell]
    if not every:  # what has been run may be shown where its method is not
        why = lacking(cells[0]) if cells else "" if figure is None else f"{row.title} is quoted"
        return entry.model_copy(update={"not_run": why, "waiting": int(bool(cells) and not why)})
    seeds = sorted({outcome.cell.seed for outcome in every})
    values = {seed: value for seed in seeds if (value := _mean(outcomes, seed, row, column)) is not None}
    failed = [f"seed {o.cell.seed}: {o.reason}" for o in every if o.status == "failed"]
    measured = _measured(values, sum(outcome.seconds for outcome in every)) if values else None
    marked = tuple(marks(cells[0], budget))
    starts = [value for o in every if (value := column.value(o.starts_mean, row)) is not None]
    change = {
        "measured": measured,
        "verdict": None if figure is None or measured is None else _judged(measured, figure, column, marked, failed),
        "reduced": marked if measured else (),
        "failed": tuple(_once(failed)),
        "missing": "; ".join(_once(o.reason for o in every if o.status == "no data")),
        "waiting": len(_once(str(o.cell.seed) for o in every if o.status == "waiting")),
        "starts": float(np.mean(starts)) if starts else None,
        "unscored": sum(_is_finished(outcomes, seed) for seed in seeds if seed not in values),
    }
    return entry.model_copy(update=change)


def _mean(outcomes: list[list[Outcome]], seed: int, row: Row, column: Column) -> float | None:
    """The mean score of a place's cells at a seed; None unless every one of them is finished and scored."""
    found = []
    for of_cell in outcomes:
        done = [o for o in of_cell if o.cell.seed == seed and o.status == "finished"]
        found.append(column.value(done[0].scores, row) if done else None)
    scores = [value for value in found if value is not None]
    return float(np.mean(scores)) if len(scores) == len(found) else None


def _is_finished(outcomes: list[list[Outcome]], seed: int) -> bool:
    """Whether all of a place's cells are, at a seed."""
    return all(any(o.cell.seed == seed and o.status == "finished" for o in of_cell) for of_cell in outcomes)


def _measured(values: Seeds, seconds: float) -> Measured:
    scores, n = list(values.values()), len(values)
    return Measured(
        n=n,
        mean=float(np.mean(scores)),
        std=float(np.std(scores, ddof=1)) if n > 1 else None,
        interval=tuple(mean_interval(scores)) if n >= FOR_INTERVAL else None,
        by_seed=values,
        seconds=round(seconds, 1),
    )


def _judged(
    measured: Measured, figure: Figure, column: Column, marked: tuple[str, ...], failed: list[str]
) -> Judgement:
    """The verdict on a printed mean; none where cells are reduced, where a seed failed, or of a single seed."""
    if marked or failed or measured.n < 2:
        return Judgement(name="no verdict: " + ("reduced" if marked else "failed seeds" if failed else "one seed"))
    scores = np.array(list(measured.by_seed.values())) / column.scale
    found = verdict(scores, figure.mean)
    low, high = column.scale * found.low, column.scale * found.high
    return Judgement(
        name=found.name,
        difference=column.scale * found.difference,
        interval=(low, high),
        seeds_needed=seeds_needed(scores, figure.mean),
    )


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


# Data sets ------------------------------------------------------------------------------------------------------------


def _sizes(table: Table, row: Row, data_dir: Path) -> list[Entry]:
    """What the row's data set is here, beside what is printed of it."""
    assert row.cell is not None
    printed = [figure for column in table.columns if (figure := table.figure(row, column)) is not None]
    entries = [Entry(published=figure.value, what=figure.note) for figure in printed]
    try:
        facts = catalogue.facts(catalogue.load(row.cell["dataset"], data_dir))
    except DataError as error:
        missing = str(error).replace(str(data_dir), "DIR")
        return [entry.model_copy(update={"missing": missing}) for entry in entries]
    sizes = {
        "n_samples": f"{facts['samples']:,}",
        "n_classes": str(len(facts["classes"] or ())),
        "dimensions": "x".join(map(str, facts["shape"])),
    }
    found = [sizes[column.metric] for column in table.columns]
    judged = [
        Judgement(name="the same" if e.published == f else "differs") for e, f in zip(entries, found, strict=True)
    ]
    pairs = zip(entries, found, judged, strict=True)
    return [entry.model_copy(update={"found": f, "verdict": j}) for entry, f, j in pairs]
