"""The silhouette is scikit-learn's, on real embeddings and on those that a collapse leaves."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import silhouette_score

from gancluster.metrics.internal import silhouette

DIGITS: NDArray[np.float32] = load_digits().data[:600].astype(np.float32)


def partitions() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    found = KMeans(10, n_init=1, random_state=0).fit_predict(DIGITS)
    return {
        "k-means": found,
        "chance": rng.integers(0, 10, 600),
        "some empty": found * 7 % 40,
        "one alone": np.where(np.arange(600) == 5, 3, 0).astype(np.uint8),
        "two": (DIGITS[:, 20] > 8).astype(np.int8),
        "all but one alone": np.minimum(np.arange(600), 598),
    }


@pytest.mark.parametrize("name", partitions())
def test_it_is_scikit_learn_s(name: str) -> None:
    clusters = partitions()[name]
    wanted = silhouette_score(DIGITS.astype(float), clusters)
    assert silhouette(DIGITS, clusters) == pytest.approx(wanted, abs=1e-9)


def test_by_hand() -> None:
    """Points 0, 1 | 4, 6 on a line."""
    line = np.array([[0.0], [1.0], [4.0], [6.0]])
    wanted = np.mean([(5 - 1) / 5, (4 - 1) / 4, (3.5 - 2) / 3.5, (5.5 - 2) / 5.5])
    assert silhouette(line, np.array([0, 0, 1, 1])) == pytest.approx(wanted)
    assert silhouette(line, np.array([8, 8, 2, 2])) == pytest.approx(wanted)


def test_where_nothing_can_be_compared_it_is_not_a_number() -> None:
    assert math.isnan(silhouette(DIGITS, np.zeros(600, np.int64)))


def test_samples_that_are_all_the_same_are_no_better_than_0() -> None:
    same = np.ones((6, 3), np.float32)
    assert silhouette(same, np.array([0, 0, 0, 1, 1, 1])) == 0
    far = np.full((4, 2), 1e4, np.float32) + np.array([[0, 0], [0, 1e-2], [1, 0], [1, 1e-2]], np.float32)
    assert silhouette(far, np.array([0, 0, 1, 1])) == pytest.approx(silhouette_score(far.astype(float), [0, 0, 1, 1]))
