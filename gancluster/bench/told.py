"""What a page tells of a table: published beside measured, bars, every run, what its runs look like, how to make it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gancluster.bench import drawn, render
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.grid import Folders
from gancluster.bench.sheets import Entry, Head, Line, Sheet
from gancluster.bench.worker import DRAWN_BY
from gancluster.commands import typed
from gancluster.data.dataset import Dataset
from gancluster.errors import RunError, UserError
from gancluster.hashing import HASHES
from gancluster.methods.base import Fit
from gancluster.report import page, pictures, told
from gancluster.runs.attempts import configured
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, own_samples

SHOWN = 500  # samples of each run that can be pointed at
BARS = "bar: mean; line: ± standard deviation over seeds; mark: as printed; grey: what any method has to beat"
READ = f"mean ± standard deviation (number of seeds); {render.CUT} of less than the paper had, so without a verdict"
LOOKS = "Of every system the first seed that is finished."
NUMBERS = ("published", "measured", "n", "seconds")  # columns that sort by number


def of_table(
    sheet: Sheet, outcomes: Sequence[Outcome], folders: Folders, commands: Sequence[str]
) -> list[page.Section]:
    """Sections on a table as it stands, whatever of it has been run; pictures that its runs lack are drawn.

    `commands`: what makes the table and this page.
    """
    sections: list[page.Section] = list(_grids(sheet))
    sections += [bars] if (bars := _bars(sheet)) else []
    sections += [long] if (long := _figure_by_figure(sheet)) else []
    sections += [runs] if (runs := _runs(outcomes)).rows else []
    notes = [*render.notes(sheet, "beside"), *(f"machine: {machine}" for machine in sheet.machines)]
    how: list[page.Section] = [page.Notes("How to read it", notes), page.Commands("Commands", commands)]
    return [*sections, *_looks(outcomes, folders), *how]


# The sheet ------------------------------------------------------------------------------------------------------------


def _grids(sheet: Sheet) -> Iterator[page.Table]:
    """A table a data set; what is printed and what was measured each in a column of its own."""
    for dataset, places in render.by_dataset(sheet):
        printed = [place for place in places if any(line.entries[place].published for line in sheet.lines)]
        columns, rows = ["system"], [[_system(line)] for line in sheet.lines]
        for place in places:
            head = sheet.heads[place]
            columns += [f"{render.metric(head)}, printed"] if place in printed else []
            columns.append(render.metric(head))
            for row, line in zip(rows, sheet.lines, strict=True):
                row += [_printed(line.entries[place])] if place in printed else []
                row.append(_measured(line.entries[place], head))
        yield page.Table(dataset or sheet.title, columns, rows, "" if sheet.heads[places[0]].unit == "count" else READ)


def _system(line: Line) -> page.Cell:
    """The row's name over what it is run as."""
    ran = "" if render.system(line) == line.title else line.method
    return page.Cell(line.title, more=", ".join(part for part in (ran, "to be beaten" if line.floor else "") if part))


def _printed(entry: Entry) -> page.Cell:
    return page.Cell(entry.published or render.NONE, _number(entry.published), "" if entry.published else "quiet")


def _measured(entry: Entry, head: Head) -> page.Cell:
    """What was measured over its verdict; good if that is at least the printed figure."""
    text, verdict = render.measured(entry, head), render.verdict(entry)
    good = verdict in ("reproduced", "the same", "below" if head.lower else "above")
    kind = "bad" if entry.failed or verdict in ("differs", "above" if head.lower else "below") else ""
    kind = kind or ("good" if good else "" if entry.measured or entry.found else "quiet")
    return page.Cell(text, entry.measured.mean if entry.measured else _number(entry.found), kind, verdict)


def _number(text: str) -> float | None:
    """The number that a text begins with."""
    found = re.match(r"[+-]?\d[\d,]*(\.\d+)?|[+-]?\.\d+", text)
    return float(found[0].replace(",", "")) if found else None


def _bars(sheet: Sheet) -> page.Bars | None:
    """A panel a column with anything measured."""
    panels = [panel for panel in drawn.panels(sheet) if any(bar.mean is not None for bar in panel.bars)]
    if not panels:
        return None
    rows, floor = [line.title for line in sheet.lines], [line.floor for line in sheet.lines]
    return page.Bars("Bars", rows, panels, floor, BARS)


def _figure_by_figure(sheet: Sheet) -> page.Table | None:
    """Every measured figure with its interval; columns that would be empty are left out."""
    records = list(render.records(sheet, only_measured=True))
    names = [name for name in render.LONG if any(record[name] for record in records)]
    rows = [
        [page.Cell(record[name], _number(record[name]) if name in NUMBERS else None) for name in names]
        for record in records
    ]
    return page.Table("Figure by figure", names, rows) if rows else None


# The runs -------------------------------------------------------------------------------------------------------------


def _runs(outcomes: Sequence[Outcome]) -> page.Table:
    """A row a cell, whatever became of it; those without data are told of in the notes."""
    columns = ["run", "data set", "preset", "samples", "seed", "state", "ACC", "NMI", "seconds"]
    return page.Table("Every run", columns, [_run(outcome) for outcome in outcomes if outcome.status != "no data"])


def _run(outcome: Outcome) -> list[page.Cell]:
    cell, done = outcome.cell, outcome.status == "finished"
    state = page.Cell("finished") if done else page.Cell("FAILED", kind="bad", more=outcome.reason)
    state = page.Cell("not run yet", kind="quiet") if outcome.status == "waiting" else state
    scores = [outcome.scores.get(name) for name in ("acc", "nmi")]
    return [
        page.Cell(cell.system),
        page.Cell(cell.dataset),
        page.Cell(cell.preset),
        page.Cell("all" if cell.limit is None else f"{cell.limit:,}", cell.limit),
        page.Cell(str(cell.seed), cell.seed),
        state,
        *(page.Cell(render.NONE, kind="quiet") if s is None else page.Cell(f"{s:.3f}", s) for s in scores),
        page.Cell(f"{outcome.seconds:.0f}", outcome.seconds) if done else page.Cell(render.NONE, kind="quiet"),
    ]


def training(cell: Cell, outcomes: Sequence[Outcome]) -> str:
    """The `gancluster train` command that makes the cell's run, and those of its other seeds.

    Its first seed draws the samples, where they are limited: there it begins with the one that draws a table's.
    """
    fields = {name: getattr(cell, name) for name in Cell.model_fields if name in TrainOptions.model_fields}
    seeds = {other.cell.seed for other in outcomes if other.cell.series == cell.series}
    first = min(seeds) if cell.limit is None else DRAWN_BY
    fields |= {"seed": first, "seeds": max(seeds) + 1 - first}
    given = {n: v for n, v in fields.items() if v != TrainOptions.model_fields[n].default or n == "dataset"}
    return typed(["train", cell.method], given | cell.options)


def _looks(outcomes: Sequence[Outcome], folders: Folders) -> Iterator[page.Fold]:
    """A fold a data set, in it one a system: where its samples lie, its errors, its pictures."""
    for dataset in dict.fromkeys(outcome.cell.dataset for outcome in outcomes):
        first = dict[str, Outcome]()
        for outcome in outcomes:
            if outcome.cell.dataset == dataset and outcome.status == "finished" and outcome.cell.method not in HASHES:
                first.setdefault(outcome.cell.series, outcome)
        if first:
            yield page.Fold(f"Runs on {dataset}", list(_folds(list(first.values()), outcomes, folders)), LOOKS)


def _folds(firsts: Sequence[Outcome], outcomes: Sequence[Outcome], folders: Folders) -> Iterator[page.Fold]:
    samples: dict[str, tuple[Dataset | None, NDArray[np.uint8] | None]] = {}
    for outcome in firsts:
        run = Run.open(folders.runs / outcome.run)
        arrays = run.arrays()
        clusters = told.by_the_papers_rule(arrays)
        shown = told.drawn_among(len(clusters), SHOWN)
        if run.request.sha256 not in samples:  # the sprites of all runs on the same samples are one sheet
            dataset = _samples(run, folders.data)
            samples[run.request.sha256] = dataset, told.sprites(dataset, shown)
        dataset, images = samples[run.request.sha256]
        _draw(run, dataset)
        looks = [told.points(arrays, clusters, shown, dataset, images), *told.found(run, arrays, clusters, dataset)]
        command = page.Commands("Command", [training(outcome.cell, outcomes)])
        yield page.Fold(str(outcome.cell), [*looks, command])


def _samples(run: Run, data_dir: Path) -> Dataset | None:
    """The samples of a run, if they are still to be had."""
    try:
        return own_samples(run, data_dir)
    except UserError:
        return None


def _draw(run: Run, dataset: Dataset | None) -> None:
    """Draw the pictures of a game's run, which the grid does not, unless they are there."""
    if dataset is None or (run.folder / "embedding.png").exists() or isinstance(configured(run.request), Fit):
        return
    try:
        pictures.draw(run, dataset)
    except RunError:  # a checkpoint that is gone or damaged: what there is is shown
        return
