"""Critics that bound D's slope: by clipping, by penalties, by normalised weights.

A Wasserstein critic f gives scores, not logits: by Kantorovich and Rubinstein, `W1(p_r, p_g) = sup E f(real) - E
f(fake)` over f of slope 1 at most, and G follows `grad f(G)`, without a logarithm (erratum L7; L9-L15: the lecture's
derivation). A net of 1-Lipschitz nonlinearities is at most as steep as the product of its layers' spectral norms.
That bound is the whole net's only where layers follow each other: products of inputs, such as the projection in the
compact discriminator, are steep where either factor is long; a convolution may be steeper than its weight as a matrix
`(out, rest)`, by the square root of the number of patches that see a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gancluster.critics.base import Critic, Inputs, Net, NotNegative, Positive, Times, refuse_unbounded, slope_between
from gancluster.optim import Tree

ORIGINAL = "parametrizations.weight.original"


class Wasserstein(Critic):
    """`min_f E f(fake) - E f(real)`, `min_G -E f(G)`; who bounds f is left to those below."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.mean()


@dataclass(frozen=True)
class WassersteinClipped(Wasserstein):
    """WGAN (Arjovsky et al. 2017): every weight of f within ±`clip` after each of its steps.

    A layer `(out, in)` is then at most `clip √(out in)` steep. The paper trains with RMSprop, which is the method's
    choice, not the critic's.
    """

    repeat: Times = 5
    clip: Positive = 0.01

    def wrap(self, net: Net) -> Net:
        refuse_unbounded(net)
        return net

    @torch.no_grad()
    def after_step(self, parameters: Tree, buffers: Tree) -> None:
        for weight in parameters.values():
            weight.clamp_(-self.clip, self.clip)


@dataclass(frozen=True)
class WassersteinGP(Wasserstein):
    """WGAN-GP (Gulrajani et al. 2017): `weight E (||grad f|| - 1)²` between real and fake; no batch norm in f."""

    repeat: Times = 5
    weight: NotNegative = 10.0

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        return self.weight * (slope_between(net, real, fake, mix) - 1).square().mean()


@dataclass(frozen=True)
class WassersteinLP(Wasserstein):
    """WGAN-LP (Petzka et al. 2018): `weight E max(0, ||grad f|| - 1)²`: gentle slopes are no fault."""

    repeat: Times = 5
    weight: NotNegative = 10.0

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        return self.weight * (slope_between(net, real, fake, mix) - 1).relu().square().mean()


@dataclass(frozen=True)
class FrobeniusNorm(Wasserstein):
    """The lecture's simpler normalisation: every weight over its Frobenius norm, `W / ||W||_F`.

    `||W||_2 ≤ ||W||_F ≤ √rank ||W||_2` (erratum L16), so layers are 1-Lipschitz, and flatter than they need be.
    """

    repeat: Times = 5

    def wrap(self, net: Net) -> Net:
        return _parametrised(net, UnitFrobenius)


@dataclass(frozen=True)
class SpectralNorm(Critic):
    """SN-GAN (Miyato et al. 2018): every weight over its largest singular value, `W / σ`, `σ = uᵀ W v`.

    u and v are buffers, held while losses are taken, that make one power iteration after each step of D: `v ← Wᵀu`,
    `u ← W v`, each at length 1 (errata L19-L21). `loss`: as `NonSaturating`, or *hinge*: D minimises
    `E max(0, 1 - D(real)) + E max(0, 1 + D(fake))` and G `-E D(G)`.
    """

    repeat: Times = 1
    loss: Literal["non-saturating", "hinge"] = "non-saturating"

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.loss == "hinge":
            return (1 - real).relu().mean() + (1 + fake).relu().mean()
        return super().discriminator_loss(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.mean() if self.loss == "hinge" else F.softplus(-fake).mean()

    def wrap(self, net: Net) -> Net:
        return _parametrised(net, UnitSpectral)

    @torch.no_grad()
    def after_step(self, parameters: Tree, buffers: Tree) -> None:
        for name, weight in parameters.items():
            if name.endswith(ORIGINAL):
                at = name.removesuffix("original") + "0."
                power_iteration(weight.flatten(1), buffers[at + "u"], buffers[at + "v"])


def power_iteration(matrix: Tensor, u: Tensor, v: Tensor) -> None:
    """Turn u `(rows,)` and v `(columns,)`, in place, towards the singular vectors of the largest singular value."""
    v.copy_(F.normalize(matrix.T @ u, dim=0))
    u.copy_(F.normalize(matrix @ v, dim=0))


class UnitFrobenius(nn.Module):
    """Parametrisation of a weight by one of Frobenius norm 1."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()

    def forward(self, weight: Tensor) -> Tensor:
        return weight / weight.square().sum().sqrt().clamp_min(1e-12)


class UnitSpectral(nn.Module):
    """Parametrisation of a weight `(out, …)` by one of spectral norm 1, as a matrix `(out, rest)`."""

    u: Tensor
    v: Tensor

    @torch.no_grad()
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.flatten(1)
        for name, size in zip("uv", matrix.shape, strict=True):
            self.register_buffer(name, F.normalize(torch.randn(size).to(matrix), dim=0))
        for _ in range(30):
            power_iteration(matrix, self.u, self.v)

    def forward(self, weight: Tensor) -> Tensor:
        sigma = ((weight.flatten(1) * self.v).sum(1) * self.u).sum()  # products that autocast leaves in float32
        return weight / sigma.clamp_min(1e-12)


def _parametrised(net: Net, by: type[UnitFrobenius] | type[UnitSpectral]) -> Net:
    """`net` with the weights of its linear maps and convolutions parametrised."""
    refuse_unbounded(net)
    for layer in [layer for layer in net.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]:
        parametrize.register_parametrization(layer, "weight", by(layer.weight))
    return net
