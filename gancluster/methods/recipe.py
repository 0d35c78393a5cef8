"""Our recipe: what preset `default` adds to a paper's game so that it finds clusters. All of it is *extension*.

The encoder learns to know samples again after a warp, then clusters of what it learnt, at which it starts
(pretraining.py). In the game every player sees warped samples, and of a warped real one the encoder is to say in which
cluster it started, or what its average over time says of the sample as it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.data.warp import Warp, warp
from gancluster.methods import base, contrast, pretraining
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Task, Turn


class Config(pretraining.Config):
    """The recipe's options; the defaults add nothing."""

    warp: float = Field(0.0, ge=0, description="extension: strength of the warps under which the game sees samples")
    pixel_noise: float = Field(0.0, ge=0, description="extension: noise with the warps, of the pixel range")
    consistency_weight: float = Field(0.0, ge=0, description="extension: weight of the clusters of warped real samples")
    consistency_with: Literal["start", "teacher"] = Field(
        "start", description="whose clusters: those of the start, or by the average of the encoder's weights"
    )
    average: float = Field(0.01, gt=0, le=1, description="rate of that average, which also tells the clusters at last")


def for_images(n_samples: int) -> dict[str, Any]:
    """What preset `default` sets for so many images."""
    epochs = min(max(round(220_000 / n_samples), 15), 100)
    return {"warmup_epochs": epochs, "self_training": 3, "warp": 1.0, "pixel_noise": 0.1, "consistency_weight": 1.0}


class Method(base.Method):
    """A game that the recipe can be added to: its encoder ends in a layer `top` of a logit for each cluster."""

    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.k = task.n_clusters
        self.agrees_with = config.consistency_with if config.warmup_epochs else "teacher"

    def companions(self, encoder: nn.Module) -> Modules:
        """The players of a warm-up beside an encoder of `n_features`."""
        n_features: Any = encoder.n_features
        return pretraining.players(n_features, self.task.n_samples) if self.config.warmup_epochs else {}

    def pretraining(self) -> list[Phase]:
        """The phases before the game, where there are some."""
        discriminate = Turn((self.encoder, "head"), partial(contrast.views_loss, self.encoder, self.task.pixel_range))
        return pretraining.phases(self.config, discriminate, Turn(self.encoder, self.self_training_loss))

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """After each phase before the game the encoder starts from clusters, numbered as the classes that are known."""
        if phase in [later.name for later in self.phases()[1 : 1 + len(self.pretraining())]]:
            encoder = players[self.encoder]
            layer, said = self.start_layer(encoder)
            pretraining.start_from_clusters(encoder, players, batches, layer, said, seed, self.config.start)

    def start_layer(self, encoder: nn.Module) -> tuple[str, Tensor]:
        """The layer that tells clusters from features at the start, and what it says of each: here logits of ±2."""
        return "top", 4 * torch.eye(self.k) - 2

    def averages(self) -> dict[str, float]:
        return {self.encoder: self.config.average} if self.config.consistency_weight else {}

    def seen(self, samples: Tensor, by: Warp) -> Tensor:
        """Samples `(b, *shape)` as players see them."""
        low, high = self.task.pixel_range
        return warp(samples, by, self.config.warp, self.config.pixel_noise * (high - low))

    def self_training_loss(self, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        """Cross-entropy of the encoder, of warped samples, against the clusters that they start in."""
        logits = nets[self.encoder](self.seen(batch.inputs, noise.warps[0]))[:, -self.k :]
        return Loss({"clusters": F.cross_entropy(logits, nets["start"](batch.where))})

    def consistency_loss(self, nets: Nets, batch: Batch, logits: Tensor) -> Tensor:
        """Weighted cross-entropy of the encoder's `logits` `(b, K)` of warped real samples."""
        if self.agrees_with == "start":
            target = nets["start"](batch.where)
        else:
            target = torch.softmax(nets.averaged[self.encoder](batch.inputs)[:, -self.k :], 1).detach()
        return self.config.consistency_weight * F.cross_entropy(logits, target)

    def extensions(self) -> list[str]:
        c = self.config
        used = {
            f"warm-up and start from {c.start}": c.warmup_epochs > 0,
            "self-training": c.warmup_epochs > 0 and c.self_training > 0,
            "warps": c.warp > 0 or c.pixel_noise > 0,
            f"consistency with {self.agrees_with}": c.consistency_weight > 0,
        }
        return [name for name, on in used.items() if on]
