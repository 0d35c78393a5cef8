"""GAN-EM's networks (Tables 4-6 of the paper, and its released code) by the side of images; dense ones for vectors.

Strided 4x4 convolutions lead down, transposed ones lead up: side 28 goes 14-7-3 down and 7-14-28 up. `width` scales
every number of channels and features, so that a quarter of the printed networks trains on a processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancluster.errors import UserError
from gancluster.networks.blocks import BatchNorm, Squash, View

Norm = Literal["batch", "affine", "none"]
N = TypeVar("N", bound=nn.Module)


class Plan(NamedTuple):
    """Sizes for one kind of sample.

    `down`: channels of D's and E's convolutions, `hidden`: features of the dense layer after them. `dense`: features of
    G's first layers, `up`: channels of its maps, but for the last, the sample itself.
    """

    down: tuple[int, ...]
    hidden: tuple[int, ...]
    dense: tuple[int, ...]
    up: tuple[int, ...]


GREY = Plan((64, 128, 256), (1024,), (1024,), (128, 64))  # the released code's, for MNIST
COLOUR = Plan((64, 128, 256), (1024,), (), (128, 64, 32))  # Table 5, for SVHN
FACES = Plan((128, 256, 512, 1024), (3,), (), (1024, 512, 256, 128))  # Table 6, its strides mended (erratum G15)
SHARPNESS = 10.0  # of the nearest place among those on the circle: ten neighbours' logits are 2 apart
DENSE = Plan((), (1024, 1024), (1024, 1024), ())  # ours, for vectors and for images below 16x16


def plan_for(shape: tuple[int, ...]) -> Plan:
    """The networks' sizes for samples of `shape`; `UserError` where their maps would not come out at its side."""
    if len(shape) == 1 or min(shape[1:]) < 16:
        return DENSE
    plan = FACES if shape[1] >= 64 else GREY if shape[0] == 1 else COLOUR
    step = 2 ** len(plan.up)
    if any(side % step for side in shape[1:]):
        raise UserError(f"GAN-EM's networks need images with sides divisible by {step}, not {shape[1]}x{shape[2]}")
    return plan


class Affine(nn.Module):
    """A scale and a shift for every channel of `(b, features, …)`: batch norm frozen at mean 0 and variance 1."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        per_channel = (1, -1, *[1] * (x.ndim - 2))
        return x * self.weight.view(per_channel) + self.bias.view(per_channel)


class Classifier(nn.Module):
    """D and E: x `(b, *shape)` → raw logits `(b, outputs)`.

    `features=True` gives what the body makes of x, `narrow=True` what the last layer is given: the same, unless there
    is a bottleneck between them.
    """

    def __init__(self, body: nn.Sequential, n_features: int, outputs: int, bottleneck: int | None) -> None:
        super().__init__()
        self.body, self.n_features = body, n_features
        self.bottleneck = nn.Identity() if bottleneck is None else nn.Linear(n_features, bottleneck)
        self.top = nn.Linear(bottleneck or n_features, outputs)

    def forward(self, x: Tensor, features: bool = False, narrow: bool = False) -> Tensor:
        hidden: Tensor = self.body(x)
        if features:
            return hidden
        hidden = self.bottleneck(hidden)
        return hidden if narrow else self.top(hidden)

    @torch.no_grad()
    def places(self) -> Tensor:
        """A place in the bottleneck for each cluster, `(outputs, units)`; the last layer asks which is nearest.

        They are on a line, on a circle, or each on an axis of its own where there are enough.
        """
        k, units = self.top.weight.shape
        places, angles = torch.eye(k, units), torch.arange(k) * 2 * math.pi / k
        if units < k:
            places = F.pad(torch.stack([angles.cos(), angles.sin()], 1), (0, units - 2))
        if units == 1:
            places = torch.linspace(-1, 1, k)[:, None]
        self.top.weight.copy_(SHARPNESS * places)
        self.top.bias.copy_(-SHARPNESS / 2 * places.square().sum(1))
        return places


class Prior(nn.Module):
    """phi, the share of each class `(K,)`: places in [0, 1) `(b,)` → classes `(b,)` that are distributed so (Eq. 8)."""

    phi: Tensor

    def __init__(self, n_clusters: int) -> None:
        super().__init__()
        self.register_buffer("phi", torch.full((n_clusters,), 1 / n_clusters))

    def forward(self, places: Tensor) -> Tensor:
        upper = self.phi.double().cumsum(0)[:-1]
        return (places[:, None] >= upper).sum(1)


def classifier(
    shape: tuple[int, ...], outputs: int, norm: Norm = "batch", width: float = 1.0, bottleneck: int | None = None
) -> Classifier:
    """D or E for samples of `shape`; `bottleneck`: units of an extra linear layer before the last (section 5.1)."""
    plan, sizes = plan_for(shape), list(shape)
    layers: list[nn.Module] = []
    for channels in scaled(plan.down, width):
        layers += [nn.Conv2d(sizes[0], channels, 4, 2, 1), *normalised(channels, norm), nn.LeakyReLU(0.2)]
        sizes = [channels, *(side // 2 for side in sizes[1:])]
    features = torch.Size(sizes).numel()
    layers.append(View(features))
    for more in scaled(plan.hidden, width):
        layers += [nn.Linear(features, more), *normalised(more, norm), nn.LeakyReLU(0.2)]
        features = more
    return initialised(Classifier(nn.Sequential(*layers), features, outputs, bottleneck), width)


def generator(shape: tuple[int, ...], code: int, pixel_range: tuple[float, float], width: float = 1.0) -> nn.Sequential:
    """G: class and noise `(b, code)` → x_hat `(b, *shape)`; images in `pixel_range`, vectors unbounded."""
    plan = plan_for(shape)
    sizes = [code, *scaled(plan.dense, width)]
    layers: list[nn.Module] = []
    for fewer, more in pairwise(sizes):
        layers += [nn.Linear(fewer, more), BatchNorm(more), nn.ReLU()]
    squash = [Squash(*pixel_range)] if len(shape) == 3 else []
    if not plan.up:
        layers += [nn.Linear(sizes[-1], torch.Size(shape).numel()), View(*shape), *squash]
        return initialised(nn.Sequential(*layers), width)
    maps = scaled(plan.up, width)
    first = [maps[0], *(side // 2 ** len(maps) for side in shape[1:])]
    units = torch.Size(first).numel()
    layers += [nn.Linear(sizes[-1], units), BatchNorm(units), nn.ReLU(), View(*first)]
    for fewer, more in pairwise(maps):
        layers += [nn.ConvTranspose2d(fewer, more, 4, 2, 1), BatchNorm(more), nn.ReLU()]
    layers += [nn.ConvTranspose2d(maps[-1], shape[0], 4, 2, 1), *squash]
    return initialised(nn.Sequential(*layers), width)


def scaled(sizes: Sequence[int], width: float) -> list[int]:
    """Every size times `width`, but for those below 8, and never below 8."""
    return [max(round(size * width), min(size, 8)) for size in sizes]


def normalised(features: int, norm: Norm) -> list[nn.Module]:
    """The normalisation after a layer: none, batch norm, or the scale and shift that is left when that is frozen."""
    if norm == "none":
        return []
    return [BatchNorm(features) if norm == "batch" else Affine(features)]


def initialised(net: N, width: float) -> N:
    """`net` with weights N(0, .02) and biases 0.

    Layers that narrower ones feed get larger weights, so that signals keep their size; the first is fed as ever.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=0.02 if layer is layers[0] else 0.02 / width**0.5)
        nn.init.zeros_(layer.get_parameter("bias"))
    return net
