"""Partitions kept while a game is played, each with what can be said of it without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gancluster import metrics
from gancluster.engine.game import Game
from gancluster.engine.randomness import Purpose
from gancluster.engine.trained import as_they_stand
from gancluster.methods.base import Embedding
from gancluster.metrics.internal import silhouette

JUDGED = 2000  # samples that a silhouette is taken of, at most: the same ones in every snapshot
LEARNT = 10_000  # samples that the centres of a partition on the way are learnt from, at most


class Snapshot(NamedTuple):
    """What the players made of all samples at the end of an epoch.

    `epoch`: rows of the log up to there. `clusters` `(n,)`, in the smallest type that holds them. `silhouette`: in
    [-1, 1], NaN with one cluster. `stability`: ARI with the snapshot before, NaN for the first.
    """

    epoch: int
    clusters: NDArray[np.unsignedinteger]
    silhouette: float
    stability: float


def due(game: Game, wanted: int) -> int:
    """How many of `wanted` snapshots should be there by now, evenly spaced over the epochs that were planned."""
    planned = [phase.epochs for phase in game.phases]
    return (sum(planned[: game.state.phase]) + game.state.epoch) * wanted // sum(planned)


def look(game: Game, before: Sequence[Snapshot]) -> Snapshot:
    """The partition that the players make as they stand; the game does not notice.

    Centres are learnt from at most `LEARNT` samples: what a method does of 70,000 at the end takes too long here.
    """
    embedding = as_they_stand(game).embed(game.batches)
    centres = game.method.centres(embedding[_drawn(game, LEARNT)], game.seed)
    return judged(game, embedding, next(iter(game.method.assign(embedding, centres).values())), before)


def judged(game: Game, embedding: Embedding, clusters: NDArray[np.int64], before: Sequence[Snapshot]) -> Snapshot:
    """Clusters `(n,)` of `embedding` `(n, m)` as the snapshot of this epoch, after those `before`."""
    some = _drawn(game, JUDGED)
    kept = clusters.astype(np.min_scalar_type(game.method.task.n_clusters - 1))
    agreement = metrics.ari(metrics.contingency(before[-1].clusters, kept)) if before else float("nan")
    return Snapshot(game.state.rows, kept, silhouette(embedding[some], clusters[some]), agreement)


def packed(snapshots: Sequence[Snapshot], n_samples: int) -> dict[str, NDArray[Any]]:
    """As arrays with a row a snapshot: `epoch`, `clusters` `(s, n)`, `silhouette`, `stability`."""
    clusters = [snapshot.clusters for snapshot in snapshots] or np.empty((0, n_samples), np.uint8)
    return {
        "epoch": np.array([snapshot.epoch for snapshot in snapshots], np.int64),
        "clusters": np.array(clusters),
        "silhouette": np.array([snapshot.silhouette for snapshot in snapshots], float),
        "stability": np.array([snapshot.stability for snapshot in snapshots], float),
    }


def unpacked(arrays: dict[str, NDArray[Any]]) -> list[Snapshot]:
    """The snapshots that `packed` put into arrays."""
    columns = (
        arrays["epoch"].tolist(),
        arrays["clusters"],
        arrays["silhouette"].tolist(),
        arrays["stability"].tolist(),
    )
    return [Snapshot(*row) for row in zip(*columns, strict=True)]


def _drawn(game: Game, most: int) -> NDArray[np.int64]:
    """At most so many of the samples, drawn by the seed, in the order they are stored."""
    rng = np.random.default_rng((game.seed, Purpose.LOOK))
    return np.sort(rng.permutation(len(game.batches))[:most])
