"""The plain engine: a loop that one can step through in a debugger.

A game's whole state is players, averages, optimiser memories and a clock. There is no random state: every random number
is a function of (seed, step). `play` advances the state turn by turn and pauses after every step, so that whoever
called it may log, save, or stop there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call

from gancluster.data.batches import Batches, generator
from gancluster.errors import Diverged
from gancluster.methods.base import Batch, Clock, Method, Modules, Nets, Phase, Turn
from gancluster.optim import Memory, Tree, clip_norm

ORDER, NOISE, EXTRA = 1, 2, 3  # what a random number is for: part of its generator's key

Row = dict[str, float | int | str]


@dataclass
class State:
    """Everything that changes while a game is played, and all that must survive a restart.

    `phase`, `epoch`, `step`: where the game stands (steps count within the epoch); `played`: steps over all.
    `pending`: the values of every loss term in this epoch so far, each `()`.
    """

    players: dict[str, Tree]
    buffers: dict[str, Tree]
    averages: dict[str, Tree]
    memories: dict[str, Memory]
    phase: int = 0
    epoch: int = 0
    step: int = 0
    played: int = 0
    pending: dict[str, list[Tensor]] = field(default_factory=dict)


class Moment(NamedTuple):
    """Where the game stands after a step: step `step` of `steps` in this epoch; `row` of the log when an epoch ends."""

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    row: Row | None


class Game:
    """A method's networks, seeded, on the data's device, and the state of play."""

    def __init__(self, method: Method, batches: Batches, seed: int, bfloat16: bool = False) -> None:
        self.method, self.batches, self.seed, self.bfloat16 = method, batches, seed, bfloat16
        self.device = batches.stored.device
        self.phases = [phase for phase in method.phases() if phase.epochs > 0]
        self.modules = self._fresh_players()
        self.state = State(
            players={name: _owned(dict(m.named_parameters())) for name, m in self.modules.items()},
            buffers={name: _owned(dict(m.named_buffers())) for name, m in self.modules.items()},
            averages={name: _owned(dict(self.modules[name].named_parameters())) for name in method.averages()},
            memories={},
        )
        self.refresh_memories()

    def _fresh_players(self) -> Modules:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            modules = {name: module.to(self.device) for name, module in self.method.players().items()}
        self.method.initialise(modules, self.batches.at(self.order(0, 0)[:1000]))
        return modules

    def refresh_memories(self) -> None:
        """Optimiser states of the phase that the clock stands in: fresh, as at a phase's beginning."""
        movers = {
            m
            for phase in self.phases[self.state.phase :][:1]
            for turns in phase.rounds
            for t in turns
            for m in t.movers
        }
        phase = self.phases[min(self.state.phase, len(self.phases) - 1)]
        self.state.memories = {m: phase.optimizer_of(m).state(self.state.players[m]) for m in sorted(movers)}

    def order(self, phase: int, epoch: int) -> Tensor:
        """The permutation `(n,)` that an epoch goes through."""
        rng = generator("cpu", self.seed, ORDER, phase, epoch)
        return torch.randperm(len(self.batches), generator=rng).to(self.device)

    def nets(self, parameters: dict[str, Tree]) -> Nets:
        """The players as functions, with `parameters` in place of the state's where given."""
        players = self.state.players | parameters
        return Nets(
            {name: self._net(name, tree) for name, tree in players.items()},
            {name: self._net(name, tree) for name, tree in self.state.averages.items()},
        )

    def _net(self, name: str, parameters: Tree) -> partial[Any]:
        return partial(_call, self.modules[name], parameters | self.state.buffers[name])

    def precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


def play(game: Game) -> Iterator[Moment]:
    """Play from where the state stands to the end of the last phase; `Diverged` once a loss is not finite."""
    state, order = game.state, None
    while state.phase < len(game.phases):
        phase = game.phases[state.phase]
        size = min(phase.batch_size, len(game.batches))
        steps = len(game.batches) // size
        if order is None or state.step == 0:
            order = game.order(state.phase, state.epoch)
        _play_step(game, phase, order[state.step * size :][:size], (state.epoch + state.step / steps) / phase.epochs)
        state.step, state.played = state.step + 1, state.played + 1
        moment = Moment(phase.name, state.epoch, phase.epochs, state.step, steps, None)
        if state.step == steps:
            moment = moment._replace(row=_close_epoch(game, phase))
        yield moment


def _play_step(game: Game, phase: Phase, index: Tensor, progress: float) -> None:
    """Every turn of the step's round on one batch; a turn's earlier repetitions get batches of their own."""
    shared = _hand(game, index, 0)
    clock = Clock(torch.tensor(progress, device=game.device))
    for turn in phase.rounds[game.state.played % len(phase.rounds)]:
        for again in reversed(range(turn.repeat)):
            batch, noise = shared if again == 0 else _hand(game, _extra(game, len(index), again), again)
            _move(game, phase, turn, batch, noise, clock, phase.optimizer_of(turn.movers[0]).lr.at(progress))


def _hand(game: Game, index: Tensor, again: int) -> tuple[Batch, Any]:
    """A batch of real samples and every random number that its turns use."""
    rng = generator(game.device, game.seed, NOISE, game.state.played, again)
    return Batch(game.batches.at(index)), game.method.draw(len(index), rng)


def _extra(game: Game, n: int, again: int) -> Tensor:
    rng = generator("cpu", game.seed, EXTRA, game.state.played, again)
    return torch.randint(len(game.batches), (n,), generator=rng).to(game.device)


def _move(game: Game, phase: Phase, turn: Turn, batch: Batch, noise: Any, clock: Clock, lr: float) -> None:
    """One step of the turn's players down its loss, everybody else standing still."""
    state = game.state

    moving = {m: {name: w.detach().requires_grad_() for name, w in state.players[m].items()} for m in turn.movers}
    with game.precision():
        loss = turn.loss(game.nets(moving), batch, noise, clock)
    gradients = iter(
        torch.autograd.grad(loss.total, [w for tree in moving.values() for w in tree.values()], materialize_grads=True)
    )
    for mover in turn.movers:
        optimizer, gradient = phase.optimizer_of(mover), {name: next(gradients) for name in moving[mover]}
        if optimizer.clip is not None:
            clip_norm(gradient, optimizer.clip)
        optimizer.step(state.players[mover], gradient, state.memories[mover], lr)
        _follow(game, mover)
    for term, value in (loss.terms | loss.watched).items():
        state.pending.setdefault(f"{turn.movers[0]}.{term}", []).append(value.detach())


def _follow(game: Game, mover: str) -> None:
    """Move the average of a player who has one towards his weights; in the first steps it is their plain mean."""
    if mover in game.state.averages:
        rate = max(game.method.averages()[mover], 1 / (game.state.played + 1))
        average, weights = game.state.averages[mover], game.state.players[mover]
        torch._foreach_lerp_(list(average.values()), list(weights.values()), rate)


def _close_epoch(game: Game, phase: Phase) -> Row:
    """The log's row of the epoch that has just ended, and the clock moved on; the epoch's only wait for the device."""
    state = game.state
    values = {name: torch.stack(found) for name, found in state.pending.items()}
    weights = [w for tree in state.players.values() for w in tree.values()]
    values["players.weights"] = torch.stack(torch._foreach_norm(weights))
    means = torch.stack([v.float().mean() for v in values.values()]).tolist()
    for (name, value), mean in zip(values.items(), means, strict=True):
        if not torch.isfinite(torch.tensor(mean)):
            raise _diverged(game, name, value)
    row: Row = {"phase": phase.name, "epoch": state.epoch + 1, **dict(zip(values, means, strict=True))}
    del row["players.weights"]
    state.pending = {}
    state.epoch, state.step = state.epoch + 1, 0
    if state.epoch == phase.epochs:
        state.phase, state.epoch = state.phase + 1, 0
        game.refresh_memories()
    return row


def _diverged(game: Game, name: str, values: Tensor) -> Diverged:
    player, _, term = name.partition(".")
    first = int((~torch.isfinite(values)).nonzero()[0])
    per_step = max(1, len(values) // game.state.step)
    return Diverged(term, player, game.state.played - game.state.step + first // per_step + 1, game.seed)


def _call(module: torch.nn.Module, parameters: Tree, *inputs: Tensor, **options: Any) -> Any:
    return functional_call(module, parameters, inputs, options)


def _owned(tree: Tree) -> Tree:
    return {name: value.detach().clone() for name, value in tree.items()}
