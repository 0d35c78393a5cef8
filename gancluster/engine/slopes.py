"""A turn's loss and its slope in each of its players, everybody else standing still: plain, compiled, or stacked.

A loss is a pure function of (weights, batch, noise, clock), so there are several ways to its gradient, all of the same
meaning. *plain* is autograd's, game after game, and can be stepped through in a debugger. *compiled* makes one program
of the whole turn, gradient penalty included. *captured* replays that as a CUDA graph. *stacked* computes the turn of
many games, which differ in their seeds alone, as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from gancluster.engine.game import Game, Trees, as_functions
from gancluster.methods.base import Batch, Clock, Loss, Modules, Turn, TurnLoss

T = TypeVar("T")
RECOMPILE_LIMIT = 1000  # turns, shapes and methods that one process may compile


class Hand(NamedTuple):
    """What a game brings to a turn: real samples and the step's random numbers."""

    batch: Batch
    noise: Any


class Slope(NamedTuple):
    """A turn's loss in a game, and its gradient by player and weight."""

    loss: Loss
    gradients: Trees


class Table(NamedTuple):
    """The weights of a game as a turn sees them: of those who are `moving`, and of the others; buffers, averages."""

    moving: Trees
    others: Trees
    buffers: Trees
    averages: Trees


Slopes = Callable[[Sequence[Game], Turn, Sequence[Hand], Clock], list[Slope]]


def plain(games: Sequence[Game], turn: Turn, hands: Sequence[Hand], clock: Clock) -> list[Slope]:
    """By autograd, game after game."""
    return [_by_autograd(game, turn, hand, clock) for game, hand in zip(games, hands, strict=True)]


def compiled(
    games: Sequence[Game], turn: Turn, hands: Sequence[Hand], clock: Clock, cudagraphs: bool = False
) -> list[Slope]:
    """By a program that is made when a turn is first met, and shared by all games of its shape in the process."""
    program = _compiled(slope, cudagraphs)
    tables = [_table(game, turn) for game in games]
    return [
        program(game.modules, turn.loss, table, hand, clock, game.bfloat16)
        for game, table, hand in zip(games, tables, hands, strict=True)
    ]


def captured(games: Sequence[Game], turn: Turn, hands: Sequence[Hand], clock: Clock) -> list[Slope]:
    """As `compiled`, the program's kernels launched as one CUDA graph."""
    found = (compiled([game], turn, [hand], clock, cudagraphs=True) for game, hand in zip(games, hands, strict=True))
    return [pytree.tree_map_only(Tensor, torch.clone, each)[0] for each in found]  # the next replay overwrites them


def stacked(
    games: Sequence[Game], turn: Turn, hands: Sequence[Hand], clock: Clock, compile_it: bool = False
) -> list[Slope]:
    """As one computation for all games; they move as they would alone, up to rounding."""
    tables, program = [_table(game, turn) for game in games], _compiled(slopes) if compile_it else slopes
    leaves, form = pytree.tree_flatten(
        program(games[0].modules, turn.loss, tables, list(hands), clock, games[0].bfloat16)
    )
    return [pytree.tree_unflatten(own, form) for own in zip(*(leaf.unbind() for leaf in leaves), strict=True)]


def slope(modules: Modules, loss: TurnLoss, table: Table, hand: Hand, clock: Clock, bfloat16: bool) -> Slope:
    """The loss and its gradient, as a pure function: `modules` lend their form, every weight is in the `table`."""

    def total(moving: Trees) -> tuple[Tensor, Loss]:
        nets = as_functions(modules, table.others | moving, table.buffers, table.averages)
        with torch.autocast(clock.progress.device.type, torch.bfloat16, enabled=bfloat16):
            found = loss(nets, *hand, clock)
        return found.total, found

    gradients, found = torch.func.grad(total, has_aux=True)(table.moving)
    return Slope(found, gradients)


def slopes(
    modules: Modules, loss: TurnLoss, tables: list[Table], hands: list[Hand], clock: Clock, bfloat16: bool
) -> Slope:
    """`slope` of every game, stacked: leaf `(games, …)`."""
    columns = zip(*(pytree.tree_leaves(pair) for pair in zip(tables, hands, strict=True)), strict=True)
    leaves = [torch.stack(column) if isinstance(column[0], Tensor) else column[0] for column in columns]
    form, varied = pytree.tree_structure((tables[0], hands[0])), [isinstance(leaf, Tensor) for leaf in leaves]

    def one(*tensors: Tensor) -> Slope:
        given = iter(tensors)
        mixed = [next(given) if varies else leaf for varies, leaf in zip(varied, leaves, strict=True)]
        table, hand = pytree.tree_unflatten(mixed, form)
        return slope(modules, loss, table, hand, clock, bfloat16)

    found: Slope = torch.func.vmap(one)(*(leaf for leaf in leaves if isinstance(leaf, Tensor)))
    return found


def _by_autograd(game: Game, turn: Turn, hand: Hand, clock: Clock) -> Slope:
    moving = {m: {name: w.detach().requires_grad_() for name, w in game.state.players[m].items()} for m in turn.movers}
    with torch.autocast(game.device.type, torch.bfloat16, enabled=game.bfloat16):
        loss = turn.loss(game.nets(moving), *hand, clock)
    weights = [w for tree in moving.values() for w in tree.values()]
    gradients = iter(torch.autograd.grad(loss.total, weights, materialize_grads=True))
    return Slope(loss, {mover: {name: next(gradients) for name in tree} for mover, tree in moving.items()})


def _table(game: Game, turn: Turn) -> Table:
    state = game.state
    moving = {name: state.players[name] for name in turn.movers}
    others = {name: tree for name, tree in state.players.items() if name not in moving}
    return Table(moving, others, state.buffers, state.averages)


@cache
def _compiled(function: Callable[..., T], cudagraphs: bool = False) -> Callable[..., T]:
    program = torch.compile(function, fullgraph=True, dynamic=False, options={"triton.cudagraphs": cudagraphs})

    def run(*inputs: Any) -> T:
        with torch._dynamo.config.patch(recompile_limit=RECOMPILE_LIMIT):
            return program(*inputs)

    return run
