"""DEPICT's auto-encoder: every layer's output is told, and the first layers' inputs lose some of their values.

Images go through two strided convolutions (the released code's kernels) and a dense layer; vectors, which the paper has
none of, through dense layers of 500. `width` scales all but the latent.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from gancluster.errors import UserError
from gancluster.networks.blocks import Chain, Dropout, Numbers, Squash, View
from gancluster.networks.gan_em import scaled

MAPS, KERNELS, PADDINGS = 50, (4, 5), (0, 2)  # released for MNIST and USPS: sides 28 → 13 → 7, 16 → 7 → 4
HIDDEN = 500
DROPPED = 0.1
LEAK = 0.01


class Encoder(nn.Module):
    """x `(b, *shape)` → latent z `(b, size)` in (-1, 1).

    `every=True`: what each layer makes of x, the last being z. `numbers`: the masks of one noisy pass, else none.
    """

    def __init__(self, shape: tuple[int, ...], size: int, width: float) -> None:
        super().__init__()
        (first, *rest), flat = _shapes(shape, width), math.prod(_shapes(shape, width)[-1])
        self.layers = nn.ModuleList(
            [
                Chain(Dropout(DROPPED, *shape), _down(shape, first, 0), nn.LeakyReLU(LEAK)),
                Chain(Dropout(DROPPED, *first), _down(first, rest[0], 1), nn.LeakyReLU(LEAK)),
                Chain(View(flat), nn.Linear(flat, size), nn.Tanh()),
            ]
        )

    def forward(self, x: Tensor, numbers: Numbers = (), every: bool = False) -> Tensor | tuple[Tensor, ...]:
        outputs = []
        for i, layer in enumerate(self.layers):
            x = layer(x, numbers=numbers[i : i + 1])
            outputs.append(x)
        return tuple(outputs) if every else x


class Decoder(nn.Module):
    """z `(b, size)` → x_hat `(b, *shape)`, the encoder's mirror; images in `pixel_range`, vectors unbounded.

    `every=True`: what stands for each of the encoder's layers, in their order, after x_hat.
    """

    def __init__(self, shape: tuple[int, ...], size: int, pixel_range: tuple[float, float], width: float) -> None:
        super().__init__()
        first, second = _shapes(shape, width)
        flat = math.prod(second)
        end = [Squash(*pixel_range)] if len(shape) == 3 else []
        self.layers = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(size, flat), nn.LeakyReLU(LEAK), View(*second)),
                nn.Sequential(_up(second, first, 1), nn.LeakyReLU(LEAK)),
                nn.Sequential(_up(first, shape, 0), *end),
            ]
        )

    def forward(self, z: Tensor, every: bool = False) -> Tensor | tuple[Tensor, ...]:
        outputs = []
        for layer in self.layers:
            z = layer(z)
            outputs.append(z)
        return tuple(reversed(outputs)) if every else z


def _shapes(shape: tuple[int, ...], width: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of the two hidden layers; `UserError` for images that are too small for them."""
    if len(shape) == 1:
        hidden = scaled([HIDDEN], width)[0]
        return (hidden,), (hidden,)
    if min(shape[1:]) < KERNELS[0]:
        raise UserError(f"DEPICT's networks need images of 4x4 pixels or more, not {shape[1]}x{shape[2]}")
    maps, sides, found = scaled([MAPS], width)[0], shape[1:], []
    for kernel, padding in zip(KERNELS, PADDINGS, strict=True):
        sides = tuple((side + 2 * padding - kernel) // 2 + 1 for side in sides)
        found.append((maps, *sides))
    return found[0], found[1]


def _down(inputs: tuple[int, ...], outputs: tuple[int, ...], place: int) -> nn.Module:
    if len(inputs) == 1:
        return nn.Linear(inputs[0], outputs[0])
    return nn.Conv2d(inputs[0], outputs[0], KERNELS[place], 2, PADDINGS[place])


def _up(inputs: tuple[int, ...], outputs: tuple[int, ...], place: int) -> nn.Module:
    """The transposed layer: what is missing of the outputs' sides, where strides do not come out even, is added."""
    if len(inputs) == 1:
        return nn.Linear(inputs[0], outputs[0])
    kernel, padding = KERNELS[place], PADDINGS[place]
    missing = [to - ((side - 1) * 2 - 2 * padding + kernel) for side, to in zip(inputs[1:], outputs[1:], strict=True)]
    return nn.ConvTranspose2d(inputs[0], outputs[0], kernel, 2, padding, (missing[0], missing[1]))
