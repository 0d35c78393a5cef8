"""The toys' table: its script on two short games, and what a row says of seeds that fail."""

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "toys.py"


def test_a_row_for_a_pair_and_finished_runs_are_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--toys", "swiss-roll", "--rows", "gan alone", "--seeds", "1", "--preset", "smoke"]
    places = ["--runs-dir", str(tmp_path / "runs"), "--output", str(tmp_path / "toys.json")]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *asked, *places])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    first = capsys.readouterr().out
    (row,) = first.splitlines()[2:]
    assert row.startswith("| gan alone | swiss-roll | – | – | – | ")
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out == first  # seconds and all
    ((told,),) = [[row["seeds"] for row in json.loads((tmp_path / "toys.json").read_text())["rows"]]]
    assert told[0]["w1"] > 0


def test_a_seed_that_fails_is_shown_and_counts_as_one_that_does_not_cover_all() -> None:
    told = runpy.run_path(str(SCRIPT))["told"]
    found = {"w1": 0.1, "w1_of_real": 0.05, "modes": 8, "modes_covered": 8, "high_quality_share": 0.9}
    row = {"modes": 8, "seeds": [found, {"failed": "a loss is not finite"}], "seconds": [3.0, 1.0]}
    assert told(row) == ["8 FAILED", "1 of 2", "0.900", "0.100 (0.050)", "2"]
    nothing = {"modes": 8, "seeds": [{"failed": "a loss is not finite"}], "seconds": [1.0]}
    assert told(nothing) == ["FAILED", "0 of 1", "–", "– (–)", "1"]
