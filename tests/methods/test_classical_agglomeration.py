"""AC-PIC: path integrals by matrix inversion, its merges by trying all pairs, and what it refuses."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gancluster import metrics
from gancluster.errors import DataError
from gancluster.methods.agglomeration import ACPIC, Merging, Walk, first_clusters, path_integrals, random_walk
from gancluster.methods.base import Task

Floats = NDArray[Any]


def points(n: int = 40) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)


def dense(walk: Walk) -> Floats:
    """P `(n, n)`."""
    P = np.zeros((len(walk.to),) * 2)
    np.put_along_axis(P, walk.to, walk.chances, axis=1)
    return P


def integral(P: Floats, group: list[int], within: list[int], z: float) -> float:
    """1_gᵀ (I - z P_C)⁻¹ 1_g / |g|² by inversion."""
    ones = np.isin(within, group).astype(float)
    inverse = np.linalg.inv(np.eye(len(within)) - z * P[np.ix_(within, within)])
    return float(ones @ inverse @ ones) / len(group) ** 2


def test_a_walk_steps_to_near_samples_by_gaussian_weights() -> None:
    samples, width = points(), 0.9
    P = dense(random_walk(samples, 6, width))
    distances = np.linalg.norm(samples[:, None] - samples, axis=2)
    near = np.sort(distances, axis=1)[:, 1:7]
    weights = np.exp(-(distances**2) / ((near[:, :3] ** 2).mean() / -np.log(width)))
    np.fill_diagonal(weights, 0)
    weights[distances > near[:, [-1]]] = 0
    np.testing.assert_allclose(P, weights / weights.sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("z", [0.01, 0.9])
def test_path_integrals_are_those_of_the_inverse(z: float) -> None:
    walk = random_walk(points(), 6, 0.95)
    a, b = np.arange(5, 14), np.array([0, 2, 30, 31])
    alone = path_integrals(walk, z, a)
    assert alone[0] == pytest.approx(integral(dense(walk), list(a), list(a), z), abs=1e-10)
    given = path_integrals(walk, z, a, b)
    union = [*a, *b]
    wanted = [integral(dense(walk), list(group), union, z) for group in (a, b)]
    np.testing.assert_allclose(given, wanted, atol=1e-10)
    assert given[0] >= alone[0]


def test_samples_begin_with_their_nearest() -> None:
    walk = random_walk(points(), 6, 0.95)
    clusters, n = first_clusters(walk), 40
    reach = np.eye(n, dtype=bool)
    reach[np.arange(n), walk.to[:, 0]] = True
    reach |= reach.T
    for _ in range(n):
        reach = reach @ reach
    assert (reach == (clusters[:, None] == clusters)).all()


@pytest.mark.parametrize("z", [0.01, 0.5])
def test_merges_are_those_of_trying_all_pairs(z: float) -> None:
    walk = random_walk(points(), 6, 0.95)
    P, start = dense(walk), first_clusters(walk)
    clusters = [np.flatnonzero(start == c).tolist() for c in range(start.max() + 1)]

    def gain(pair: tuple[list[int], list[int]]) -> float:
        union = pair[0] + pair[1]
        return sum(integral(P, group, union, z) - integral(P, group, group, z) for group in pair)

    while len(clusters) > 3:
        one, other = max(combinations(clusters, 2), key=gain)
        clusters = [c for c in clusters if c is not one and c is not other] + [one + other]
    wanted = np.zeros(40, np.int64)
    for number, members in enumerate(clusters):
        wanted[members] = number
    found = Merging(walk, start, z).down_to(3)
    assert metrics.ari(metrics.contingency(wanted, found)) == 1.0


def test_rings_are_told_apart_and_parts_without_an_edge_are_refused() -> None:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    rings, classes = np.concatenate([circle, 3 * circle]).astype(np.float32), np.repeat([0, 1], 60)

    def clusters(k: int, neighbours: int) -> NDArray[np.int64]:
        return ACPIC(ACPIC.config_type(neighbours=neighbours), Task((2,), k, len(rings))).fit(rings, 0).clusters

    assert metrics.ari(metrics.contingency(classes, clusters(2, 4))) == 1.0
    rings = np.concatenate([rings, rings + 100])
    with pytest.raises(DataError, match="4 parts without an edge between them, more than 2: raise --neighbours"):
        clusters(2, 4)
