"""Where a run's game set out from: the clusters of its pre-trained players, and K-means of the samples themselves."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.trained import as_they_stand
from gancluster.methods.base import Prediction
from gancluster.methods.classical import best_of
from gancluster.runs.fits import flat
from gancluster.runs.run import Request

FITTED = 10_000  # samples that K-means of the samples themselves is fitted to, at most,
VALUES = 30_000_000  # and values that they have together
STARTS = 3


def is_here(game: Game) -> bool:
    """Whether what pre-training has left is about to be played with."""
    at, before = game.state, any(phase.pretrains for phase in game.phases[: game.state.phase])
    return before and not game.is_over and not game.phases[at.phase].pretrains and at.epoch == at.step == 0


def look(game: Game) -> Prediction:
    """The clusters `(n,)` by each rule that the players make as they stand; the game does not notice."""
    embedding = as_they_stand(game).embed(game.batches)
    return game.method.assign(embedding, game.method.centres(embedding, game.seed))


def told(start: Prediction, dataset: Dataset, result: dict[str, Any], request: Request) -> dict[str, Any]:
    """What to add to a `result` with scores for its `start`: nothing where there was no start, or no labels.

    `start`: scores by rule of the pre-trained players. `gain`: ACC by the paper's rule, less the start's. `floor`:
    scores of K-means of the samples. `floor_seconds`: what that took.
    """
    if not start or not result["scores"]:
        return {}
    labels, k, began = dataset.labels, request.n_clusters, time.monotonic()
    assert labels is not None
    floor = metrics.scores(labels, kmeans_of_samples(dataset, k, request.seed), k)
    seconds = round(time.monotonic() - began, 1)
    scores = {rule: metrics.scores(labels, clusters, k, request.n_labels > 0) for rule, clusters in start.items()}
    rule, ended = next(iter(result["scores"].items()))
    return {"start": scores, "gain": ended["acc"] - scores[rule]["acc"], "floor": floor, "floor_seconds": seconds}


def kmeans_of_samples(dataset: Dataset, n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Clusters `(n,)` by K-means, best of 3 starts, of samples as they are; fitted to as many as are quickly fitted."""
    samples = flat(Batches(dataset.unlabelled()))
    most = max(min(FITTED, VALUES // samples.shape[1]), n_clusters)
    some = np.random.default_rng(seed).permutation(len(samples))[:most]
    with threadpool_limits(1):
        centres = best_of(STARTS, samples[some], n_clusters, seed).cluster_centers_
    return np.asarray(pairwise_distances_argmin(samples, centres), np.int64)
