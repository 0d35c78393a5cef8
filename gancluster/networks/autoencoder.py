"""The auto-encoder that deep clustering starts from (DEC's sizes, Xie et al. 2016), and a discriminator of its latents.

A sample goes 500-500-2000 to its latent, and 2000-500-500 back. `width` scales all but the latent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from gancluster.networks.blocks import Squash, View
from gancluster.networks.gan_em import scaled

ENCODER = (500, 500, 2000)  # DEC's; also VaDE's, IDEC's, and AAE's in DCAN's table
DISCRIMINATOR = (256, 256)  # ours: the slides name none


def encoder(shape: tuple[int, ...], size: int = 10, width: float = 1.0) -> nn.Sequential:
    """x `(b, *shape)` → latent z `(b, size)`, unbounded; ReLU between layers."""
    inputs = math.prod(shape)
    return nn.Sequential(View(inputs), *dense((inputs, *scaled(ENCODER, width), size), nn.ReLU()))


class Sphere(nn.Module):
    """Latents `(b, d)` → the nearest ones of length √d, whose values are of size 1 as a standard normal's are."""

    def forward(self, z: Tensor) -> Tensor:
        return math.sqrt(z.shape[1]) * F.normalize(z, dim=1)


def decoder(
    shape: tuple[int, ...], size: int = 10, pixel_range: tuple[float, float] = (0.0, 1.0), width: float = 1.0
) -> nn.Sequential:
    """z `(b, size)` → x_hat `(b, *shape)`, the encoder's mirror; images in `pixel_range`, vectors unbounded."""
    layers = dense((size, *reversed(scaled(ENCODER, width)), math.prod(shape)), nn.ReLU())
    return nn.Sequential(*layers, View(*shape), *([Squash(*pixel_range)] if len(shape) == 3 else []))


def latent_discriminator(size: int, width: float = 1.0) -> nn.Sequential:
    """D: z `(b, size)` → logit or score `(b,)`; leaky ReLU .2, and no batch norm, so that every critic can bound it."""
    layers = dense((size, *scaled(DISCRIMINATOR, width), 1), nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, View())


def dense(sizes: Sequence[int], between: nn.Module) -> list[nn.Module]:
    """Linear maps through `sizes`, with the nonlinearity `between` them but not after the last.

    Weights N(0, 2 / inputs), biases 0 (He et al. 2015): eight such layers pass a signal on undiminished.
    """
    layers: list[nn.Module] = []
    for fewer, more in pairwise(sizes):
        linear = nn.Linear(fewer, more)
        nn.init.kaiming_normal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, between]
    return layers[:-1]
