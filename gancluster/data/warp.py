"""Random warps of images: small rotations, scalings, shears, shifts and elastic bends, mirrors, then pixel noise.

Photographs, images in colour that may be mirrored, are cropped and changed in colour instead: what they show stays what
it is, but neither all of the picture nor its colours tell it again (Chen et al. 2020). The random numbers are drawn
apart (`draw_warp`) from what is done with them (`warp`), so that a loss stays a pure function; gradients flow through
the warp to the images.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

ROTATION = math.radians(15)
SCALE = 0.15
SHEAR = 0.2
SHIFT = 0.125  # of the side: 2 pixels of 16
ELASTIC = 0.05  # of the side, standard deviation: 0.8 pixels of 16
GRID = 4
CROPPED = 0.75  # of a photograph's area, what a crop of strength 1 leaves out at most
LEAST = 0.05  # of it, what a crop of any strength leaves in
CONTRAST = 0.4
SATURATION = 0.8
GREY = 0.2  # share of photographs that lose their colours
TINT = 1.0  # what is added to all channels, and to each, of an image's mean absolute deviation


class Warp(NamedTuple):
    """The numbers of one warp a sample, of unit size.

    `affine` `(n, 6)` uniform on [-1, 1]: rotation, scale (2), shear, shift (2). `bend` `(n, 2, 4, 4)` and `noise`
    `(n, *shape)` standard normal. `mirror` `(n,)`: -1 where the image is flipped, else 1. `colour` `(n, 7)` uniform on
    [-1, 1], of photographs, else `(n, 0)`: contrast, saturation, loss of it, tint of all channels and of each. Vectors
    have noise alone.
    """

    affine: Tensor
    bend: Tensor
    mirror: Tensor
    noise: Tensor
    colour: Tensor


def draw_warp(n: int, shape: tuple[int, ...], flips: bool, rng: torch.Generator) -> Warp:
    """Random numbers for warping `n` samples of `shape`; mirrored half of the time where `flips`."""
    device = rng.device
    noise = torch.randn(n, *shape, generator=rng, device=device)
    affine = torch.rand(n, 6, generator=rng, device=device) * 2 - 1
    bend = torch.randn(n, 2, GRID, GRID, generator=rng, device=device)
    mirror = torch.ones(n, device=device)
    if flips:
        mirror = 1 - 2 * (torch.rand(n, generator=rng, device=device) < 0.5).float()
    in_colour = flips and len(shape) == 3 and shape[0] == 3
    colour = torch.rand(n, 7 if in_colour else 0, generator=rng, device=device) * 2 - 1
    return Warp(affine, bend, mirror, noise, colour)


def warp(samples: Tensor, by: Warp, strength: float, noise: float, shift_only: bool = False) -> Tensor:
    """Warp images `(n, c, h, w)`, scaled by `strength`, then add noise of standard deviation `noise`.

    `shift_only` leaves shifts and mirrors, by fractions of a pixel, the border's pixels repeated. At strength 0 nothing
    moves and nothing is mirrored; vectors `(n, d)` only ever get the noise.
    """
    if samples.ndim == 4 and strength > 0:
        if shift_only:
            shifts = by.affine * by.affine.new_tensor([0, 0, 0, 0, 1, 1])
            by = by._replace(affine=shifts, bend=0 * by.bend, colour=by.colour[:, :0])
        photographs = by.colour.shape[1] > 0
        places = _cropped(samples, by, strength) if photographs else _places(samples, by, strength)
        samples = F.grid_sample(samples, places, padding_mode="border", align_corners=False)
        if photographs:
            samples = _coloured(samples, by.colour * strength)
    return samples + noise * by.noise


def _cropped(images: Tensor, by: Warp, strength: float) -> Tensor:
    """Where each output pixel is read, `(n, h, w, 2)`: a part of the image's area, anywhere, the larger the weaker."""
    area = 1 - CROPPED * strength * (1 + by.affine[:, 1]) / 2
    side = area.clamp_min(LEAST).sqrt()[:, None, None]
    right, down = ((1 - side) * by.affine[:, 4:, None, None].movedim(1, 0)).unbind(0)
    across = side * by.mirror[:, None, None] * _centres(images, 3) + right
    along = side * _centres(images, 2)[:, None] + down
    n, _, h, w = images.shape
    return torch.stack([across.expand(n, h, w), along.expand(n, h, w)], 3)


def _coloured(images: Tensor, by: Tensor) -> Tensor:
    """Images `(n, 3, h, w)` with contrast, saturation and tints changed by `(n, 7)` in [-1, 1]."""
    contrast, saturation, loss, tint, *tints = by[:, :, None, None, None].unbind(1)
    mean = images.mean((1, 2, 3), keepdim=True)
    deviation = TINT * (images - mean).abs().mean((1, 2, 3), keepdim=True)
    images = mean + (1 + CONTRAST * contrast) * (images - mean) + tint * deviation
    grey = images.mean(1, keepdim=True)
    kept = (1 + SATURATION * saturation) * (loss <= 1 - 2 * GREY)
    return grey + kept * (images - grey) + deviation * torch.cat(tints, 1)


def _places(images: Tensor, by: Warp, strength: float) -> Tensor:
    """Where each output pixel is read, `(n, h, w, 2)`, from -1 to 1: scaled, sheared, turned, shifted, bent."""
    turn, wide, high, shear, right, down = (by.affine * strength)[:, :, None, None].unbind(1)
    across, along = _centres(images, 3), _centres(images, 2)[:, None]
    along = (1 + SCALE * high) * along
    across = (1 + SCALE * wide) * by.mirror[:, None, None] * across + SHEAR * shear * along
    cos, sin = (ROTATION * turn).cos(), (ROTATION * turn).sin()
    turned = torch.stack(
        [cos * across - sin * along + 2 * SHIFT * right, sin * across + cos * along + 2 * SHIFT * down], 3
    )
    bend = F.interpolate(by.bend, images.shape[2:], mode="bilinear", align_corners=True)
    return turned + 2 * ELASTIC * strength * bend.movedim(1, 3)


def _centres(images: Tensor, dim: int) -> Tensor:
    """Where the centres of the pixels along a dimension lie, from -1 to 1 (the image's edges)."""
    side = images.shape[dim]
    return (2 * torch.arange(side, dtype=images.dtype, device=images.device) + 1) / side - 1
