"""Instance discrimination: features that know an image again after a warp, and tell it from every other image."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancluster import metrics
from gancluster.data.warp import warp
from gancluster.methods.base import Batch, Clock, Loss, Nets, Phase, Turn
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks.blocks import read_out
from gancluster.optim import Adam, Linear


def head(features: int) -> nn.Module:
    """The projection that is trained with the features and thrown away after: `(b, features)` → `(b, 64)`."""
    return nn.Sequential(nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, 64))


def warmup(encoder: str, epochs: int, batch_size: int, lr: float) -> Phase:
    """A phase in which the player `encoder` and his `head` learn to know samples again; runs tell their gain since."""
    turn = Turn((encoder, "head"), partial(views_loss, encoder))
    return Phase("warm-up", epochs, batch_size, [[turn]], Adam(Linear(lr, lr)), pretrains=True)


def views_loss(encoder: str, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    """Two warps of a sample attract, other samples repel; `noise` has both `warps`."""
    views = [nets[encoder](warp(batch.inputs, by, 1.0, 0.1), features=True) for by in noise.warps]
    one, other = (nets["head"](view) for view in views)
    return Loss({"instances": instance_discrimination(one, other)})


def instance_discrimination(one: Tensor, other: Tensor, temperature: float = 0.5) -> Tensor:
    """NT-Xent (Chen et al. 2020) of two views `(b, d)` each: every view must pick its twin among all 2b - 1 others."""
    views = F.normalize(torch.cat([one, other]), dim=1)
    n = len(one)
    itself = torch.eye(2 * n, dtype=views.dtype, device=views.device)
    logits = views @ views.T / temperature - 1e9 * itself
    twin = torch.arange(2 * n, device=views.device).roll(n)
    return F.cross_entropy(logits, twin)


@torch.no_grad()
def start_from_kmeans(
    C: nn.Module, head: nn.Module, samples: Iterable[Tensor], layer: str, table: Tensor, seed: int
) -> None:
    """Let a `layer` of C read K-means clusters of the head's projections out of C's features.

    `table` `(n_clusters, m)`: what it should say of each. With logits of ±2 C stays undecided, about .88 and .12, so
    that misplaced samples can still move.
    """
    features = torch.cat([C(part, features=True) for part in samples])
    projections = head(features).cpu().numpy()
    clusters = torch.from_numpy(nearest(projections, kmeans_centres(projections, len(table), seed)))
    read_out(C.get_submodule(layer), features, table[clusters].to(features))


@torch.no_grad()
def number_as_classes(C: nn.Module, samples: Tensor, labels: Tensor) -> None:
    """Order C's outputs as the classes `(b,)` of labelled samples `(b, *shape)`, one to one; none: as they are."""
    if len(labels):
        table = metrics.contingency(labels.cpu().numpy(), C(samples).argmax(1).cpu().numpy(), int(labels.max()) + 1)
        order = torch.from_numpy(metrics.matching(table).argsort())
        for parameter in C.get_submodule("top").parameters():
            parameter.copy_(parameter[order])
