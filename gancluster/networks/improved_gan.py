"""Improved GAN's networks, its released code's for MNIST: dense layers, for samples of any shape."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from gancluster.networks.blocks import BatchNorm, Chain, GaussianNoise, Numbers, Squash, View, weight_normed
from gancluster.networks.gan_em import scaled

HIDDEN = (1000, 500, 250, 250, 250)


class Discriminator(nn.Module):
    """D: x `(b, *shape)` → logits of the classes `(b, K)`; that of *generated* is always 0.

    Noise .3 on the sample and .5 on every layer, if `numbers` are given. `features=True` gives what the last hidden
    layer makes of x `(b, 250)`, before its noise. Weights of unit length, but for the last layer's, with a learnt one.
    """

    def __init__(self, shape: tuple[int, ...], n_classes: int, width: float) -> None:
        super().__init__()
        size = math.prod(shape)
        layers: list[nn.Module] = [View(size), GaussianNoise(0.3, size)]
        for inputs, outputs in pairwise((size, *scaled(HIDDEN, width))):
            layers += [weight_normed(nn.Linear(inputs, outputs), None), nn.ReLU(), GaussianNoise(0.5, outputs)]
        *body, last = layers
        self.body, self.last = Chain(*body), Chain(last)
        self.top = weight_normed(nn.Linear(outputs, n_classes))

    def forward(self, x: Tensor, numbers: Numbers = (), features: bool = False) -> Tensor:
        hidden: Tensor = self.body(x, numbers=numbers[:-1])
        return hidden if features else self.top(self.last(hidden, numbers=numbers[-1:]))


def generator(shape: tuple[int, ...], noise: int, pixel_range: tuple[float, float], width: float) -> nn.Sequential:
    """G: z `(b, noise)` → x_hat `(b, *shape)`, by two layers of 500; images in `pixel_range`, vectors unbounded."""
    sizes = (noise, *scaled((500, 500), width))
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), BatchNorm(outputs), nn.Softplus()]
    layers += [weight_normed(nn.Linear(sizes[-1], math.prod(shape)), None), View(*shape)]
    return nn.Sequential(*layers, *([Squash(*pixel_range)] if len(shape) == 3 else []))
