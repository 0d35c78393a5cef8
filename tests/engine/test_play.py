"""The engine plays what a method describes: the same game as a plain loop, by its own rules, from its own numbers."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from games import Duel, duel, game, points, weights
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.engine.play import play
from gancluster.errors import DataError
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Turn
from gancluster.optim import SGD, Adam, Linear, Memory, Tree

Entry = tuple[str, Tensor, Tensor, float]  # whose loss, on which samples, with which noise, when
Layout = Callable[[Duel], list[Phase]]


@pytest.fixture
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def taped(method: Duel, tape: list[Entry], name: str, movers: str | tuple[str, ...], repeat: int = 1) -> Turn:
    """A turn that writes down what it was played on."""

    def noted(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        tape.append((name, batch.inputs.clone(), noise.clone(), clock.progress.item()))
        return LOSSES[name](method, nets, batch, noise, clock)

    return Turn(movers, noted, repeat)


def both_loss(method: Duel, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    """What both players minimise together: made points meet true ones, and the seeker is small."""
    gap = (nets["maker"](noise).mean(0) - batch.inputs.mean(0)).square().sum()
    return Loss({"gap": gap, "size": nets["seeker"](batch.inputs).square().mean()})


LOSSES = {"both": both_loss, "seeker": Duel.seeker_loss, "maker": Duel.maker_loss}


def one_phase(tape: list[Entry], name: str, optimizer: Any, epochs: int = 1, batch_size: int = 8) -> Layout:
    """A layout of one phase of one turn."""
    movers = ("seeker", "maker") if name == "both" else name
    return lambda method: [Phase("only", epochs, batch_size, [[taped(method, tape, name, movers)]], optimizer)]


def full_game(tape: list[Entry]) -> Layout:
    """A layout with all that a phase can be: repeats, clipping, schedules, rounds in turn, joint moves, two phases."""

    def layout(method: Duel) -> list[Phase]:
        seeker = taped(method, tape, "seeker", "seeker", 2)
        maker, both = taped(method, tape, "maker", "maker"), taped(method, tape, "both", ("seeker", "maker"))
        one = Phase("one", 2, 8, [[seeker, maker]], Adam(Linear(0.05, 0.01), clip=0.3))
        by_name = {"seeker": SGD(Linear(0.1, 0.1), momentum=0.9), "maker": Adam(Linear(0.02, 0.02))}
        return [one, Phase("two", 3, 5, [[maker], [both, maker]], by_name)]

    return layout


class ByHand:
    """The full game as a plain loop over the tape, with torch's own optimisers."""

    def __init__(self, method: Duel, modules: Modules) -> None:
        self.method, self.nets, self.played = method, Nets(modules, {}), 0
        self.parameters = {name: list(module.parameters()) for name, module in modules.items()}
        self.average = [w.detach().clone() for w in self.parameters["seeker"]]

    def begin(self, seeker: torch.optim.Optimizer, maker: torch.optim.Optimizer) -> None:
        self.optimizers = {"seeker": seeker, "maker": maker}

    def adam(self, player: str, lr: float) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters[player], lr, betas=(0.5, 0.999), eps=1e-8)

    def turn(self, entry: Entry, clip: float | None = None, lr: Linear | None = None) -> None:
        name, inputs, noise, progress = entry
        movers = ("seeker", "maker") if name == "both" else (name,)
        loss = LOSSES[name](self.method, self.nets, Batch(inputs), noise, Clock(torch.tensor(progress))).total
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for mover in movers:
            if clip is not None and lr is not None:
                nn.utils.clip_grad_norm_(self.parameters[mover], clip)
                self.optimizers[mover].param_groups[0]["lr"] = lr.start + (lr.end - lr.start) * progress
            self.optimizers[mover].step()
        if "seeker" in movers:
            rate, pairs = max(0.1, 1 / (self.played + 1)), zip(self.average, self.parameters["seeker"], strict=True)
            self.average = [a + rate * (w.detach() - a) for a, w in pairs]
        self.played += name == "maker"  # the last turn of every step


@pytest.mark.usefixtures("doubles")
def test_a_game_is_played_as_a_plain_loop_would_play_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Duel, "rates", {"seeker": 0.1})
    tape: list[Entry] = []
    one = game(duel(full_game(tape)), points(dtype=np.float64), seed=3)
    modules = {name: module.requires_grad_() for name, module in one.method.players().items()}
    for name, module in modules.items():
        module.load_state_dict(one.state.players[name])
    assert len(list(play(one))) == 2 * 3 + 3 * 4
    hand = ByHand(one.method, modules)
    hand.begin(hand.adam("seeker", 0.05), hand.adam("maker", 0.05))
    for entry in tape[:18]:
        hand.turn(entry, 0.3, Linear(0.05, 0.01))
    hand.begin(torch.optim.SGD(hand.parameters["seeker"], 0.1, momentum=0.9), hand.adam("maker", 0.02))
    for entry in tape[18:]:
        hand.turn(entry)
    for player, module in modules.items():
        for name, value in module.named_parameters():
            torch.testing.assert_close(one.state.players[player][name], value.detach(), rtol=1e-11, atol=1e-13)
    for found, wanted in zip(one.state.averages["seeker"].values(), hand.average, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-13)


def test_an_average_begins_anew_only_where_a_phase_sets_the_players_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Duel, "rates", {"seeker": 0.1})

    def shift(method: Duel, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        if phase == "two":
            players["seeker"].get_parameter("bias").add_(1)

    gaps = []
    for enter in (Duel.enter, shift):
        monkeypatch.setattr(Duel, "enter", enter)
        one = game(duel(full_game([])))
        next(moment for moment in play(one) if moment.played == 6)
        state = one.state
        gaps.append(
            max(float((state.players["seeker"][k] - a).abs().max()) for k, a in state.averages["seeker"].items())
        )
    assert gaps[0] > 0.01
    assert gaps[1] == 0


def test_rounds_take_turns_and_repeated_turns_get_batches_of_their_own() -> None:
    tape: list[Entry] = []
    list(play(game(duel(full_game(tape)))))
    names = [name for name, *_ in tape]
    assert names == ["seeker", "seeker", "maker"] * 6 + ["maker", "both", "maker"] * 6
    for first, second, third in zip(tape[0:18:3], tape[1:18:3], tape[2:18:3], strict=True):
        assert not torch.equal(first[1], second[1])
        assert not torch.equal(first[2], second[2])
        assert torch.equal(second[1], third[1])
        assert torch.equal(second[2], third[2])
    assert len({entry[2].numpy().tobytes() for entry in tape}) == 12 + 12  # noise is never used for two steps


def test_only_movers_move() -> None:
    for movers in ("seeker", "maker"):
        one = game(duel(one_phase([], movers, Adam(Linear(0.1, 0.1)))))
        before = weights(one)
        list(play(one))
        moved = {name.partition(".")[0] for name, w in weights(one).items() if not torch.equal(w, before[name])}
        assert moved == {movers}


def orders(seed: int, epochs: int = 3, batch_size: int = 8) -> list[list[int]]:
    """Which samples each epoch goes through, in which order."""
    tape: list[Entry] = []
    dataset = points()
    list(play(game(duel(one_phase(tape, "maker", Adam(Linear(0, 0)), epochs, batch_size)), dataset, seed)))
    place = {row.tobytes(): i for i, row in enumerate(dataset.inputs)}
    seen = [place[row.tobytes()] for _, inputs, *_ in tape for row in inputs.numpy()]
    per_epoch = len(seen) // epochs
    return [seen[e * per_epoch : (e + 1) * per_epoch] for e in range(epochs)]


def test_an_epoch_uses_every_sample_once_in_an_order_of_its_own() -> None:
    first, other = orders(0), orders(1)
    assert [sorted(order) for order in first] == [list(range(24))] * 3
    assert len({tuple(order) for order in first + other}) == 6
    assert orders(0) == first


def test_an_incomplete_last_batch_is_left_out() -> None:
    for order in orders(0, batch_size=7):
        assert len(order) == len(set(order)) == 21


def test_a_batch_tells_where_its_samples_are_stored() -> None:
    stored, seen = torch.from_numpy(points().inputs), list[Batch]()

    def noted(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        seen.append(batch)
        return Loss({"size": nets["seeker"](batch.inputs).square().mean()})

    turns = [Turn("seeker", noted, repeat=2)]
    list(play(game(duel(lambda method: [Phase("only", 1, 8, [turns], Adam(Linear(0.1, 0.1)))]))))
    assert len(seen) == 6
    assert all(batch.where is not None and torch.equal(stored[batch.where], batch.inputs) for batch in seen)


class Recorder:
    """An optimiser that notes its learning rates and the phase's fresh memories, and moves nobody."""

    clip = None

    def __init__(self, lr: Linear) -> None:
        self.lr, self.rates, self.counts = lr, list[float](), list[float]()

    def state(self, parameters: Tree) -> Memory:
        return {"steps": {"n": torch.zeros(())}}

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None:
        self.rates.append(lr)
        self.counts.append(float(memory["steps"]["n"].add_(1)))


def test_schedules_follow_the_phase_and_memories_start_afresh_with_it() -> None:
    one, two = Recorder(Linear(1.0, 0.0)), Recorder(Linear(0.0, 8.0))
    clocks: list[Entry] = []

    def layout(method: Duel) -> list[Phase]:
        rounds = [[taped(method, clocks, "maker", "maker")]]
        return [Phase("one", 2, 8, rounds, one), Phase("two", 1, 6, rounds, two)]

    list(play(game(duel(layout))))
    assert one.rates == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert two.rates == pytest.approx([0, 2, 4, 6])
    assert [entry[3] for entry in clocks] == pytest.approx([i / 6 for i in range(6)] + [i / 4 for i in range(4)])
    assert one.counts == [1, 2, 3, 4, 5, 6]
    assert two.counts == [1, 2, 3, 4]


def test_clipping_bounds_the_norm_of_each_mover_s_step() -> None:
    for clip in (None, 1e-3):
        one = game(duel(one_phase([], "both", SGD(Linear(1.0, 1.0), clip=clip), batch_size=24)))
        before = weights(one)
        list(play(one))
        change = {name: w - before[name] for name, w in weights(one).items()}
        for player in ("seeker", "maker"):
            norm = torch.cat([v.flatten() for n, v in change.items() if n.startswith(player)]).norm().item()
            assert norm > 0.1 if clip is None else norm == pytest.approx(clip, rel=1e-2)


def test_moments_tell_where_the_game_stands_and_rows_the_mean_of_every_term() -> None:
    values: list[dict[str, float]] = []

    def layout(method: Duel) -> list[Phase]:
        def noted(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
            loss = method.seeker_loss(nets, batch, noise, clock)
            values.append({f"seeker.{name}": value.item() for name, value in (loss.terms | loss.watched).items()})
            return loss

        return [Phase("only", 2, 8, [[Turn("seeker", noted)]], Adam(Linear(0.1, 0.1)))]

    moments = list(play(game(duel(layout))))
    assert [moment[:5] for moment in moments] == [("only", 1 + i // 3, 2, i + 1, 6) for i in range(6)]
    assert [moment.row is None for moment in moments] == [True, True, False] * 2
    for epoch, row in enumerate(moment.row for moment in moments if moment.row is not None):
        seen = values[3 * epoch : 3 * epoch + 3]
        assert list(row) == ["phase", "epoch", "seeker.adversarial", "seeker.real"]
        assert (row["phase"], row["epoch"]) == ("only", epoch + 1)
        for name in ("seeker.adversarial", "seeker.real"):
            assert row[name] == pytest.approx(np.mean([value[name] for value in seen]), rel=1e-6)


def test_a_term_is_averaged_over_the_steps_that_have_it() -> None:
    pending: list[list[float]] = []
    one = game(duel(rare_term=True))
    for moment in play(one):
        pending.append([float(value) for value in one.state.pending.get("seeker.penalty", [])])
        if moment.row is not None and moment.played == 3:
            first_row = moment.row
    assert [len(values) for values in pending] == [1, 1, 0, 0, 1, 0]  # taken at steps 1 and 5
    assert first_row["seeker.penalty"] == pytest.approx(pending[0][0])


def test_what_is_only_watched_is_not_minimised() -> None:
    def watching(watched: bool, d: Duel) -> list[Phase]:
        def loss(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
            terms, _ = d.maker_loss(nets, batch, noise, clock)
            return Loss(terms, {"size": nets["maker"](noise).square().sum()} if watched else {})

        return [Phase("p", 1, 8, [[Turn("maker", loss)]], Adam(Linear(0.1, 0.1)))]

    with_it, without = (game(duel(partial(watching, w))) for w in (True, False))
    rows = [[m.row for m in play(g)][-1] for g in (with_it, without)]
    assert "maker.size" in rows[0]
    assert "maker.size" not in rows[1]
    for name, w in weights(with_it).items():
        assert torch.equal(w, weights(without)[name])


def test_a_method_takes_what_it_wants_from_the_data_when_a_phase_begins() -> None:
    seen: list[tuple[str, int, int, float]] = []

    class Taking(Duel):
        def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
            bias = players["maker"].get_parameter("bias")
            seen.append((phase, len(batches), seed, float(bias[0])))
            bias.copy_(batches.at(torch.arange(len(batches))).mean(0) + len(seen))

    method = Taking(duel().config, duel().task)
    rounds = [[Turn("seeker", method.seeker_loss)]]
    method.layout = lambda: [Phase(name, 1, 8, rounds, Adam(Linear(0.1, 0.1))) for name in ("one", "two")]
    one = game(method, seed=5)
    mean = torch.from_numpy(points().inputs).mean(0)
    torch.testing.assert_close(one.state.players["maker"]["bias"], mean + 1)
    list(play(one))
    assert [entry[:3] for entry in seen] == [("one", 24, 5), ("two", 24, 5)]
    assert seen[1][3] == pytest.approx(float(mean[0]) + 1)
    torch.testing.assert_close(one.state.players["maker"]["bias"], mean + 2)


def test_a_method_takes_what_it_wants_before_every_epoch_and_optimisers_remember() -> None:
    seen: list[str] = []

    class Renewing(Duel):
        def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
            seen.append(f"enter {phase}")

        def renew(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
            assert (len(batches), seed) == (24, 5)
            seen.append(f"renew {phase}")
            players["maker"].get_parameter("bias").fill_(len(seen))

    recorder = Recorder(Linear(0.1, 0.1))
    method = Renewing(duel().config, duel().task)
    rounds = [[Turn("seeker", method.seeker_loss)]]
    method.layout = lambda: [Phase("one", 2, 8, rounds, recorder), Phase("two", 1, 8, rounds, recorder)]
    one = game(method, seed=5)
    assert one.state.players["maker"]["bias"].tolist() == [2, 2]
    for moment in play(one):
        seen.append(f"step {moment.played}")
    steps = [f"step {i + 1}" for i in range(9)]
    wanted = ["enter one", "renew one", *steps[:2], "renew one", *steps[2:5], "enter two", "renew two", *steps[5:]]
    assert seen == wanted
    assert recorder.counts == [1, 2, 3, 4, 5, 6, 1, 2, 3]


def played(seed: int) -> dict[str, Tensor]:
    one = game(seed=seed)
    list(play(one))
    return weights(one)


def test_a_seed_gives_the_same_bytes_and_another_seed_other_ones() -> None:
    torch.manual_seed(1)
    first = played(4)
    torch.manual_seed(2)
    again, other = played(4), played(5)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_playing_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    list(play(game()))
    assert torch.equal(torch.rand(3), wanted)


def test_a_batch_larger_than_the_data_set_is_refused() -> None:
    with pytest.raises(DataError, match="the duel phase takes batches of 25, but there are 24 samples"):
        game(duel(batch_size=25))


def test_play_goes_on_from_any_step_of_a_game_under_way() -> None:
    wanted = played(0)
    one = game()
    for step, _ in enumerate(play(one), 1):
        if step == 2:
            break
    list(play(one))
    assert all(torch.equal(w, wanted[name]) for name, w in weights(one).items())
    assert list(play(one)) == []
