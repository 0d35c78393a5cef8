"""Communities of a graph of nearest neighbours: parts with more links inside than chance would give them.

Neighbours can be sought in several spaces at once, samples and what an encoder makes of them, say: what one of them
tears apart another may hold together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from threadpoolctl import threadpool_limits
from torch import Tensor

from gancluster.methods import base
from gancluster.methods.base import Embedding, Fit, Fitted
from gancluster.methods.classical import COMPONENTS, best_of, principal_components
from gancluster.methods.kmeans import STARTS
from gancluster.methods.neighbours import neighbour_graph

NEIGHBOURS = 10
Clusters = NDArray[np.int64]


def neighbours_in(
    spaces: Sequence[Tensor], weights: Sequence[float] = (1.0,), neighbours: int = NEIGHBOURS
) -> sparse.csr_matrix:
    """Symmetric `(n, n)`, 0 on the diagonal: the weighted sum of each space's `neighbour_graph`; each `(n, d)`."""
    graphs = [w * neighbour_graph(space, neighbours + 1) for space, w in zip(spaces, weights, strict=True)]
    graph = sparse.csr_matrix(sum(graphs))
    graph.setdiag(0)
    graph.eliminate_zeros()
    return graph


def communities_of(
    samples: Tensor, spaces: Sequence[Tensor], weights: Sequence[float], clusters: Clusters, seed: int
) -> Clusters:
    """Communities that given `clusters` `(n,)` gather, of neighbours among samples and in further spaces.

    Samples `(n, *shape)` are seen by their principal components, the spaces `(n, d)` by direction alone; `weights`: of
    samples first.
    """
    with threadpool_limits(1):  # as in `kmeans_centres`
        _, reduced = principal_components(samples.flatten(1).cpu().numpy(), COMPONENTS, seed)
    seen = torch.from_numpy(reduced).to(samples)
    return communities_by(clusters, neighbours_in([seen, *map(F.normalize, spaces)], weights))


def communities_by(clusters: Clusters, graph: sparse.csr_matrix) -> Clusters:
    """Clusters `(n,)` made of whole communities of a graph `(n, n)`, each where given `clusters` have most of it.

    Then communities move, one by one, while modularity rises. Louvain's resolution is the first of 1, 2, 4, ... at
    which every cluster has most of some community. (Not Leiden's: its draws there follow no seed.)
    """
    from sknetwork.clustering import Louvain

    resolution = 1.0
    while True:
        member = one_hot(Louvain(resolution).fit_predict(graph))
        place = np.asarray((member.T @ one_hot(clusters)).argmax(1)).ravel()
        if len(np.unique(place)) == len(np.unique(clusters)):
            links = (member.T @ graph @ member).toarray()
            return np.asarray(moved(place, links)[member.indices], np.int64)
        resolution *= 2


def moved(place: Clusters, links: NDArray[np.float64]) -> Clusters:
    """Clusters `(s,)` of communities after all moves, the best first, that raise modularity; none leaves one empty.

    `links` `(s, s)`: the weight between communities. A move is worth the links to a cluster, less those that chance
    would give.
    """
    place, degrees, own = place.copy(), links.sum(1), np.arange(len(place))
    while True:
        of = np.eye(place.max() + 1)[place]
        others = degrees @ of - degrees[:, None] * of
        worth = links @ of - links.diagonal()[:, None] * of - degrees[:, None] * others / degrees.sum()
        gain = worth - worth[own, place][:, None]
        gain[of.sum(0)[place] == 1] = 0
        community, cluster = np.unravel_index(gain.argmax(), gain.shape)
        if gain[community, cluster] < 1e-9 * degrees.sum():
            return place
        place[community] = cluster


def one_hot(numbers: Clusters) -> sparse.csr_matrix:
    """`(n, k)` of numbers `(n,)` below k: a 1 in each row."""
    return sparse.csr_matrix((np.ones(len(numbers)), numbers, np.arange(len(numbers) + 1)))


class Config(base.Config):
    """Options of Louvain's communities."""

    neighbours: int = Field(NEIGHBOURS, ge=1, description="nearest neighbours that a sample is linked with")


class LouvainCommunities(Fit):
    """Louvain's communities of neighbours among the samples' principal components, gathered by their K-means."""

    name: ClassVar[str] = "louvain"
    paper: ClassVar[str] = "Blondel, Guillaume, Lambiotte, Lefebvre: Fast Unfolding of Communities, 2008"
    config_type: ClassVar[type[base.Config]] = Config

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        _, reduced = principal_components(samples, COMPONENTS, seed)
        clusters = best_of(STARTS, reduced, self.task.n_clusters, seed).labels_.astype(np.int64)
        graph = neighbours_in([torch.from_numpy(reduced)], neighbours=self.config.neighbours)
        return Fitted(communities_by(clusters, graph), reduced)
