"""The gain over a pre-trained start: when it is taken, that it survives a stop, what a result says of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from games import Duel, duel, game, outcome, placed, points

from gancluster import metrics
from gancluster.cli.results import show
from gancluster.data.dataset import Dataset
from gancluster.engine.play import play
from gancluster.errors import Interrupted
from gancluster.methods.base import Phase, Turn
from gancluster.optim import Adam, Linear
from gancluster.runs import starts
from gancluster.runs.attempts import carry_out
from gancluster.runs.training import train


def begun_twice(method: Duel) -> list[Phase]:
    """Two phases of a seeker as pre-training, one that is over at once, and the duel."""
    adam = Adam(Linear(0.05, 0.05))
    first = Phase("before", 2, 8, [[Turn("seeker", method.seeker_loss)]], adam, pretrains=True)
    second = replace(first, name="still before")
    over = Phase("over", 1, 8, [[Turn("maker", method.maker_loss)]], adam, until=lambda nets, batches: True)
    return [first, second, over, Phase("duel", 2, 8, [[Turn("maker", method.maker_loss)]], adam)]


def test_the_start_is_where_the_game_sets_out_after_pre_training_and_nowhere_else() -> None:
    played = game(duel(begun_twice))
    assert not starts.is_here(played)
    here = [(moment.phase, moment.epoch) for moment in play(played) if moment.row and starts.is_here(played)]
    assert here == [("still before", 2)]
    plain = game()
    assert not any(starts.is_here(plain) for _ in play(plain))


def test_looking_at_the_start_changes_nothing() -> None:
    looked, left = game(duel(begun_twice)), game(duel(begun_twice))
    for _ in play(looked):
        if starts.is_here(looked):
            (found,) = starts.look(looked).values()
            assert set(found) == {0, 1}
    list(play(left))
    for name, weights in looked.state.players["maker"].items():
        assert np.array_equal(weights, left.state.players["maker"][name])


def test_a_result_says_what_it_owes_to_its_start(
    tmp_path: Path, digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    run = placed(tmp_path, digits, "dcan")
    result = train(run, digits)
    assert digits.labels is not None
    (before,), (after,) = run.start().values(), result["scores"].values()
    assert result["start"]["theta"] == metrics.scores(digits.labels, before, 10)
    assert result["gain"] == after["acc"] - result["start"]["theta"]["acc"]
    assert 0.5 < result["floor"]["acc"] < 1
    show([run], as_json=False)
    assert f"{result['gain']:+.3f}" in capsys.readouterr().out


def test_a_start_survives_a_stop(tmp_path: Path, digits: Dataset) -> None:
    straight, stopped = (placed(tmp_path / name, digits, "dcan") for name in ("straight", "stopped"))
    train(straight, digits)
    stop = threading.Event()
    with pytest.raises(Interrupted):
        carry_out(stopped, digits, lambda moment: stop.set() if moment.phase == "adversarial" else None, 0, stop)
    assert set(stopped.start()) == {"theta"}
    train(stopped, digits)
    assert outcome(stopped) == outcome(straight)


def test_without_labels_there_is_nothing_to_count(tmp_path: Path, digits: Dataset) -> None:
    run = placed(tmp_path, digits, "dcan")
    result = train(run, replace(digits, labels=None))
    assert run.start()
    assert not {"start", "gain", "floor"} & set(result)


@pytest.mark.parametrize("n", [24, 30_000])
def test_k_means_of_samples_is_bounded_and_finds_blobs(n: int) -> None:
    blobs = points(n)
    centres = np.array([[-9.0, 0.0], [9.0, 0.0]], np.float32)
    at = np.arange(n) % 2
    found = starts.kmeans_of_samples(replace(blobs, inputs=blobs.inputs + centres[at]), 2, seed=0)
    assert metrics.scores(at, found, 2)["acc"] == 1
