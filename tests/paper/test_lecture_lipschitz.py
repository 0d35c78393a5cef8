"""The GAN lecture on critics of bounded slope: clipping, penalties, norms of weights, and power iteration."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor, nn

from gancluster.critics import R1, WassersteinGP, WassersteinLP, named, power_iteration, squared_gradient

repeatable = settings(derandomize=True, deadline=None, max_examples=25)
seeds = st.integers(0, 10_000)
sizes = st.integers(1, 8)


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net(seed: int) -> nn.Sequential:
    """Three rectangular layers with two kinds of 1-Lipschitz functions between."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 9), nn.LeakyReLU(0.2), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def bounded(name: str, module: nn.Module, scale: float = 3.0, steps: int = 300) -> nn.Module:
    """`module` under the critic `name`, with weights of any size, after so many of its steps."""
    critic = named(name)
    module = critic.wrap(module)
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    with torch.no_grad():
        for value in parameters.values():
            value.mul_(scale)
    for _ in range(steps):
        critic.after_step(parameters, buffers)
    return module


@torch.no_grad()
def steepest(module: nn.Module, *shape: int) -> float:
    """The largest slope between pairs of points, near ones and far ones."""
    x = 2 * randn(200, *shape, seed=1)
    slopes = []
    for width in (1e-3, 0.1, 2.0):
        y = x + width * randn(200, *shape, seed=2)
        slopes.append((module(x) - module(y)).flatten(1).norm(dim=1) / (x - y).flatten(1).norm(dim=1))
    return float(torch.stack(slopes).max())


@repeatable
@given(seeds)
def test_a_clipped_net_is_at_most_as_steep_as_its_bound(seed: int) -> None:
    module = bounded("wgan:clip=0.3", net(seed), steps=1)
    widths = [layer.weight.numel() for layer in module if isinstance(layer, nn.Linear)]
    assert steepest(module, 5) <= math.prod(0.3 * math.sqrt(size) for size in widths)


@pytest.mark.parametrize("name", ["frobenius", "sn-gan"])
@repeatable
@given(seeds)
def test_a_normalised_net_is_nowhere_steeper_than_one(name: str, seed: int) -> None:
    module = bounded(name, net(seed))
    assert steepest(module, 5) <= 1 + 1e-6
    assert squared_gradient(lambda x: module(x)[:, 0], (2 * randn(50, 5, seed=seed),)).max() <= 1 + 1e-6


def test_the_spectral_bound_is_reached_where_the_frobenius_one_is_not() -> None:
    slopes = {name: steepest(bounded(name, nn.Linear(5, 5).double()), 5) for name in ("frobenius", "sn-gan")}
    assert slopes["sn-gan"] > 0.95
    assert slopes["frobenius"] < 0.85


def test_a_convolution_may_be_steeper_than_its_matrix_by_the_patches_that_see_a_pixel() -> None:
    """A kernel of 4x4 at stride 2 sees a pixel 4 times: the map's norm is at most √4 that of `(out, rest)`."""
    layer = bounded("sn-gan", nn.Conv2d(1, 3, 4, 2, 1, bias=False).double())
    columns = layer(torch.eye(64, dtype=torch.float64).view(64, 1, 8, 8)).detach().flatten(1).T
    assert 1 < float(torch.linalg.matrix_norm(columns, 2)) <= 2


# Norms ----------------------------------------------------------------------------------------------------------------


@repeatable
@given(sizes, sizes, seeds)
def test_l16_the_frobenius_norm_lies_between_the_spectral_one_and_root_rank_times_it(n: int, m: int, seed: int) -> None:
    matrix = randn(n, m, seed=seed)
    spectral, frobenius = (float(torch.linalg.matrix_norm(matrix, kind)) for kind in (2, "fro"))
    assert spectral <= frobenius * (1 + 1e-12)
    assert frobenius <= math.sqrt(min(n, m)) * spectral * (1 + 1e-12)


def test_l16_both_ends_are_reached_so_no_factor_is_right_for_all() -> None:
    for matrix, ratio in ((torch.ones(4, 6), 1.0), (torch.eye(4), 2.0), (torch.diag(torch.tensor([3.0, 4.0])), 1.25)):
        spectral, frobenius = (float(torch.linalg.matrix_norm(matrix, kind)) for kind in (2, "fro"))
        assert frobenius / spectral == pytest.approx(ratio)


@repeatable
@given(sizes, seeds)
def test_l18_the_dual_of_the_largest_entry_is_the_sum_of_all(n: int, seed: int) -> None:
    z = randn(n, seed=seed)
    reached = -linprog(-z.numpy(), bounds=(-1, 1)).fun
    assert reached == pytest.approx(float(z.abs().sum()))


def test_l18_an_example_that_the_euclidean_norm_does_not_cover() -> None:
    z = torch.tensor([-5.0, 5.0])
    reached = max(float(z @ torch.tensor(corner)) for corner in itertools.product((-1.0, 1.0), repeat=2))
    assert reached == 10
    assert float(z.norm()) == pytest.approx(7.07, abs=0.01)


# Power iteration ------------------------------------------------------------------------------------------------------


def iterated(matrix: Tensor, times: int = 2000) -> tuple[Tensor, Tensor]:
    u, v = (randn(size, seed=3) for size in matrix.shape)
    for _ in range(times):
        power_iteration(matrix, u, v)
    return u, v


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 5), (5, 1), (4, 3, 3, 3)])
def test_power_iteration_finds_the_largest_singular_value(shape: tuple[int, ...]) -> None:
    matrix = randn(*shape, seed=0).flatten(1)
    u, v = iterated(matrix)
    left, values, right = torch.linalg.svd(matrix)
    assert float(u @ matrix @ v) == pytest.approx(float(values[0]))
    assert float((u @ left[:, 0]).abs()) == pytest.approx(1)
    assert float((v @ right[0]).abs()) == pytest.approx(1)


@repeatable
@given(sizes, sizes, seeds)
def test_power_iteration_comes_from_below_and_never_falls(n: int, m: int, seed: int) -> None:
    matrix = randn(n, m, seed=seed)
    u, v = (randn(size, seed=seed + 1) for size in matrix.shape)
    found = []
    for _ in range(20):
        power_iteration(matrix, u, v)
        found.append(float(u @ matrix @ v))
    top = float(torch.linalg.matrix_norm(matrix, 2))
    assert all(before <= after + 1e-12 for before, after in itertools.pairwise([*found, top]))


def test_l19_the_printed_form_is_another_number_and_for_rectangles_none() -> None:
    square = randn(3, 3, seed=1)
    u, v = iterated(square)
    top = torch.linalg.svdvals(square)[0]
    assert torch.allclose(u @ square @ v, top)
    assert torch.allclose(v @ square.T @ square @ v, top**2)
    assert abs(float(u @ square.T @ square @ v - top**2)) > 0.5
    wide = randn(2, 4, seed=1)
    u, v = iterated(wide)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        u @ wide.T @ wide @ v


def test_l20_the_iterated_matrix_is_that_of_squares() -> None:
    matrix = randn(6, 3, seed=0)
    _, v = iterated(matrix)
    assert torch.allclose(matrix.T @ matrix @ v, torch.linalg.svdvals(matrix)[0] ** 2 * v)


# Penalties ------------------------------------------------------------------------------------------------------------


def test_a_penalty_is_on_the_slope_over_all_dimensions_of_an_image_not_over_its_channels() -> None:
    weight, images = randn(3, 4, 4, seed=0), (randn(5, 3, 4, 4, seed=1),)

    def linear(x: Tensor) -> Tensor:
        return (weight * x).flatten(1).sum(1)

    penalty = WassersteinGP(weight=1.0).penalty(linear, images, images, randn(5, seed=2))
    assert float(penalty) == pytest.approx((float(weight.norm()) - 1) ** 2)
    over_channels = float((weight.norm(dim=0) - 1).square().mean())
    assert abs(float(penalty) - over_channels) > 10


@repeatable
@given(seeds, st.floats(0, 3))
def test_wgan_lp_never_penalises_a_slope_below_one_and_wgan_gp_does(seed: int, steepness: float) -> None:
    weight, real, fake = randn(4, seed=seed), (randn(5, 4, seed=seed + 1),), (randn(5, 4, seed=seed + 2),)

    def linear(x: Tensor) -> Tensor:
        return steepness * x @ weight / weight.norm()

    two_sided, one_sided = (
        float(kind(weight=1.0).penalty(linear, real, fake, torch.rand(5).double()))
        for kind in (WassersteinGP, WassersteinLP)
    )
    assert two_sided == pytest.approx((steepness - 1) ** 2, abs=1e-5)
    assert one_sided == pytest.approx(two_sided if steepness > 1 else 0.0, abs=1e-12)


def linear(weights: tuple[Tensor, Tensor], z: Tensor, x: Tensor) -> Tensor:
    """A critic whose slope is the same everywhere."""
    return z @ weights[0] + x @ weights[1]


def test_the_best_linear_critic_points_from_fake_to_real_with_slope_one_and_a_little() -> None:
    real = randn(50, 3, seed=0), randn(50, 4, seed=1)
    fake = real[0] + 1.0, real[1].flip(0) - 0.5
    mix, critic = randn(50, seed=2).sigmoid(), WassersteinGP(weight=10.0)

    def loss(weights: tuple[Tensor, Tensor]) -> Tensor:
        def net(*pair: Tensor) -> Tensor:
            return linear(weights, *pair)

        return critic.discriminator_loss(net(*real), net(*fake)) + critic.penalty(net, real, fake, mix)

    apart = torch.cat([r.mean(0) - f.mean(0) for r, f in zip(real, fake, strict=True)])
    best = apart / apart.norm() * (1 + apart.norm() / 20)
    slopes = torch.func.grad(loss)((best[:3], best[3:]))
    assert torch.cat(slopes).abs().max() < 1e-9


def test_r1_of_a_linear_critic_is_its_squared_slope_over_both_inputs() -> None:
    weights = torch.tensor([1.0, 2.0]), torch.tensor([3.0])
    pair = torch.rand(5, 2), torch.rand(5, 1)
    penalty = R1(weight=0.6).penalty(lambda *pair: linear(weights, *pair), pair, pair, torch.rand(5))
    assert float(penalty) == pytest.approx(0.6 / 2 * 14)
