"""The HTML page in a real browser: it loads nothing, complains of nothing, sorts, filters, tells, and fits a phone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seeing import pixels

from gancluster.report import page, pictures, told
from gancluster.report.bars import Bar, Panel
from gancluster.report.page import Cell
from gancluster.runs.groups import Group
from gancluster.runs.run import Run

ROWS = [
    [Cell("k-means"), Cell(".534", 0.534)],
    [Cell("<b>&'\"", kind="bad"), Cell("FAILED", kind="bad")],
    *[[Cell(f"system {i}"), Cell(f".{900 - 90 * i}", 0.9 - 0.09 * i)] for i in range(6)],
]


@pytest.fixture(scope="module")
def story(straight: Run, digits: Any, tmp_path_factory: pytest.TempPathFactory) -> list[page.Section]:
    """What a page tells of a real run."""
    run = Run.open(shutil.copytree(straight.folder, tmp_path_factory.mktemp("story") / "run"))
    pictures.draw(run, digits)
    return told.of_run(run, Group("one", [run]), digits)


def column(tab: Any, number: int) -> list[str]:
    return [text for text in tab.locator(f"tbody td:nth-child({number})").all_inner_texts() if text]


def test_a_table_sorts_by_number_both_ways_and_what_is_no_number_stays_at_the_end(show: Any) -> None:
    tab = show(page.Table("Scores", ["system", "ACC"], ROWS))
    tab.click("th:nth-child(2) button")
    up = column(tab, 2)
    assert up[:-1] == sorted(up[:-1], key=float)
    assert up[-1] == "FAILED"
    assert tab.get_attribute("th:nth-child(2)", "aria-sort") == "ascending"
    tab.click("th:nth-child(2) button")
    assert column(tab, 2) == ["FAILED", *reversed(up[:-1])]


def test_a_table_is_filtered_by_a_text_and_markup_in_it_is_only_text(show: Any) -> None:
    tab = show(page.Table("Scores", ["system", "ACC"], ROWS))
    assert column(tab, 1)[1] == "<b>&'\""
    assert tab.inner_text("h1") == "a <title>"
    tab.fill("input[type=search]", "SYSTEM 3")
    assert [row.inner_text() for row in tab.locator("tbody tr:visible").all()] == ["system 3\t.630"]


def test_a_dot_under_the_pointer_tells_its_sample_and_shows_it(show: Any) -> None:
    places = np.array([[0.0, 0.0], [1.0, 1.0]])
    sprites = np.array([np.full((1, 8, 8), 255), np.zeros((1, 8, 8))], np.uint8)
    classes = ["six", "</script>"]
    tab = show(page.Points("Plane", places, np.array([7, 9]), np.array([1, 0]), classes, sprites))
    box = tab.locator("canvas").bounding_box()
    tab.mouse.move(box["x"] + box["width"] - 12, box["y"] + 12)  # the second point is at the upper right
    assert tab.inner_text(".tip") == "sample 9, cluster 0, class </script>"
    assert tab.locator(".tip i").evaluate("image => image.style.backgroundPosition") != "0px 0px"
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)  # far from both: as it was
    assert tab.inner_text(".tip").startswith("sample 9")
    tab.select_option("select", "classes")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_run_fits_a_phone_and_is_legible_in_light_and_dark(
    show: Any, story: list[page.Section], scheme: str, tmp_path: Path
) -> None:
    tab = show(*story)
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.emulate_media(color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.screenshot(path=tmp_path / "phone.png")
    brightness = pixels(tmp_path / "phone.png")[..., :3].mean(-1)
    paper, ink = np.median(brightness), brightness[100:400].max() if scheme == "dark" else brightness[100:400].min()
    assert abs(float(paper) - float(ink)) > 0.6 * brightness.max()
    assert (paper < 0.2 * brightness.max()) == (scheme == "dark")


def test_the_page_of_a_run_says_what_its_files_say(show: Any, story: list[page.Section], straight: Run) -> None:
    tab = show(*story)
    scores = next(iter(straight.result()["scores"].values()))
    assert f"{scores['acc']:.3f}" in tab.inner_text("#s1")
    counts = [int(text) for text in tab.locator(".confusion td").all_inner_texts() if text]
    assert sum(counts) == straight.request.n_samples
    right = [int(text or 0) for text in tab.locator(".confusion td.pair").all_inner_texts()]
    assert sum(right) / sum(counts) == pytest.approx(scores["acc"])
    assert tab.locator("img").evaluate_all("images => images.every(image => image.naturalWidth > 100)")


def test_a_collapse_is_told_with_what_to_try(show: Any, straight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = straight.result()
    monkeypatch.setattr(Run, "result", lambda run: result | {"diagnosis": None})
    assert told.ailing(straight) == []
    ill = {"phase": "adversarial", "epoch": 3, "signs": ["few codes are found"], "commands": ["gancluster train <x>"]}
    monkeypatch.setattr(Run, "result", lambda run: result | {"diagnosis": ill})
    text = show(*told.ailing(straight)).inner_text("body")
    assert all(said in text for said in ("few codes are found", "since adversarial, epoch 3", "gancluster train <x>"))


def test_on_paper_there_are_no_controls(show: Any, story: list[page.Section]) -> None:
    tab = show(*story)
    assert tab.locator("nav").is_visible()
    tab.emulate_media(media="print")
    assert not any(tab.locator(control).first.is_visible() for control in ("nav", "input", "select", ".tip"))


def test_bars_are_as_long_as_their_means_and_rows_without_a_number_are_left_out(show: Any) -> None:
    bars = [Bar(0.8, 0.1, 0.4, "†"), Bar(0.4), Bar(word="not run"), Bar(printed=0.6, word="no data")]
    tab = show(page.Bars("Bars", ["a", "b", "c", "<d>"], [Panel("digits ACC", bars)], [False, True, False, False], "n"))
    assert tab.locator(".bars caption").all_inner_texts() == ["digits ACC"]
    assert [row.split() for row in tab.locator(".bars tr").all_inner_texts()] == [
        ["a", "0.800†", "printed", "0.400"],
        ["b", "0.400"],
        ["<d>", "no", "data", "printed", "0.600"],
    ]
    wide = {
        name: tab.locator(f".bars .{name}").evaluate_all("rs => rs.map(r => r.getBoundingClientRect().width)")
        for name in ("track", "mean", "floor", "std")
    }
    assert [round(w / wide["track"][0], 2) for w in (*wide["mean"], *wide["floor"])] == [0.89, 0.44]  # of 0.8 + 0.1
    assert len(wide["std"]) == 1
    assert tab.locator(".bars .printed").count() == 2


def test_a_fold_shows_its_sections_when_it_is_opened(show: Any) -> None:
    places = np.array([[0.0, 0.0], [1.0, 1.0]])
    looks = page.Points("Plane", places, np.array([7, 9]), np.array([1, 0]), None, None)
    tab = show(page.Fold("Runs", [page.Fold("one", [looks, page.Notes("Notes", ["a", "<b>"])])], "the first"))
    assert not tab.locator("canvas").is_visible()
    for title in ("Runs", "one"):
        tab.click(f"summary:has-text('{title}')")
    box = tab.locator("canvas").bounding_box()
    assert box["height"] > 100
    tab.mouse.move(box["x"] + box["width"] - 12, box["y"] + 12)
    assert tab.inner_text(".tip") == "sample 9, cluster 0"
    assert tab.locator("li").all_inner_texts() == ["a", "<b>"]


def test_a_second_line_of_a_cell_is_found_by_the_filter(show: Any) -> None:
    rows = [[Cell(f"system {i}", more="reproduced" if i == 3 else ""), Cell("1", 1)] for i in range(8)]
    tab = show(page.Table("Scores", ["system", "ACC"], rows))
    tab.fill("input[type=search]", "reprod")
    assert tab.locator("tbody tr:visible").count() == 1
