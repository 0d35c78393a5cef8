"""DEC's equations: assignments, target and gradients against loops and closed forms; the target's fixed points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gancluster.methods.dec import Centres, sharpened


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def centres_at(points: Tensor) -> Centres:
    centres = Centres(*points.shape).double()
    centres.load_state_dict({"points": points})
    return centres


def test_assignments_are_student_s_t() -> None:
    """Eq. 1, sample by sample and cluster by cluster."""
    n, k, d = 7, 3, 4
    z, mu = normal(n, d), normal(k, d, seed=1)
    found = centres_at(mu)(z).exp()
    for i in range(n):
        kernel = [1 / (1 + sum(float(z[i, a] - mu[j, a]) ** 2 for a in range(d))) for j in range(k)]
        assert found[i].tolist() == pytest.approx([value / sum(kernel) for value in kernel])


def test_the_target_squares_and_divides_by_frequencies() -> None:
    """Eq. 3, likewise."""
    q = torch.softmax(normal(9, 4), 1)
    found = sharpened(q)
    for i in range(9):
        weight = [float(q[i, j]) ** 2 / sum(float(q[m, j]) for m in range(9)) for j in range(4)]
        assert found[i].tolist() == pytest.approx([value / sum(weight) for value in weight])


def test_gradients_are_those_of_the_paper() -> None:
    """Eq. 4 and 5 at α = 1: ∂L/∂z_i = 2 Σ_j (1 + |z_i - μ_j|²)⁻¹ (p_ij - q_ij)(z_i - μ_j), and ∂L/∂μ_j its opposite."""
    z, mu = normal(8, 3).requires_grad_(), normal(4, 3, seed=1)
    centres = centres_at(mu)
    logs = centres(z)
    p = sharpened(torch.softmax(normal(8, 4, seed=2), 1))
    loss = (p * (p.log() - logs)).sum()
    of_z, of_mu = torch.autograd.grad(loss, [z, centres.points])
    off = z.detach()[:, None] - mu
    pull = ((p - logs.detach().exp()) / (1 + off.square().sum(2)))[:, :, None] * off
    assert torch.allclose(of_z, 2 * pull.sum(1))
    assert torch.allclose(of_mu, -2 * pull.sum(0))


@pytest.mark.parametrize("q", [torch.eye(4).repeat(3, 1), torch.full((12, 4), 0.25), torch.eye(4)[[0, 0, 0, 1, 2, 3]]])
def test_certain_and_quite_uncertain_assignments_are_their_own_target(q: Tensor) -> None:
    """The fixed points of Eq. 3: there KL(P || Q) is 0, and nothing moves."""
    assert torch.allclose(sharpened(q), q)


def test_iterated_the_target_becomes_certain() -> None:
    q = torch.softmax(normal(40, 4), 1)
    certain = [float(q.max(1).values.mean())]
    for _ in range(60):
        q = sharpened(q)
        certain.append(float(q.max(1).values.mean()))
    assert np.diff(certain[:5]).min() > 0
    assert certain[-1] == pytest.approx(1, abs=1e-3)


def test_equally_frequent_clusters_are_sharpened_alone_and_large_ones_held_back() -> None:
    shape = torch.tensor([[0.6, 0.4], [0.4, 0.6]])
    assert torch.allclose(sharpened(shape), torch.tensor([[0.36, 0.16], [0.16, 0.36]]) / 0.52)
    crowded = torch.tensor([[0.5, 0.5], *[[0.9, 0.1]] * 9])
    assert float(sharpened(crowded)[0, 0]) < 0.2  # undecided between a crowd and a few: to the few
