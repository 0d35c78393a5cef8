"""The engine: a loop over turns that one can step through in a debugger.

A game's whole state is players, averages, optimiser memories and a clock. There is no random state: every random number
is a function of (seed, step). `play` advances the state turn by turn and pauses after every step, so that whoever
called it may log, save, or stop there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from gancluster.data.batches import Batches
from gancluster.engine.randomness import Purpose, generator
from gancluster.engine.slopes import Hand, Slopes, Trees, as_functions, plain
from gancluster.errors import DataError, Diverged
from gancluster.methods.base import Batch, Clock, Labelled, Loss, Method, Modules, Nets, Phase, Row, Turn
from gancluster.optim import Memory, Sampler, Tree, clip_norm, merged


@dataclass
class State:
    """Everything that changes while a game is played, and all that must survive a restart.

    `phase`, `epoch`, `step`: where the game stands (steps count within the epoch); `played`: steps over all; `rows`:
    epochs over all, so many rows has the log.
    `pending`: the values of every loss term in this epoch so far, each `()`; `noted`: the step that each is of.
    """

    players: dict[str, Tree]
    buffers: dict[str, Tree]
    averages: dict[str, Tree] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    phase: int = 0
    epoch: int = 0
    step: int = 0
    played: int = 0
    rows: int = 0
    pending: dict[str, list[Tensor]] = field(default_factory=dict)
    noted: dict[str, list[int]] = field(default_factory=dict)


class Moment(NamedTuple):
    """Where the game stands after a step; `row`: what the log says of the epoch that this step ended, if it did."""

    phase: str
    epoch: int
    epochs: int
    played: int
    total: int
    row: Row | None


class Game:
    """A method's networks, seeded, on the data's device, and the state of play."""

    def __init__(self, method: Method, batches: Batches, seed: int, bfloat16: bool = False) -> None:
        self.method, self.batches, self.seed, self.bfloat16 = method, batches, seed, bfloat16
        self.device = batches.stored.device
        self.phases = method.phases()
        check_batches(self.phases, len(batches))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.modules = {name: module.to(self.device) for name, module in method.players().items()}
        self.state = State(
            players={name: _owned(module.named_parameters()) for name, module in self.modules.items()},
            buffers={name: _owned(module.named_buffers()) for name, module in self.modules.items()},
        )
        self.enter_phase()

    @torch.no_grad()
    def enter_phase(self) -> None:
        """Begin the phase that the clock stands in: what the method takes from the data, averages, memories."""
        if not self.is_over:
            self.take(self.method.enter)
            self.renew()
        self.fresh_memories()
        self.freeze()

    @torch.no_grad()
    def renew(self) -> None:
        """What the method takes from the data again before every epoch, if anything."""
        if type(self.method).renew is not Method.renew:
            self.take(self.method.renew)
            self.freeze()

    def take(self, set_players: Callable[[str, Modules, Batches, int], None]) -> None:
        """Let the method set players as they stand, given the data."""
        state = self.state
        for name, module in self.modules.items():
            module.train().load_state_dict(state.players[name] | state.buffers[name])
        before = state.players
        set_players(self.phases[state.phase].name, self.modules, self.batches, self.seed)
        state.players = {name: _owned(module.named_parameters()) for name, module in self.modules.items()}
        state.buffers = {name: _owned(module.named_buffers()) for name, module in self.modules.items()}
        self.carry_averages(before)

    def carry_averages(self, before: dict[str, Tree]) -> None:
        """Averages go on through phases; those of players whose weights have just been set begin anew at these."""
        state = self.state
        for name in self.method.averages():
            weights = state.players[name]
            touched = any(not torch.equal(weight, before[name][key]) for key, weight in weights.items())
            if touched or name not in state.averages:
                state.averages[name] = _owned(weights.items())

    @property
    def is_over(self) -> bool:
        return self.state.phase == len(self.phases)

    @property
    def total(self) -> int:
        """Steps from the beginning to the end, if no phase ends early."""
        return sum(phase.epochs * self.steps(phase) for phase in self.phases)

    def steps(self, phase: Phase) -> int:
        """Steps in an epoch of `phase`: whole batches only."""
        return phase.steps or len(self.batches) // phase.batch_size

    def fresh_memories(self) -> None:
        """Optimiser states as at the beginning of the phase that the clock stands in; none once the game is over."""
        self.state.memories = {}
        if not self.is_over:
            phase = self.phases[self.state.phase]
            for mover in sorted({m for turns in phase.rounds for turn in turns for m in turn.movers}):
                self.state.memories[mover] = phase.optimizer_of(mover).state(self.state.players[mover])

    def order(self, phase: int, epoch: int) -> Tensor:
        """The samples that an epoch goes through: a permutation of all, and more of them for more steps."""
        rng, n = generator("cpu", self.seed, Purpose.ORDER, phase, epoch), len(self.batches)
        passes = math.ceil(self.steps(self.phases[phase]) * self.phases[phase].batch_size / n)
        return torch.cat([torch.randperm(n, generator=rng) for _ in range(passes)]).to(self.device)

    def freeze(self) -> None:
        """Let batch norm take the batch's statistics, but in the phase's frozen players those that it was given."""
        frozen = frozenset() if self.is_over else self.phases[self.state.phase].frozen
        for name, module in self.modules.items():
            module.train(name not in frozen)

    def pass_over(self) -> None:
        """Go on to the first phase, from the one that the clock stands in, that is not over by its own rule."""
        while not self.is_over and self.reached(self.phases[self.state.phase]):
            self.next_phase()

    @torch.no_grad()
    def reached(self, phase: Phase) -> bool:
        """Whether the players are what `phase` is played for."""
        return phase.until is not None and phase.until(self.nets({}), self.batches)

    def next_phase(self) -> None:
        self.state.phase, self.state.epoch = self.state.phase + 1, 0
        self.enter_phase()

    def nets(self, parameters: dict[str, Tree]) -> Nets:
        """The players as functions, with `parameters` in place of the state's where given."""
        state = self.state
        return as_functions(self.modules, state.players | parameters, state.buffers, state.averages)


def check_batches(phases: Sequence[Phase], samples: int) -> None:
    """Raise `DataError` if a phase's batch is larger than the data set; counted steps go through it again."""
    for phase in phases:
        if phase.batch_size > samples and phase.steps is None:
            raise DataError(
                f"the {phase.name} phase takes batches of {phase.batch_size}, but there are {samples} samples: "
                "lower its batch size, or give more samples"
            )


def play(game: Game, slopes: Slopes = plain) -> Iterator[Moment]:
    """Play from where the state stands to the end of the last phase; `Diverged` once a loss is not finite."""
    for (moment,) in play_together([game], slopes):
        yield moment


def play_together(games: Sequence[Game], slopes: Slopes) -> Iterator[list[Moment]]:
    """As `play`, games that differ in their seeds alone, step by step as far as they stand at the same place."""
    for game in games:
        game.freeze()  # a checkpoint, if one was loaded, does not
        if game.state.step == 0:
            game.pass_over()
    orders, one = list[Tensor](), games[0]
    while not one.is_over and in_step(games):
        phase, epoch, step = one.phases[one.state.phase], one.state.epoch, one.state.step
        size, steps = phase.batch_size, one.steps(phase)
        if not orders or step == 0:
            orders = [game.order(game.state.phase, epoch) for game in games]
        indices = [order[step * size :][:size] for order in orders]
        _play_step(games, phase, indices, (epoch + step / steps) / phase.epochs, slopes)
        for game in games:
            game.state.step, game.state.played = step + 1, game.state.played + 1
        rows = [_close_epoch(game, phase) if step + 1 == steps else None for game in games]
        yield [Moment(phase.name, epoch + 1, phase.epochs, one.state.played, one.total, row) for row in rows]


def in_step(games: Sequence[Game]) -> bool:
    """Whether all stand at the same place: a phase's own rule may end it earlier in one game than in another."""
    return len({(game.state.phase, game.state.epoch, game.state.step, game.state.played) for game in games}) == 1


def _play_step(games: Sequence[Game], phase: Phase, indices: list[Tensor], progress: float, slopes: Slopes) -> None:
    """Every turn of the step's round, on a batch a game; a turn's earlier repetitions get batches of their own."""
    shared = [_hand(game, index, 0) for game, index in zip(games, indices, strict=True)]
    clock, played = Clock(torch.tensor(progress, device=games[0].device)), games[0].state.played
    for place, turn in enumerate(phase.rounds[played % len(phase.rounds)]):
        for again in reversed(range(turn.repeat)):
            hands = shared if again == 0 else [_another_hand(game, phase.batch_size, again) for game in games]
            found = slopes(games, turn, hands, clock)
            _move(games, phase, turn, [slope.gradients for slope in found], progress, (played, place, again))
            for game, slope in zip(games, found, strict=True):
                _remember(game.state, turn.movers[0], slope.loss)


def rehearse(games: Sequence[Game], slopes: Slopes) -> None:
    """Compute the slopes of one of each of the phase's rounds from where the games stand, and move nobody."""
    one = games[0]
    phase = one.phases[one.state.phase]
    hands = [_hand(game, torch.arange(phase.batch_size, device=game.device) % len(game.batches), 0) for game in games]
    clock = Clock(torch.tensor(0.0, device=one.device))
    for turns in phase.rounds:
        for turn in turns:
            for _ in range(turn.repeat):
                slopes(games, turn, hands, clock)


def _hand(game: Game, index: Tensor, again: int) -> Hand:
    """A batch of real samples, labelled ones where there are any, and every random number that its turns use."""
    rng = generator(game.device, game.seed, Purpose.NOISE, game.state.played, again)
    batch = Batch(game.batches.at(index), _labelled(game, len(index), again), index)
    return Hand(batch, game.method.draw(len(index), rng))


def _labelled(game: Game, n: int, again: int) -> Labelled | None:
    """At most `n` of the labelled samples, all different, drawn for this step."""
    known = game.batches.known
    if not len(known):
        return None
    rng = generator("cpu", game.seed, Purpose.LABELLED, game.state.played, again)
    some = torch.randperm(len(known), generator=rng)[:n].to(game.device)
    return Labelled(game.batches.at(known[some]), game.batches.labels[some])


def _another_hand(game: Game, n: int, again: int) -> Hand:
    rng = generator("cpu", game.seed, Purpose.EXTRA, game.state.played, again)
    return _hand(game, torch.randint(len(game.batches), (n,), generator=rng).to(game.device), again)


def _move(
    games: Sequence[Game], phase: Phase, turn: Turn, slopes: list[Trees], progress: float, place: tuple[int, int, int]
) -> None:
    """One step of each of the turn's players; a sampler's is disturbed by numbers of its own, told by `place`."""
    for i, mover in enumerate(turn.movers):
        optimizer, states = phase.optimizer_of(mover), [game.state for game in games]
        lr, gradients = optimizer.lr.at(progress), [slope[mover] for slope in slopes]
        weights, memories = [state.players[mover] for state in states], [state.memories[mover] for state in states]
        if optimizer.clip is not None:
            for gradient in gradients:
                clip_norm(gradient, optimizer.clip)
        if isinstance(optimizer, Sampler):
            for game, memory in zip(games, memories, strict=True):
                optimizer.refresh(memory, lr, generator(game.device, game.seed, Purpose.SAMPLER, *place, i))
        memory = {part: merged([memory[part] for memory in memories]) for part in memories[0]}
        optimizer.step(merged(weights), merged(gradients), memory, lr)
        for game in games:
            if turn.after is not None:
                turn.after(game.state.players[mover], game.state.buffers[mover])
            _follow(game, mover)


def _follow(game: Game, mover: str) -> None:
    """Move the average of a player who has one towards his weights; in the first steps it is their plain mean."""
    if mover in game.state.averages:
        rate = max(game.method.averages()[mover], 1 / (game.state.played + 1))
        average, weights = game.state.averages[mover], game.state.players[mover]
        torch._foreach_lerp_(list(average.values()), list(weights.values()), rate)


def _remember(state: State, mover: str, loss: Loss) -> None:
    """Keep the loss's terms for the epoch's row, on the device: reading them now would make it wait."""
    for term, value in (loss.terms | loss.watched).items():
        state.pending.setdefault(f"{mover}.{term}", []).append(value.detach())
        state.noted.setdefault(f"{mover}.{term}", []).append(state.played + 1)


def _close_epoch(game: Game, phase: Phase) -> Row:
    """The log's row of the epoch that has just ended, and the clock moved on; the epoch's only wait for the device."""
    state = game.state
    assert_finite(game)
    means = {name: torch.stack(state.pending[name]).float().mean() for name in sorted(state.pending)}
    row: Row = {"phase": phase.name, "epoch": state.epoch + 1}
    row |= dict(zip(means, torch.stack(list(means.values())).tolist(), strict=True))
    state.pending, state.noted = {}, {}
    state.epoch, state.step, state.rows = state.epoch + 1, 0, state.rows + 1
    if state.epoch == phase.epochs:
        game.next_phase()
    else:
        game.renew()
    game.pass_over()
    return row


def assert_finite(game: Game) -> None:
    """Raise `Diverged`, naming the first bad step, if a loss term of this epoch or a weight is NaN or infinite."""
    state = game.state
    bad: list[tuple[int, str]] = []
    for name, values in state.pending.items():
        finite = torch.isfinite(torch.stack(values))
        if not finite.all():
            bad.append((state.noted[name][int((~finite).nonzero()[0])], name))
    if bad:
        step, name = min(bad, key=lambda found: found[0])
        player, _, term = name.partition(".")
        raise Diverged(f"the loss term '{term}' of the {player}", step, game.seed)
    for player, tree in state.players.items():
        if tree and not torch.isfinite(torch.stack(torch._foreach_norm(list(tree.values())))).all():
            raise Diverged(f"a weight of the {player}", state.played, game.seed)


def _owned(named: Iterable[tuple[str, Tensor]]) -> Tree:
    return {name: value.detach().clone() for name, value in named}
