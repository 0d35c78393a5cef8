"""How a discriminator is trained and kept honest, whatever method uses it: one small class per objective.

A discriminator gives logits `(b,)` (a critic: scores). It is pushed up on real samples and down on fake ones; the
generator, conversely, lifts its fakes. ClusterGAN has two sides who both move (its "real" side is the clusterer's
pairs), and lowers real scores by the generator's loss of the negated scores: every objective here is symmetric in that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Inputs = tuple[Tensor, ...]


class Critic(ABC):
    """The minimax game without a penalty; the others say where they differ.

    `repeat`: discriminator steps per generator step. `every`: the penalty is taken at every so many steps, so many
    times as strong (Karras et al. 2020). `weight`: strength of the penalty.
    """

    repeat: int = 1
    every: int = 1

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """`-E log D(real) - E log(1 - D(fake))`, D = sigmoid of the logits `(b,)`; 2 log 2 when D cannot tell."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    @abstractmethod
    def generator_loss(self, fake: Tensor) -> Tensor:
        """What the fakes' maker minimises, given their logits `(b,)`."""

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor | None:
        """A term that keeps `net` smooth, over all its inputs together; `mix` `(b,)` is uniform on [0, 1)."""
        return None


class Minimax(Critic):
    """The game as first printed (Goodfellow et al. 2014): `min_G E log(1 - D(G))`. Saturates when D is sure."""

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -F.softplus(fake).mean()


class NonSaturating(Critic):
    """The usual remedy (same paper, section 3): `min_G -E log D(G)`."""

    def generator_loss(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()


@dataclass(frozen=True)
class R1(NonSaturating):
    """Non-saturating with a zero-centred gradient penalty (Mescheder et al. 2018): `weight/2 E ||grad D||²`.

    Taken on real and fake samples alike (R1 and R2), since ClusterGAN's two sides both move.
    """

    weight: float = 0.6
    every: int = 4

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        both = tuple(torch.cat(sides) for sides in zip(real, fake, strict=True))
        return self.weight / 2 * squared_gradient(net, both).mean()


@dataclass(frozen=True)
class WassersteinGP(Critic):
    """WGAN-GP (Gulrajani et al. 2017): `E f(fake) - E f(real)`, slope 1 between real and fake."""

    weight: float = 10.0
    repeat: int = 5

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.mean()

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        between = tuple(_interpolate(r, f, mix) for r, f in zip(real, fake, strict=True))
        slope = (squared_gradient(net, between) + 1e-12).sqrt()
        return self.weight * (slope - 1).square().mean()


def squared_gradient(net: Callable[..., Tensor], inputs: Inputs) -> Tensor:
    """`||grad net||²` `(b,)` of each sample, over every dimension of every input."""

    def total(*inputs: Tensor) -> Tensor:
        return net(*inputs).sum()

    gradients = torch.func.grad(total, argnums=tuple(range(len(inputs))))(*inputs)
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0)


def _interpolate(real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    t = mix.view(-1, *[1] * (real.ndim - 1))
    return real + t * (fake - real)
