"""Seeds that are played as one program end as each would alone, up to rounding, whatever befalls one of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from games import points

from gancluster import registry
from gancluster.engine.play import Moment
from gancluster.errors import Interrupted, UserError
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train, train_together

SEEDS = 3


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_IN["methods"], "duel", "games:Duel")
        patch.setitem(registry.BUILT_IN["methods"], "varied", "games:Varied")
        yield


def placed(root: Path, method: str = "duel", labels: int = 0, together: int = SEEDS, **options: Any) -> list[Run]:
    asked = TrainOptions(dataset="points", seeds=SEEDS, together=together, labels=labels)
    return [Run.place(root, request) for request in plan(method, points(), asked, options)]


def silent(moment: Moment) -> None:
    pass


def finished(runs: list[Run]) -> list[dict[str, Any]]:
    return [train(run, points()) for run in runs]


@pytest.mark.parametrize(("method", "labels"), [("duel", 0), ("varied", 6)])
def test_seeds_together_end_as_each_alone(tmp_path: Path, method: str, labels: int) -> None:
    """`varied` has phases that one seed ends before another: they go on alone from there."""
    together, alone = placed(tmp_path / "1", method, labels), placed(tmp_path / "2", method, labels, together=1)
    train_together(together, points(), silent)
    assert all(run.checkpoint.exists() for run in together)
    for ours, theirs in zip(finished(together), finished(alone), strict=True):
        assert ours["status"] == "finished"
        assert ours["sizes"] == theirs["sizes"]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.log()["epoch"].tolist() == theirs.log()["epoch"].tolist()
        np.testing.assert_allclose(ours.arrays()["embedding"], theirs.arrays()["embedding"], rtol=1e-2, atol=1e-3)


def test_all_of_the_way_is_gone_together(tmp_path: Path) -> None:
    runs, seen = placed(tmp_path, epochs=3), list[Moment]()
    train_together(runs, points(), seen.append)
    assert [moment.played for moment in seen] == list(range(1, 10))
    train(runs[1], points(), alone := list[Moment]().append)
    assert runs[1].status == "finished"
    assert alone.__self__ == []  # type: ignore[attr-defined]


def test_a_seed_that_fails_fails_alone(tmp_path: Path) -> None:
    runs = placed(tmp_path, fails_for=1)
    train_together(runs, points(), silent)
    assert [result["status"] for result in finished(runs)] == ["finished", "failed", "finished"]


def test_stopped_seeds_go_on_together(tmp_path: Path) -> None:
    runs, steps = placed(tmp_path, epochs=3), list[int]()

    def stopping(moment: Moment) -> None:
        steps.append(moment.played)
        if moment.played == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="stopped at step 4 of 9"):
        train_together(runs, points(), stopping)
    train_together(runs, points(), stopping)
    assert steps == list(range(1, 10))
    assert [result["status"] for result in finished(runs)] == ["finished"] * SEEDS


def test_finished_runs_stay_as_they_are(tmp_path: Path) -> None:
    runs = placed(tmp_path)
    results = finished(runs)
    train_together(runs, points(), silent)
    assert finished(runs) == results


def test_what_has_no_game_is_not_played_together(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave out --together 3"):
        placed(tmp_path, "kmeans")
