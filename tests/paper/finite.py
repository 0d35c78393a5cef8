"""Distributions on a few points, their divergences, and games of a critic's losses between them, all in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from gancluster.critics import Critic


def distributions(seed: int, points: int = 7) -> tuple[Tensor, Tensor]:
    """Two distributions over a few points, all of them possible."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, points, generator=rng, dtype=torch.float64)
    p, q = logits.softmax(1)
    return p, q


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p, q); infinite where q misses a point of p."""
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum()


def jsd(p: Tensor, q: Tensor) -> Tensor:
    return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


def played(critic: Critic, logits: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The discriminator's expected loss when real points come from p, fakes from q, and D is a table of logits."""
    table = logits[:, None]
    loss = torch.func.vmap(torch.func.vmap(critic.discriminator_loss, in_dims=(None, 0)), in_dims=(0, None))
    return (p[:, None] * q * loss(table, table)).sum()


def lifted(critic: Critic, logits: Tensor, q: Tensor) -> Tensor:
    """The expected loss of the fakes' maker, whose points come from q."""
    return (q * torch.func.vmap(critic.generator_loss)(logits[:, None])).sum()
