"""Scores of a clustering against known classes, all read off one contingency table.

A table holds counts, int64 `(n_classes, n_clusters)`: row = class, column = cluster. `contingency` makes it in one pass
over the samples, each measure reads it, and `scores` does both.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from gancluster.errors import DataError

Table = NDArray[np.int64]
Integers = NDArray[np.integer[Any]]
Average = Literal["geometric", "arithmetic", "max"]

UNLABELLED = -1

COMPARABLE: dict[str, str] = {
    "acc": "tables of BSPL ClusterGAN and DCAN; GAN-EM with K = 10 as error = 1 - x",
    "nmi": "tables of BSPL ClusterGAN, whose normaliser is not stated: compare this one first",
    "nmi_arithmetic": "tables of BSPL ClusterGAN, if their normaliser was the arithmetic mean",
    "nmi_max": "tables of BSPL ClusterGAN, if their normaliser was the maximum",
    "cluster_majority": "GAN-EM with K = 20 or 30, AAE, CatGAN, PixelGAN and GANMM, as error = 1 - x",
    "error": "GAN-EM with labels, on the test split; no matching: with --labels a cluster is a class",
    "class_majority": "GAN-EM with K = 10 as error = 1 - x, counted as its released code does",
}
"""Which printed figures each key of `scores` compares with; the other keys were printed by none."""

# Values below this index the table as they are, and empty rows and columns are dropped from it: nothing is renumbered.
_DENSE = 1024
_CHUNK = 2**15  # samples counted at a time: their cell numbers stay in the processor's cache
_CELLS = 10**8  # of a table, at most: 0.8 GB


def scores(
    labels: ArrayLike, clusters: ArrayLike, n_clusters: int | None = None, named: bool = False
) -> dict[str, float]:
    """Every score of one clustering; arguments and errors are those of `contingency`.

    error: fraction of samples whose cluster's number is not their class, in [0, 1], nothing matched; only for clusters
        that are `named` by some labels (semi-supervised).

    acc: accuracy under the best one-to-one matching, in [0, 1].
    nmi, nmi_arithmetic, nmi_max: normalised mutual information in [0, 1], by the mean named (nmi: geometric).
    ari: adjusted Rand index in [-1, 1]; 0 is what chance gives.
    cluster_majority: purity, in (0, 1].
    class_majority: each class counted by its most frequent cluster, in (0, 1]; can overcount.
    empty_clusters: number of clusters without a labelled sample, in 0 .. n_clusters - 1.
    largest_share: fraction of the samples in the largest cluster, in (0, 1].
    n: number of labelled samples, the ones that were scored.
    """
    table = contingency(labels, clusters, n_clusters)
    entropies = _entropies(table)
    return ({"error": error(labels, clusters)} if named else {}) | {
        "acc": accuracy(table),
        "nmi": _nmi(*entropies, "geometric"),
        "nmi_arithmetic": _nmi(*entropies, "arithmetic"),
        "nmi_max": _nmi(*entropies, "max"),
        "ari": ari(table),
        "cluster_majority": cluster_majority(table),
        "class_majority": class_majority(table),
        "empty_clusters": float(empty_clusters(table)),
        "largest_share": largest_share(table),
        "n": float(table.sum()),
    }


def contingency(labels: ArrayLike, clusters: ArrayLike, n_clusters: int | None = None) -> Table:
    """Count the samples of each class in each cluster.

    `labels`: integers `(n,)` of any width, any values from 0 up; samples with label -1 are unlabelled and left out.
    `clusters`: integers `(n,)` of any width, any values from 0 up.
    `n_clusters`: if given, column k is cluster k for k in 0 .. n_clusters - 1, and empty clusters stay as zero columns.
    Otherwise columns, like rows always, are the values that occur, in ascending order.
    Raises `DataError` for anything else (other negative values, booleans, floats, a table of more than 10^8 cells), and
    where no sample has a label.
    """
    rows, columns = _integers("labels", labels), _integers("clusters", clusters)
    if len(rows) != len(columns):
        raise DataError(f"{len(rows)} labels for {len(columns)} clusters: give one of each per sample")
    highest, last = _highest_label(rows), _highest_cluster(columns, n_clusters)
    rows, height = _numbered(rows, highest)
    columns, width = _numbered(columns, last) if n_clusters is None else (columns, n_clusters)
    table = _count(rows, columns, height, width)
    table = table[table.any(axis=1)]
    return table[:, table.any(axis=0)] if n_clusters is None else table


def matching(table: Table) -> NDArray[np.int64]:
    """The class (row) of each cluster, int64 `(n_clusters,)`, under the one-to-one matching with most samples right.

    Hungarian algorithm; clusters left over when there are more of them than classes get -1.
    """
    rows, columns = linear_sum_assignment(table, maximize=True)
    classes = np.full(table.shape[1], -1, dtype=np.int64)
    classes[columns] = rows
    return classes


def accuracy(table: Table) -> float:
    """ACC: the fraction of samples whose cluster is matched to their class by `matching`."""
    classes = matching(table)
    matched = np.flatnonzero(classes >= 0)
    return float(table[classes[matched], matched].sum() / table.sum())


def error(labels: ArrayLike, clusters: ArrayLike) -> float:
    """The fraction of labelled samples `(n,)` whose cluster's number is not their class: a classifier's error."""
    classes, found = np.asarray(labels), np.asarray(clusters)
    known = classes != UNLABELLED
    return float((classes != found)[known].mean())


def cluster_majority(table: Table) -> float:
    """Purity: the fraction of samples right when each cluster stands for its most frequent class.

    Never below `accuracy`; grows with the number of clusters, up to 1.0 with one sample in each.
    """
    return float(table.max(axis=0).sum() / table.sum())


def class_majority(table: Table) -> float:
    """The fraction of samples right when each class stands for its most frequent cluster, as in GAN-EM's released code.

    Can overcount: two classes merged in one cluster both count as right, and a single cluster scores 1.0.
    """
    return float(table.max(axis=1).sum() / table.sum())


def nmi(table: Table, average: Average = "geometric") -> float:
    """Mutual information of classes and clusters over the `average` of their two entropies, in [0, 1].

    1.0 where both entropies are 0 (one class, one cluster) and 0.0 where just one is, as scikit-learn has it.
    """
    return _nmi(*_entropies(table), average)


def ari(table: Table) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985), in [-1, 1]: 0 is what chance gives, 1 is the same partition.

    The pair counts are multiplied as Python integers: exact, where int64 would overflow from some 100,000 samples.
    """
    both, every = _pairs(table), _pairs(table.sum())
    by_class, by_cluster = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    chance = by_class * by_cluster
    room = (by_class + by_cluster) * every - 2 * chance
    # No room is left only where both partitions are one block, or both are single samples: the same partition.
    return 2 * (both * every - chance) / room if room else 1.0


def empty_clusters(table: Table) -> int:
    """Number of clusters without a sample; only a table made with `n_clusters` has any."""
    return int((table.sum(axis=0) == 0).sum())


def largest_share(table: Table) -> float:
    """Fraction of the samples that lie in the largest cluster; 1.0 when everything collapsed into one."""
    return float(table.sum(axis=0).max() / table.sum())


def _integers(name: str, values: ArrayLike) -> Integers:
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}: give one integer per sample, shape (n,)")
    if not len(array):
        raise DataError(f"{name} is empty: scoring needs at least one sample")
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{name} must be integers, not {array.dtype}: convert first, with -1 for unlabelled samples")
    return array


def _highest_label(labels: Integers) -> int:
    low, high = int(labels.min()), int(labels.max())
    if low < UNLABELLED:
        raise DataError(f"label {low} is negative: number classes from 0, with -1 for unlabelled samples")
    if high == UNLABELLED:
        raise DataError("every label is -1 (unlabelled): scoring needs at least one labelled sample")
    return high


def _highest_cluster(clusters: Integers, n_clusters: int | None) -> int:
    low, high = int(clusters.min()), int(clusters.max())
    if low < 0:
        raise DataError(f"cluster {low} is negative: number clusters from 0")
    if n_clusters is not None and high >= n_clusters:
        raise DataError(f"cluster {high} is not below n_clusters = {n_clusters}: raise n_clusters or omit it")
    return high


def _numbered(values: Integers, high: int) -> tuple[Integers, int]:
    """The same partition in the same order, in values from 0 that can index a table (-1 stays), and their bound."""
    if high < _DENSE:
        return values, high + 1
    if high >= len(values):  # a lookup table would be longer than the samples are
        occurring, inverse = np.unique(values, return_inverse=True)
        unlabelled = int(occurring[0] == UNLABELLED)
        return inverse - unlabelled, len(occurring) - unlabelled
    occurs = np.zeros(high + 2, dtype=bool)
    occurs[values] = True  # -1 is the last place
    places = np.append(occurs[:-1].cumsum() - 1, UNLABELLED)
    return places[values], int(places[-2]) + 1


def _count(rows: Integers, columns: Integers, height: int, width: int) -> Table:
    """How often each `(row, column)` occurs; row -1 is not counted."""
    if height * width > _CELLS:
        raise DataError(f"{height} classes by {width} clusters are too large a table: score fewer clusters")
    table = np.zeros((height + 1) * width, dtype=np.int64)
    buffer = np.empty(min(_CHUNK, len(rows)), dtype=np.intp)
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        cells = buffer[: len(rows[chunk])]
        np.multiply(rows[chunk], width, out=cells, dtype=np.intp, casting="unsafe")
        np.add(cells, columns[chunk], out=cells, dtype=np.intp, casting="unsafe")
        np.add.at(table, cells, 1)  # cells of row -1 are negative, so they count from the end: in the row too many
    return table[:-width].reshape(height, width)


def _entropies(table: Table) -> tuple[float, float, float]:
    """Of the classes, of the clusters, and of both together."""
    return _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0)), _entropy(table)


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()  # most cells of a large table are empty
    return -float((shares * np.log(shares)).sum())


def _nmi(h_classes: float, h_clusters: float, h_both: float, average: Average) -> float:
    if h_classes == 0 or h_clusters == 0:
        return float(h_classes == h_clusters)
    norm = {
        "geometric": sqrt(h_classes * h_clusters),
        "arithmetic": (h_classes + h_clusters) / 2,
        "max": max(h_classes, h_clusters),
    }[average]
    return min(max((h_classes + h_clusters - h_both) / norm, 0.0), 1.0)


def _pairs(counts: NDArray[np.int64] | np.int64) -> int:
    """Number of unordered pairs of samples that share a count; int64 holds it up to 3 * 10^9 samples."""
    return int((counts * (counts - 1)).sum()) // 2
