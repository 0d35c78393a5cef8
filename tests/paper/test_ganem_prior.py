"""GAN-EM's prior (Eq. 8), classes drawn from it, and the errors that the paper and its code count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.methods.base import Task
from gancluster.methods.ganem import GANEM, Config
from gancluster.networks.gan_em import Prior

repeatable = settings(derandomize=True, deadline=None, max_examples=15)


@repeatable
@given(st.integers(0, 10_000))
def test_the_mean_of_w_is_the_likeliest_prior(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    w = (2 * torch.randn(40, 3, generator=rng, dtype=torch.float64)).softmax(1)
    total = w.sum(0)
    shares, others = total / len(w), torch.randn(200, 3, generator=rng, dtype=torch.float64).softmax(1)
    assert ((total * shares.log()).sum() >= (total * others.log()).sum(1)).all()
    slope = torch.func.grad(lambda logits: (total * logits.log_softmax(0)).sum())(shares.log())
    assert slope.abs().max() < 1e-12


def test_the_estimated_prior_is_the_mean_of_w_over_all_samples_and_the_uniform_one_stays(digits: Dataset) -> None:
    many = digits.take(np.arange(1500) % len(digits))
    batches = Batches(many.unlabelled())
    for prior in ("estimated", "uniform"):
        torch.manual_seed(0)
        options = {"m_batch_size": 40, "e_batch_size": 40, "prior": prior}
        game = GANEM(Config(**options), Task(many.shape, 10, len(many)))
        players = game.players()
        players["encoder"].get_parameter("top.bias").data = torch.arange(10) / 4.0
        with torch.no_grad():
            game.enter("E-step 2", players, batches, 0)
            w = players["encoder"](batches.at(torch.arange(len(many)))).softmax(1)
        expected = w.mean(0) if prior == "estimated" else torch.full((10,), 0.1)
        assert torch.allclose(players["prior"].get_buffer("phi"), expected, atol=1e-6)


@pytest.mark.parametrize(("k", "sizes"), [(10, (70, 200)), (20, (80, 200)), (30, (90, 210))])
def test_a_balanced_batch_holds_every_class_equally_often(k: int, sizes: tuple[int, int]) -> None:
    game = GANEM(Config(m_batch_size=sizes[0], e_batch_size=sizes[1]), Task((4,), k, 100))
    rng = torch.Generator().manual_seed(0)
    for size in sizes:
        for _ in range(50):
            classes = Prior(k)(game.draw(size, rng).places)
            assert torch.equal(classes.bincount(minlength=k), torch.full((k,), size // k))


def test_drawn_classes_are_distributed_as_the_prior_says() -> None:
    prior, rng = Prior(3), torch.Generator().manual_seed(0)
    prior.phi = torch.tensor([0.7, 0.0, 0.3])
    for codes, spread in (("drawn", 0.02), ("balanced", 2e-4)):
        classes = prior(
            GANEM(Config(m_batch_size=3, e_batch_size=3, codes=codes), Task((4,), 3, 100)).draw(9999, rng).places
        )
        shares = classes.bincount(minlength=3) / 9999
        assert shares.tolist() == pytest.approx([0.7, 0.0, 0.3], abs=spread)


# What the paper counts ------------------------------------------------------------------------------------------------


def test_the_released_code_s_error_of_a_single_cluster_is_zero() -> None:
    labels = np.arange(100) % 10
    found = metrics.scores(labels, np.zeros(100, np.int64), 10)
    assert (found["class_majority"], found["cluster_majority"], found["acc"]) == pytest.approx((1.0, 0.1, 0.1))


def test_with_more_clusters_than_classes_only_the_clusters_majority_can_reach_zero_error() -> None:
    labels = np.arange(600) % 10
    found = metrics.scores(labels, np.arange(600) % 30, 30)  # three pure clusters a class
    assert (found["cluster_majority"], found["acc"], found["class_majority"]) == pytest.approx((1.0, 1 / 3, 1 / 3))
