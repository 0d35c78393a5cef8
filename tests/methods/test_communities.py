"""Louvain's communities: what is linked stays together, in whichever space; merging counts links against chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

from gancluster import metrics
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.methods.base import Fit
from gancluster.methods.classical import KMeans, KMeansConfig
from gancluster.methods.communities import Config, LouvainCommunities, communities_by, moved, neighbours_in
from gancluster.runs.fits import flat
from gancluster.runs.training import task_of


def cliques(sizes: list[int], between: dict[tuple[int, int], float]) -> tuple[sparse.csr_matrix, NDArray[Any]]:
    """Complete graphs of weight 1 with a link between the first nodes of some, and each node's clique."""
    parts = np.repeat(np.arange(len(sizes)), sizes)
    graph = (parts[:, None] == parts).astype(float) - np.eye(len(parts))
    first = np.cumsum([0, *sizes])
    for (i, j), weight in between.items():
        graph[first[i], first[j]] = graph[first[j], first[i]] = weight
    return sparse.csr_matrix(graph), parts


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two clusterings differ by their numbers at most."""
    return bool(np.array_equal(one[:, None] == one, other[:, None] == other))


def modularity(graph: sparse.csr_matrix, clusters: NDArray[Any]) -> float:
    """Q, written out: the share of links within clusters, less what chance would give."""
    A = graph.toarray()
    degrees, within = A.sum(1), clusters[:, None] == clusters
    return float(((A - np.outer(degrees, degrees) / A.sum()) * within).sum() / A.sum())


def test_clusters_are_made_of_whole_communities() -> None:
    graph, parts = cliques([5, 6, 7], {(0, 1): 1.0, (1, 2): 0.5})
    given = (np.arange(18) > 8).astype(int)  # tears the second apart
    assert same(communities_by(given, graph), np.array([0, 0, 1])[parts])


def test_a_community_leaves_clusters_that_hold_it_without_links() -> None:
    graph, parts = cliques([6, 6, 6], {(0, 1): 3.0})
    given = np.array([0, 1, 1])[parts]
    found = communities_by(given, graph)
    assert same(found, np.array([0, 0, 1])[parts])
    assert modularity(graph, found) > modularity(graph, given)


def test_a_cluster_is_never_emptied() -> None:
    links = np.array([[1.0, 9.0], [9.0, 1.0]])
    assert moved(np.array([0, 1]), links).tolist() == [0, 1]


def test_communities_grow_finer_until_every_cluster_has_one() -> None:
    graph, _ = cliques([8, 8], {(0, 1): 1.0})
    given = np.arange(16) // 4
    assert len(np.unique(communities_by(given, graph))) == 4


@pytest.mark.parametrize("seed", range(5))
def test_every_move_is_the_best_and_raises_modularity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.integers(0, 9, (9, 9)) * (rng.random((9, 9)) < 0.5), 1)
    graph = sparse.csr_matrix((weights + weights.T).astype(float))
    start = np.arange(9) % 3
    end = moved(start, graph.toarray())
    best = modularity(graph, end)
    assert best >= modularity(graph, start)
    for node, cluster in np.ndindex(9, 3):
        other = np.where(np.arange(9) == node, cluster, end)
        assert len(np.unique(other)) < 3 or modularity(graph, other) <= best + 1e-9


def test_what_one_space_tears_apart_another_holds_together() -> None:
    rng, half = np.random.default_rng(0), np.arange(200) % 2
    torn, whole = (torch.from_numpy(rng.standard_normal((200, 2))) for _ in range(2))
    torn[:, 0] += 90 * torch.from_numpy(half)
    between = [neighbours_in(*given)[half == 0][:, half == 1].nnz for given in (([torn],), ([torn, whole], [1.0, 1.0]))]
    assert between[0] == 0
    assert between[1] > 500  # of some 2 * 200 * 10 links, a half


def test_a_graph_sums_the_neighbours_of_its_spaces_by_weight() -> None:
    spaces = [torch.from_numpy(np.random.default_rng(seed).standard_normal((30, 2))) for seed in (0, 1)]
    one, other, both = (
        neighbours_in(*given, neighbours=3).toarray() for given in ((spaces[:1],), (spaces[1:],), (spaces, [1.0, 2.0]))
    )
    assert np.array_equal(both, one + 2 * other)
    assert not both.diagonal().any()
    assert (one.sum(1) >= 1.5).all()  # three neighbours, each worth a half at least


def test_digits_are_found_better_than_by_k_means(tmp_path: Path) -> None:
    digits = catalogue.load("digits", tmp_path)
    samples, task = flat(Batches(digits.unlabelled())), task_of(digits, None)
    methods: list[Fit] = [LouvainCommunities(Config(), task), KMeans(KMeansConfig(), task)]
    found = [method.fit(samples, seed=0).clusters for method in methods]
    ours, k_means = (metrics.scores(digits.labels, clusters, 10)["nmi"] for clusters in found)
    assert ours > k_means + 0.1
