"""DCAN's claims on latents of one dimension, where every density can be integrated (slides 2.1 and 2.2)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from gancluster.critics import Minimax, NonSaturating
from gancluster.critics.base import Critic
from gancluster.methods.base import Batch, Clock, Nets, Task
from gancluster.methods.dcan import DCAN, Config
from gancluster.methods.mixture import Mixture, moments

N = 200_000
CLOCK = Clock(torch.tensor(0.5))
GRID = torch.linspace(-30, 30, 60_001, dtype=torch.float64)


def latents() -> Tensor:
    """Two groups that are not Gaussian: the second is skewed."""
    rng = torch.Generator().manual_seed(0)
    drawn = torch.rand(N, generator=rng, dtype=torch.float64)
    return torch.where(torch.arange(N) % 3 == 0, 3 + 2 * drawn.sqrt(), -2 + 3 * drawn)[:, None]


def density(z: Tensor) -> Tensor:
    """That of `latents`."""
    one, other = (z - 3) / 2, (z + 2) / 3
    inside = [((part > 0) & (part < 1)).double() for part in (one, other)]
    return inside[0] * one.clamp(min=0) / 3 + inside[1] * 2 / 9


def objective(D: Callable[[Tensor], Tensor]) -> float:
    """L of a discriminator, as `discriminator_loss` takes it: minus the loss that D lowers."""
    z, theta = latents(), mixture()
    method = DCAN(Config(critic="gan", latent_size=1), Task((1,), 2, N))
    noise = method.draw(N, torch.Generator().manual_seed(1))
    noise = noise._replace(normal=noise.normal.double())
    nets = Nets({"encoder": lambda x: x, "mixture": theta, "discriminator": lambda z: D(z)[:, 0]}, {})
    return -float(method.discriminator_loss(nets, Batch(z), noise, CLOCK).total)


def mixture() -> Mixture:
    theta = Mixture(2, 1, N, "kmeans").double()
    theta.fit(latents(), floor=0.1, seed=0)
    return theta


def of_theta(theta: Mixture, z: Tensor) -> Tensor:
    """p(z | θ) of points `(b, 1)`."""
    parts = Normal(theta.means[:, 0], theta.factors[:, 0, 0])
    return MixtureSameFamily(Categorical(theta.shares), parts).log_prob(z).exp()


def test_at_the_best_discriminator_the_objective_is_a_jensen_shannon_divergence_and_at_any_other_it_is_less() -> None:
    theta = mixture()
    p, q = of_theta(theta, GRID[:, None])[:, 0], density(GRID)
    middle, step = (p + q) / 2, float(GRID[1] - GRID[0])
    terms = [torch.where(one > 0, one * (one / middle).log(), 0.0).sum() * step / 2 for one in (p, q)]
    expected = float(2 * (terms[0] + terms[1])) - 2 * math.log(2)

    def best(z: Tensor) -> Tensor:
        return (of_theta(theta, z) / density(z).clamp(min=1e-12)).log()

    reached = objective(best)
    assert reached == pytest.approx(expected, abs=0.005)
    others = [lambda z: best(z) + 0.5, lambda z: 0.7 * best(z), lambda z: 0 * z, lambda z: best(z) + 0.5 * z.sin()]
    assert all(objective(D) < reached for D in others)


def slope(critic: Critic, deviation: float, floor: float) -> float:
    """Mean size of the encoder's gradient, at the best D, in latents about 1 where θ, of this deviation, has 0."""
    found = deviation * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta = moments((found - found.mean()).numpy(), torch.zeros(1000, dtype=torch.int64).numpy(), 1, floor)
    p, q = Normal(0.0, float(theta.covariances[0, 0, 0]) ** 0.5), Normal(1.0, 0.2)
    z = 1 + 0.2 * torch.linspace(-2, 2, 41, dtype=torch.float64)

    def loss(z: Tensor) -> Tensor:
        return critic.generator_loss(p.log_prob(z) - q.log_prob(z))

    return float(torch.func.grad(loss)(z).abs().sum())


def test_gradients_vanish_with_the_variances_unless_these_have_a_floor() -> None:
    deviations = (0.3, 0.1, 0.03)
    bare = [slope(Minimax(), deviation, 0.0) for deviation in deviations]
    assert bare[0] > bare[1] > bare[2]
    assert bare[2] < 1e-50
    assert all(slope(Minimax(), deviation, 0.5) > 0.1 for deviation in deviations)


def test_the_other_form_s_gradients_grow_instead() -> None:
    sizes = [slope(NonSaturating(), deviation, 0.0) for deviation in (0.3, 0.1, 0.03)]
    assert 1 < sizes[0] < sizes[1] < sizes[2]
