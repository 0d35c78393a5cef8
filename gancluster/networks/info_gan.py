"""InfoGAN's networks (its released code's for MNIST) by the side of images; dense ones for vectors and small images.

The recogniser Q is a trunk and a head of its own; D's head reads the same trunk. Strided 4x4 convolutions lead down,
transposed ones up. `width` scales every number of channels and features but that of Q's head.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, NamedTuple

from torch import Tensor, nn

from gancluster.errors import UserError
from gancluster.networks.blocks import BatchNorm, Squash, View
from gancluster.networks.gan_em import initialised, scaled

Norm = Literal["batch", "none"]
HEAD = 128  # units of Q's head


class Plan(NamedTuple):
    """Sizes: `down`, channels of the trunk's convolutions, `hidden`, features after them; `dense` and `up`, G's."""

    down: tuple[int, ...]
    hidden: tuple[int, ...]
    dense: tuple[int, ...]
    up: tuple[int, ...]


GREY = Plan((64, 128), (1024,), (1024,), (128, 64))  # the released code's, for MNIST
COLOUR = Plan((64, 128, 256), (), (), (448, 256, 128, 64))  # ours, for 32x32 and 64x64
DENSE = Plan((), (512, 512, 512), (512, 512, 512), ())  # the plane toys' of the WGAN-GP paper, also below 16x16


def plan_for(shape: tuple[int, ...]) -> Plan:
    """The networks' sizes for samples of `shape`; `UserError` where their maps would not come out at its side."""
    if len(shape) == 1 or min(shape[1:]) < 16:
        return DENSE
    plan = GREY if shape[0] == 1 else COLOUR
    step = 2 ** len(plan.up)
    if any(side % step for side in shape[1:]):
        raise UserError(f"InfoGAN's networks need images with sides divisible by {step}, not {shape[1]}x{shape[2]}")
    return plan


class Reading(NamedTuple):
    """All that Q and D's head make of samples: the trunk's features `(b, f)`, logits `(b, K)`, means `(b, m)`."""

    trunk: Tensor
    logits: Tensor
    means: Tensor


class Recogniser(nn.Module):
    """Q: x `(b, *shape)` → logits of the class `(b, K)`, and means of the continuous codes.

    `features=True` gives what comes before the last layer, `(b, 128)`; `everything=True` a `Reading`. The head has
    batch norm whatever the trunk has: no critic bounds it.
    """

    def __init__(self, trunk: nn.Sequential, n_trunk: int, n_clusters: int, n_codes: int, leak: float) -> None:
        super().__init__()
        self.trunk, self.n_trunk, self.n_features = trunk, n_trunk, HEAD
        self.head = nn.Sequential(nn.Linear(n_trunk, HEAD), BatchNorm(HEAD), nn.LeakyReLU(leak))
        self.top, self.codes = nn.Linear(HEAD, n_clusters), nn.Linear(HEAD, n_codes)

    def forward(self, x: Tensor, features: bool = False, everything: bool = False) -> Tensor | Reading:
        trunk = self.trunk(x)
        hidden: Tensor = self.head(trunk)
        if features:
            return hidden
        logits: Tensor = self.top(hidden)
        return Reading(trunk, logits, self.codes(hidden)) if everything else logits


class Verdict(nn.Module):
    """D's head: the trunk's features `(b, f)` → logit or score `(b,)`."""

    def __init__(self, n_trunk: int) -> None:
        super().__init__()
        self.score = nn.Linear(n_trunk, 1)

    def forward(self, trunk: Tensor) -> Tensor:
        logit: Tensor = self.score(trunk)[:, 0]
        return logit


def trunk(
    shape: tuple[int, ...], norm: Norm = "batch", width: float = 1.0, leak: float = 0.1
) -> tuple[nn.Sequential, int]:
    """x `(b, *shape)` → features `(b, f)`, and f; `norm` spares the first layer."""
    plan, sizes = plan_for(shape), list(shape)
    layers: list[nn.Module] = []

    def add(layer: nn.Module, outputs: int) -> None:
        first = not any(isinstance(before, nn.LeakyReLU) for before in layers)
        layers.extend([layer, *([BatchNorm(outputs)] if norm == "batch" and not first else []), nn.LeakyReLU(leak)])

    for channels in scaled(plan.down, width):
        add(nn.Conv2d(sizes[0], channels, 4, 2, 1), channels)
        sizes = [channels, *(side // 2 for side in sizes[1:])]
    features = math.prod(sizes)
    if len(sizes) == 3:
        layers.append(View(features))
    for more in scaled(plan.hidden, width):
        add(nn.Linear(features, more), more)
        features = more
    return nn.Sequential(*layers), features


def recogniser(
    shape: tuple[int, ...], n_clusters: int, n_codes: int, norm: Norm = "batch", width: float = 1.0, leak: float = 0.1
) -> Recogniser:
    """Q for samples of `shape`; `norm` is the trunk's."""
    return Recogniser(*trunk(shape, norm, width, leak), n_clusters, n_codes, leak)


def generator(shape: tuple[int, ...], code: int, pixel_range: tuple[float, float], width: float = 1.0) -> nn.Sequential:
    """G: class, continuous codes and noise `(b, code)` → x_hat `(b, *shape)`.

    Images in `pixel_range`, with batch norm; vectors unbounded and without, so that a sample depends on its own code.
    """
    plan, is_image = plan_for(shape), len(shape) == 3
    maps = scaled(plan.up, width)
    first = [maps[0], *(side // 2 ** len(maps) for side in shape[1:])] if maps else []
    layers: list[nn.Module] = []
    sizes = [code, *scaled(plan.dense, width), *([math.prod(first)] if maps else [])]
    for fewer, more in pairwise(sizes):
        layers += [nn.Linear(fewer, more), *([BatchNorm(more)] if is_image else []), nn.ReLU()]
    if not maps:
        layers += [nn.Linear(sizes[-1], math.prod(shape)), View(*shape)]
        return nn.Sequential(*layers, *([Squash(*pixel_range)] if is_image else []))
    layers.append(View(*first))
    for fewer, more in pairwise(maps):
        layers += [nn.ConvTranspose2d(fewer, more, 4, 2, 1), BatchNorm(more), nn.ReLU()]
    layers += [nn.ConvTranspose2d(maps[-1], shape[0], 4, 2, 1), Squash(*pixel_range)]
    return initialised(nn.Sequential(*layers), width)
