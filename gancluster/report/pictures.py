"""The pictures of a run: what was generated, what was found, how they lie, how it went, and how right it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset
from gancluster.errors import RunError
from gancluster.methods.base import Fit
from gancluster.report import figures
from gancluster.report.planes import principal
from gancluster.runs.attempts import configured
from gancluster.runs.run import Run
from gancluster.runs.training import trained

GENERATED = 10  # samples of each cluster


def draw(run: Run, dataset: Dataset) -> None:
    """Draw a finished run's pictures into its folder from its files; nothing for a run that failed.

    `generated.png`, `clusters.png` (real samples, nearest to and farthest from the mean code of their cluster),
    `embedding.png`, `losses.png`, and `confusion.png` where there are labels; without a game no first and no losses.
    """
    if run.status != "finished":
        return
    arrays, k, folder = run.arrays(), run.request.n_clusters, run.folder
    embedding, labels = arrays["embedding"], arrays.get("labels")
    clusters = next(values for name, values in arrays.items() if name.startswith("clusters/"))
    names = None if labels is None else figures.matched_names(labels, clusters, k, dataset.label_names)
    has_game = not isinstance(configured(run.request), Fit)
    generated = trained(run).generate(GENERATED, run.request.seed) if has_game else None
    if dataset.is_images:
        distances = _from_mean(embedding, clusters, k)
        figures.cluster_grid(
            np.asarray(dataset.inputs, np.uint8), clusters, k, folder / "clusters.png", distances, names
        )
        if generated is not None:
            figures.sample_grid(generated, folder / "generated.png", run.request.pixel_range, names)
    else:
        vectors = np.asarray(dataset.inputs, np.float32)
        if dataset.shape == (2,):
            figures.plane(vectors, clusters, folder / "clusters.png", generated)
        else:
            figures.cluster_means(vectors, clusters, k, folder / "clusters.png", generated, names)
    figures.embedding_plane(principal(embedding), clusters, folder / "embedding.png", labels, dataset.label_names)
    if has_game:
        figures.loss_curves(run.log(), folder / "losses.png")
    if labels is not None:
        figures.confusion(labels, clusters, k, folder / "confusion.png", dataset.label_names)


def draw_samples(run: Run, per_cluster: int, seed: int, path: Path) -> None:
    """Draw fresh generated images of a finished run, one row a cluster; `RunError` where it makes no images."""
    if len(run.request.shape) != 3:
        raise RunError(f"{run.folder} is about vectors, not images: look at its clusters.png")
    generated = trained(run).generate(per_cluster, seed)
    if generated is None:
        raise RunError(f"{run.folder} was trained without a generator: sample a run that has one")
    figures.sample_grid(generated, path, run.request.pixel_range)


def _from_mean(embedding: NDArray[np.float32], clusters: NDArray[np.int64], k: int) -> NDArray[np.float32]:
    """Distance `(n,)` of each sample's embedding from the mean of its cluster."""
    distances = np.zeros(len(embedding), np.float32)
    for cluster in range(k):
        members = clusters == cluster
        if members.any():
            distances[members] = np.linalg.norm(embedding[members] - embedding[members].mean(0), axis=1)
    return distances
