"""Instance discrimination: features that know an image again after a warp, and tell it from every other image."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.warp import warp
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Turn
from gancluster.methods.communities import communities_of
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks.blocks import read_out
from gancluster.optim import Adam, Linear

By = Literal["k-means", "communities"]


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


def players(features: int, n_samples: int) -> Modules:
    """What a warm-up and the start after it need beside the encoder, of so many features."""
    return {"head": head(features), "start": Start(n_samples)}


class Start(nn.Module):
    """The cluster that every sample started in, a player that nobody trains: where samples are stored → theirs."""

    clusters: Tensor

    def __init__(self, n_samples: int) -> None:
        super().__init__()
        self.register_buffer("clusters", torch.zeros(n_samples, dtype=torch.long))

    def forward(self, index: Tensor) -> Tensor:
        return self.clusters[index]


@torch.no_grad()
def start_from_clusters(
    C: nn.Module, players: Modules, batches: Batches, layer: str, table: Tensor, seed: int, by: By, part: int = 1000
) -> None:
    """Let a `layer` of C read clusters out of C's features of all samples, seen `part` by part; `start` keeps them.

    K-means of the projections by `head`, or `by` the communities of neighbours that these clusters gather: neighbours
    among samples, among features (which count twice) and among projections. They are numbered as the known classes.
    `table` `(n_clusters, m)`: what the layer should say of each. With logits of ±2 C stays undecided, about .88 and
    .12, so that misplaced samples can still move; with ±4 few do.
    """
    parts, order = list(batches.shuffled(seed, part)), batches.order(seed)
    features = torch.cat([C(samples, features=True) for samples in parts])
    projections = players["head"](features).cpu().numpy()
    clusters = nearest(projections, kmeans_centres(projections, len(table), seed))
    if by == "communities":
        samples, spaces = torch.cat(parts).flatten(1).cpu().numpy(), [features.cpu().numpy(), projections]
        clusters = communities_of(samples, spaces, [1.0, 2.0, 1.0], clusters, seed)
    started = players["start"].get_buffer("clusters")
    started[order] = torch.from_numpy(clusters).to(order)
    if len(batches.known):
        started.copy_(numbered_as_classes(started, batches.known, batches.labels))
    read_out(C.get_submodule(layer), features, table.to(features)[started[order]])


def numbered_as_classes(clusters: Tensor, known: Tensor, labels: Tensor) -> Tensor:
    """Clusters `(n,)`, of which each gets the number of a class; `labels` `(k,)`, of all classes, are those of `known`.

    One to one, so that most of the labelled samples have the number of their class.
    """
    table = metrics.contingency(labels.cpu().numpy(), clusters[known].cpu().numpy(), int(labels.max()) + 1)
    return torch.from_numpy(metrics.matching(table)).to(clusters)[clusters]
