"""A game: a method's networks, seeded, and everything that changes while it is played.

Its whole state is players, averages, optimiser memories and a clock. There is no random state: every random number is a
function of (seed, step).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gancluster.data.batches import Batches
from gancluster.engine.randomness import Purpose, generator
from gancluster.errors import DataError
from gancluster.methods.base import Method, Modules, Nets, Phase
from gancluster.optim import Memory, Tree

Trees = dict[str, Tree]


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


def as_functions(modules: Modules, players: Trees, buffers: Trees, averages: Trees) -> Nets:
    """The players as functions of their inputs, with these weights and buffers."""
    nets = [
        {name: partial(_call, modules[name], tree | buffers[name]) for name, tree in trees.items()}
        for trees in (players, averages)
    ]
    return Nets(*nets)


def _call(module: nn.Module, parameters: Tree, *inputs: Tensor, **options: Any) -> Any:
    return functional_call(module, parameters, inputs, options)


def _owned(named: Iterable[tuple[str, Tensor]]) -> Tree:
    return {name: value.detach().clone() for name, value in named}
