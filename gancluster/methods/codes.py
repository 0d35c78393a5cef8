"""ClusterGAN's latent codes: one block of ones a cluster, softened by noise (paper, section 3.1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

Blur = Literal["scaled", "additive", "clipped"]


def block_table(n_clusters: int, size: int) -> Tensor:
    """The clean code of every cluster `(n_clusters, size)`: disjoint blocks of ones, as even as they can be.

    Codes are equal or orthogonal, so their cosines are 1 or 0. Where `size` is no multiple of `n_clusters` the first
    blocks are the shorter ones: 32 bits for 10 clusters are 8 blocks of 3 and 2 of 4 (the paper's m/c is no integer).
    """
    lengths = torch.full((n_clusters,), size // n_clusters)
    lengths[n_clusters - size % n_clusters :] += 1
    owner = torch.arange(n_clusters).repeat_interleave(lengths)
    return (owner == torch.arange(n_clusters)[:, None]).float()


def thinned(table: Tensor, bits: int) -> Tensor:
    """Which units `(bits,)` of codes of `table` `(n_clusters, m)` to keep, so that blocks stay as even as can be."""
    kept = block_table(len(table), bits).sum(1).long()
    return torch.cat([block.nonzero()[:n, 0] for block, n in zip(table, kept, strict=True)])


def balanced_clusters(n: int, n_clusters: int, rng: torch.Generator) -> Tensor:
    """`n` cluster numbers in random order, each cluster as often as any other (give or take one, at random)."""
    order = torch.randperm(n_clusters, generator=rng, device=rng.device)
    return order[torch.randperm(n, generator=rng, device=rng.device) % n_clusters]


def blurred(codes: Tensor, uniform: Tensor, width: Tensor | float, how: Blur = "scaled") -> Tensor:
    """Codes `(n, m)` plus noise `width * uniform`, uniform on [0, 1).

    *additive* is printed, but lies in [0, 1 + width], where no sigmoid output can follow: D tells the sides apart by
    range alone (erratum B9). *scaled* divides by `1 + width`: same cosines, range [0, 1]. *clipped* cuts at 1.
    """
    noisy = codes + width * uniform
    if how == "scaled":
        return noisy / (1 + width)
    return noisy.clamp(max=1.0) if how == "clipped" else noisy


def block_means(embedding: Tensor, table: Tensor) -> Tensor:
    """Mean activation of each cluster's block `(n, n_clusters)` of embeddings `(n, m)`."""
    return embedding @ (table / table.sum(1, keepdim=True)).T


def as_blocks(centres: NDArray[np.float32], table: Tensor) -> NDArray[np.float32]:
    """Centres `(n_clusters, m)` in the order of the blocks they match best, one to one: cluster k is G's block k."""
    activity = block_means(torch.from_numpy(centres), table).numpy()
    _, matched = linear_sum_assignment(activity.T, maximize=True)
    ordered: NDArray[np.float32] = centres[matched]
    return ordered


def cross_entropy(code: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of codes in (0, 1); unlike torch's it lets NaN through, for the engine to name."""
    code = code.to(target.dtype)
    log_on, log_off = code.clamp_min(1e-30).log(), (1 - code).clamp_min(1e-30).log()
    return -(target * log_on + (1 - target) * log_off).mean()
