"""Cells become runs: carried out once, gone on with, or shown as what they are; here by this process itself."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import games
import numpy as np
import pytest
from games import points
from here import Here

from gancluster.bench import grid, worker
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.executor import News
from gancluster.bench.grid import Folders
from gancluster.data import catalogue
from gancluster.runs import finding
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train

pytestmark = pytest.mark.usefixtures("duels")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    worker.load.cache_clear()
    return Folders(tmp_path / "runs", tmp_path / "data")


@pytest.fixture
def duel(tmp_path: Path) -> Callable[..., Cell]:
    """Makes cells of the duel on 24 points of a file."""
    path = tmp_path / "points.npz"
    np.savez(path, inputs=points().inputs, labels=points().labels)

    def cell(**fields: object) -> Cell:
        options = {name: fields.pop(name) for name in list(fields) if name in games.Options.model_fields}
        return Cell(**{"method": "duel", "dataset": str(path), "options": options} | fields)

    return cell


def carry_out(cells: list[Cell], folders: Folders, executor: Here, retry_failed: bool = False) -> list[Outcome]:
    return grid.carry_out(grid.look(cells, folders), folders, executor, retry_failed=retry_failed)


def test_cells_come_back_in_their_order_with_the_scores_of_their_runs(
    folders: Folders, duel: Callable[..., Cell]
) -> None:
    cells = [duel(seed=seed, lr=lr) for lr in (0.1, 0.01) for seed in (1, 0)]
    outcomes = carry_out(cells, folders, Here())
    assert [outcome.cell for outcome in outcomes] == cells
    for outcome in outcomes:
        run = Run.open(folders.runs / outcome.run)
        result = run.result()
        assert (run.request.seed, run.request.options["lr"]) == (outcome.cell.seed, outcome.cell.options["lr"])
        assert (outcome.status, outcome.row, outcome.machine) == ("finished", "duel", result["machine"])
        assert result["scores"]["side"].items() <= outcome.scores.items()
        assert outcome.scores["w1"] == result["generated"]["w1"]


def test_a_second_call_runs_nothing_and_finds_the_same(folders: Folders, duel: Callable[..., Cell]) -> None:
    cells, first, second = [duel(seed=seed) for seed in range(3)], Here(), Here()
    assert carry_out(cells, folders, first) == carry_out(cells, folders, second)
    assert (first.begun, second.begun) == (3, 0)


def test_a_run_of_gancluster_train_is_taken_as_it_is(folders: Folders, duel: Callable[..., Cell]) -> None:
    cell = duel(seed=2, limit=12, lr=0.1)
    options = TrainOptions(dataset=cell.dataset, limit=12, seed=0, seeds=3)
    dataset = catalogue.load(cell.dataset, folders.data, limit=12, seed=0)
    request = plan("duel", dataset, options, {"lr": 0.1})[2]
    train(Run.place(folders.runs, request), dataset)
    before = (folders.runs / request.folder / "result.json").stat().st_mtime_ns
    (outcome,) = carry_out([cell], folders, Here())
    assert outcome.run == str(request.folder)
    assert (folders.runs / request.folder / "result.json").stat().st_mtime_ns == before


def test_games_are_played_by_the_engine_asked_for(folders: Folders, duel: Callable[..., Cell]) -> None:
    planned = grid.look([duel(), duel(method="kmeans")], folders, engine="compiled")
    assert [one.request.engine for one in planned if one.request] == ["compiled", "plain"]
    assert planned[0].key != grid.look([duel()], folders)[0].key


def test_all_seeds_have_the_same_samples_of_a_limited_data_set(folders: Folders, duel: Callable[..., Cell]) -> None:
    planned = grid.look([duel(seed=seed, limit=12) for seed in range(4)], folders)
    requests = [one.request for one in planned if one.request]
    assert len({request.sha256 for request in requests}) == 1
    assert {request.drawn_by for request in requests} == {worker.DRAWN_BY}
    assert len({one.key for one in planned}) == 4


def test_cells_that_ask_for_the_same_run_share_it(folders: Folders, duel: Callable[..., Cell]) -> None:
    executor, default = Here(), games.Options().lr
    one, other = carry_out([duel(), duel(lr=default)], folders, executor)
    assert executor.begun == 1
    assert one.run == other.run


def test_looking_runs_nothing_and_writes_nothing(folders: Folders, duel: Callable[..., Cell], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    outcomes = [one.outcome for one in grid.look([duel(), duel(method="no such")], folders)]
    assert [outcome.status for outcome in outcomes] == ["waiting", "failed"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_is_at_work_elsewhere_is_waited_for(folders: Folders, duel: Callable[..., Cell]) -> None:
    (planned,) = grid.look([duel()], folders)
    assert planned.request is not None
    job = worker.Job(request=planned.request, runs_dir=folders.runs, data_dir=folders.data, save_every=0)
    news, run = list[News](), job.place()
    other = threading.Thread(target=lambda: news.append(worker.carry_out(job, news.append)))
    with run.alone():
        other.start()
        train(run, catalogue.load(planned.request.source, folders.data))
    other.join()
    assert [(one.state, one.played) for one in news] == [("running", 0), ("ended", 0)]


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_what_failed_stands_among_the_others_and_is_not_tried_again_unless_asked(
    folders: Folders, duel: Callable[..., Cell]
) -> None:
    cells = [duel(seed=0), duel(seed=1, fails_from=0.5), duel(seed=2)]
    first, second, third = Here(), Here(), Here()
    outcomes = carry_out(cells, folders, first)
    assert [outcome.status for outcome in outcomes] == ["finished", "failed", "finished"]
    assert outcomes[1].reason == "the loss term 'adversarial' of the seeker became non-finite at step 4 (seed 1)"
    assert outcomes[1].scores == {}
    assert carry_out(cells, folders, second) == outcomes
    again = carry_out(cells, folders, third, retry_failed=True)
    assert [outcome.reason for outcome in again] == [outcome.reason for outcome in outcomes]
    assert (first.begun, second.begun, third.begun) == (3, 0, 1)


def test_an_error_of_a_method_s_own_fails_its_cell_alone_and_can_be_tried_again(
    folders: Folders, duel: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, assigned = [duel(seed=0), duel(seed=1)], games.Duel.assign

    def breaks(*_: object) -> None:
        raise MemoryError("no room\nfor so much")

    monkeypatch.setattr(games.Duel, "assign", breaks)
    outcomes = carry_out(cells, folders, Here())
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [("failed", "MemoryError: no room")] * 2
    monkeypatch.setattr(games.Duel, "assign", assigned)
    assert [outcome.status for outcome in carry_out(cells, folders, Here())] == ["failed"] * 2
    assert [outcome.status for outcome in carry_out(cells, folders, Here(), retry_failed=True)] == ["finished"] * 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"preset": "papr"}, "there is no preset 'papr'; did you mean paper? (all: gancluster methods duel)"),
        ({"lr": -1.0}, "--lr -1.0: input should be greater than 0"),
        ({"clusters": 25}, "24 samples cannot be 25 clusters: let --clusters be 1 to 24"),
        ({"batch_size": 30}, "the duel phase takes batches of 30, but there are 24 samples: lower its batch size"),
        ({"limit": 25}, "a limit of 25 is not possible: points.npz has 24 samples"),
        ({"labels": 4}, "duel learns without labels: leave out --labels"),
        ({"method": "deul"}, "there is no method 'deul'; did you mean duel"),
        ({"dataset": "digitz"}, "there is no data set 'digitz'; did you mean digits? (all: gancluster data list)"),
        ({"dataset": "no/such.npz"}, "no/such.npz does not exist"),
    ],
)
def test_what_cannot_be_is_said_and_the_others_are_carried_out(
    folders: Folders, duel: Callable[..., Cell], fields: dict[str, object], reason: str
) -> None:
    bad, good = carry_out([duel(**fields), duel()], folders, Here())
    assert bad.status == "failed"
    assert bad.reason.startswith(reason)
    assert good.status == "finished"


def test_a_data_set_that_is_missing_is_named_with_the_way_to_get_it(folders: Folders) -> None:
    fetched, supplied = carry_out([Cell(method="kmeans", dataset=name) for name in ("stl10", "frgc")], folders, Here())
    assert (fetched.status, supplied.status) == ("no data", "no data")
    assert fetched.reason.endswith(f"run gancluster data fetch stl10 --data-dir {folders.data}")
    assert f"frgc is not in {folders.data} and cannot be fetched: put" in supplied.reason


def test_what_changed_since_it_was_looked_at_is_refused_and_asked_for_anew(
    folders: Folders, duel: Callable[..., Cell]
) -> None:
    cell = duel()
    planned = grid.look([cell], folders)
    np.savez(cell.dataset, inputs=points(30).inputs, labels=points(30).labels)
    worker.load.cache_clear()
    (outcome,) = grid.carry_out(planned, folders, Here())
    assert outcome.status == "failed"
    assert outcome.reason == f"{cell.dataset} has changed since the table was begun: repeat the command"
    assert carry_out([cell], folders, Here())[0].scores["n"] == 30


def test_runs_that_other_labels_scored_are_not_taken_for_these(folders: Folders, duel: Callable[..., Cell]) -> None:
    cell, hashed = duel(), duel(method="lsh")
    carry_out([cell, hashed], folders, Here())
    np.savez(cell.dataset, inputs=points().inputs, labels=1 - points().labels)
    for planned in grid.look([cell, hashed], folders):
        assert "was scored by other labels: remove it, or choose another --runs-dir" in planned.outcome.reason


def test_a_damaged_result_is_said_and_mended_by_trying_again(folders: Folders, duel: Callable[..., Cell]) -> None:
    (whole,) = carry_out([duel()], folders, Here())
    (folders.runs / whole.run / "result.json").write_text("{")
    (damaged,) = carry_out([duel()], folders, Here())
    assert damaged.status == "failed"
    assert "result.json is damaged" in damaged.reason
    (mended,) = carry_out([duel()], folders, Here(), retry_failed=True)
    assert mended.scores == whole.scores


def test_a_process_that_keeps_dying_is_put_down_as_the_cell_s_failure(
    folders: Folders, duel: Callable[..., Cell]
) -> None:
    class Deadly:
        def run(self, jobs: Mapping[str, str], stop: threading.Event) -> Iterator[News]:
            yield from (News(job=job, state="given up", reason="it died") for job in jobs)

    outcomes = grid.carry_out(grid.look([duel()], folders), folders, Deadly())
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [("failed", "it died")]
    assert carry_out([duel()], folders, Here()) == outcomes
    assert finding.every(folders.runs)[0].result()["reason"] == "it died"


def test_what_was_not_reached_is_still_waiting(folders: Folders, duel: Callable[..., Cell]) -> None:
    class Lazy(Here):
        def run(self, jobs: Mapping[str, str], stop: threading.Event) -> Iterator[News]:
            yield from super().run(dict([*jobs.items()][:1]), stop)

    outcomes = carry_out([duel(seed=0), duel(seed=1)], folders, Lazy())
    assert [outcome.status for outcome in outcomes] == ["finished", "waiting"]
    executor = Here()
    assert [outcome.status for outcome in carry_out([duel(seed=0), duel(seed=1)], folders, executor)] == [
        "finished"
    ] * 2
    assert executor.begun == 1
