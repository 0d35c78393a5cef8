"""Warps of images: what they leave alone, how far they go, and that nothing in them is random."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gancluster.data.warp import GRID, Warp, draw_warp, warp


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(40, 2, 12, 16, generator=rng(5), dtype=torch.float64)


def still(images: Tensor, **changes: Tensor) -> Warp:
    """A warp that does nothing but what `changes` say."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(len(images), *shape, dtype=images.dtype)

    return Warp(zeros(6), zeros(2, GRID, GRID), zeros() + 1, 0 * images, zeros(0))._replace(**changes)


def moved(images: Tensor, place: int, by: float) -> Warp:
    """A warp of one kind: 0 rotation, 1 and 2 scale, 3 shear, 4 and 5 shift."""
    affine = torch.zeros(len(images), 6, dtype=images.dtype)
    affine[:, place] = by
    return still(images, affine=affine)


def test_nothing_moves_at_strength_zero(images: Tensor) -> None:
    drawn = draw_warp(40, (2, 12, 16), True, rng())
    assert torch.equal(warp(images, drawn, strength=0.0, noise=0.0), images)


def test_a_warp_of_nothing_is_the_identity(images: Tensor) -> None:
    assert torch.allclose(warp(images, still(images), strength=1.0, noise=0.0), images, atol=1e-12)


def test_a_mirror_mirrors_left_and_right(images: Tensor) -> None:
    mirrored = warp(images, still(images, mirror=-torch.ones(40, dtype=images.dtype)), strength=1.0, noise=0.0)
    assert torch.allclose(mirrored, images.flip(3), atol=1e-12)


@pytest.mark.parametrize("shift_only", [False, True])
def test_a_whole_shift_is_an_eighth_of_the_side(images: Tensor, shift_only: bool) -> None:
    right = warp(images, moved(images, 4, 1.0), strength=1.0, noise=0.0, shift_only=shift_only)
    assert torch.allclose(right[..., :14], images[..., 2:], atol=1e-12)
    down = warp(images, moved(images, 5, 2 / 3), strength=1.0, noise=0.0, shift_only=shift_only)
    assert torch.allclose(down[:, :, :11], images[:, :, 1:], atol=1e-12)


def test_shift_only_leaves_shifts_and_mirrors(images: Tensor) -> None:
    drawn = draw_warp(40, (2, 12, 16), True, rng())
    drawn = Warp(*(part.double() for part in drawn))
    pure = drawn._replace(affine=drawn.affine * torch.tensor([0, 0, 0, 0, 1, 1]), bend=0 * drawn.bend)
    assert torch.allclose(warp(images, drawn, 0.5, 0.0, shift_only=True), warp(images, pure, 0.5, 0.0))
    assert not torch.allclose(warp(images, drawn, 0.5, 0.0), warp(images, pure, 0.5, 0.0))


@pytest.mark.parametrize("place", range(6))
def test_every_kind_of_movement_moves_and_its_strength_scales_it(images: Tensor, place: int) -> None:
    full, half = (warp(images, moved(images, place, by), strength=1.0, noise=0.0) for by in (1.0, 0.5))
    assert (full - images).abs().mean() > 0.01
    assert torch.allclose(warp(images, moved(images, place, 1.0), strength=0.5, noise=0.0), half, atol=1e-12)


def test_a_turn_keeps_the_middle_and_distances_from_it() -> None:
    dot = torch.zeros(1, 1, 33, 33, dtype=torch.float64)
    dot[0, 0, 16, 28] = 1.0
    turned = warp(dot, moved(dot, 0, 1.0), strength=1.0, noise=0.0)[0, 0]
    down, right = (turned.sum(dim) @ torch.arange(33.0, dtype=torch.float64) / turned.sum() - 16 for dim in (1, 0))
    assert float((down**2 + right**2).sqrt()) == pytest.approx(12, abs=0.5)
    assert float(torch.rad2deg(torch.atan2(-down, right))) == pytest.approx(15, abs=2)


def test_values_stay_within_those_of_the_image(images: Tensor) -> None:
    warped = warp(images, Warp(*(part.double() for part in draw_warp(40, (2, 12, 16), True, rng()))), 1.0, 0.0)
    lowest, highest = images.amin((2, 3)), images.amax((2, 3))
    assert (warped.amin((2, 3)) >= lowest - 1e-12).all()
    assert (warped.amax((2, 3)) <= highest + 1e-12).all()


def test_gradients_reach_every_image_through_the_warp(images: Tensor) -> None:
    drawn = Warp(*(part.double() for part in draw_warp(40, (2, 12, 16), False, rng())))
    gradient = torch.func.grad(lambda images: warp(images, drawn, 1.0, 0.1).sum())(images)
    assert torch.allclose(gradient.sum(), torch.tensor(40.0 * 2 * 12 * 16, dtype=torch.float64))
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


def test_the_same_generator_gives_the_same_warp_and_another_another(images: Tensor) -> None:
    one, same, other = (draw_warp(40, (2, 12, 16), True, rng(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.allclose(warp(images.float(), one, 1.0, 0.1), warp(images.float(), other, 1.0, 0.1))


def test_drawn_numbers_have_the_distributions_they_should() -> None:
    drawn = draw_warp(4000, (1, 4, 4), True, rng())
    assert drawn.affine.abs().max() <= 1
    assert float(drawn.affine.std()) == pytest.approx(3**-0.5, abs=0.01)
    for normal in (drawn.bend, drawn.noise):
        assert float(normal.std()) == pytest.approx(1, abs=0.01)
    assert set(drawn.mirror.tolist()) == {-1.0, 1.0}
    assert float(drawn.mirror.mean()) == pytest.approx(0, abs=0.05)
    assert (draw_warp(100, (1, 4, 4), False, rng()).mirror == 1).all()


@pytest.mark.parametrize("shape", [(7,), (1, 8, 8)])
def test_noise_has_the_standard_deviation_asked_for(shape: tuple[int, ...]) -> None:
    drawn = draw_warp(2000, shape, False, rng())
    noisy = warp(torch.zeros(2000, *shape), drawn, 1.0, 0.3)
    assert float(noisy.std()) == pytest.approx(0.3, abs=0.01)
    assert torch.allclose(warp(torch.ones(2000, *shape), drawn, 1.0, 0.0), torch.ones(2000, *shape), atol=1e-5)


def test_every_image_has_its_own_warp(images: Tensor) -> None:
    same = images[:1].expand(40, -1, -1, -1).float()
    warped = warp(same, draw_warp(40, (2, 12, 16), False, rng()), 1.0, 0.0)
    assert (warped - warped[:1]).flatten(1).abs().mean(1)[1:].min() > 0.01


def test_a_shear_moves_rows_sideways_the_more_the_further_from_the_middle() -> None:
    column = torch.zeros(1, 1, 33, 33, dtype=torch.float64)
    column[..., 16] = 1.0
    sheared = warp(column, moved(column, 3, 1.0), strength=1.0, noise=0.0)[0, 0]
    places = sheared @ torch.arange(33.0, dtype=torch.float64) / sheared.sum(1)
    expected = 16 - 0.2 * (torch.arange(33.0, dtype=torch.float64) - 16)
    assert torch.allclose(places, expected, atol=1e-9)


# Photographs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def photographs() -> Tensor:
    return torch.rand(40, 3, 16, 16, generator=rng(6), dtype=torch.float64)


def seen(images: Tensor, colour: Sequence[float] = (0,) * 7, crop: Sequence[float] = (-1, 0, 0)) -> Tensor:
    """Photographs under one change of colour and one crop: how much is left out, from -1 to 1, and where it lies."""
    affine = torch.tensor([0, crop[0], 0, 0, *crop[1:]], dtype=images.dtype).expand(len(images), -1)
    by = still(images, affine=affine, colour=torch.tensor(colour, dtype=images.dtype).expand(len(images), -1))
    return warp(images, by, strength=1.0, noise=0.0)


def test_images_in_colour_that_may_be_mirrored_are_photographs() -> None:
    of = {shape: draw_warp(5, shape, flips, rng()).colour for shape, flips in [((3, 8, 8), True), ((1, 8, 8), True)]}
    assert [colour.shape for colour in of.values()] == [(5, 7), (5, 0)]
    assert draw_warp(5, (3, 8, 8), False, rng()).colour.shape == (5, 0)


def test_the_whole_of_a_photograph_as_it_is_is_the_identity(photographs: Tensor) -> None:
    assert torch.allclose(seen(photographs), photographs, atol=1e-12)


def test_the_smallest_crop_fills_the_image_with_a_quarter_of_it(photographs: Tensor) -> None:
    quarter = photographs[..., :8, 8:]
    enlarged = F.interpolate(quarter, scale_factor=2, mode="bilinear", align_corners=False)
    inside = slice(1, 15)  # at its own border a crop sees what lies beyond it
    assert torch.allclose(seen(photographs, crop=(1, 1, -1))[..., inside, inside], enlarged[..., inside, inside])


def test_crops_stronger_than_any_image_still_show_a_part_of_it(photographs: Tensor) -> None:
    by = still(photographs, affine=still(photographs).affine + 1, colour=torch.zeros(40, 7, dtype=torch.float64))
    assert bool((warp(photographs, by, strength=3.0, noise=0.0).std((1, 2, 3)) > 0).all())


def test_contrast_and_tints_change_what_they_should(photographs: Tensor) -> None:
    mean = photographs.mean((1, 2, 3), keepdim=True)
    deviation = (photographs - mean).abs().mean((1, 2, 3))
    stark = seen(photographs, (1, 0, 0, 0, 0, 0, 0))
    assert torch.allclose(stark - mean, 1.4 * (photographs - mean))
    light = seen(photographs, (0, 0, 0, 0.5, 0, 0, 0))
    assert torch.allclose(light - photographs, (0.5 * deviation)[:, None, None, None].expand_as(photographs))
    red = seen(photographs, (0, 0, 0, 0, -1, 0, 0)) - photographs
    assert torch.allclose(red[:, 0], -deviation[:, None, None].expand_as(red[:, 0]))
    assert torch.allclose(red[:, 1:], torch.zeros_like(red[:, 1:]), atol=1e-12)


def test_colours_fade_deepen_or_go_and_brightness_stays(photographs: Tensor) -> None:
    grey = photographs.mean(1, keepdim=True)
    deep = seen(photographs, (0, 0.5, 0, 0, 0, 0, 0))
    assert torch.allclose(deep - grey, 1.4 * (photographs - grey))
    assert torch.allclose(seen(photographs, (0, 0, 0.61, 0, 0, 0, 0)), grey.expand_as(photographs))
    assert torch.allclose(seen(photographs, (0, 0, 0.59, 0, 0, 0, 0)), photographs)


def test_shifts_alone_leave_colours_and_the_whole_of_a_photograph(photographs: Tensor) -> None:
    drawn = Warp(*(part.double() for part in draw_warp(40, (3, 16, 16), True, rng())))
    plain = drawn._replace(colour=drawn.colour[:, :0])
    shifted = warp(photographs, drawn, 1.0, 0.0, shift_only=True)
    assert torch.equal(shifted, warp(photographs, plain, 1.0, 0.0, shift_only=True))


def test_a_photograph_of_one_colour_has_a_finite_gradient() -> None:
    drawn = draw_warp(4, (3, 8, 8), True, rng())
    gradient = torch.func.grad(lambda images: warp(images, drawn, 1.0, 0.0).square().sum())(
        torch.full((4, 3, 8, 8), 0.5)
    )
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
