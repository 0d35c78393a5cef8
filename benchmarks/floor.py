"""The honest floor of a data set: K-means on its samples as they are, and on 50 principal components.

Best of 20 starts by inertia for each of 5 seeds, no labels used. A method that does not beat this has learnt nothing.

    python benchmarks/floor.py [--datasets digits usps mnist] [--data-dir DIR] [--seeds 5] [--output floor.json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from gancluster import metrics
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset

COMPONENTS, STARTS = 50, 20


def floor(dataset: Dataset, seeds: int) -> dict[str, Any]:
    """Mean and standard deviation of ACC and NMI (geometric) over seeds, for both kinds of input."""
    flat = dataset.inputs.reshape(len(dataset), -1).astype(np.float32)
    reduced = PCA(COMPONENTS, random_state=0).fit_transform(flat)
    return {
        "n": len(dataset),
        "k-means": scores(dataset, flat, seeds),
        "pca + k-means": scores(dataset, reduced, seeds),
    }


def scores(dataset: Dataset, inputs: NDArray[np.float32], seeds: int) -> dict[str, list[float]]:
    """`[mean, standard deviation]` over seeds of each score."""
    assert dataset.labels is not None
    fits = [KMeans(dataset.n_classes, n_init=STARTS, random_state=seed).fit(inputs) for seed in range(seeds)]
    found = [metrics.scores(dataset.labels, fit.labels_, dataset.n_classes) for fit in fits]
    columns = {key: np.array([s[key] for s in found]) for key in ("acc", "nmi")}
    return {key: [float(column.mean()), float(column.std(ddof=1))] for key, column in columns.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["digits"])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("floor.json"))
    options = parser.parse_args()
    result = {}
    for name in options.datasets:
        result[name] = floor(catalogue.load(name, catalogue.data_folder(options.data_dir)), options.seeds)
        for row in ("k-means", "pca + k-means"):
            acc, nmi = result[name][row]["acc"], result[name][row]["nmi"]
            print(f"{name:12} {row:14} ACC {acc[0]:.3f} ± {acc[1]:.3f}  NMI {nmi[0]:.3f} ± {nmi[1]:.3f}")
    options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
