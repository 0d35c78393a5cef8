"""VaDE: its divergence by quadrature and by the textbook, where it starts, what it draws, and a run that is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import stopped_and_resumed
from torch.distributions import Bernoulli, Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import as_they_stand, settle
from gancluster.methods.base import Nets, Task
from gancluster.methods.mixture import fitted
from gancluster.methods.vade import Config, Prior, VaDE, divergence

SHORT: dict[str, Any] = {"pretrain_epochs": 5, "epochs": 2, "batch_size": 60, "width": 0.1}


def game(dataset: Dataset, **options: Any) -> Game:
    task = Task(dataset.shape, dataset.n_classes or 10, len(dataset), dataset.pixel_range)
    return Game(VaDE(Config(**SHORT | options), task), Batches(dataset.unlabelled()), seed=0)


def prior(n_clusters: int, size: int) -> Prior:
    torch.manual_seed(0)
    made = Prior(n_clusters, size).double()
    for parameter in made.parameters():
        parameter.data = torch.randn_like(parameter) / 2
    return made.requires_grad_(False)


def test_the_prior_is_a_mixture_of_gaussians() -> None:
    mixture, z = prior(3, 4), torch.randn(20, 4).double()
    gaussians = Independent(Normal(mixture.means, (mixture.log_variances / 2).exp()), 1)
    theirs = MixtureSameFamily(Categorical(logits=mixture.shares), gaussians)
    assert torch.allclose(mixture(z).logsumexp(1), theirs.log_prob(z))


def test_with_one_cluster_the_divergence_is_that_of_two_gaussians() -> None:
    mixture, mean, variance = prior(1, 4), torch.randn(7, 4).double(), torch.rand(7, 4).double() + 0.1
    found = divergence(Nets({"prior": mixture}, {}), mean, variance, mean)
    other = Normal(mixture.means[0], (mixture.log_variances[0] / 2).exp())
    assert torch.allclose(found, kl_divergence(Normal(mean, variance.sqrt()), other).sum(1))


def test_with_more_it_is_the_integral_that_it_stands_for() -> None:
    mixture = prior(3, 1)
    mean, variance, z = (torch.tensor([[value]]).double() for value in (0.3, 0.4, 0.9))
    q_c, points = mixture(z).softmax(1)[0], torch.linspace(-12, 12, 20_001).double()[:, None]
    q_z = Normal(mean, variance.sqrt()).log_prob(points)
    integrand = q_c * q_z.exp() * (q_c.log() + q_z - mixture(points))
    expected = torch.trapezoid(integrand.sum(1), points[:, 0])
    assert float(divergence(Nets({"prior": mixture}, {}), mean, variance, z)) == pytest.approx(
        float(expected), rel=1e-6
    )


def test_pixels_are_bernoulli_s_whatever_their_range() -> None:
    task, (p, x) = Task((1, 2, 2), 3, 9, (-1.0, 1.0)), torch.rand(2, 5, 1, 2, 2)
    found = VaDE(Config(), task).surprise(2 * p - 1, 2 * x - 1)
    expected = -Bernoulli(p, validate_args=False).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(found, expected, atol=1e-4)


def test_it_starts_from_the_mixture_fitted_to_the_auto_encoder_s_latents(digits: Dataset) -> None:
    training = game(digits)
    for _ in play(training):
        if training.state.phase == 1:
            break
    now = as_they_stand(training)
    latents = now.features(training.batches)
    assert (latents.mean(), latents.std()) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=1e-3))
    _, clusters = fitted(latents.astype(np.float64), 10, "gmm-diag", 0.1, 0)
    assert (now.embed(training.batches).argmax(1) == clusters).mean() > 0.99


def test_the_bound_rises_and_every_cluster_can_be_drawn_from(digits: Dataset) -> None:
    training = game(digits, epochs=15)
    rows = [moment.row for moment in play(training) if moment.row and moment.phase == "variational"]
    terms = ("encoder.reconstruction", "encoder.divergence")
    first, last = (sum(float(row[name]) for name in terms) for row in (rows[0], rows[-1]))
    assert last < first - 1
    players = settle(training)
    drawn = players.generate(4, seed=0)
    assert drawn is not None
    assert drawn.shape == (10, 4, *digits.shape)


def test_stopped_anywhere_it_comes_to_the_same_bytes(digits: Dataset, tmp_path: Path) -> None:
    places = (19, 20, 21, 25)  # 20 steps of pre-training, 8 of the bound
    assert all(stopped_and_resumed(lambda: game(digits), places, tmp_path))
