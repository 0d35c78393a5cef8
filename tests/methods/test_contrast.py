"""Instance discrimination: NT-Xent written out, and what lowers it."""

from __future__ import annotations

import math

import pytest
import torch

from gancluster.methods.contrast import head, instance_discrimination


def test_it_is_the_cross_entropy_of_every_view_for_its_twin() -> None:
    one, other = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    views = [view / view.norm() for view in torch.cat([one, other])]
    losses = []
    for i, view in enumerate(views):
        twin = (i + 6) % 12
        others = [math.exp(float(view @ views[j]) / 0.2) for j in range(12) if j != i]
        losses.append(-math.log(math.exp(float(view @ views[twin]) / 0.2) / sum(others)))
    assert float(instance_discrimination(one, other, 0.2)) == pytest.approx(sum(losses) / 12, abs=1e-9)


def test_twins_that_agree_and_differ_from_the_rest_cost_little() -> None:
    apart = torch.eye(8)
    assert float(instance_discrimination(apart, apart, 0.2)) < 0.1
    assert float(instance_discrimination(apart, apart.roll(1, 0), 0.2)) > 4
    same = torch.ones(8, 3)
    assert float(instance_discrimination(same, same, 0.5)) == pytest.approx(math.log(15), abs=1e-4)


def test_the_length_of_a_view_does_not_matter() -> None:
    one, other = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(instance_discrimination(5 * one, other, 0.5), instance_discrimination(one, other, 0.5))


def test_the_head_projects_to_64() -> None:
    assert head(20)(torch.rand(3, 20)).shape == (3, 64)
