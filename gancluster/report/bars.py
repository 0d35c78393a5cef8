"""Bars side by side: a panel a column of a table, a bar a row, and what is printed as a mark on it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gancluster.report.style import INK, PALE, PALETTE, SOFT, bare, picture

ACROSS = 4  # panels
THICK = 0.24  # inches of a row


class Bar(NamedTuple):
    """A row's `mean` and its `std` over seeds, and the `printed` value, each None where there is none.

    `word` stands behind the mean, a dagger say, or tells why there is none.
    """

    mean: float | None = None
    std: float | None = None
    printed: float | None = None
    word: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether it has nothing to show but a word."""
        return self.mean is None and self.printed is None

    def text(self, decimals: int) -> str:
        return self.word if self.mean is None else f"{self.mean:.{decimals}f}{self.word}"


class Panel(NamedTuple):
    """A column: its bars from top to bottom, and the `decimals` that their means are written with."""

    title: str
    bars: Sequence[Bar]
    decimals: int = 3

    @property
    def most(self) -> float:
        """Where the longest bar ends, deviation and printed value included."""
        ends = [max(bar.printed or 0, (bar.mean or 0) + (bar.std or 0)) for bar in self.bars]
        return max(ends) or 1.0


def bar_chart(rows: Sequence[str], panels: Sequence[Panel], path: Path, floor: Sequence[bool] = ()) -> None:
    """A PNG of all panels, at most four beside each other, on the same rows; those of the `floor` are grey."""
    across = min(len(panels), ACROSS)
    down = ceil(len(panels) / across)
    wide = 0.3 + 0.075 * max(map(len, rows)) + 1.9 * across
    faces = [SOFT if i < len(floor) and floor[i] else PALETTE[0] for i in range(len(rows))]
    with picture(path, wide, (0.7 + THICK * len(rows)) * down) as figure:
        every = figure.subplots(down, across, sharey=True, squeeze=False)
        for axes, panel in zip(every.flat, panels, strict=False):
            _panel(axes, panel, faces)
        for axes in every.flat[len(panels) :]:
            axes.set_axis_off()
        every[0, 0].set_yticks(range(len(rows)), rows)
        every[0, 0].invert_yaxis()


def _panel(axes: Axes, panel: Panel, faces: Sequence[str]) -> None:
    most = panel.most
    for y, (bar, face) in enumerate(zip(panel.bars, faces, strict=True)):
        axes.barh(y, most, height=0.7, color=PALE)
        if bar.mean is not None:
            axes.barh(y, bar.mean, height=0.7, color=face)
            axes.errorbar(bar.mean, y, xerr=bar.std or None, color=INK, linewidth=0.8)
        if bar.printed is not None:
            axes.vlines(bar.printed, y - 0.4, y + 0.4, color=PALETTE[1], linewidth=2)
        axes.text(
            1.04 * most, y, bar.text(panel.decimals), va="center", color=SOFT if bar.mean is None else INK, fontsize=7
        )
    axes.set(xlim=(0, 1.42 * most))
    axes.set_title(panel.title, loc="left")
    axes.set_xticks([tick for tick in MaxNLocator(3).tick_values(0, most) if tick <= most])
    bare(axes)
