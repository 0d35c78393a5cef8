"""AAE's claim: latents are distributed as the prior, by a two-sample distance on a toy, and classes' shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import Trained, as_they_stand
from gancluster.methods.aae import AAE, Config
from gancluster.methods.base import Task

N = 600


def blobs() -> Dataset:
    """Three blobs of four dimensions."""
    rng = np.random.default_rng(0)
    which = rng.integers(0, 3, N)
    inputs = 4 * np.eye(4)[which] + 0.3 * rng.standard_normal((N, 4))
    return Dataset("blobs", inputs.astype(np.float32), which, 3)


def square() -> Dataset:
    """Points of a square that lies far from the origin."""
    inputs = np.random.default_rng(0).uniform(4, 8, (N, 2))
    return Dataset("square", inputs.astype(np.float32), None, None)


def trained(toy: Dataset, **options: Any) -> tuple[Trained, Game]:
    config = Config(**{"width": 0.03, "style_size": 2, "batch_size": 100, "lr": 3e-3} | options)
    game = Game(AAE(config, Task(toy.shape, 3, N)), Batches(toy.unlabelled()), seed=0)
    list(play(game))
    return as_they_stand(game), game


def energy(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Energy distance of two samples: 0 where they are of one distribution, but for chance."""
    return float(2 * cdist(one, other).mean() - cdist(one, one).mean() - cdist(other, other).mean())


def test_the_distance_tells_a_wider_normal_from_the_prior() -> None:
    normal = np.random.default_rng(1).standard_normal((3, N, 2))
    assert energy(normal[0], normal[1]) < 0.03 < energy(normal[0], 1.5 * normal[2])


def test_gaussian_latents_are_much_nearer_to_the_prior_than_without_the_adversary() -> None:
    prior = np.random.default_rng(2).standard_normal((N, 2))
    distances = []
    for weight in (1.0, 0.0):
        players, game = trained(square(), prior="gaussian", epochs=60, adversarial_weight=weight)
        distances.append(energy(players.embed(game.batches), prior))
    assert distances[0] < 0.5
    assert distances[1] > 5


def test_classes_are_one_hot_and_as_frequent_as_the_prior_s() -> None:
    players, game = trained(blobs(), epochs=40)
    found = players.embed(game.batches)
    assert float(np.median(found.max(1))) > 0.95
    assert found.mean(0) == pytest.approx(np.full(3, 1 / 3), abs=0.1)


def test_the_prior_has_each_class_equally_often_and_standard_normal_styles() -> None:
    method = AAE(Config(style_size=3), Task((4,), 5, N))
    noise = method.draw(5000, torch.Generator().manual_seed(0))
    assert noise.prior["class"].sum(0).tolist() == [1000.0] * 5
    assert torch.allclose(torch.cov(noise.prior["style"].T), torch.eye(3), atol=0.1)
