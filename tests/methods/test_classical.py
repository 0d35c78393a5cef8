"""Methods without a game: what all of them promise, and K-means, mixtures and the untrained encoder by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin

from gancluster import metrics, registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.errors import UserError
from gancluster.methods.base import EXAMPLES, Fit, Fitted, Task
from gancluster.runs.fits import flat
from gancluster.runs.training import configure, task_of

FITS: list[type[Fit]] = [
    found for name in registry.BUILT_IN["methods"] if issubclass(found := registry.find("methods", name), Fit)
]
every = pytest.mark.parametrize("method", FITS, ids=lambda method: method.name)


def fitted(method: type[Fit], samples: NDArray[Any], k: int, seed: int = 0, **options: Any) -> Fitted:
    """What `method` finds in vectors `(n, d)`."""
    task = Task(samples.shape[1:], k, len(samples))
    torch.manual_seed(seed)
    return method(method.config_type(**options), task).fit(np.asarray(samples, np.float32), seed)


def named(name: str) -> type[Fit]:
    found: type[Fit] = registry.find("methods", name)
    return found


@every
@pytest.mark.parametrize("kind", EXAMPLES)
def test_its_presets_are_options_that_it_has(method: type[Fit], kind: str) -> None:
    task = EXAMPLES[kind]._replace(n_samples=1000)
    assert {"default", "paper", "smoke"} <= method.presets(task).keys()
    for preset in method.presets(task):
        method(configure(method, task, preset, {}), task)


@every
def test_digits_are_clustered_better_than_by_chance_and_the_same_by_the_same_seed(
    method: type[Fit], digits: Dataset
) -> None:
    samples, task = flat(Batches(digits.unlabelled())), task_of(digits, None)
    before, found = samples.copy(), []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(method(configure(method, task, "smoke", {}), task).fit(samples, 3))
    first, second = found
    assert first.clusters.shape == (240,)
    assert set(first.clusters.tolist()) <= set(range(10))
    assert (first.embedding.shape[0], first.embedding.dtype) == (240, np.float32)
    assert np.isfinite(first.embedding).all()
    assert np.array_equal(first.clusters, second.clusters)
    assert np.array_equal(first.embedding, second.embedding)
    assert np.array_equal(samples, before)
    assert digits.labels is not None
    assert metrics.scores(digits.labels, first.clusters.astype(np.int64), 10)["acc"] > 0.35


@every
def test_points_far_apart_are_its_clusters(method: type[Fit]) -> None:
    points, classes = blobs()
    found = fitted(method, points, 3, **({"hidden": 3, "top": 3} if method.name == "deep-semi-nmf" else {}))
    assert metrics.scores(classes, found.clusters.astype(np.int64), 3)["acc"] > 0.99


def blobs() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Three of forty points; where nothing is negative, for NMF, they lie in different directions."""
    rng, classes = np.random.default_rng(0), np.repeat(np.arange(3), 40)
    middles = np.array([[9.0, 0.5, 0.5], [0.5, 9.0, 0.5], [0.5, 0.5, 9.0]])
    return np.abs(middles[classes] + 0.3 * rng.standard_normal((120, 3))), classes


@pytest.mark.parametrize("name", ["kmeans", "pca-kmeans"])
def test_a_sample_is_nearest_to_the_centre_of_its_cluster_which_is_their_mean(name: str, digits: Dataset) -> None:
    samples = flat(Batches(digits.unlabelled()))
    options = {"components": 8} if name == "pca-kmeans" else {}
    found = fitted(named(name), samples, 10, **options)
    assert found.centres is not None
    assert pairwise_distances_argmin(samples, found.centres).tolist() == found.clusters.tolist()
    if name == "kmeans":
        means = [samples[found.clusters == c].mean(0) for c in range(10)]
        np.testing.assert_allclose(found.centres, means, atol=1e-5)


def test_more_starts_of_k_means_are_never_worse(digits: Dataset) -> None:
    samples = flat(Batches(digits.unlabelled()))

    def inertia(n_init: int, seed: int) -> float:
        found = fitted(named("kmeans"), samples, 10, seed, n_init=n_init)
        assert found.centres is not None
        return float(np.square(samples - found.centres[found.clusters]).sum())

    assert np.mean([inertia(10, seed) for seed in range(3)]) < np.mean([inertia(1, seed) for seed in range(3)])


def test_a_mixture_sees_long_gaussians_side_by_side_that_k_means_cuts_across() -> None:
    rng, classes = np.random.default_rng(0), np.repeat([0, 1], 200)
    points = rng.standard_normal((400, 2)) * [3.0, 0.3] + np.stack([0 * classes, 4.0 * classes], 1)

    def acc(name: str, **options: Any) -> float:
        return metrics.scores(classes, fitted(named(name), points, 2, **options).clusters.astype(np.int64), 2)["acc"]

    assert acc("gmm", covariance="full") > 0.98
    assert acc("gmm", covariance="spherical") < 0.7
    assert acc("kmeans") < 0.7


def test_the_untrained_encoder_is_another_one_for_every_seed_and_calibrated(digits: Dataset) -> None:
    samples, task = flat(Batches(digits.unlabelled())), task_of(digits, None)
    method = named("random-encoder-kmeans")
    features = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        features.append(method(method.config_type(), task).fit(samples, 0).embedding)
    assert features[0].shape == (240, 256)
    assert not np.allclose(features[0], features[1])
    before = np.where(features[0] > 0, features[0], features[0] / 0.1)  # leaky ReLU undone: what batch norm gives
    np.testing.assert_allclose(before.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(before.std(0), 1, atol=1e-2)


@pytest.mark.parametrize("name", ["agglomerative", "ac-pic"])
def test_more_samples_than_it_can_hold_are_refused_with_what_to_do(name: str) -> None:
    method, task = named(name), Task((4,), 3, 30_000)
    with pytest.raises(UserError) as caught:
        method(method.config_type(), task)
    assert f"30000 samples are too many for {name}, wh" in str(caught.value)
    assert ": --limit 20000, or raise --max-samples" in str(caught.value)
    method(method.config_type(max_samples=30_000), task)


@pytest.mark.slow
def test_usps_is_clustered_by_k_means_as_printed(data_dir: Path) -> None:
    from gancluster.data import catalogue

    usps = catalogue.load("usps", data_dir)
    found = fitted(named("kmeans"), flat(Batches(usps.unlabelled())), 10, n_init=5)
    assert usps.labels is not None
    assert 0.38 < metrics.scores(usps.labels, found.clusters.astype(np.int64), 10)["acc"] < 0.5  # printed: .460
