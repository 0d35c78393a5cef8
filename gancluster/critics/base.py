"""What every critic can say of a discriminator, and the checks and gradients that several of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from gancluster.errors import UserError
from gancluster.networks.blocks import BatchNorm
from gancluster.optim import Tree

Inputs = tuple[Tensor, ...]
Net = TypeVar("Net", bound=nn.Module)
Times = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Critic(ABC):
    """The minimax game, without anything that keeps D smooth; the others say where they differ.

    `repeat`: discriminator steps per generator step. `every`: the penalty is taken at every so many steps, so many
    times as strong (Karras et al. 2020). `entropy`: weight of the generator's entropy in its loss, which a player
    `statistics` bounds (`dependence`). A subclass that is a dataclass has its fields as options: see `named`.
    """

    repeat: Times = 1
    every: Times = 1
    entropy: NotNegative = 0.0

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """`-E log D(real) - E log(1 - D(fake))`, D = sigmoid of the logits `(b,)`; 2 log 2 when D cannot tell."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    @abstractmethod
    def generator_loss(self, fake: Tensor) -> Tensor:
        """What the fakes' maker minimises, given their logits `(b,)`."""

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor | None:
        """A term that keeps `net` smooth, over all its inputs together; `mix` `(b,)` is uniform on [0, 1)."""
        return None

    @property
    def bounds(self) -> bool:
        """Whether this critic bounds the discriminator's slopes or weights, and so allows it no batch norm."""
        return type(self).penalty is not Critic.penalty or type(self).wrap is not Critic.wrap

    def wrap(self, net: Net) -> Net:
        """`net`, new and untrained, with its weights parametrised in place where this critic bounds them.

        Raises `UserError` where the critic has no meaning for such a net: a penalty for one with batch norm, say.
        """
        if type(self).penalty is not Critic.penalty:
            refuse_batch_norm(net, "penalties on the slopes at single samples")
        return net

    def after_step(self, parameters: Tree, buffers: Tree) -> None:  # noqa: B027 - most need none
        """Change the weights and buffers of the net that `wrap` gave, in place, after each of its steps."""


def refuse_batch_norm(net: nn.Module, what: str) -> None:
    """Raise `UserError` if `net` has batch norm, which mixes samples and undoes every bound on weights."""
    if any(isinstance(layer, BatchNorm | _BatchNorm) for layer in net.modules()):
        raise UserError(f"{what} have no meaning for a discriminator with batch norm: take ns-gan, or other networks")


def refuse_unbounded(net: nn.Module) -> None:
    """Raise `UserError` if a bound on weights would be none on `net`, for its batch norm or its normalised weights."""
    refuse_batch_norm(net, "bounds on weights")
    if any(parametrize.is_parametrized(layer) for layer in net.modules()):
        raise UserError(
            "bounds on weights have no meaning for a discriminator whose weights are normalised already: take another "
            "critic, or networks without weight normalisation (compact)"
        )


def squared_gradient(net: Callable[..., Tensor], inputs: Inputs) -> Tensor:
    """`||grad net||²` `(b,)` of each sample, over every dimension of every input; in float32 where losses are bfloat16.

    Its own gradient is a second derivative, for which bfloat16's three digits are too few.
    """

    def total(*inputs: Tensor) -> Tensor:
        return net(*inputs).sum()

    single = tuple(x.float() if x.dtype == torch.bfloat16 else x for x in inputs)
    with torch.autocast(single[0].device.type, enabled=False):
        gradients = torch.func.grad(total, argnums=tuple(range(len(single))))(*single)
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)


def slope_between(net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
    """`||grad net||` `(b,)` at `real + mix (fake - real)`, with a gradient of its own where it is 0."""
    between = tuple(r + mix.view(-1, *[1] * (r.ndim - 1)) * (f - r) for r, f in zip(real, fake, strict=True))
    return (squared_gradient(net, between) + 1e-12).sqrt()
