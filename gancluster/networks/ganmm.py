"""GANMM's networks: K generators, or K critics, side by side in one whose parts never meet.

Sizes are the released code's: images go through strided convolutions 5x5, in K groups of channels, vectors through a
layer of 64; images below 16x16, which it has none of, through a layer of 256. Critics have no batch norm, so that each
can be bounded. `width` scales channels and features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gancluster.networks.blocks import BatchNorm, Squash, View
from gancluster.networks.gan_em import scaled

MAPS = (64, 128, 256)
OF_VECTORS, OF_SMALL_IMAGES = 64, 256


class Dense(nn.Module):
    """K linear maps, one for each: `(n, K, inputs)` → `(n, K, outputs)`."""

    def __init__(self, k: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(math.sqrt(2 / inputs) * torch.randn(k, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(k, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nki,kio->nko", x, self.weight) + self.bias


def generators(
    k: int, shape: tuple[int, ...], noise: int, pixel_range: tuple[float, float], width: float
) -> nn.Sequential:
    """z `(n, K, noise)` → x_hat `(n, K, *shape)`; images in `pixel_range`, vectors unbounded."""
    squash = [Squash(*pixel_range)] if len(shape) == 3 else []
    if hidden := _hidden(shape, width):
        first, last = Dense(k, noise, hidden), Dense(k, hidden, math.prod(shape))
        return nn.Sequential(first, nn.ReLU(), last, View(k, *shape), *squash)
    maps, sides = [shape[0], *scaled(MAPS, width)], _sides(shape)
    flat = maps[-1] * math.prod(sides[-1])
    layers = [Dense(k, noise, flat), View(k * flat), BatchNorm(k * flat), nn.ReLU(), View(k * maps[-1], *sides[-1])]
    for i in reversed(range(len(MAPS))):
        odd = [to - 2 * side + 1 for to, side in zip(sides[i], sides[i + 1], strict=True)]
        layers.append(_begun(nn.ConvTranspose2d(k * maps[i + 1], k * maps[i], 5, 2, 2, (odd[0], odd[1]), groups=k)))
        layers += [BatchNorm(k * maps[i]), nn.ReLU()] if i else squash
    return nn.Sequential(*layers, View(k, *shape))


def critics(k: int, shape: tuple[int, ...], width: float) -> nn.Sequential:
    """x `(n, K, *shape)` → scores `(n, K)`."""
    leaky = nn.LeakyReLU(0.2)
    if hidden := _hidden(shape, width):
        size = math.prod(shape)
        return nn.Sequential(View(k, size), Dense(k, size, hidden), leaky, Dense(k, hidden, 1), View(k))
    maps, flat = [shape[0], *scaled(MAPS, width)], scaled(MAPS, width)[-1] * math.prod(_sides(shape)[-1])
    layers: list[nn.Module] = [View(k * shape[0], *shape[1:])]
    for i in range(len(MAPS)):
        layers += [_begun(nn.Conv2d(k * maps[i], k * maps[i + 1], 5, 2, 2, groups=k)), leaky]
    return nn.Sequential(*layers, View(k, flat), Dense(k, flat, 1), View(k))


def classifier(k: int, shape: tuple[int, ...], width: float) -> nn.Sequential:
    """x `(b, *shape)` → logits `(b, K)`: two convolutions, or a hidden layer, and a dense layer."""
    if hidden := _hidden(shape, width):
        size = math.prod(shape)
        return nn.Sequential(View(size), _begun(nn.Linear(size, hidden)), nn.ReLU(), _begun(nn.Linear(hidden, k)))
    maps, flat = scaled(MAPS, width), scaled(MAPS, width)[1] * math.prod(_sides(shape)[2])
    first, second = _begun(nn.Conv2d(shape[0], maps[0], 5, 2, 2)), _begun(nn.Conv2d(maps[0], maps[1], 5, 2, 2))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), View(flat), _begun(nn.Linear(flat, k)))


def _hidden(shape: tuple[int, ...], width: float) -> int:
    """Units of the hidden layer; 0 for images that go through convolutions."""
    if len(shape) == 3 and min(shape[1:]) >= 16:
        return 0
    return scaled([OF_VECTORS if len(shape) == 1 else OF_SMALL_IMAGES], width)[0]


def _sides(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The image's sides and those after each strided convolution: half of them, rounded up."""
    found = [(shape[1], shape[2])]
    for _ in MAPS:
        found.append(((found[-1][0] + 1) // 2, (found[-1][1] + 1) // 2))
    return found


def _begun(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """`layer` with weights N(0, 2 / inputs) (He et al. 2015) and biases 0."""
    nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
