"""SGHMC samples the posterior of a Bayesian regression, whose mean and covariance are known; its stand-ins do not."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from torch import Tensor

from gancluster.optim import SGD, SGHMC, Linear, NearSGD, Optimizer, Sampler

CHAINS, N, PRIOR = 3000, 20, 0.3
FINE = 0.03  # a learning rate at which the steps are small beside the posterior


class Regression(NamedTuple):
    """y = X w + N(0, 1), w ~ N(0, PRIOR²); X `(N, 2)`, y `(N,)`."""

    X: Tensor
    y: Tensor

    def gradient(self, w: Tensor) -> Tensor:
        """Of the mean of -log likelihood over the samples, at weights `(chains, 2)`."""
        return (w @ self.X.T - self.y) @ self.X / N

    @property
    def curvature(self) -> Tensor:
        return self.X.T @ self.X / N

    @property
    def likeliest(self) -> Tensor:
        return torch.linalg.solve(self.curvature, self.X.T @ self.y / N)

    @property
    def covariance(self) -> Tensor:
        """Of the posterior."""
        return torch.linalg.inv(N * self.curvature + torch.eye(2) / PRIOR**2)

    @property
    def mean(self) -> Tensor:
        """Of the posterior."""
        return self.covariance @ self.X.T @ self.y


@pytest.fixture(scope="module")
def regression() -> Regression:
    rng = torch.Generator().manual_seed(0)
    X = torch.randn(N, 2, generator=rng, dtype=torch.float64) @ torch.tensor([[1.0, 0.6], [0.0, 0.8]]).double()
    return Regression(X, X @ torch.tensor([0.8, -0.5]).double() + torch.randn(N, generator=rng, dtype=torch.float64))


def drawn(optimizer: Optimizer, data: Regression, lr: float, burn_in: int = 300, kept: int = 10) -> Tensor:
    """Weights `(kept · CHAINS, 2)` of chains that start at 0, every 30 steps after `burn_in`."""
    weights = {"w": torch.zeros(CHAINS, 2, dtype=torch.float64)}
    memory, rng, found = optimizer.state(weights), torch.Generator().manual_seed(1), []
    for step in range(1, burn_in + 30 * kept + 1):
        if isinstance(optimizer, Sampler):
            optimizer.refresh(memory, lr, rng)
        optimizer.step(weights, {"w": data.gradient(weights["w"])}, memory, lr)
        if step > burn_in and step % 30 == 0:
            found.append(weights["w"].clone())
    return torch.cat(found)


def stationary(curvature: Tensor, kept: float, lr: float, deviation: float) -> Tensor:
    """Covariance of w under `v ← kept v - lr curvature w + N(0, deviation²)`, `w ← w + v`, exactly."""
    one, pull = torch.eye(2).double(), lr * curvature
    A = torch.cat([torch.cat([one - pull, kept * one], 1), torch.cat([-pull, kept * one], 1)])
    Q = deviation**2 * torch.ones(2, 2).double().kron(one)
    return torch.from_numpy(solve_discrete_lyapunov(A.numpy(), Q.numpy()))[:2, :2]


def recursion(data: Regression, friction: float, lr: float) -> Tensor:
    """Covariance of what SGHMC draws at a rate that is not infinitely small."""
    curvature = data.curvature + torch.eye(2) / (N * PRIOR**2)
    return stationary(curvature, 1 - friction, lr, (2 * friction * lr / N) ** 0.5)


def test_sghmc_samples_the_posterior_of_a_regression(regression: Regression) -> None:
    sample = drawn(SGHMC(Linear(FINE, FINE), N, 0.1, PRIOR), regression, FINE)
    sd = regression.covariance.diagonal().sqrt()
    assert ((sample.mean(0) - regression.mean).abs() < 0.02 * sd).all()
    torch.testing.assert_close(sample.T.cov(), regression.covariance, rtol=0.05, atol=0.02 * float(sd.prod()))
    assert ((regression.likeliest - regression.mean).abs().max() / sd.max()) > 0.5  # the prior shows


def test_at_another_temperature_the_covariance_is_so_many_times_as_large(regression: Regression) -> None:
    sample = drawn(SGHMC(Linear(FINE, FINE), N, 0.1, PRIOR, temperature=0.25), regression, FINE)
    wanted = regression.covariance / 4
    torch.testing.assert_close(sample.T.cov(), wanted, rtol=0.05, atol=0.02 * float(wanted.diagonal().mean()))


@pytest.mark.parametrize("friction", [0.01, 0.1, 0.5, 1.0])
def test_with_smaller_steps_the_error_vanishes_whatever_the_friction(regression: Regression, friction: float) -> None:
    errors = [
        float((recursion(regression, friction, lr) - regression.covariance).norm() / regression.covariance.norm())
        for lr in (1e-1, 1e-2, 1e-3)
    ]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 1e-3


@pytest.mark.parametrize("friction", [0.1, 0.5])
def test_of_large_steps_the_covariance_is_what_the_recursion_says(regression: Regression, friction: float) -> None:
    exact = recursion(regression, friction, 0.3)
    assert float(exact.trace() / regression.covariance.trace()) > 1.1
    sample = drawn(SGHMC(Linear(0.3, 0.3), N, friction, PRIOR), regression, 0.3)
    torch.testing.assert_close(sample.T.cov(), exact, rtol=0.05, atol=0.02 * float(exact.diagonal().mean()))


def test_gradient_descent_does_not_sample_and_misses_the_mean(regression: Regression) -> None:
    sample = drawn(SGD(Linear(0.1, 0.1), 0.9), regression, 0.1, burn_in=500, kept=1)
    assert float(sample.T.cov().abs().max()) < 1e-12
    assert ((sample.mean(0) - regression.likeliest).abs() < 1e-6).all()


def test_the_released_code_s_scaling_is_gradient_descent_but_for_a_trace_of_noise(regression: Regression) -> None:
    """Prior and noise over n, the prior over a tensor's entries: the likeliest weights, nearly without variance."""
    optimizer = NearSGD(Linear(0.1, 0.1), N, prior_std=PRIOR)
    sample = drawn(optimizer, regression, 0.1, burn_in=400)
    covariance = sample.T.cov()
    assert float(covariance.trace() / regression.covariance.trace()) < 1e-5
    off = (sample.mean(0) - regression.mean).norm() / (regression.likeliest - regression.mean).norm()
    assert float(off) > 0.99
    curvature = regression.curvature + torch.eye(2) * 2 / (N * 2 * CHAINS * PRIOR**2)
    deviation = 0.1 * (2 * optimizer.friction * optimizer.rate) ** 0.5 / N
    exact = stationary(curvature, optimizer.momentum, 0.1, deviation)
    torch.testing.assert_close(covariance, exact, rtol=0.05, atol=0.02 * float(exact.diagonal().mean()))
    cold = optimizer.temperature(0.1) * torch.linalg.inv(N * curvature)
    assert float(exact.trace() / cold.trace()) == pytest.approx(1, rel=0.05)


def test_of_fifty_thousand_samples_the_released_code_s_temperature_is_none() -> None:
    assert NearSGD(Linear(0.005, 0.005), 50_000).temperature(0.005) == pytest.approx(4e-13)
