"""AAE: *Adversarial Autoencoders* (Makhzani, Shlens, Jaitly, Goodfellow, Frey; 2015), as a clusterer.

An auto-encoder whose latents an adversary makes look like draws of a prior. Three turns a batch:

    reconstruction   encoder and decoder lower the error of redrawn samples
    regularisation   D tells the prior's draws (T = 1) from latents (T = 0); then the encoder fools it

    --prior categorical   the latent is a class y, one-hot in the prior, and a style z ~ N(0, I), each with its own D;
                          clusters are the largest of y: as many as asked for, 16 or 30, say           (section 6)
    --prior gaussian      the latent is z ~ N(0, I) alone; clusters are K-means of it, as in VaDE's and DCAN's tables

Same path as DCAN, another answer to "is this latent real?". The paper trains by SGD with momentum; Adam is ours.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from gancluster import critics
from gancluster.methods import adversarial, autoencoding, base, codes
from gancluster.methods.base import Batch, Clock, Embedding, Loss, Modules, Nets, Phase, Prediction, Preset, Task, Turn
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks import autoencoder
from gancluster.networks.blocks import Squash, View
from gancluster.networks.gan_em import scaled
from gancluster.optim import Adam, Linear

HIDDEN = (1000, 1000)  # of encoder, decoder and discriminators (appendix A)


class Config(base.Config):
    """AAE's options."""

    epochs: int = Field(100, ge=1, description="passes through the data")
    batch_size: int = Field(100, ge=2, description="samples in a batch")
    lr: float = Field(5e-4, gt=0, description="Adam's learning rate at the start, of all players")
    lr_end: float = Field(0.1, ge=0, description="learning rate at the end, of that at the start (linear between)")
    prior: Literal["categorical", "gaussian"] = Field(
        "categorical", description="a class and a style, or a style alone"
    )
    style_size: int = Field(10, ge=1, description="length of the style z")
    width: float = Field(1.0, gt=0, le=4, description="units of all hidden layers, of the printed 1000")
    critic: str = Field("ns-gan", description=critics.HELP)
    adversarial_weight: float = Field(1.0, ge=0, description="weight of the encoder's adversarial losses")


class Noise(NamedTuple):
    """A step's draws of the prior, by part of the latent `(n, …)`, and `mix` `(n,)` on [0, 1)."""

    prior: dict[str, Tensor]
    mix: Tensor


class Latent(nn.Module):
    """The encoder's last values `(b, K + d)` → latents: the first K a distribution over classes, by a softmax."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes

    def forward(self, values: Tensor) -> Tensor:
        return torch.cat([values[:, : self.n_classes].softmax(1), values[:, self.n_classes :]], 1)


class AAE(base.Method):
    """The three turns, and the clusters of new samples."""

    name: ClassVar[str] = "aae"
    paper: ClassVar[str] = "Makhzani, Shlens, Jaitly, Goodfellow, Frey: Adversarial Autoencoders, 2015"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.critic = critics.named(config.critic)
        self.sizes = {"class": task.n_clusters} if config.prior == "categorical" else {}
        self.sizes["style"] = config.style_size

    # The players and their turns --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        task, hidden = self.task, scaled(HIDDEN, self.config.width)
        size, code, relu = math.prod(task.shape), sum(self.sizes.values()), nn.ReLU()
        encoder = [View(size), *autoencoder.dense((size, *hidden, code), relu), Latent(code - self.config.style_size)]
        decoder = [*autoencoder.dense((code, *hidden, size), relu), View(*task.shape)]
        judges = {
            judge(part): self.critic.wrap(nn.Sequential(*autoencoder.dense((m, *hidden, 1), nn.LeakyReLU(0.2)), View()))
            for part, m in self.sizes.items()
        }
        squash = [Squash(*task.pixel_range)] if task.is_images else []
        return {"encoder": nn.Sequential(*encoder), "decoder": nn.Sequential(*decoder, *squash), **judges}

    def phases(self) -> list[Phase]:
        c, judges = self.config, tuple(judge(part) for part in self.sizes)
        redraw = Turn(("encoder", "decoder"), autoencoding.reconstruction_loss)
        game = adversarial.rounds(self.critic, judges, self.discriminator_loss, Turn("encoder", self.encoder_loss))
        rounds = [[redraw, *turns] for turns in game]
        return [Phase("adversarial", c.epochs, c.batch_size, rounds, Adam(Linear(c.lr, c.lr * c.lr_end)))]

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        """The prior: classes one-hot, each equally often, and styles N(0, I)."""
        prior = {"style": torch.randn(n, self.config.style_size, generator=rng, device=rng.device)}
        if "class" in self.sizes:
            k = self.task.n_clusters
            prior["class"] = torch.eye(k, device=rng.device)[codes.balanced_clusters(n, k, rng)]
        return Noise(prior, torch.rand(n, generator=rng, device=rng.device))

    # Losses -----------------------------------------------------------------------------------------------------------

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, penalised: bool = False) -> Loss:
        """Each part's D, by the critic: draws of the prior up, latents down."""
        found, terms = self.parts(nets["encoder"](batch.inputs)), dict[str, Tensor]()
        for part, real in noise.prior.items():
            D, fake = nets[judge(part)], found[part]
            terms[part] = self.critic.discriminator_loss(D(real), D(fake))
            if penalised and (penalty := self.critic.penalty(D, (real,), (fake,), noise.mix)) is not None:
                terms[f"{part}_penalty"] = self.critic.every * penalty
        return Loss(terms)

    def encoder_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Each part of the latents passes for a draw of its prior."""
        found, weight = self.parts(nets["encoder"](batch.inputs)), self.config.adversarial_weight
        return Loss({part: weight * self.critic.generator_loss(nets[judge(part)](z)) for part, z in found.items()})

    def parts(self, latents: Tensor) -> dict[str, Tensor]:
        """Latents `(b, K + d)` by part."""
        return dict(zip(self.sizes, torch.split(latents, list(self.sizes.values()), 1), strict=True))

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """The distribution over classes `(b, K)`; with the Gaussian prior the style `(b, d)`."""
        return next(iter(self.parts(nets["encoder"](inputs)).values()))

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """The whole latent `(b, K + d)`; with the Gaussian prior `(b, d)`."""
        return nets["encoder"](inputs)

    def centres(self, embedding: Embedding, seed: int) -> Embedding:
        """K-means' of styles `(K, d)`; none where the encoder decides by itself."""
        if self.config.prior == "categorical":
            return np.empty((0, embedding.shape[1]), np.float32)
        return kmeans_centres(embedding, self.task.n_clusters, seed, unit=False)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """`class`: the likeliest; `kmeans`: the nearest centre."""
        if self.config.prior == "categorical":
            return {"class": embedding.argmax(1)}
        return {"kmeans": nearest(embedding, centres, unit=False)}

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """What the decoder makes of classes and styles `(K, per_cluster, *shape)`; None where there are no classes."""
        if self.config.prior == "gaussian":
            return None
        k = self.task.n_clusters
        classes = torch.eye(k, device=rng.device).repeat_interleave(per_cluster, 0)
        samples = nets["decoder"](torch.cat([classes, self.draw(len(classes), rng).prior["style"]], 1))
        return samples.view(k, per_cluster, *self.task.shape)

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        epochs = min(max(round(300_000 / task.n_samples), 20), 150)
        default: dict[str, Any] = {"width": 0.25, "epochs": epochs, "critic": "wgan-gp", "style_size": 2}
        return {
            "default": Preset("a quarter of the units, and a critic of bounded slope", default),
            "paper": Preset("the printed units; the epochs are ours", {"epochs": 1000}),
            "smoke": Preset("seconds, to see that all runs", {"width": 0.05, "epochs": 2}),
        }

    def extensions(self) -> list[str]:
        return [] if self.config.critic == "ns-gan" else [f"critic {self.config.critic}"]


def judge(part: str) -> str:
    """The player who is D of a part of the latents."""
    return f"{part}_discriminator"
