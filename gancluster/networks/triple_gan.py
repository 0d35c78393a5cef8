"""Triple-GAN's networks (Li et al. 2017), which ClusterGAN's paper builds on, with a code in the place of the label.

    vectors             *digits* with dense layers in C and an unbounded G
    sides 4 to 31       *digits*: the MNIST networks; below 16 pixels C's convolutions keep the size of their maps
    sides 32 to 64      *photographs*: the CIFAR-10 networks, G starting from an eighth of the side
    sides 80 to 128     *photographs* at half the side: C and D average 2x2 pixels, G repeats each pixel

A layer is linear map, normalisation, nonlinearity. `z` joins the input of every layer of D, and of all but G's first,
which sees nothing else. Layers and sizes are those of the authors' code; vectors, sides other than 28 and 32, and no
whitening above 32x32 (a matrix of 6912x6912 at 48x48) are ours.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from gancluster.errors import UserError
from gancluster.networks.blocks import (
    ZCA,
    BatchNorm,
    Chain,
    Conditioned,
    Dropout,
    GaussianNoise,
    SpaceMean,
    Squash,
    View,
    weight_normed,
)
from gancluster.networks.players import Clusterer, Discriminator, Generator, Players

WHITENED = 3 * 32 * 32  # values of an image, at most, that C whitens


def players(shape: tuple[int, ...], code: int, n_clusters: int, pixel_range: tuple[float, float]) -> Players:
    """C, G and D for samples of `shape` and codes of length `code`; `n_clusters` changes nothing here."""
    if len(shape) == 1:
        return Players(vector_clusterer(shape[0], code), dense_generator(shape, code), dense_discriminator(shape, code))
    if 4 <= min(shape[1:]) < 32:
        return Players(
            digit_clusterer(shape, code),
            dense_generator(shape, code, Squash(*pixel_range)),
            dense_discriminator(shape, code),
        )
    if all(side % (16 if _halved(shape) else 8) == 0 and side <= 128 for side in shape[1:]):
        return Players(
            photograph_clusterer(shape, code),
            photograph_generator(shape, code, pixel_range),
            photograph_discriminator(shape, code),
        )
    raise UserError(
        f"triple-gan networks take image sides of 4 to 31, multiples of 8 to 64, and multiples of 16 to 128, not "
        f"{shape[1]}x{shape[2]}: use --networks compact"
    )


# Vectors and digits ---------------------------------------------------------------------------------------------------


def dense_generator(shape: tuple[int, ...], code: int, *squash: nn.Module) -> Generator:
    """code → 500 → 500 → sample, softplus and batch norm between; unit weights at the end."""
    last = weight_normed(_normal(nn.Linear(500 + code, math.prod(shape))), None)
    return Generator(
        Chain(
            *(_normal(nn.Linear(code, 500)), BatchNorm(500), nn.Softplus()),
            *(Conditioned(_normal(nn.Linear(500 + code, 500))), BatchNorm(500), nn.Softplus()),
            *(Conditioned(last), View(*shape), *squash),
        )
    )


def dense_discriminator(shape: tuple[int, ...], code: int) -> Discriminator:
    """sample → 1000 → 500 → 250 → 250 → 250 → 1 with unit weights; noise .3 on the sample and .5 on every layer."""
    size = math.prod(shape)
    layers: list[nn.Module] = [View(size), GaussianNoise(0.3, size)]
    for inputs, outputs in pairwise((size, 1000, 500, 250, 250, 250)):
        layers += [Conditioned(weight_normed(nn.Linear(inputs + code, outputs), None)), nn.ReLU()]
        layers += [GaussianNoise(0.5, outputs)]
    return Discriminator(Chain(*layers, Conditioned(weight_normed(nn.Linear(250 + code, 1), None))))


def vector_clusterer(size: int, code: int) -> Clusterer:
    """sample → 1000 → 500 → 250 → code, dropout .5 between."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((size, 1000, 500)):
        layers += [nn.Linear(inputs, outputs), BatchNorm(outputs), nn.ReLU(), Dropout(0.5, outputs)]
    body = Chain(*layers, nn.Linear(500, 250), BatchNorm(250), nn.ReLU())
    return Clusterer(body, 250, _normal(nn.Linear(250, code), 0.01))


def digit_clusterer(shape: tuple[int, ...], code: int) -> Clusterer:
    """Five convolutions (32, 64, 64, 128, 128), two poolings with dropout .5, and a mean over space.

    Maps of 28x28: 24-12-12-10-5-5-5; of 16x16: 12-6-6-4-2-2-2; of 8x8, where none shrinks: 8-4-4-4-2-2-2.
    """
    channels, small = shape[0], min(shape[1:]) < 16
    five, three = ("same", "same") if small else ("valid", "valid")
    pooled = [(side if small else side - 4) // 2 for side in shape[1:]]
    again = [(side if small else side - 2) // 2 for side in pooled]
    body = Chain(
        *_digit_layer(channels, 32, 5, five),
        *(nn.MaxPool2d(2), Dropout(0.5, 32, *pooled)),
        *_digit_layer(32, 64, 3, "same"),
        *_digit_layer(64, 64, 3, three),
        *(nn.MaxPool2d(2), Dropout(0.5, 64, *again)),
        *_digit_layer(64, 128, 3, "same"),
        *_digit_layer(128, 128, 3, "same"),
        SpaceMean(),
    )
    return Clusterer(body, 128, _normal(nn.Linear(128, code), 0.01))


def _digit_layer(inputs: int, outputs: int, kernel: int, padding: str) -> list[nn.Module]:
    return [_normal(nn.Conv2d(inputs, outputs, kernel, padding=padding)), BatchNorm(outputs), nn.ReLU()]


# Photographs ----------------------------------------------------------------------------------------------------------


def photograph_generator(shape: tuple[int, ...], code: int, pixel_range: tuple[float, float]) -> Generator:
    """Three transposed convolutions (256, 128, channels) from maps of an eighth of the side; maps 4-8-16-32."""
    channels, *sides = shape
    low, rows, columns = 512, *[side // (16 if _halved(shape) else 8) for side in sides]
    last = weight_normed(_upwards(128 + code, channels), 0.1)
    return Generator(
        Chain(
            *(_normal(nn.Linear(code, low * rows * columns)), BatchNorm(low * rows * columns), nn.ReLU()),
            View(low, rows, columns),
            *(Conditioned(_upwards(low + code, 256)), BatchNorm(256), nn.ReLU()),
            *(Conditioned(_upwards(256 + code, 128)), BatchNorm(128), nn.ReLU()),
            *(Conditioned(last), Squash(*pixel_range)),
            *[nn.Upsample(scale_factor=2)] * _halved(shape),
        )
    )


def _upwards(inputs: int, outputs: int) -> nn.Module:
    """A transposed convolution that doubles the side."""
    return _normal(nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1))


def photograph_discriminator(shape: tuple[int, ...], code: int) -> Discriminator:
    """Six convolutions (32, 32, 64, 64, 128, 128) with unit weights, no batch norm, leaky ReLU .2 and dropout .2.

    Maps of 32x32: 32-16-16-8-6-4, then a mean over space.
    """
    halved = _halved(shape)
    channels, rows, columns = shape[0], *[side // (1 + halved) for side in shape[1:]]
    layers: list[nn.Module] = [nn.AvgPool2d(2)] * halved
    for inputs, outputs, shrink in ((channels, 32, 1), (32, 64, 2)):
        layers += [Dropout(0.2, inputs, rows // shrink, columns // shrink)]
        for wide, stride in ((inputs, 1), (outputs, 2)):
            layers += [Conditioned(weight_normed(nn.Conv2d(wide + code, outputs, 3, stride, 1), None))]
            layers += [nn.LeakyReLU(0.2)]
    layers += [Dropout(0.2, 64, rows // 4, columns // 4)]
    for wide in (64, 128):
        layers += [Conditioned(weight_normed(nn.Conv2d(wide + code, 128, 3), None)), nn.LeakyReLU(0.2)]
    return Discriminator(Chain(*layers, SpaceMean(), Conditioned(weight_normed(nn.Linear(128 + code, 1)))))


def photograph_clusterer(shape: tuple[int, ...], code: int) -> Clusterer:
    """Nine convolutions (3 of 128, 3 of 256, then 512, 256, 128), two poolings with dropout .5, a mean over space.

    Normalised weights, batch norm of the mean alone, leaky ReLU .1, on a whitened input with noise .15. Maps of 32x32:
    32-16-8-6-6-6.
    """
    halved = _halved(shape)
    channels, rows, columns = shape[0], *[side // (1 + halved) for side in shape[1:]]
    values = channels * rows * columns
    layers: list[nn.Module] = [nn.AvgPool2d(2)] * halved
    layers += [ZCA((channels, rows, columns))] * (values <= WHITENED) + [GaussianNoise(0.15, channels, rows, columns)]
    for inputs, outputs, shrink in ((channels, 128, 2), (128, 256, 4)):
        for wide in (inputs, outputs, outputs):
            layers += _photograph_layer(wide, outputs, 3, "same")
        layers += [nn.MaxPool2d(2), Dropout(0.5, outputs, rows // shrink, columns // shrink)]
    layers += _photograph_layer(256, 512, 3, "valid") + _photograph_layer(512, 256, 1) + _photograph_layer(256, 128, 1)
    return Clusterer(Chain(*layers, SpaceMean()), 128, weight_normed(nn.Linear(128, code)))


def _photograph_layer(inputs: int, outputs: int, kernel: int, padding: str = "valid") -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    return [weight_normed(layer), BatchNorm(outputs, centre_only=True), nn.LeakyReLU(0.1)]


def _halved(shape: tuple[int, ...]) -> bool:
    return max(shape[1:]) > 64


def _normal(layer: nn.Module, sd: float = 0.05) -> nn.Module:
    """`layer` with weights from N(0, sd²) and no bias at first."""
    nn.init.normal_(layer.get_parameter("weight"), 0.0, sd)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
