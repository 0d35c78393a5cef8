"""What a phase can be beyond passes through the data: counted, labelled, over by its own rule, with players frozen."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from games import Duel, N, Options, Varied, duel, game, points, weights
from torch import Tensor

from gancluster.data.batches import Batches
from gancluster.data.dataset import Known
from gancluster.engine import checkpoint
from gancluster.engine.game import Game
from gancluster.engine.play import Moment, play
from gancluster.methods.base import Batch, Clock, Labelled, Loss, Modules, Nets, Phase, Row, Task, Turn
from gancluster.optim import Adam, Linear

ADAM = Adam(Linear(0.1, 0.05))
KNOWN = Known(np.array([2, 3, 11, 17, 20]), np.array([1, 0, 0, 1, 1]))  # not what the points' own labels say
PLACE = {row.tobytes(): i for i, row in enumerate(points().inputs)}


class Seen(NamedTuple):
    """What a turn was played on: which samples, which labelled ones beside them, and when."""

    samples: list[int]
    told: list[tuple[int, int]]
    progress: float


def places(samples: Tensor) -> list[int]:
    return [PLACE[row.tobytes()] for row in samples.numpy()]


def noting(method: Duel, seen: list[Seen], repeat: int = 1) -> Turn:
    """A turn of the maker that notes what it is played on."""

    def noted(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        labelled = batch.labelled or Labelled(torch.empty(0), torch.empty(0))
        told = list(zip(places(labelled.inputs), labelled.classes.tolist(), strict=True))
        seen.append(Seen(places(batch.inputs), told, clock.progress.item()))
        return method.maker_loss(nets, batch, noise, clock)

    return Turn("maker", noted, repeat)


def varied(n_labels: int = 6) -> Varied:
    return Varied(Options(), Task((2,), 2, N, n_labels=n_labels))


def varied_game(seed: int = 32) -> Game:  # a seed that needs labels before and after
    return game(varied(), points(), seed, points().reveal(6, seed))


# Counted --------------------------------------------------------------------------------------------------------------


def counted(seen: list[Seen], steps: int | None, batch_size: int, epochs: int = 2) -> Game:
    return game(duel(lambda d: [Phase("p", epochs, batch_size, [[noting(d, seen)]], ADAM, steps)]))


@pytest.mark.parametrize(("steps", "batch_size"), [(1, 8), (2, 8), (3, 8), (7, 8), (10, 7), (3, N), (50, 2)])
def test_an_epoch_has_the_steps_it_is_given_and_sees_all_samples_equally_often(steps: int, batch_size: int) -> None:
    seen: list[Seen] = []
    one = counted(seen, steps, batch_size)
    moments = list(play(one))
    assert [moment.epoch for moment in moments] == [1] * steps + [2] * steps
    assert [moment.row is not None for moment in moments] == ([False] * (steps - 1) + [True]) * 2
    assert {moment.total for moment in moments} == {2 * steps}
    assert one.state.rows == 2
    assert [entry.progress for entry in seen] == pytest.approx([i / (2 * steps) for i in range(2 * steps)])
    assert {len(entry.samples) for entry in seen} == {batch_size}
    for epoch in (seen[:steps], seen[steps:]):
        counts = np.bincount([i for entry in epoch for i in entry.samples], minlength=N)
        assert counts.max() - counts.min() <= 1
    orders = [entry.samples for entry in seen]
    assert all(one != other for one, other in pairwise(orders))


def test_as_many_steps_as_a_pass_has_are_a_pass() -> None:
    assert orders_of(3) == orders_of(None)


def orders_of(steps: int | None) -> list[Seen]:
    seen: list[Seen] = []
    list(play(counted(seen, steps, 8)))
    return seen


def test_schedules_span_the_steps_that_there_are() -> None:
    rates: list[float] = []

    class Noting(Adam):
        def step(self, parameters: Any, gradients: Any, memory: Any, lr: float) -> None:
            rates.append(lr)

    optimizer = Noting(Linear(1.0, 0.0))
    list(play(game(duel(lambda d: [Phase("p", 2, 8, [[Turn("maker", d.maker_loss)]], optimizer, 5)]))))
    assert rates == pytest.approx([1 - i / 10 for i in range(10)])


# Labelled -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch_size", "beside"), [(3, 3), (12, 5)])
def test_labelled_samples_come_beside_every_batch_with_their_labels(batch_size: int, beside: int) -> None:
    seen: list[Seen] = []
    layout = lambda d: [Phase("p", 2, batch_size, [[noting(d, seen, repeat=3)]], ADAM, steps=10)]  # noqa: E731
    list(play(game(duel(layout), known=KNOWN)))
    truth = dict(zip(*map(np.ndarray.tolist, KNOWN), strict=True))
    told = [entry.told for entry in seen]
    assert len(told) == 60  # the repetitions have labelled samples of their own
    assert all(len(dict(pairs)) == len(pairs) == beside for pairs in told)
    assert all(truth[sample] == label for pairs in told for sample, label in pairs)
    assert {sample for pairs in told for sample, _ in pairs} == set(truth)
    assert len({tuple(pairs) for pairs in told}) > 30


def test_without_labels_there_are_none_beside_a_batch() -> None:
    seen: list[Seen] = []
    list(play(game(duel(lambda d: [Phase("p", 1, 3, [[noting(d, seen)]], ADAM)]))))
    assert [entry.told for entry in seen] == [[]] * 8


# Over by their own rule -----------------------------------------------------------------------------------------------


def ending(method: Duel, asked: list[int], after: int, name: str = "p") -> Phase:
    """A phase of four epochs that has had enough after so many; it notes at every question how many samples it saw."""

    def until(nets: Nets, batches: Batches) -> bool:
        assert not torch.is_grad_enabled()
        asked.append(len(batches))
        return len(asked) > after

    return Phase(name, 4, 8, [[Turn("maker", method.maker_loss)]], ADAM, until=until)


@pytest.mark.parametrize(("after", "played"), [(0, 0), (1, 1), (3, 3), (4, 4), (9, 4)])
def test_a_phase_is_asked_before_every_epoch_whether_it_is_over(after: int, played: int) -> None:
    asked: list[int] = []
    one = game(duel(lambda d: [ending(d, asked, after)]))
    moments = list(play(one))
    assert asked == [N] * min(after + 1, 4)
    assert [moment.epoch for moment in moments] == [e + 1 for e in range(played) for _ in range(3)]
    assert one.is_over
    assert one.state.rows == sum(moment.row is not None for moment in moments) == played
    assert (one.state.played, one.state.step, one.state.epoch) == (3 * played, 0, 0)


def test_it_is_shown_the_players_as_they_stand() -> None:
    shown: list[Tensor] = []

    def until(nets: Nets, batches: Batches) -> bool:
        shown.append(nets["maker"](batches.at(torch.arange(2))))
        return False

    one = game(duel(lambda d: [Phase("p", 3, 8, [[Turn("maker", d.maker_loss)]], ADAM, until=until)]))
    there = [made(one), *(made(one) for moment in play(one) if moment.row)]
    torch.testing.assert_close(torch.stack(shown), torch.stack(there[:3]))
    assert not torch.equal(shown[0], shown[1])


def made(one: Game) -> Tensor:
    """What the duel's maker makes of two samples, from its weights."""
    maker = one.state.players["maker"]
    return one.batches.stored[:2] @ maker["weight"].T + maker["bias"]


@pytest.mark.parametrize("after", [0, 2])
def test_the_phase_after_one_that_ended_early_begins_as_any_other(after: int) -> None:
    entered: list[str] = []

    class Entered(Duel):
        def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
            entered.append(phase)
            players["seeker"].get_parameter("bias").add_(1)

    method = Entered(Options(), Task((2,), 2, N))
    method.layout = lambda: [ending(method, [], after, "one"), replace(ending(method, [], 9, "two"), epochs=2)]
    one = game(method)
    bias, rows, counts = one.state.players["seeker"]["bias"].clone(), list[Row](), dict[str, list[float]]()
    for moment in play(one):
        rows += [moment.row] if moment.row else []
        if not moment.row:
            counts.setdefault(moment.phase, []).append(one.state.memories["maker"]["steps"]["weight"].item())
    assert entered == ["one", "two"]
    assert counts["two"] == [1, 2, 4, 5]  # the optimiser's steps, begun afresh
    assert [(row["phase"], row["epoch"]) for row in rows] == [*[("one", 1), ("one", 2)][:after], ("two", 1), ("two", 2)]
    torch.testing.assert_close(one.state.players["seeker"]["bias"], bias + 1)


def test_a_game_whose_last_phases_are_over_at_once_is_over_with_its_last_step() -> None:
    one = varied_game()
    standing = [(moment.phase, one.is_over) for moment in play(one)]
    assert standing[-1] == ("labels", True)
    assert not any(over for _, over in standing[:-1])
    assert one.state.memories == {}
    assert list(play(one)) == []


def test_a_game_of_which_nothing_is_left_to_play_is_over_without_a_step() -> None:
    one = game(duel(lambda d: [ending(d, [], 0), ending(d, [], 0)]))
    assert list(play(one)) == []
    assert one.is_over


# Frozen ---------------------------------------------------------------------------------------------------------------


def is_frozen(nets: Nets) -> bool:
    """Whether the maker makes of a point the same in any company; else its batch norm looks at the batch."""
    noise = torch.randn(9, 2, generator=torch.Generator().manual_seed(1))
    return torch.allclose(nets["maker"](noise)[:4], nets["maker"](noise[:4]), atol=1e-6)


def frozen_game(frozen: list[tuple[str, bool]]) -> Game:
    """Phases in turn with and without a frozen maker; every loss and every question notes whether it was."""
    method = varied()

    def phase(name: str, held: bool) -> Phase:
        def until(nets: Nets, batches: Batches) -> bool:
            frozen.append((name, is_frozen(nets)))
            return False

        def loss(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
            frozen.append((name, is_frozen(nets)))
            return method.seeker_loss(nets, batch, noise, clock)

        turns = [Turn("seeker", loss)]
        return Phase(name, 2, 8, [turns], ADAM, until=until, frozen={"maker"} if held else frozenset())

    method.layout = lambda: [phase("free", False), phase("held", True), phase("after", False), phase("held", True)]
    return game(method)


def test_frozen_batch_norm_keeps_its_statistics_and_others_take_the_batch_s() -> None:
    frozen: list[tuple[str, bool]] = []
    one = frozen_game(frozen)
    given = [{name: value.clone() for name, value in one.state.buffers["maker"].items()} for _ in play(one)]
    assert frozen == [(name, name == "held") for name in ("free", "held", "after", "held") for _ in range(2 * (1 + 3))]
    assert torch.equal(given[0]["1.mean"], torch.zeros(3))
    assert not torch.equal(given[6]["1.mean"], torch.zeros(3))
    assert all(torch.equal(given[6]["1.mean"], one["1.mean"]) for one in given[6:12])
    assert all(module.training for module in one.modules.values())


def test_resumed_anywhere_the_same_players_are_frozen(tmp_path: Path) -> None:
    for at in (3, 6, 8, 12, 14, 18, 23):
        stopped = frozen_game([])
        for moment in play(stopped):
            if moment.played == at:
                break
        checkpoint.save(stopped, tmp_path / "c")
        frozen: list[tuple[str, bool]] = []
        again = frozen_game(frozen)
        checkpoint.load(again, tmp_path / "c")
        list(play(again))
        assert frozen == [(name, name == "held") for name, _ in frozen]
        assert len(frozen) >= 24 - at


# Resumed --------------------------------------------------------------------------------------------------------------


def test_stopped_after_every_step_a_game_of_all_kinds_of_phases_comes_to_the_same_bytes(tmp_path: Path) -> None:
    """Each time in a new game from the checkpoint alone; the moment after an early end is among them."""
    straight, path = varied_game(), tmp_path / "c"
    wanted: list[tuple[Moment, bytes]] = []
    for moment in play(straight):
        checkpoint.save(straight, path)
        wanted.append((moment, path.read_bytes()))
    assert [moment.row["epoch"] for moment, _ in wanted if moment.row] == [1, 2, 3, 1, 2, 1, 1]
    found: list[tuple[Moment, bytes]] = []
    one = varied_game()
    while not one.is_over:
        found.append((next(play(one)), b""))
        checkpoint.save(one, path)
        found[-1] = (found[-1][0], path.read_bytes())
        one = varied_game()
        checkpoint.load(one, path)
    assert [moment for moment, _ in found] == [moment for moment, _ in wanted]
    assert [place for place, ((_, a), (_, b)) in enumerate(zip(found, wanted, strict=True)) if a != b] == []


@pytest.mark.parametrize("at", [1, 5, 6, 7, 11, 16, 17, 19, 20])
def test_stopped_once_it_comes_to_the_same_bytes(tmp_path: Path, at: int) -> None:
    straight, path = varied_game(), tmp_path / "c"
    list(play(straight))
    checkpoint.save(straight, path)
    wanted = path.read_bytes()
    one = varied_game()
    for moment in play(one):
        if moment.played == at:
            break
    checkpoint.save(one, path)
    again = varied_game()
    checkpoint.load(again, path)
    list(play(again))
    checkpoint.save(again, path)
    assert path.read_bytes() == wanted


def test_with_an_early_end_the_clock_stands_at_the_beginning_of_the_next_phase() -> None:
    one = varied_game()
    names = [phase.name for phase in one.phases]
    standing = [(names[one.state.phase], one.state.epoch) for moment in play(one) if moment.row and not one.is_over]
    wanted = [("labels", 1), ("labels", 2), ("counted", 0), ("counted", 1), ("held", 0), ("labels", 0)]
    assert standing == wanted


@pytest.mark.parametrize("lose", ["rows", "step", "frozen"])
def test_with_a_part_of_it_lost_it_does_not(lose: str) -> None:
    """The control: what the tests above would see."""
    straight, other = varied_game(), varied_game()
    list(play(straight))
    for moment in play(other):
        if moment.played == {"rows": 6, "step": 8, "frozen": 17}[lose]:
            break
    if lose == "frozen":
        other.phases = [replace(phase, frozen=frozenset()) for phase in other.phases]
    else:
        setattr(other.state, lose, getattr(other.state, lose) - 1)
    list(play(other))
    same = all(torch.equal(value, weights(straight)[name]) for name, value in weights(other).items())
    assert not same or other.state.rows != straight.state.rows
