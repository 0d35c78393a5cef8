"""The way asked for is gone; *auto* takes the fastest, says so, and is never stopped by a compiler that fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from games import duel, game, weights

from gancluster.engine import ways
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.slopes import Hand, Slope, plain
from gancluster.errors import UserError
from gancluster.methods.base import Clock, Turn

Asked = tuple[Sequence[Game], Turn, Sequence[Hand], Clock]


def broken(*asked: Any) -> list[Slope]:
    raise RuntimeError("no compiler here\nand a long trace")


def noted(calls: list[str], name: str, *asked: Any) -> list[Slope]:
    calls.append(name)
    return plain(*asked)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways by which slopes were computed, one entry a turn; all of them compute plainly, and all pay."""
    found: list[str] = []
    for name in ("compiled", "captured"):
        monkeypatch.setitem(ways.ALONE, name, partial(noted, found, name))
    monkeypatch.setattr(ways, "PAYS", 0.0)
    return found


def ending(way: ways.Way, monkeypatch: pytest.MonkeyPatch, times: dict[str, float]) -> tuple[Game, list[str]]:
    """A game that was played by `way`, and what was told, where rehearsals take `times`."""
    one, told = game(), list[str]()
    names = {slopes: name for name, slopes in [("plain", plain), *ways.ALONE.items()]}
    monkeypatch.setattr(ways, "rehearsed", lambda games, slopes: times[names[slopes]])
    list(ways.play_by(way, [one], told.append))
    return one, told


def test_auto_plays_by_the_fastest_and_says_so(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    one, told = ending("auto", monkeypatch, {"plain": 0.002, "compiled": 0.001})
    turns = 2 * one.state.played
    assert one.is_over
    assert calls == ["compiled"] * (turns + 2)  # one rehearsal, to see that it works
    assert told == ["duel: compiled, plain 2.0 ms a step, compiled 1.0 ms a step"]


def test_auto_stays_plain_where_compiling_wins_nothing(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    one, told = ending("auto", monkeypatch, {"plain": 0.001, "compiled": 0.002})
    assert one.is_over
    assert calls == ["compiled"] * 2
    assert told[0].startswith("duel: plain")


def test_auto_compiles_nothing_for_a_short_game(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "PAYS", 1.0)
    _, told = ending("auto", monkeypatch, {"plain": 0.001})
    assert calls == []
    assert told == ["duel: plain, plain 1.0 ms a step"]


def test_auto_goes_on_plainly_where_the_compiler_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ways.ALONE, "compiled", broken)
    monkeypatch.setattr(ways, "PAYS", 0.0)
    one, told = ending("auto", monkeypatch, {"plain": 0.001})
    other = game()
    list(play(other))
    assert all(weights(one)[name].equal(weight) for name, weight in weights(other).items())
    assert told[0] == "duel: not compiled (RuntimeError: no compiler here)"


def test_a_compiler_asked_for_that_fails_is_told_in_one_line_and_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ways.ALONE, "compiled", broken)
    one = game()
    before = weights(one)
    with pytest.raises(
        UserError, match=r"cannot be compiled here: use --engine plain \(RuntimeError: no compiler here\)"
    ):
        list(ways.play_by("compiled", [one], lambda line: None))
    assert all(before[name].equal(weight) for name, weight in weights(one).items())


def test_rehearsals_are_timed_by_the_step_and_move_nobody() -> None:
    one, other = game(duel(rare_term=True)), game(duel(rare_term=True))
    assert 0 < ways.rehearsed([one], plain) < 60
    assert all(weights(one)[name].equal(weight) for name, weight in weights(other).items())


@pytest.mark.parametrize(("device", "together"), [("cpu", 1), ("cuda", 2)])
def test_graphs_are_captured_on_a_gpu_for_one_seed_at_a_time(device: str, together: int) -> None:
    with pytest.raises(UserError, match="--engine captured"):
        ways.refuse("captured", device, together, 1)
    ways.refuse("captured", "cuda:0", 1, 1)
    ways.refuse("auto", "cpu", 8, 0)
