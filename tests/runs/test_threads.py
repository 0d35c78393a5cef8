"""Threads that are measured: the fastest number is taken, told, and kept by the run."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from games import game, placed, points, weights

from gancluster import registry
from gancluster.engine.game import Game
from gancluster.engine.play import Moment
from gancluster.engine.slopes import Slopes
from gancluster.errors import Interrupted, RunError, UserError
from gancluster.runs import threads
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train, train_together

CORES = 6


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Six cores, on which two threads are fastest; the process gets its own number back."""
    before = torch.get_num_threads()
    monkeypatch.setitem(registry.BUILT_IN["methods"], "duel", "games:Duel")
    monkeypatch.setattr("os.cpu_count", lambda: CORES)
    let_be_fastest(2, monkeypatch)
    yield
    torch.set_num_threads(before)


def let_be_fastest(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def rehearsed(games: Sequence[Game], slopes: Slopes) -> float:
        return 0.001 * (1 + abs(torch.get_num_threads() - number))

    monkeypatch.setattr(threads, "rehearsed", rehearsed)


def measured(root: Path, **asked: Any) -> list[Run]:
    options = TrainOptions(dataset="points", threads=0, **asked)
    return [Run.place(root, request) for request in plan("duel", points(), options, {})]


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])])
def test_doubled_numbers_and_all_cores_are_tried(cores: int, counts: list[int]) -> None:
    assert threads.counts(cores) == counts


def test_the_fastest_number_is_taken_and_told_and_nobody_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, told = game(), game(), list[str]()
    assert threads.fastest([one], told.append) == 2
    assert told == ["threads: 2, 1 2.0 ms a step, 2 1.0 ms a step, 4 3.0 ms a step, 6 5.0 ms a step"]
    monkeypatch.undo()
    assert threads.fastest([one], told.append) in threads.counts(8)
    assert all(weights(one)[name].equal(weight) for name, weight in weights(other).items())


def test_a_run_goes_on_with_the_number_it_found_and_its_result_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, stop = list[int](), threading.Event()

    def watch(moment: Moment) -> None:
        seen.append(torch.get_num_threads())
        stop.set()

    (run,) = measured(tmp_path)
    with pytest.raises(Interrupted):
        train(run, points(), watch, stop=stop)
    let_be_fastest(4, monkeypatch)
    result = train(run, points(), watch)
    assert set(seen) == {2}
    assert result["engine"] == ["threads: 2, as found when the run began"]
    assert ", 2 threads, " in result["machine"]


def test_seeds_played_together_keep_one_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = measured(tmp_path, seeds=2, together=2)
    train_together(runs, points(), lambda moment: None)
    let_be_fastest(4, monkeypatch)
    assert all(", 2 threads, " in train(run, points())["machine"] for run in runs)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"threads": "many"}', '{"threads": 0}', '{"threads": Infinity}'])
def test_a_number_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (run,) = measured(tmp_path)
    (run.folder / "threads.json").write_text(content)
    with pytest.raises(RunError, match=r"threads\.json is damaged"):
        train(run, points())


def test_nothing_is_measured_where_there_is_nothing_to_measure() -> None:
    with pytest.raises(UserError, match="kmeans has no steps to measure: give --threads 1"):
        plan("kmeans", points(), TrainOptions(threads=0), {})


def test_threads_that_were_asked_for_are_not_measured(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    assert "engine" not in train(run, points())
    assert not (run.folder / "threads.json").exists()
