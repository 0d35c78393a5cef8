"""Claim: every clustering score of ten million labels costs a few passes of `np.bincount`, far under scikit-learn's.

One thread, interleaved, medians; labels int64, clusters int32, nine in ten right. For K = 10 and K = 1000:

- gancluster: `metrics.scores`, which gives ACC, NMI by three means, ARI, both majorities and the sizes;
- scikit-learn: `normalized_mutual_info_score` by three means, `adjusted_rand_score`, `confusion_matrix` (with scipy's
  `linear_sum_assignment`) for ACC and majorities: five calls that must give the same numbers;
- clustpy, where it is installed: `unsupervised_clustering_accuracy` and `purity` alone;
- np.bincount: one count of ready cell numbers, the floor of any contingency table.

    OMP_NUM_THREADS=1 python benchmarks/metrics.py [--samples 10000000] [--repeats 3] [--output metrics.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, confusion_matrix, normalized_mutual_info_score

from gancluster import metrics
from gancluster.engine.device import machine

Labels = NDArray[np.integer[Any]]
MEANS = {"nmi": "geometric", "nmi_arithmetic": "arithmetic", "nmi_max": "max"}


def by_scikit_learn(labels: Labels, clusters: Labels) -> dict[str, float]:
    found = {key: normalized_mutual_info_score(labels, clusters, average_method=mean) for key, mean in MEANS.items()}
    table = confusion_matrix(labels, clusters)
    matched = table[linear_sum_assignment(table, maximize=True)].sum()
    return found | {
        "ari": adjusted_rand_score(labels, clusters),
        "acc": matched / len(labels),
        "cluster_majority": table.max(axis=0).sum() / len(labels),
        "class_majority": table.max(axis=1).sum() / len(labels),
    }


def by_clustpy() -> Callable[[Labels, Labels], dict[str, float]] | None:
    """The scores that clustpy has of ours, if it can be imported."""
    try:
        from clustpy.metrics.external import purity, unsupervised_clustering_accuracy
    except ImportError:
        return None
    return lambda labels, clusters: {
        "acc": unsupervised_clustering_accuracy(labels, clusters),
        "cluster_majority": purity(labels, clusters),
    }


def samples_of(n: int, k: int) -> tuple[Labels, Labels]:
    """`n` labels and their clusters under other numbers, nine in ten right."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, k, n)
    clusters = np.where(rng.random(n) < 0.9, k - 1 - labels, rng.integers(0, k, n))
    return labels, clusters.astype(np.int32)


def measure(n: int, k: int, repeats: int) -> dict[str, Any]:
    """Seconds of each, interleaved, after a hundredth of the samples to warm up."""
    tasks: dict[str, Callable[[Labels, Labels], Any]] = {"gancluster": metrics.scores, "scikit-learn": by_scikit_learn}
    clustpy = by_clustpy()
    if clustpy is not None:
        tasks["clustpy"] = clustpy
    found: dict[str, Any] = {}
    for task in tasks.values():
        task(*samples_of(n // 100, k))
    labels, clusters = samples_of(n, k)
    cells = labels * k + clusters
    seconds: dict[str, list[float]] = {name: [] for name in [*tasks, "np.bincount"]}
    for _ in range(repeats):
        for name, task in tasks.items():
            started = time.perf_counter()
            found[name] = task(labels, clusters)
            seconds[name].append(time.perf_counter() - started)
        started = time.perf_counter()
        np.bincount(cells, minlength=k * k)
        seconds["np.bincount"].append(time.perf_counter() - started)
    for name in tasks:
        assert all(abs(value - found["gancluster"][key]) < 1e-9 for key, value in found[name].items()), name
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {"seconds": medians, "all": seconds, "clustpy": "measured" if clustpy else "not installed"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("metrics.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"samples": options.samples, "repeats": options.repeats}
    result["machine"] = machine(torch.device("cpu"))
    for k in (10, 1000):
        result[f"K = {k}"] = found = measure(options.samples, k, options.repeats)
        ours = found["seconds"]["gancluster"]
        for name, seconds in found["seconds"].items():
            print(f"K = {k:<5} {name:13} {1000 * seconds:10.1f} ms   {seconds / ours:8.2f} x gancluster")
        if found["clustpy"] != "measured":
            print(f"K = {k:<5} clustpy       not installed")
    options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
