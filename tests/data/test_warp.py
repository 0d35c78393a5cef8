"""Warps of images: what they leave alone, how far they go, and that nothing in them is random."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gancluster.data.warp import GRID, Warp, draw_warp, warp


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(40, 2, 12, 16, generator=rng(5), dtype=torch.float64)


def still(images: Tensor, **changes: Tensor) -> Warp:
    """A warp that does nothing but what `changes` say."""
    n, kind = len(images), {"dtype": images.dtype}
    at_rest = Warp(torch.zeros(n, 6, **kind), torch.zeros(n, 2, GRID, GRID, **kind), torch.ones(n, **kind), 0 * images)
    return at_rest._replace(**changes)


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
