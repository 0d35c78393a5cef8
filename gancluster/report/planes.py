"""From representations of samples to points of the plane: principal axes, t-SNE, or two features as they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NEIGHBOURED = 3000  # samples in a t-SNE, at most
PERPLEXITY = 30.0
FEWEST = 5  # samples that t-SNE finds neighbours among

Floats = NDArray[np.floating[Any]]


class Plane(NamedTuple):
    """Points `(m, 2)`, what their two axes are called, and which samples `(m,)` they stand for."""

    points: Floats
    axes: tuple[str, str]
    shown: NDArray[np.intp]


def principal(embedding: Floats) -> Plane:
    """All samples `(n, d)` on the two axes along which they vary most; the axes' names hold the shares of variance."""
    points, shares = principal_axes(embedding)
    axes = f"first principal axis ({shares[0]:.0%})", f"second ({shares[1]:.0%})"
    return Plane(points, axes, np.arange(len(points)))


def of_features(features: Floats) -> Plane:
    """Features `(n, d)` as they are where they are two or one, else by t-SNE; on principal axes where n is below 5."""
    n, d = features.shape
    if d <= 2:
        return Plane(_two_columns(features), ("first feature", "second feature"), np.arange(n))
    return principal(features) if n < FEWEST else by_t_sne(features)


def by_t_sne(features: Floats, seed: int = 0) -> Plane:
    """Features `(n, d)` by t-SNE from their principal axes: neighbours stay together, distances mean little.

    At most 3,000 samples, drawn by the seed. One thread: the same features give the same points.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    n = len(features)
    shown = np.sort(np.random.default_rng(seed).permutation(n)[:NEIGHBOURED])
    start, _ = principal_axes(features[shown])
    start *= 1e-4 / max(float(start[:, 0].std()), 1e-12)
    perplexity = min(PERPLEXITY, (len(shown) - 1) / 3)
    t_sne = TSNE(perplexity=perplexity, init=start.astype(np.float32), random_state=seed)
    with threadpool_limits(1):
        points = t_sne.fit_transform(features[shown])
    part = f"{len(shown):,} of {n:,} samples" if len(shown) < n else f"{n:,} samples"
    return Plane(points, (f"t-SNE, first axis ({part})", "second axis"), shown)


def principal_axes(samples: Floats) -> tuple[Floats, Floats]:
    """Coordinates `(n, 2)` on the two axes of most variance, and the share of the variance along each."""
    centred = _two_columns(samples - samples.mean(0)).astype(np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    top = axes[:, [-1, -2]]
    top *= np.sign(top[np.abs(top).argmax(0), [0, 1]])  # else the sign is the linear algebra library's whim
    return centred @ top, variances[[-1, -2]] / max(variances.sum(), 1e-12)


def _two_columns(samples: Floats) -> Floats:
    """With columns of zeros where there are fewer than two."""
    return np.pad(samples, ((0, 0), (0, max(0, 2 - samples.shape[1]))))
