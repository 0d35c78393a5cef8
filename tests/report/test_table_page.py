"""A table's page in a real browser: it loads nothing, complains of nothing, sorts, filters, and fits a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from games import points
from here import Here
from seeing import pixels

from gancluster.bench import grid, sheets, tables, told, worker
from gancluster.bench.grid import Folders
from gancluster.bench.sheets import Sheet
from gancluster.report import page


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with points in a file."""
    folder = tmp_path_factory.mktemp("table")
    np.savez(folder / "points.npz", inputs=points().inputs, labels=points().labels)
    return folder


@pytest.fixture(scope="module")
def story(root: Path) -> tuple[Sheet, list[page.Section]]:
    """Table 2 on the points alone, with one row still to be run: sheet and sections."""
    worker.load.cache_clear()
    table = tables.named("table2").narrowed([], [str(root / "points.npz"), "mnist"])
    folders = Folders(root / "runs", root)
    cells = [cell for cell in table.cells("smoke") if cell.method in ("kmeans", "pca-kmeans", "sc-ls")]
    grid.carry_out(grid.look(cells, folders), folders, Here())
    outcomes = [one.outcome for one in grid.look(table.cells("smoke"), folders)]
    sheet = sheets.filled(table, outcomes, "smoke", root, "gancluster bench table2")
    return sheet, told.of_table(sheet, outcomes, folders, [sheet.command])


def column(tab: Any, number: int) -> list[str]:
    return [cell.inner_text() for cell in tab.locator(f"#s1 tbody tr:visible td:nth-child({number})").all()]


def test_a_table_s_rows_sort_by_what_was_measured_and_are_filtered(show: Any, story: Any) -> None:
    sheet, sections = story
    tab = show(*sections)
    assert tab.locator("nav a").all_inner_texts() == [section.title for section in sections]
    waiting = [line for line in sheet.lines if line.entries[1].waiting]
    assert column(tab, 3).count("waiting (1)") == len(waiting) > 1
    tab.click("#s1 th:nth-child(3) button")
    scores = [float(text.split()[0]) for text in column(tab, 3)[:3]]
    assert scores == sorted(scores)
    means = [line.entries[1].measured.mean for line in sheet.lines if line.entries[1].measured]
    assert scores == pytest.approx(sorted(means), abs=5e-4)
    tab.fill("#s1 input", "pca-kmeans")
    assert column(tab, 1) == ["PCA + K-means\npca-kmeans, to be beaten"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_table_fits_a_phone(show: Any, story: Any, scheme: str, tmp_path: Path) -> None:
    tab = show(*story[1])
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.emulate_media(color_scheme=scheme)
    tab.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.screenshot(path=tmp_path / "phone.png")
    brightness = pixels(tmp_path / "phone.png").mean(-1)
    assert (np.median(brightness) < 0.2 * 255) == (scheme == "dark")


def test_on_paper_closed_folds_are_left_out(show: Any, story: Any) -> None:
    tab = show(*story[1])
    tab.emulate_media(media="print")
    assert not tab.locator("details").first.is_visible()
    assert not tab.locator("nav").is_visible()
    assert tab.locator(".bars").first.is_visible()
