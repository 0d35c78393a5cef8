"""Every way to a turn's slope gives that of autograd: stacked over seeds for every method, compiled for some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import duel, game, placed, points, weights

from gancluster import registry
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play, play_together, rehearse
from gancluster.engine.slopes import Hand, Slope, Slopes, compiled, plain, stacked
from gancluster.methods.base import Clock, Method, Turn
from gancluster.runs.attempts import batches_of, configured

METHODS = [name for name in registry.BUILT_IN["methods"] if issubclass(registry.find("methods", name), Method)]


@pytest.fixture
def double() -> Iterator[None]:
    """Everything in double precision, where rounding cannot hide an error."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def few() -> Dataset:
    return catalogue.load("digits", Path(), limit=240)


def duels(n: int, **options: Any) -> list[Game]:
    numbers = points(dtype=np.dtype(str(torch.get_default_dtype()).removeprefix("torch.")).type)
    return [game(duel(**options), numbers, seed) for seed in range(n)]


def agreeing(way: Slopes, seen: list[str]) -> Slopes:
    """Plain slopes, after a comparison with those of `way`."""

    def both(games: Sequence[Game], turn: Turn, hands: Sequence[Hand], clock: Clock) -> list[Slope]:
        wanted, found = plain(games, turn, hands, clock), way(games, turn, hands, clock)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours.gradients, theirs.gradients, rtol=1e-7, atol=1e-9)
            torch.testing.assert_close(ours.loss.terms, theirs.loss.terms, rtol=1e-7, atol=1e-9)
            torch.testing.assert_close(ours.loss.watched, theirs.loss.watched, rtol=1e-7, atol=1e-9)
        seen.extend(turn.movers)
        return wanted

    return both


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", METHODS)
def test_seeds_stacked_have_the_slopes_that_each_has_alone(name: str, few: Dataset, tmp_path: Path) -> None:
    runs = [placed(tmp_path, few, name, seed, labels=20 if name == "improved-gan" else 0) for seed in (0, 1)]
    games = [Game(configured(run.request), batches_of(run.request, few), run.request.seed) for run in runs]
    for phase in range(min(len(games[0].phases), 4)):
        for one in games:
            one.state.phase = phase
            one.enter_phase()
        seen: list[str] = []
        rehearse(games, agreeing(stacked, seen))
        assert set(seen) == {
            mover for turns in games[0].phases[phase].rounds for turn in turns for mover in turn.movers
        }


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_a_compiled_turn_with_its_gradient_penalty_has_the_slope_of_autograd() -> None:
    seen: list[str] = []
    rehearse(duels(1, rare_term=True), agreeing(compiled, seen))
    assert set(seen) == {"seeker", "maker"}
    rehearse(duels(3, rare_term=True), agreeing(lambda *asked: stacked(*asked, compile_it=True), seen))


WAYS = [pytest.param(compiled, marks=pytest.mark.slow), stacked]


@pytest.mark.parametrize("way", WAYS)
def test_a_hundred_steps_compiled_or_stacked_end_where_plain_ones_do(way: Slopes) -> None:
    wanted, found = duels(3, epochs=34), duels(3, epochs=34)
    for one in wanted:
        list(play(one))
    assert len(list(play_together(found, way))) == 34 * 3
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-3, atol=1e-4)
        assert ours.is_over


@pytest.mark.slow
def test_programs_are_shared_by_all_games_of_a_kind() -> None:
    counts = torch._dynamo.utils.counters["stats"]
    list(play(game(duel(epochs=1)), compiled))
    before = counts["unique_graphs"]
    list(play(game(duel(epochs=1), seed=5), compiled))
    assert counts["unique_graphs"] == before > 0


def test_games_that_fall_out_of_step_stop_playing_together() -> None:
    games = duels(2, epochs=2)
    next(play(games[1]))
    assert list(play_together(games, stacked)) == []
    list(play(games[0]))
    list(play(games[1]))
    assert all(one.is_over for one in games)


def test_nothing_moves_in_a_rehearsal() -> None:
    one, other = game(dataset=points()), game(dataset=points())
    rehearse([one], plain)
    assert all(weights(one)[name].equal(weight) for name, weight in weights(other).items())
    assert one.state.played == other.state.played == 0
