"""Agglomerative clusterings: begin with many clusters and merge, two at a time, until K are left.

Nothing is drawn: every seed gives the same clusters.
"""

from __future__ import annotations

import heapq
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import sklearn.cluster
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

from gancluster.errors import DataError
from gancluster.methods import base
from gancluster.methods.base import Embedding, Fit, Fitted, Task
from gancluster.methods.classical import COMPONENTS, principal_components

Floats = NDArray[np.floating[Any]]
Members = NDArray[np.int64]


def refuse_many(name: str, n: int, most: int, cost: str) -> None:
    """`DataError` where there are more samples than `most`."""
    if n > most:
        raise DataError(f"{n} samples are too many for {name}, {cost}: --limit {most}, or raise --max-samples")


class AgglomerativeConfig(base.Config):
    """Options of agglomerative clustering."""

    linkage: Literal["ward", "average", "complete", "single"] = Field(
        "ward", description="what is merged: see Ward 1963"
    )
    max_samples: int = Field(
        20_000, ge=2, description="refuse more samples: all their distances are held, 8 bytes each"
    )


class Agglomerative(Fit):
    """Merges the two clusters whose union costs least."""

    name: ClassVar[str] = "agglomerative"
    paper: ClassVar[str] = "Ward: Hierarchical Grouping to Optimize an Objective Function, 1963"
    config_type: ClassVar[type[base.Config]] = AgglomerativeConfig

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        refuse_many(self.name, task.n_samples, config.max_samples, "which holds all distances")

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        model = sklearn.cluster.AgglomerativeClustering(self.task.n_clusters, linkage=self.config.linkage)
        _, shown = principal_components(samples, COMPONENTS, seed)
        return Fitted(model.fit_predict(samples), shown)


class ACPICConfig(base.Config):
    """Options of AC-PIC; the defaults are the paper's."""

    neighbours: int = Field(20, ge=1, description="nearest neighbours that a sample has edges to (K)")
    width: float = Field(0.95, gt=0, lt=1, description="mean weight of the edges to the three nearest, about (a)")
    damping: float = Field(0.01, gt=0, lt=1, description="weight of a path's every further step (z)")
    max_samples: int = Field(20_000, ge=2, description="refuse more samples: the time grows with their square")


class ACPIC(Fit):
    """Merges the two clusters that hold each other's paths together most.

    The path integral of a cluster C, S(C) = 1ᵀ (I - z P_C)⁻¹ 1 / |C|², sums over all paths within it of a random walk P
    on the graph of nearest neighbours.
    """

    name: ClassVar[str] = "ac-pic"
    paper: ClassVar[str] = (
        "Zhang, Zhao, Wang: Agglomerative Clustering via Maximum Incremental Path Integral, Pattern Recognition 2013"
    )
    config_type: ClassVar[type[base.Config]] = ACPICConfig

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__(config, task)
        refuse_many(self.name, task.n_samples, config.max_samples, "whose time grows with their square")

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        c, k = self.config, self.task.n_clusters
        walk = random_walk(samples, c.neighbours, c.width)
        start = first_clusters(walk)
        if start.max() + 1 < k:
            start = np.arange(len(samples))
        _, shown = principal_components(samples, COMPONENTS, seed)
        return Fitted(Merging(walk, start, c.damping).down_to(k), shown)


class Walk(NamedTuple):
    """Steps from each sample to its m neighbours: which `(n, m)`, and their probabilities `(n, m)`."""

    to: Members
    chances: Floats


def random_walk(samples: Embedding, neighbours: int, width: float) -> Walk:
    """Steps to the nearest others, the nearest first, by weights exp(-distance² / σ²).

    σ² is such that the mean square to three neighbours weighs `width`.
    """
    model = NearestNeighbors(n_neighbors=min(neighbours, len(samples) - 1)).fit(samples)
    distances, found = model.kneighbors()
    squares = distances.astype(np.float64) ** 2
    weights = np.exp(squares / max(squares[:, :3].mean(), 1e-300) * np.log(width))
    return Walk(found, weights / weights.sum(1, keepdims=True))


def first_clusters(walk: Walk) -> Members:
    """Clusters `(n,)` of samples that are linked, over any number of others, to their nearest ones."""
    n = len(walk.to)
    nearest = sparse.csr_matrix((np.ones(n), (np.arange(n), walk.to[:, 0])), (n, n))
    return np.asarray(connected_components(nearest, directed=False)[1], np.int64)


def path_integrals(walk: Walk, damping: float, *groups: Members) -> Floats:
    """S of each of disjoint groups, given the union C of all: 1_gᵀ (I - z P_C)⁻¹ 1_g / |g|².

    The inverse as its power series: what is left after t steps is below zᵗ / (1 - z).
    """
    union, sizes = np.concatenate(groups), [len(group) for group in groups]
    to, chances = walk.to[union], walk.chances[union]
    members = np.repeat(np.eye(len(groups)), sizes, axis=0)
    total, step, rest, spread = members.copy(), members, 1.0, np.zeros((len(walk.to), len(groups)))
    while rest > 1e-15 * (1 - damping):
        spread[union] = step
        step = damping * np.einsum("um,umg->ug", chances, spread[to])
        total, rest = total + step, rest * damping
    integrals: Floats = (members * total).sum(0) / np.square(sizes)
    return integrals


class Merging:
    """Clusters of samples, merged two at a time; `members` has the samples of each by its number."""

    def __init__(self, walk: Walk, clusters: Members, damping: float) -> None:
        self.walk, self.damping = walk, damping
        self.members = {c: np.flatnonzero(clusters == c) for c in range(clusters.max() + 1)}
        self.integrals = {c: float(path_integrals(walk, damping, own)[0]) for c, own in self.members.items()}
        self.linked: dict[int, set[int]] = {c: set() for c in self.members}
        for one, others in zip(clusters.tolist(), clusters[walk.to].tolist(), strict=True):
            for other in set(others) - {one}:
                self.linked[one].add(other)
                self.linked[other].add(one)
        pairs = [(one, other) for one, others in self.linked.items() for other in others if one < other]
        self.heap = [(-self.affinity(*pair), *pair) for pair in pairs]
        heapq.heapify(self.heap)

    def down_to(self, k: int) -> Members:
        """Merge the pair of largest affinity until k clusters are left: clusters `(n,)` in 0 … k - 1."""
        while len(self.members) > k:
            if not self.heap:
                much = f"{len(self.members)} parts without an edge between them"
                raise DataError(f"the graph of nearest neighbours has {much}, more than {k}: raise --neighbours")
            _, one, other = heapq.heappop(self.heap)
            if one in self.members and other in self.members:
                self.merge(one, other)
        clusters = np.empty(len(self.walk.to), np.int64)
        for number, members in enumerate(self.members.values()):
            clusters[members] = number
        return clusters

    def merge(self, one: int, other: int) -> None:
        """Both become a new cluster, of a number that was never used."""
        made = len(self.integrals)
        self.members[made] = np.concatenate([self.members.pop(one), self.members.pop(other)])
        self.integrals[made] = float(path_integrals(self.walk, self.damping, self.members[made])[0])
        self.linked[made] = (self.linked.pop(one) | self.linked.pop(other)) - {one, other}
        for near in self.linked[made]:
            self.linked[near] = (self.linked[near] - {one, other}) | {made}
            heapq.heappush(self.heap, (-self.affinity(made, near), made, near))

    def affinity(self, one: int, other: int) -> float:
        """What both path integrals gain by the union: (S_a|ab - S_a) + (S_b|ab - S_b)."""
        given = path_integrals(self.walk, self.damping, self.members[one], self.members[other])
        return float(given.sum()) - self.integrals[one] - self.integrals[other]
