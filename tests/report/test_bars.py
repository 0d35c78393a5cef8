"""Bars: as long as their means, words where there is none, printed values as marks."""

from pathlib import Path

import numpy as np
import pytest
from seeing import pixels

from gancluster.report.bars import Bar, Panel, bar_chart
from gancluster.report.style import PALETTE, SOFT


def count(path: Path, colour: str) -> int:
    """Pixels of exactly that colour."""
    return int((pixels(path) == [*bytes.fromhex(colour[1:])]).all(-1).sum())


def drawn(tmp_path: Path, *bars: Bar, floor: tuple[bool, ...] = ()) -> Path:
    path = tmp_path / "bars.png"
    bar_chart([f"row {i}" for i in range(len(bars))], [Panel("digits ACC", bars)], path, floor)
    return path


def test_a_bar_is_as_long_as_its_mean(tmp_path: Path) -> None:
    full = count(drawn(tmp_path, Bar(mean=0.9), Bar(mean=0.9)), PALETTE[0])
    part = count(drawn(tmp_path, Bar(mean=0.9), Bar(mean=0.3)), PALETTE[0])
    assert part / full == pytest.approx((0.9 + 0.3) / 1.8, abs=0.02)


def test_a_printed_value_is_a_mark_and_the_floor_is_grey(tmp_path: Path) -> None:
    assert count(drawn(tmp_path, Bar(mean=0.9)), PALETTE[1]) == 0
    marked = drawn(tmp_path, Bar(mean=0.9, printed=0.5), Bar(mean=0.4), floor=(False, True))
    assert count(marked, PALETTE[1]) > 50
    assert count(marked, SOFT) > 0.3 * count(marked, PALETTE[0])


def test_a_row_without_a_mean_says_why_and_has_no_bar(tmp_path: Path) -> None:
    empty = drawn(tmp_path, Bar(word="FAILED (3)"), Bar())
    assert count(empty, PALETTE[0]) == 0
    said, blank = np.array_split(pixels(empty).min(-1) < 150, 2)
    assert said.sum() > blank.sum()


def test_more_than_four_panels_stand_in_several_rows(tmp_path: Path) -> None:
    path = tmp_path / "bars.png"
    bar_chart(["a row"], [Panel(f"data set {i}", [Bar(mean=0.5)]) for i in range(5)], path)
    high = len(pixels(path))
    bar_chart(["a row"], [Panel(f"data set {i}", [Bar(mean=0.5)]) for i in range(4)], path)
    assert high == 2 * len(pixels(path))
