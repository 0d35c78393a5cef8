"""Small networks that train ClusterGAN in minutes on a processor, for images of any side from 4 up and for vectors.

An image goes through two strided convolutions, a vector through one dense layer; the rest is the same. No layer is
noisy: a pass takes no random numbers.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from gancluster.errors import UserError
from gancluster.networks.blocks import BatchNorm, Chain, Numbers, Squash, View
from gancluster.networks.players import Clusterer, Generator, Players

CHANNELS = 16  # of the first convolution; twice as many in the second
HIDDEN = 256  # features of C and D; twice as many in G


def players(shape: tuple[int, ...], code: int, n_clusters: int, pixel_range: tuple[float, float]) -> Players:
    """C, G and D for samples of `shape` and codes of length `code`."""
    if len(shape) == 3 and min(shape[1:]) < 4:
        raise UserError(f"compact networks need images of 4x4 pixels or more, not {shape[1]}x{shape[2]}")
    return Players(clusterer(shape, code), generator(shape, code, pixel_range), Discriminator(shape, code, n_clusters))


def clusterer(shape: tuple[int, ...], code: int) -> Clusterer:
    """C: two convolutions (or a dense layer) and a dense layer, each with batch norm and leaky ReLU .1."""
    leaky = nn.LeakyReLU(0.1)
    if len(shape) == 3:
        first, second, flat = CHANNELS, 2 * CHANNELS, _flat(shape)
        stem = [nn.Conv2d(shape[0], first, 4, 2, 1), BatchNorm(first), leaky]
        stem += [nn.Conv2d(first, second, 4, 2, 1), BatchNorm(second), leaky, View(flat)]
    else:
        flat = 2 * HIDDEN
        stem = [nn.Linear(shape[0], flat), BatchNorm(flat), leaky]
    body = Chain(*stem, nn.Linear(flat, HIDDEN), BatchNorm(HIDDEN), leaky)
    return Clusterer(body, HIDDEN, nn.Linear(HIDDEN, code))


def generator(shape: tuple[int, ...], code: int, pixel_range: tuple[float, float]) -> Generator:
    """G: three dense layers, ReLU with batch norm between; images in `pixel_range`, vectors unbounded."""
    wide = 2 * HIDDEN
    layers = [nn.Linear(code, wide), BatchNorm(wide), nn.ReLU()]
    layers += [nn.Linear(wide, wide), BatchNorm(wide), nn.ReLU()]
    layers += [nn.Linear(wide, math.prod(shape)), View(*shape)]
    return Generator(Chain(*layers, *[Squash(*pixel_range)] * (len(shape) == 3)))


class Discriminator(nn.Module):
    """D: (z `(b, m)`, x `(b, *shape)`) → logit `(b,)`, by projection (Miyato & Koyama 2018).

    `<phi(x), W (z - 1/K)> / 4 + v phi(x) + g(z)`: the product asks whether code and sample belong together. No batch
    norm, so that one sample's logit, and its gradient, is its own.
    """

    def __init__(self, shape: tuple[int, ...], code: int, n_clusters: int) -> None:
        super().__init__()
        self.resting = 1 / n_clusters
        leaky = nn.LeakyReLU(0.2)
        if len(shape) == 3:
            first, second, flat = CHANNELS, 2 * CHANNELS, _flat(shape)
            stem = [nn.Conv2d(shape[0], first, 4, 2, 1), leaky, nn.Conv2d(first, second, 4, 2, 1), leaky, View(flat)]
        else:
            flat = 2 * HIDDEN
            stem = [nn.Linear(shape[0], flat), leaky]
        self.phi = Chain(*stem, nn.Linear(flat, HIDDEN), leaky)
        self.project = nn.Linear(code, HIDDEN, bias=False)
        self.of_sample = nn.Linear(HIDDEN, 1)
        self.of_code = nn.Sequential(nn.Linear(code, 128), leaky, nn.Linear(128, 1))

    def forward(self, z: Tensor, x: Tensor, numbers: Numbers = ()) -> Tensor:
        phi = self.phi(x, numbers=numbers)
        match = (phi * self.project(z - self.resting)).sum(1) / 4
        logit: Tensor = match + self.of_sample(phi)[:, 0] + self.of_code(z)[:, 0]
        return logit


def _flat(shape: tuple[int, ...]) -> int:
    """Features after two convolutions of stride 2."""
    return 2 * CHANNELS * (shape[1] // 4) * (shape[2] // 4)
