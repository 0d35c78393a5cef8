"""An auto-encoder, and K-means of its latents: what DEC, IDEC and DCAN start from, and have to improve on.

With the same seed and options it is the same start, to the last bit.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from gancluster.methods import autoencoding, base
from gancluster.methods.base import Embedding, Modules, Nets, Phase, Prediction, Preset, Task
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks import autoencoder


class Config(base.Config):
    """Options of the auto-encoder and its training."""

    pretrain_epochs: int = Field(100, ge=1, description="passes through the data in which the auto-encoder is trained")
    batch_size: int = Field(256, ge=2, description="samples in a batch")
    lr_pretrain: float = Field(1e-3, gt=0, description="Adam's learning rate in the auto-encoder's training")
    latent_size: int = Field(10, ge=1, description="length of a latent")
    width: float = Field(1.0, gt=0, le=4, description="units of all layers but the latent, of DEC's 500-500-2000")


def networks(config: Config, task: Task) -> Modules:
    """Encoder and decoder."""
    return {
        "encoder": autoencoder.encoder(task.shape, config.latent_size, config.width),
        "decoder": autoencoder.decoder(task.shape, config.latent_size, task.pixel_range, config.width),
    }


def budget(task: Task) -> dict[str, dict[str, Any]]:
    """The presets' settings of networks and pre-training."""
    return {
        "default": {"width": 0.25, "pretrain_epochs": min(max(round(500_000 / task.n_samples), 20), 200)},
        "paper": {},
        "smoke": {"width": 0.1, "pretrain_epochs": 2},
    }


class AEKMeans(base.Method):
    """The pre-training, and K-means."""

    name: ClassVar[str] = "ae-kmeans"
    paper: ClassVar[str] = "an auto-encoder of DEC's sizes and K-means, as DEC's and DCAN's tables have it"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    def players(self) -> Modules:
        return networks(self.config, self.task)

    def phases(self) -> list[Phase]:
        c = self.config
        return [autoencoding.pretraining(c.pretrain_epochs, c.batch_size, c.lr_pretrain)]

    def draw(self, n: int, rng: torch.Generator) -> tuple[()]:
        return ()

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Latents `(b, latent_size)`."""
        return nets["encoder"](inputs)

    def centres(self, embedding: Embedding, seed: int) -> Embedding:
        """K-means' centres of all latents."""
        return kmeans_centres(embedding, self.task.n_clusters, seed, unit=False)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """`kmeans`: the nearest centre."""
        return {"kmeans": nearest(embedding, centres, unit=False)}

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        says = {"default": "a quarter of the units", "paper": "DEC's sizes", "smoke": "seconds, to see that all runs"}
        return {name: Preset(says[name], values) for name, values in budget(task).items()}
