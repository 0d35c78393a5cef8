"""About how long a table takes: by runs that are here, else by the package's table, else unknown."""

import csv
from importlib.resources import files
from pathlib import Path

import pytest
from games import placed

from gancluster import registry
from gancluster.bench import costs
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.costs import Cost, Kind
from gancluster.data.dataset import Dataset
from gancluster.hashing import HASHES

CELL = Cell(method="ganem", dataset="usps", limit=7)
KIND = Kind("ganem", "usps", "default", 7)


def test_what_runs_took_is_found_by_what_they_were(tmp_path: Path, digits: Dataset) -> None:
    for seed, seconds in ((0, 3.0), (1, 5.0)):
        placed(tmp_path, digits, "infogan", seed).finish({"status": "finished", "seconds": seconds})
    placed(tmp_path, digits, "infogan", 2).finish({"status": "failed", "seconds": 1.0})
    placed(tmp_path, digits, "infogan", 3)
    placed(tmp_path / ".hashes", digits, "infogan").finish({"status": "finished", "seconds": 9.0})
    (kind,) = found = costs.measured(tmp_path)
    assert kind == Kind("infogan", "digits", "smoke", None)
    assert sorted(cost.seconds for cost in found[kind]) == [3.0, 5.0, 9.0]


def test_an_estimate_is_the_median_of_the_like_those_with_the_same_options_first() -> None:
    here = {KIND: [Cost(1.0, {"critic": "gan"}), Cost(3.0, {"critic": "gan"}), Cost(8.0, {"critic": "wgan"})]}
    assert costs.estimate(CELL, here) == 3.0
    assert costs.estimate(CELL.model_copy(update={"options": {"critic": "gan"}}), here) == 2.0
    assert costs.estimate(CELL.model_copy(update={"options": {"critic": "r1"}}), here) == 3.0
    assert costs.estimate(CELL.model_copy(update={"limit": 8}), here) is None


def test_a_hash_costs_the_same_whatever_the_preset() -> None:
    here = {Kind("itq", "mnist", "default", None): [Cost(2.0, {})]}
    assert costs.estimate(Cell(method="itq", dataset="mnist", preset="smoke"), here) == 2.0


def test_without_runs_the_package_s_table_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "packaged", lambda: {KIND: 4.0, KIND._replace(dataset="celeba"): 5.0})
    assert costs.estimate(CELL, {}) == 4.0
    assert costs.estimate(CELL, {KIND: [Cost(6.0, {})]}) == 6.0
    assert costs.estimate(CELL.model_copy(update={"dataset": "celeba:Bald"}), {}) == 5.0


def test_work_is_what_waits_and_is_told_in_words() -> None:
    here = {KIND: [Cost(100.0, {})]}
    waiting, unknown = (
        Outcome(cell=CELL, status="waiting"),
        Outcome(cell=Cell(method="x", dataset="y"), status="waiting"),
    )
    work = costs.work([waiting, waiting, unknown, Outcome(cell=CELL, status="finished")], here)
    assert work == (3, 200.0, 1)
    assert work.told() == "3 to run: 2 in about 3 minutes, 1 of unknown cost"
    assert work.told(jobs=2) == "3 to run: 2 in about 2 minutes with 2 jobs, 1 of unknown cost"
    assert costs.work([unknown], here).told() == "1 to run, of unknown cost"
    assert costs.work([], here).told() == "nothing to run"
    assert work.short == "3 cells\n3 minutes\n+ 1 unknown"
    assert costs.work([unknown], here).short == "1 cells\n1 unknown"
    assert costs.work([], here).short == "–"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "1 second"), (89, "89 seconds"), (90, "2 minutes"), (5_400, "2 hours"), (129_599, "36 hours")],
)
def test_a_duration_is_told_as_one_would(seconds: float, told: str) -> None:
    assert costs.duration(seconds) == told


def test_the_package_s_table_is_of_methods_and_data_sets_that_there_are() -> None:
    found = costs.packaged()
    assert len(found) > 20
    assert {kind.method for kind in found} <= registry.origins("methods").keys() | HASHES
    assert {kind.dataset for kind in found} <= registry.origins("datasets").keys()
    assert min(found.values()) >= 0


def test_runs_are_written_as_the_package_s_table_is() -> None:
    text = costs.as_csv(
        {KIND: [Cost(1.0, {}), Cost(2.0, {}), Cost(9.0, {})], KIND._replace(limit=None): [Cost(3.0, {})]}
    )
    assert text.splitlines()[0] == files("gancluster.bench").joinpath("costs.csv").read_text().splitlines()[0]
    assert [row["seconds"] for row in csv.DictReader(text.splitlines())] == ["2.0", "3.0"]
