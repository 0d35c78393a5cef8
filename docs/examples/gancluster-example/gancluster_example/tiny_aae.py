"""An adversarial auto-encoder in small, after Makhzani et al. 2015: the code of a sample is its cluster."""

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from gancluster import critics
from gancluster.methods import base, codes
from gancluster.methods.base import Loss, Phase, Preset, Turn
from gancluster.optim import Adam, Linear


class Config(base.Config):
    epochs: int = Field(40, ge=1, description="passes through the data")
    batch_size: int = Field(100, ge=2, description="samples in a batch")
    lr: float = Field(1e-3, gt=0, description="Adam's learning rate at the start (a tenth of it at the end)")
    critic: str = Field("ns-gan", description="adversarial objective")
    noise: float = Field(1.0, ge=0, description="width of the noise on the codes that the discriminator sees")
    reconstruction_weight: float = Field(0.3, ge=0, description="weight of the squared error of redrawn samples")


class TinyAAE(base.Method):
    name: ClassVar[str] = "tiny-aae"
    paper: ClassVar[str] = "after Makhzani et al., Adversarial Autoencoders, 2015"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"

    def __init__(self, config, task):
        super().__init__(config, task)
        self.critic = critics.named(config.critic)

    @classmethod
    def presets(cls, task):
        return {
            "default": Preset("a toy", {}),
            "paper": Preset("the paper's networks are larger; this is a toy", {}),
            "smoke": Preset("one epoch, to see that it runs", {"epochs": 1}),
        }

    def players(self):
        size, k = math.prod(self.task.shape), self.task.n_clusters
        return {"encoder": mlp(size, k), "decoder": mlp(k, size), "discriminator": mlp(k, 1)}

    def phases(self):
        c = self.config
        turns = [
            Turn("discriminator", self.discriminator_loss),
            Turn(("encoder", "decoder"), self.encoder_loss),
        ]
        return [Phase("adversarial", c.epochs, c.batch_size, [turns], Adam(Linear(c.lr, c.lr / 10)))]

    def draw(self, n, rng):
        """One-hot codes, every cluster equally often, and noise for both sides of the discriminator."""
        k = self.task.n_clusters
        hot = torch.eye(k, device=rng.device)[codes.balanced_clusters(n, k, rng)]
        return hot, torch.rand(2, n, k, generator=rng, device=rng.device)

    def discriminator_loss(self, nets, batch, noise, clock):
        hot, (one, other) = noise
        true = nets["discriminator"](hot + self.config.noise * one)[:, 0]
        found = nets["discriminator"](self.embed(nets, batch.inputs) + self.config.noise * other)[:, 0]
        return Loss({"adversarial": self.critic.discriminator_loss(true, found)})

    def encoder_loss(self, nets, batch, noise, clock):
        _, (_, other) = noise
        code = self.embed(nets, batch.inputs)
        redrawn = nets["decoder"](code)
        error = (redrawn - batch.inputs.flatten(1)).square().mean()
        fooled = self.critic.generator_loss(nets["discriminator"](code + self.config.noise * other)[:, 0])
        return Loss({"reconstruction": self.config.reconstruction_weight * error, "adversarial": fooled})

    def embed(self, nets, inputs):
        """The probability of each cluster; unless `assign` says otherwise, a sample is in the likeliest."""
        return nets["encoder"](inputs).softmax(1)

    def generate(self, nets, per_cluster, rng):
        """One sample a cluster is all that a decoder of one-hot codes can draw."""
        k = self.task.n_clusters
        drawn = nets["decoder"](torch.eye(k, device=rng.device)).unflatten(1, self.task.shape)
        return drawn[:, None].expand(k, per_cluster, *self.task.shape)


def mlp(inputs, outputs):
    layers = [nn.Flatten(), nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs)]
    return nn.Sequential(*layers)
