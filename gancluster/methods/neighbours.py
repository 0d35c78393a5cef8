"""The nearest neighbours of all samples, sought on the device that holds these."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


class Nearest(NamedTuple):
    """Of each sample the k nearest and itself among them, nearest first: Euclidean distances and places, `(n, k)`."""

    distances: Tensor
    places: Tensor


def nearest_neighbours(samples: Tensor, k: int, part: int = 500) -> Nearest:
    """Of samples `(n, d)`, compared with all `part` by part; centred first, for small numbers lose less in squares."""
    samples = samples - samples.mean(0)
    found = [torch.cdist(some, samples).topk(k, largest=False) for some in torch.split(samples, part)]
    return Nearest(*map(torch.cat, zip(*found, strict=True)))


def neighbour_graph(samples: Tensor, neighbours: int) -> sparse.csr_matrix:
    """Symmetric `(n, n)`: 1 between samples that are among each other's nearest, 1/2 where only one thinks so."""
    n, k = len(samples), min(neighbours, len(samples))
    places = nearest_neighbours(samples, k).places.flatten().cpu().numpy()
    graph = sparse.csr_matrix((np.ones(n * k), places, np.arange(0, n * k + 1, k)), (n, n))
    return sparse.csr_matrix((graph + graph.T) / 2)
