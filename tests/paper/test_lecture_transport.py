"""The GAN lecture on the earth mover's distance: a linear programme, its dual, and the critic that solves it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import ot
import pytest
import torch
from finite import played
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from gancluster.critics import Critic, named

Array = NDArray[np.float64]
repeatable = settings(derandomize=True, deadline=None, max_examples=25)
seeds = st.integers(0, 10_000)


class Problem:
    """Masses p on points x and q on points y; `cost` `(x, y)`: their distances."""

    def __init__(self, x: Array, y: Array, p: Array, q: Array) -> None:
        self.x, self.y, self.p, self.q = x, y, p, q
        self.cost = np.linalg.norm(x[:, None] - y[None], axis=2)
        rows, columns = np.kron(np.eye(len(x)), np.ones(len(y))), np.kron(np.ones(len(x)), np.eye(len(y)))
        self.marginals, self.masses = np.vstack([rows, columns]), np.concatenate([p, q])

    def primal(self) -> float:
        """min <γ, cost> over γ ≥ 0 with Σ_y γ(x, y) = p(x) and Σ_x γ(x, y) = q(y)."""
        return float(linprog(self.cost.ravel(), A_eq=self.marginals, b_eq=self.masses).fun)

    def dual(self) -> tuple[float, Array]:
        """max p·f + q·g over f(x) + g(y) ≤ cost(x, y), and the f and g that reach it."""
        found = linprog(-self.masses, A_ub=self.marginals.T, b_ub=self.cost.ravel(), bounds=(None, None))
        return -float(found.fun), found.x


def drawn(seed: int, dimension: int = 2, common: bool = False) -> Problem:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 7, 2)
    x, y = rng.normal(size=(n, dimension)), rng.normal(size=(m, dimension))
    if common:
        x = y = np.concatenate([x, y])
    return Problem(x, y, rng.dirichlet(np.ones(len(x))), rng.dirichlet(np.ones(len(y))))


@repeatable
@given(seeds)
def test_primal_dual_and_a_transport_library_agree(seed: int) -> None:
    problem = drawn(seed)
    assert problem.primal() == pytest.approx(problem.dual()[0], abs=1e-8)
    assert problem.primal() == pytest.approx(float(ot.emd2(problem.p, problem.q, problem.cost)), abs=1e-8)


@repeatable
@given(seeds)
def test_on_a_line_it_is_the_area_between_the_distribution_functions(seed: int) -> None:
    problem = drawn(seed, dimension=1)
    at = np.concatenate([problem.x, problem.y])[:, 0]
    order = np.argsort(at)
    gap = np.cumsum(np.concatenate([problem.p, -problem.q])[order])[:-1]
    assert problem.primal() == pytest.approx(float(np.abs(gap) @ np.diff(at[order])), abs=1e-8)


@repeatable
@given(seeds, st.floats(0, 2))
def test_every_feasible_point_of_the_dual_is_below_every_plan(seed: int, slack: float) -> None:
    problem, rng = drawn(seed), np.random.default_rng(seed + 1)
    g = 3 * rng.normal(size=len(problem.q))
    f = (problem.cost - g).min(1) - slack * rng.random(len(problem.p))
    plan = np.outer(problem.p, problem.q)
    assert problem.p @ f + problem.q @ g <= problem.primal() + 1e-8
    assert problem.primal() <= (plan * problem.cost).sum() + 1e-8


def test_l10_points_that_are_not_feasible_may_lie_above() -> None:
    problem = drawn(0)
    f, g = np.ones(len(problem.p)) * problem.cost.max(), np.zeros(len(problem.q))
    assert problem.p @ f + problem.q @ g > problem.primal()


@pytest.mark.parametrize("apart", [0.0, 0.01, 3.0])
def test_two_bars_are_as_far_apart_as_they_are(apart: float) -> None:
    heights, mass = np.linspace(0, 1, 5), np.full(5, 0.2)
    bars = [np.stack([np.full(5, at), heights], 1) for at in (0.0, apart)]
    assert Problem(*bars, mass, mass).primal() == pytest.approx(apart, abs=1e-9)


def best_potential(problem: Problem) -> Array:
    """Of the dual's solution, the one function f with slope 1 at most whose gain is W1 (L12: by c-transform)."""
    _, solution = problem.dual()
    return np.asarray((problem.cost - solution[len(problem.x) :]).min(1))


@repeatable
@given(seeds)
def test_one_function_of_slope_one_is_enough_for_a_metric(seed: int) -> None:
    problem = drawn(seed, common=True)
    f = best_potential(problem)
    assert (f[:, None] - f <= problem.cost + 1e-8).all()
    assert problem.p @ f - problem.q @ f == pytest.approx(problem.primal(), abs=1e-7)


@pytest.mark.parametrize("name", ["wgan", "wgan-gp", "wgan-lp", "frobenius"])
def test_the_best_wasserstein_critic_loses_minus_the_distance(name: str) -> None:
    problem = drawn(5, common=True)
    loss = played(named(name), *map(torch.from_numpy, (best_potential(problem), problem.p, problem.q)))
    assert -float(loss) == pytest.approx(problem.primal(), abs=1e-7)


def moved(critic: Critic, f: Callable[[torch.Tensor], torch.Tensor], fakes: torch.Tensor) -> torch.Tensor:
    """Fakes after a small step down the generator's loss."""
    return fakes - 1e-3 * len(fakes) * torch.func.grad(lambda fakes: critic.generator_loss(f(fakes)))(fakes)


def test_l7_the_generator_follows_the_critic_and_no_logarithm_of_it() -> None:
    """Fakes to the right of all real points: f(x) = -x is the best critic, and its score is negative there."""
    real, fakes = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.tensor([3.0, 5.0], dtype=torch.float64)
    after = moved(named("wgan-gp"), torch.neg, fakes)
    half = np.full(2, 0.5)
    before, now = (Problem(real.numpy()[:, None], at.numpy()[:, None], half, half).primal() for at in (fakes, after))
    assert before - now == pytest.approx(1e-3)
    assert torch.equal(moved(named("wgan-gp"), lambda x: 9 - x, fakes), after)  # f is free up to a constant
    printed = torch.func.grad(lambda fakes: (9 - fakes).log().mean())(fakes)
    assert not torch.allclose(printed, torch.func.grad(lambda fakes: (20 - fakes).log().mean())(fakes))
    assert (-fakes).log().isnan().all()
