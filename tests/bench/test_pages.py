"""The documentation's pages of results: made from results/*.json, the same as those that are there, and true."""

import re
from pathlib import Path

import pytest
from outcomes import filled_by, finished, usps

from gancluster.bench import pages, sheets, tables, verification

ROOT = Path(__file__).parents[2]


def test_the_pages_in_docs_are_those_that_the_results_make() -> None:
    made = pages.pages(ROOT / "results")
    there = {path.name: path.read_text() for path in (ROOT / "docs/results").glob("*.md")}
    assert there == made, "run: gancluster bench docs"
    assert len(made) > 1


def test_the_results_hold_no_path_of_a_machine() -> None:
    for path in (ROOT / "results").glob("*.json"):
        assert re.findall(r"/(?:home|work|tmp|root|Users)/", path.read_text()) == []


@pytest.mark.parametrize("packed", sorted((ROOT / "results").glob("*.capsule")), ids=lambda path: path.stem)
def test_every_number_of_what_is_packed_beside_a_sheet_computes_to_it(packed: Path) -> None:
    sheet, tallies = verification.verify(packed)
    assert sheet == sheets.read(packed.with_suffix(".json"))
    assert [difference for tally in tallies.values() for difference in tally.differences] == []
    assert sum(tally.numbers for tally in tallies.values()) > 10
    assert f"`gancluster verify results/{packed.name}`" in pages.pages(ROOT / "results")[f"{packed.stem}.md"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with the sheets of a table and of a figure."""
    folder = tmp_path / "results"
    folder.mkdir()
    ablation = filled_by(lambda cell: finished(cell, acc=0.9), tables.named("figure2"), seeds=2)
    for sheet in (usps([0.97, 0.98]), ablation):
        (folder / f"{pages.name(sheet)}.json").write_text(sheet.model_dump_json())
    return folder


def test_a_page_a_sheet_and_a_list_of_them_are_written_and_a_figure_has_its_bars(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "docs"
    written = pages.write(source, target)
    assert [path.name for path in written] == ["clustergan-figure2-full.md", "clustergan-table2-full.md", "tables.md"]
    assert sorted(target.iterdir()) == sorted([*written, target / "clustergan-figure2-full.png"])
    assert "](clustergan-figure2-full.png)" in written[0].read_text()
    assert "[ClusterGAN, Table 2: Clustering, budget full](clustergan-table2-full.md)" in written[2].read_text()


def test_pages_of_what_is_gone_go_and_somebody_s_own_stay(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "docs"
    pages.write(source, target)
    (target / "notes.md").write_text("# My notes\n")
    (source / "clustergan-figure2-full.json").unlink()
    pages.write(source, target)
    assert {path.name for path in target.iterdir()} == {"clustergan-table2-full.md", "tables.md", "notes.md"}
