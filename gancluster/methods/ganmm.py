"""GANMM: *Mixture of GANs for Clustering* (Yu & Zhou, IJCAI 2018).

A mixture model whose K components are GANs: a generator G_k and a Wasserstein critic D_k a cluster, and a classifier
p(k | x) that learns from generated samples which generator made which. ε-EM, one step of each at a time:

    E   the classifier learns the k of G_k's samples, and tells it of real ones
    M   D_k and G_k play, as in WGAN, on real samples of which a share 1 - ε are likeliest of k; the others are drawn
        from all the rest by p(k | x), so that no generator stays with what it began with

ε falls from .5 in steps. Before EM each pair plays on a random K-th of the data. Clusters are the most likely k.

The K games have nothing to do with each other, so they are played at once, as one of their mean. By the released code,
where the paper is silent; what is ours: docs/methods/ganmm.md.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gancluster import critics
from gancluster.data.batches import Batches
from gancluster.errors import UserError
from gancluster.methods import adversarial, base
from gancluster.methods.base import Batch, Clock, Loss, Modules, Net, Nets, Phase, Preset, Task, Turn
from gancluster.methods.dec import Target
from gancluster.networks import ganmm
from gancluster.optim import Adam, Linear, Optimizer, RMSprop

PRETRAINING, STEPS = "pre-training", 100
EXPLORED = ((0, 0.5), (1, 0.2), (2, 0.1), (4, 0.04))  # ε from so many times `explore_epochs` on


class Config(base.Config):
    """GANMM's options; the defaults are the released code's."""

    pretrain_epochs: int = Field(5, ge=1, description="of 100 steps: each pair plays on its own part of the data")
    epochs: int = Field(2000, ge=1, description="of 100 steps: epsilon-EM")
    explore_epochs: int = Field(5, ge=1, description="of epsilon .5; as many of .2, twice as many of .1, then .04")
    batch_size: int = Field(500, ge=2, description="real samples from which all pairs' are chosen, a K-th for each")
    critic: Literal["wgan", "wgan-gp"] = Field("wgan", description="what bounds critics; paper: clipped weights")
    optimizer: Literal["rmsprop", "adam"] = Field("rmsprop", description="of all networks")
    lr: float = Field(5e-5, gt=0, description="learning rate of critics and generators")
    lr_classifier: float = Field(5e-5, gt=0, description="learning rate of the classifier")
    classifier_steps: int = Field(10, ge=1, description="of the classifier, on as many samples of every generator")
    noise_size: int = Field(128, ge=1, description="length of z, normal; for vectors in the code: 64")
    width: float = Field(1.0, gt=0, le=4, description="channels and features of all networks")


class Noise(NamedTuple):
    """A step's random numbers, n a pair: z `(n, K, noise_size)`, `places` `(n, K)` in [0, 1), `mix` `(n K,)`."""

    z: Tensor
    places: Tensor
    mix: Tensor


class GANMM(base.Method):
    """The K games, and the classifier between them."""

    name: ClassVar[str] = "ganmm"
    paper: ClassVar[str] = "Yu, Zhou: Mixture of GANs for Clustering, IJCAI 2018"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "classifier"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.k, self.critic = task.n_clusters, critics.named(config.critic)
        if config.batch_size < 2 * self.k:
            raise UserError(f"{self.k} pairs want 2 samples each: let --batch-size be {2 * self.k} or more")

    # The players and their steps --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, k, shape = self.config, self.k, self.task.shape
        return {
            "classifier": ganmm.classifier(k, shape, c.width),
            "discriminator": self.critic.wrap(ganmm.critics(k, shape, c.width)),
            "generator": ganmm.generators(k, shape, c.noise_size, self.task.pixel_range, c.width),
            "parts": Target(self.task.n_samples, k),
        }

    def phases(self) -> list[Phase]:
        c, players = self.config, ("classifier", "discriminator", "generator")
        rates = dict.fromkeys(players, c.lr) | {"classifier": c.lr_classifier}
        optimizers = {player: self.optimizer(lr) for player, lr in rates.items()}
        learn = Turn("classifier", self.classifier_loss, c.classifier_steps)
        return [
            Phase(PRETRAINING, c.pretrain_epochs, c.batch_size, self.rounds(alone=True), optimizers, steps=STEPS),
            Phase("epsilon-EM", c.epochs, c.batch_size, [[learn, *r] for r in self.rounds()], optimizers, steps=STEPS),
        ]

    def rounds(self, alone: bool = False) -> list[list[Turn]]:
        """Generators, then critics, as in the code."""
        loss = partial(self.discriminator_loss, alone=alone)
        rounds = adversarial.rounds(self.critic, "discriminator", loss, Turn("generator", self.generator_loss))
        return [turns[::-1] for turns in rounds]

    def optimizer(self, rate: float) -> Optimizer:
        lr = Linear(rate, rate)
        return RMSprop(lr, decay=0.9) if self.config.optimizer == "rmsprop" else Adam(lr)

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """Each pair's own part of the data: a K-th of it, drawn by the seed."""
        if phase == PRETRAINING:
            parts = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seed)) % self.k
            players["parts"].get_buffer("p").copy_(torch.eye(self.k)[parts])

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        n = n // self.k
        z = torch.randn(n, self.k, self.config.noise_size, generator=rng, device=rng.device)
        places, mix = torch.rand(2, n, self.k, generator=rng, device=rng.device)
        return Noise(z, places, mix.flatten())

    # Losses -----------------------------------------------------------------------------------------------------------

    def classifier_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Cross-entropy of which generator made a sample, in nats."""
        fakes = nets["generator"](noise.z).flatten(0, 1)
        made_by, logits = torch.arange(len(fakes), device=fakes.device) % self.k, nets["classifier"](fakes)
        loss = F.cross_entropy(logits, made_by)
        return Loss({"cross_entropy": loss}, {"correct": (logits.argmax(1) == made_by).float().mean()})

    def discriminator_loss(
        self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, alone: bool = False, penalised: bool = False
    ) -> Loss:
        """The mean of the K critics' losses, each on its own real samples and its own generator's."""
        assert batch.where is not None
        p = nets["parts"](batch.where) if alone else self.embed(nets, batch.inputs).detach()
        epsilon = torch.zeros(()) if alone else self.epsilon(clock)
        real = batch.inputs[chosen(p, noise.places, epsilon)].flatten(0, 1)
        fake = nets["generator"](noise.z).flatten(0, 1)
        return adversarial.discriminator_loss(
            self.critic, self.scored(nets), (real,), (fake,), noise.mix if penalised else None
        )

    def generator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """The mean of the K generators' losses, each by its own critic."""
        fake = self.scored(nets)(nets["generator"](noise.z).flatten(0, 1))
        return Loss({"adversarial": self.critic.generator_loss(fake)})

    def scored(self, nets: Nets) -> Net:
        """Samples of all pairs in turn `(n K, *shape)` → what each one's critic says `(n K,)`."""
        return lambda x: nets["discriminator"](x.unflatten(0, (-1, self.k))).flatten()

    def epsilon(self, clock: Clock) -> Tensor:
        """ε at this time of EM."""
        epoch, now = clock.progress * self.config.epochs, torch.full_like(clock.progress, 0.5)
        for times, epsilon in EXPLORED:
            now = torch.where(epoch >= times * self.config.explore_epochs, epsilon, now)
        return now

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """p(k | x) `(b, K)`."""
        return torch.softmax(nets["classifier"](inputs), 1)

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """Each generator's samples `(K, per_cluster, *shape)`."""
        z = torch.randn(per_cluster, self.k, self.config.noise_size, generator=rng, device=rng.device)
        return nets["generator"](z).transpose(0, 1)

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        noise = {} if task.is_images else {"noise_size": 64}
        ours = {"width": 0.25, "critic": "wgan-gp", "optimizer": "adam", "lr": 1e-3, "lr_classifier": 1e-3}
        ours |= {"epochs": 20, "pretrain_epochs": 3, "explore_epochs": 2, "classifier_steps": 1}
        smoke = {"batch_size": max(50, 2 * task.n_clusters), "width": 0.125, "pretrain_epochs": 1, "epochs": 1}
        return {
            "default": Preset("a quarter of the channels, penalised slopes and Adam: minutes on a CPU", noise | ours),
            "paper": Preset("as released; days on a CPU", noise),
            "smoke": Preset("seconds, to see that all runs", noise | ours | smoke),
        }


def chosen(p: Tensor, places: Tensor, epsilon: Tensor) -> Tensor:
    """Which of a batch's samples each pair is given `(n, K)`, by their p(k | x) `(b, K)`; with repetition.

    Of n samples the first n (1 - ε) are of those that are likeliest of k, and of the one that k is likeliest for, each
    as often; the others are drawn from all the rest, as often as p(k | x) says. `places` `(n, K)`, uniform in [0, 1).
    """
    own = (p == p.amax(1, keepdim=True)) | (p == p.amax(0))
    up_to = torch.stack([own.to(p), p.masked_fill(own, 0) + 1e-9]).cumsum(1)  # (2, b, K)
    index = (up_to[:, None] <= (places * up_to[:, -1:])[:, :, None]).sum(2).clamp(max=len(p) - 1)
    explores = torch.arange(len(places), device=p.device) >= ((1 - epsilon) * len(places)).round()
    return torch.where(explores[:, None], index[1], index[0])
