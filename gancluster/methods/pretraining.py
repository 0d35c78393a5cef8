"""Before a game: its encoder learns to know images again after a warp, and starts at clusters of what it has learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.methods import base, contrast
from gancluster.methods.base import Modules, Phase, Turn
from gancluster.methods.communities import communities_of
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks.blocks import read_out
from gancluster.optim import Adam, Linear

By = Literal["k-means", "communities"]
WEIGHTS = (1.0, 2.0, 1.0)  # of neighbours among samples, among features and among projections


class Config(base.Config):
    """What an encoder learns before the game; the defaults add nothing."""

    warmup_epochs: int = Field(0, ge=0, description="extension: epochs of instance discrimination before the game")
    warmup_batch_size: int = Field(250, ge=2, description="samples in a batch before the game")
    lr_warmup: float = Field(1e-3, gt=0, description="Adam's learning rate before the game")
    start: By = Field("communities", description="extension: what the encoder begins at clusters by then")
    self_training: int = Field(0, ge=0, description="extension: times that it learns these, then starts at new ones")
    self_training_steps: int = Field(600, ge=1, description="steps each time, in which the learning rate falls to 0")


def phases(c: Config, discriminate: Turn, learn: Turn) -> list[Phase]:
    """The phases before a game: a warm-up, then self-training; none without a warm-up.

    After each the encoder starts at clusters of what it has learnt, and the next of them lets it `learn` these.
    """
    if not c.warmup_epochs:
        return []
    size, steady, falling = c.warmup_batch_size, Adam(Linear(c.lr_warmup, c.lr_warmup)), Adam(Linear(c.lr_warmup, 0.0))
    warmup = Phase("warm-up", c.warmup_epochs, size, [[discriminate]], steady, pretrains=True)
    again = Phase("", 1, size, [[learn]], falling, steps=c.self_training_steps, pretrains=True)
    return [warmup, *(replace(again, name=f"self-training {t + 1}") for t in range(c.self_training))]


def players(features: int, n_samples: int) -> Modules:
    """What a warm-up and the start after it need beside the encoder, of so many features."""
    return {"head": contrast.head(features), "start": Start(n_samples)}


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
    among samples, among features (which count twice) and among projections. Once C has learnt the clusters of an
    earlier start, the head is out of date: the same of features alone. Clusters are numbered as the known classes.
    `table` `(n_clusters, m)`: what the layer should say of each. With logits of ±2 C stays undecided, about .88 and
    .12, so that misplaced samples can still move; with ±4 few do.
    """
    parts, order = list(batches.shuffled(seed, part)), batches.order(seed)
    features = torch.cat([C(samples, features=True) for samples in parts])
    started = players["start"].get_buffer("clusters")
    spaces = [features] if started.any() else [features, players["head"](features)]
    learnt = spaces[-1].cpu().numpy()
    clusters = nearest(learnt, kmeans_centres(learnt, len(table), seed))
    if by == "communities":
        clusters = communities_of(torch.cat(parts), spaces, WEIGHTS[: 1 + len(spaces)], clusters, seed)
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
