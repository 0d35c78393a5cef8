"""A sheet as bars: ClusterGAN's Figure 2, and any other table that one wants to see at a glance."""

from __future__ import annotations

from pathlib import Path

from gancluster.bench import render
from gancluster.bench.sheets import Entry, Head, Sheet
from gancluster.errors import UserError
from gancluster.report.bars import Bar, Panel, bar_chart


def as_bars(sheet: Sheet, path: Path) -> None:
    """Every column of `sheet` as a panel, as PNG; `UserError` where none holds a number."""
    panels = [
        Panel(f"{head.dataset} {head.metric}", [_bar(line.entries[place], head) for line in sheet.lines], head.decimals)
        for place, head in enumerate(sheet.heads)
    ]
    if all(bar.mean is None and bar.printed is None for panel in panels for bar in panel.bars):
        raise UserError(f"{sheet.name} holds no number yet: run it before it is drawn")
    bar_chart([line.title for line in sheet.lines], panels, path, [line.floor for line in sheet.lines])


def _bar(entry: Entry, head: Head) -> Bar:
    printed = float(entry.published.partition(" ")[0]) if entry.published and head.unit != "count" else None
    if entry.measured is None:
        return Bar(printed=printed, word=render.measured(entry, head))
    return Bar(entry.measured.mean, entry.measured.std, printed)
