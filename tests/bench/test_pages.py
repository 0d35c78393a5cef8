"""The documentation's pages of results: made from results/*.json, and the same as those that are there."""

import re
from pathlib import Path

from outcomes import usps

from gancluster.bench import pages

ROOT = Path(__file__).parents[2]


def test_the_pages_in_docs_are_those_that_the_results_make() -> None:
    made = pages.pages(ROOT / "results")
    there = {path.name: path.read_text() for path in (ROOT / "docs/results").glob("*.md")}
    assert there == made, "run: gancluster bench docs"
    assert len(made) > 1


def test_the_results_hold_no_path_of_a_machine() -> None:
    for path in (ROOT / "results").glob("*.json"):
        assert re.findall(r"/(?:home|work|tmp|root|Users)/", path.read_text()) == []


def test_a_page_a_sheet_and_a_list_of_them_are_written_and_stale_ones_go(tmp_path: Path) -> None:
    sheet = usps([0.97, 0.98])
    source, target = tmp_path / "results", tmp_path / "docs"
    source.mkdir()
    target.mkdir()
    (source / f"{pages.name(sheet)}.json").write_text(sheet.model_dump_json())
    (target / "stale.md").write_text("old")
    written = pages.write(source, target)
    assert [path.name for path in written] == ["clustergan-table2-full.md", "tables.md"]
    assert sorted(target.iterdir()) == sorted(written)
    assert "[ClusterGAN, Table 2: Clustering](clustergan-table2-full.md)" in (target / "tables.md").read_text()
    assert pages.write(source, target) == written
