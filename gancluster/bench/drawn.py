"""Tables as pictures: bars of any of them, as ClusterGAN's Figure 2; planes of the samples, as its Figure 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gancluster.bench import render
from gancluster.bench.cells import Outcome
from gancluster.bench.layout import Row, Table
from gancluster.bench.sheets import Entry, Head, Sheet
from gancluster.bench.worker import load
from gancluster.errors import UserError
from gancluster.report.bars import Bar, Panel, bar_chart
from gancluster.report.figures import planes_beside
from gancluster.report.planes import principal
from gancluster.runs.run import Run


def as_bars(sheet: Sheet, path: Path) -> None:
    """Every column of `sheet` as a panel, as PNG; `UserError` where none holds a number."""
    if all(bar.is_blank for panel in panels(sheet) for bar in panel.bars):
        raise UserError(f"{sheet.name} holds no number yet: run it before it is drawn")
    bar_chart([line.title for line in sheet.lines], panels(sheet), path, [line.floor for line in sheet.lines])


def panels(sheet: Sheet) -> list[Panel]:
    """A panel a column, a bar a row."""
    return [
        Panel(f"{head.dataset} {head.metric}", [_bar(line.entries[place], head) for line in sheet.lines], head.decimals)
        for place, head in enumerate(sheet.heads)
    ]


def _bar(entry: Entry, head: Head) -> Bar:
    printed = float(entry.published.partition(" ")[0]) if entry.published and head.unit != "count" else None
    if entry.measured is None:
        return Bar(printed=printed, word=render.measured(entry, head))
    return Bar(entry.measured.mean, entry.measured.std, printed, render.CUT if entry.reduced else "")


def as_planes(table: Table, outcomes: Sequence[Outcome], runs_dir: Path, data_dir: Path, folder: Path) -> list[Path]:
    """A PNG a data set in `folder`: its raw samples on their principal axes, and the embedding of each row's run.

    The first seed that is finished is drawn, by class; a row without one is left out, and so is the floor.
    """
    made = []
    for dataset in dict.fromkeys(outcome.cell.dataset for outcome in outcomes):
        done = [o for o in outcomes if o.cell.dataset == dataset and o.status == "finished"]
        runs = {row.title: run for row in table.rows if not row.floor and (run := _run(row, done, runs_dir))}
        if not runs:
            continue
        cell = done[0].cell
        data = load(dataset, data_dir, cell.split, cell.limit, cell.features)
        planes = {"raw samples": principal(np.asarray(data.inputs, np.float32).reshape(len(data), -1))}
        planes |= {title: principal(run.arrays()["embedding"]) for title, run in runs.items()}
        labels = np.full(len(data), -1) if data.labels is None else data.labels
        made.append(folder / f"{table.name}-{data.name}.png")
        planes_beside(planes, labels, made[-1], data.label_names)
    return made


def _run(row: Row, done: Sequence[Outcome], runs_dir: Path) -> Run | None:
    """The first finished run that the row asks for."""
    options = (row.cell or {}).get("options", {})
    runs = [Path(o.run) for o in done if (o.cell.method, o.cell.options) == (row.method, options)]
    return Run.open(runs_dir / runs[0]) if runs else None
