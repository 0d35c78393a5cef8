"""One game played by several processes, each of which computes its share of what every player makes of a batch.

All processes hold the whole state and draw the same numbers. A player is called on its rows of a batch alone, and what
the players give is put together again before the loss sees it: so a loss may compare samples as it likes, and what is
divided is the work of the networks. A tensor is *whole* where every process has the same one, *divided* where each has
its own part; the four functions below lead from one to the other, and each one's derivative is its partner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils import _pytree as pytree

from gancluster.engine.game import Game
from gancluster.engine.slopes import Hand, Slope, Slopes, plain
from gancluster.errors import UserError
from gancluster.methods.base import Batch, Clock, Loss, Net, Nets, Turn
from gancluster.networks.blocks import BatchNorm

NEAR = 0.05  # of the largest output: more than rounding makes of it, and less than any statistic of two samples

Tell = Callable[[str], None]
Coupled = dict[str, bool]


def parallel(tell: Tell) -> Slopes:
    """By autograd, in all processes together; every one of them gets the whole slope.

    A player who couples the samples of a batch, as found on a few of them when he first plays, is played whole by each
    process, which is told. `UserError` where that is everyone in a turn.
    """
    return partial(_shared, {}, tell)


def _shared(
    coupled: Coupled, tell: Tell, games: Sequence[Game], turn: Turn, hands: Sequence[Hand], clock: Clock
) -> list[Slope]:
    for game in games:
        if game.state.step == 0:
            agree(game)
    return plain(games, replace(turn, loss=partial(_loss, turn, coupled, tell)), hands, clock)


def agree(game: Game) -> None:
    """Give all processes the state of the first: what a GPU computes twice may differ in its last bit."""
    state = game.state
    for value in pytree.tree_leaves((state.players, state.buffers, state.averages, state.memories)):
        dist.broadcast(value, 0)


def _loss(turn: Turn, coupled: Coupled, tell: Tell, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    """The turn's loss, of players whose batches are divided wherever they can be."""
    asked = set[str]()

    def form(name: str, net: Any) -> Net:
        parted = divided(net)

        def played(*inputs: Any, **options: Any) -> Any:
            if not rows((inputs, options)):
                return net(*inputs, **options)
            asked.add(name)
            if name not in coupled:
                coupled[name] = couples(net, parted, inputs, options)
                if coupled[name]:
                    tell(f"the {name} couples samples: each of {dist.get_world_size()} processes plays it whole")
            return (net if coupled[name] else parted)(*inputs, **options)

        return played

    players, averaged = ({name: form(name, net) for name, net in some.items()} for some in (nets, nets.averaged))
    found = turn.loss(Nets(players, averaged), batch, noise, clock)
    if asked and all(coupled[name] for name in asked):
        who = " and ".join(sorted(asked)) + (" couple" if len(asked) > 1 else " couples")
        raise UserError(
            f"a turn of the {turn.movers[0]} cannot be shared out: {who} the samples of a batch "
            "(blocks.BatchNorm may): leave out --engine parallel"
        )
    return found


@torch.no_grad()
def couples(net: Net, parted: Net, inputs: Any, options: Any) -> bool:
    """Whether a player divided gives other outputs for two samples a process than the player whole."""
    few, said = pytree.tree_map_only(Tensor, lambda x: x[: 2 * dist.get_world_size()], (inputs, options))
    try:
        pairs = zip(*(pytree.tree_leaves(played(*few, **said)) for played in (parted, net)), strict=True)
        return any(bool((ours - theirs).abs().max() > NEAR * theirs.abs().max()) for ours, theirs in pairs)
    except (RuntimeError, IndexError, ValueError):  # outputs that are not one a sample cannot be put together
        return True


def divided(net: Any) -> Net:
    """A player of `as_functions` whose batch is divided among the processes: whole samples in, whole outputs out."""
    module, tree = net.args
    learnt = {name: weight for name, weight in tree.items() if weight.requires_grad}
    own_tree = tree | dict(zip(learnt, Fork.apply(*learnt.values()), strict=True)) if learnt else tree

    def played(*inputs: Any, **options: Any) -> Any:
        n = rows((inputs, options))
        own, said = pytree.tree_map_only(Tensor, Part.apply, (inputs, options))
        with gathering(module):
            made = net.func(module, own_tree, *own, **said)
        return pytree.tree_map_only(Tensor, lambda part: Whole.apply(part, n), made)

    return played


def rows(call: Any) -> int:
    """The samples of a call, whose tensors all have a row each; 0 where they have not, or not two a process."""
    sizes = {len(leaf) if leaf.ndim else 0 for leaf in pytree.tree_leaves(call) if isinstance(leaf, Tensor)}
    return max(sizes) if len(sizes) == 1 and max(sizes) >= 2 * dist.get_world_size() else 0


@contextmanager
def gathering(module: nn.Module) -> Iterator[None]:
    """Let the batch norms of `module` take the statistics of the whole batch meanwhile."""
    norms = [layer for layer in module.modules() if isinstance(layer, BatchNorm)]
    for layer in norms:
        layer.gather = rows_of_all
    try:
        yield
    finally:
        for layer in norms:
            layer.gather = None


def rows_of_all(row: Tensor) -> Tensor:
    """Everybody's row `(d,)`, `(processes, d)`, of which each goes on with its own samples."""
    rows: Tensor = Fork.apply(Whole.apply(row[None], dist.get_world_size()))[0]
    return rows


# Whole and divided ----------------------------------------------------------------------------------------------------


class Part(Function):
    """Whole `(n, …)` → the rows of this process; they differ by one where `n` cannot be divided evenly."""

    @staticmethod
    def forward(whole: Tensor) -> Tensor:
        return whole.tensor_split(dist.get_world_size())[dist.get_rank()].clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.n = len(inputs[0])

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return Whole.apply(slope, ctx.n)


class Whole(Function):
    """Each process's rows → whole `(n, …)`."""

    @staticmethod
    def forward(part: Tensor, n: int) -> Tensor:
        whole = part.new_zeros(n, *part.shape[1:])
        whole.tensor_split(dist.get_world_size())[dist.get_rank()].copy_(part)
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return Part.apply(slope), None


class Fork(Function):
    """Whole tensors → the same ones, of which each process makes something of its own."""

    @staticmethod
    def forward(*wholes: Tensor) -> tuple[Tensor, ...]:
        return tuple(whole.view_as(whole) for whole in wholes)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return Sum.apply(*slopes)


class Sum(Function):
    """Each process's tensors → their sums over all processes, which are whole."""

    @staticmethod
    def forward(*parts: Tensor) -> tuple[Tensor, ...]:
        flat = torch.cat([part.flatten() for part in parts])
        dist.all_reduce(flat)
        sums = torch.split(flat, [part.numel() for part in parts])
        return tuple(total.view_as(part) for total, part in zip(sums, parts, strict=True))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return Fork.apply(*slopes)
