"""Small networks that train ClusterGAN in minutes on a processor: images of any side divisible by 4, and vectors.

An image goes through two strided convolutions, a vector through one dense layer; the rest is the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gancluster.networks.blocks import BatchNorm, View


class Clusterer(nn.Module):
    """C: x `(b, *shape)` → code `(b, m)` in (0, 1). `features=True` gives the hidden layer before it `(b, hidden)`."""

    def __init__(self, shape: tuple[int, ...], code: int, channels: int = 16, hidden: int = 256) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(0.1)
        if len(shape) == 3:
            first, second, flat = channels, 2 * channels, 2 * channels * _quarter(shape)
            stem = [nn.Conv2d(shape[0], first, 4, 2, 1), BatchNorm(first), leaky]
            stem += [nn.Conv2d(first, second, 4, 2, 1), BatchNorm(second), leaky, View(flat)]
        else:
            flat = 2 * hidden
            stem = [nn.Linear(shape[0], flat), BatchNorm(flat), leaky]
        self.n_features = hidden
        self.body = nn.Sequential(*stem, nn.Linear(flat, hidden), BatchNorm(hidden), leaky)
        self.top = nn.Linear(hidden, code)

    def forward(self, x: Tensor, features: bool = False) -> Tensor:
        hidden: Tensor = self.body(x)
        return hidden if features else torch.sigmoid(self.top(hidden))


class Generator(nn.Module):
    """G: code `(b, m)` → x_hat `(b, *shape)`; images in `pixel_range`, vectors unbounded."""

    def __init__(
        self, shape: tuple[int, ...], code: int, pixel_range: tuple[float, float] = (0.0, 1.0), hidden: int = 512
    ) -> None:
        super().__init__()
        self.low, self.high = pixel_range
        self.is_images = len(shape) == 3
        layers = [nn.Linear(code, hidden), BatchNorm(hidden), nn.ReLU()]
        layers += [nn.Linear(hidden, hidden), BatchNorm(hidden), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Linear(hidden, math.prod(shape)), View(*shape))

    def forward(self, code: Tensor) -> Tensor:
        x: Tensor = self.body(code)
        return self.low + (self.high - self.low) * torch.sigmoid(x) if self.is_images else x


class Discriminator(nn.Module):
    """D: (z `(b, m)`, x `(b, *shape)`) → logit `(b,)`, by projection (Miyato & Koyama 2018).

    `<phi(x), W (z - 1/K)> / 4 + v phi(x) + g(z)`: the product asks whether code and sample belong together. No batch
    norm, so that one sample's logit, and its gradient, is its own.
    """

    def __init__(
        self, shape: tuple[int, ...], code: int, n_clusters: int, channels: int = 16, hidden: int = 256
    ) -> None:
        super().__init__()
        self.resting = 1 / n_clusters
        leaky = nn.LeakyReLU(0.2)
        if len(shape) == 3:
            first, second, flat = channels, 2 * channels, 2 * channels * _quarter(shape)
            stem = [nn.Conv2d(shape[0], first, 4, 2, 1), leaky, nn.Conv2d(first, second, 4, 2, 1), leaky, View(flat)]
        else:
            flat = 2 * hidden
            stem = [nn.Linear(shape[0], flat), leaky]
        self.phi = nn.Sequential(*stem, nn.Linear(flat, hidden), leaky)
        self.project = nn.Linear(code, hidden, bias=False)
        self.of_sample = nn.Linear(hidden, 1)
        self.of_code = nn.Sequential(nn.Linear(code, 128), leaky, nn.Linear(128, 1))

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        phi = self.phi(x)
        match = (phi * self.project(z - self.resting)).sum(1) / 4
        logit: Tensor = match + self.of_sample(phi)[:, 0] + self.of_code(z)[:, 0]
        return logit


def _quarter(shape: tuple[int, ...]) -> int:
    """Pixels left after two convolutions of stride 2."""
    return (shape[1] // 4) * (shape[2] // 4)
