"""Bayesian GAN (Saatchi & Wilson, NIPS 2017): not one generator and one discriminator, but draws from a posterior.

Over the weights g of the generator and d of the discriminator stands what the other thinks of them, as a likelihood:

    p(g | d) ∝ ∏ D(G(z_i)) · N(g; 0, prior_std²)                                          (Eq. 1)
    p(d | g) ∝ ∏ D(x_i) ∏ (1 - D(G(z_i))) · N(d; 0, prior_std²)                           (Eq. 2, lecture's erratum L25)

J members of each are moved in turn, every one given all others, by Adam until they are good and then by SGHMC
(`optim.SGHMC`), so that in the end they are draws. To find clusters a member's game is InfoGAN's: its recogniser
Q(c | x) reads the class that a sample was drawn with, one more factor of both likelihoods. Clusters are the most likely
classes of real samples under the mean of the members' posteriors.

A likelihood is a cross-entropy, so there is no choice of critic: other objectives are no logarithm of a probability.
What the paper does not have is marked *extension*.
"""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gancluster.data.batches import Batches
from gancluster.errors import UserError
from gancluster.methods import base, contrast, infogan
from gancluster.methods.base import (
    Batch,
    Clock,
    Embedding,
    Loss,
    Modules,
    Net,
    Nets,
    Phase,
    Prediction,
    Preset,
    Task,
    Turn,
)
from gancluster.optim import SGHMC, Adam, Linear, NearSGD, Sampler

Noise = tuple[infogan.Noise, ...]  # every member's own


class Config(base.Config):
    """Bayesian GAN's options; those that InfoGAN has too mean the same, for every member."""

    members: int = Field(3, ge=1, le=20, description="J: generators, and as many discriminators; released code: 10")
    epochs: int = Field(10, ge=1, description="passes of the game through the data under Adam")
    sampling_epochs: int = Field(10, ge=0, description="passes of the game under the sampler that follow")
    batch_size: int = Field(64, ge=2, description="samples in a batch")
    lr_generator: float = Field(1e-3, gt=0, description="Adam's learning rate of G")
    lr_discriminator: float = Field(2e-4, gt=0, description="Adam's learning rate of D and Q")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's second decay")

    sampler: Literal["sghmc", "released"] = Field(
        "sghmc", description="sghmc: draws from the posterior; released: the code's scaling, nearly plain descent"
    )
    lr_sampling: float = Field(1e-3, gt=0, description="η times the number of samples: the sampler's rate")
    friction: float = Field(0.1, gt=0, le=1, description="α, the share of the velocity lost a step; code: .01")
    prior_std: float = Field(1.0, gt=0, description="standard deviation of the weights' prior")
    temperature: float = Field(1.0, ge=0, description="extension: T of the posterior to the power 1/T; 1 is Bayes'")

    norm: Literal["fitting", "batch", "none"] = Field(
        "fitting", description="the trunk's; fitting: batch norm on images, none on vectors"
    )
    width: float = Field(1.0, gt=0, le=4, description="channels and features of all networks, of InfoGAN's")
    leak: float = Field(0.1, ge=0, lt=1, description="slope of D's and Q's leaky ReLU")
    noise: Literal["uniform", "normal"] = Field("uniform", description="distribution of z: on [-1, 1], or N(0, 1)")
    noise_size: int = Field(62, ge=1, description="length of z; released code: 100")
    code_size: int = Field(2, ge=1, description="number of continuous codes")
    info_weight: float = Field(1.0, ge=0, description="weight of Q's cross-entropy; 1 is a likelihood's")
    code_weight: float = Field(1.0, ge=0, description="weight of Q's Gaussian likelihood of the continuous codes")

    warp: float = Field(0.0, ge=0, description="extension: strength of the warps under which D and Q see samples")
    pixel_noise: float = Field(0.0, ge=0, description="extension: noise with the warps, of the pixel range")
    consistency_weight: float = Field(0.0, ge=0, description="extension: Q agrees with itself on warped real samples")
    warmup_epochs: int = Field(
        0, ge=0, description="extension: epochs of instance discrimination, then a K-means start"
    )
    warmup_batch_size: int = Field(250, ge=2, description="samples in a batch of the warm-up")
    lr_warmup: float = Field(1e-3, gt=0, description="Adam's learning rate in the warm-up")


class BayesGAN(base.Method):
    """The population's game, made of InfoGAN's; and what the population says of new samples."""

    name: ClassVar[str] = "bayesgan"
    paper: ClassVar[str] = "Saatchi, Wilson: Bayesian GAN, NIPS 2017; clusters by InfoGAN's recognisers"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "recogniser-1"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.k, self.members = task.n_clusters, range(1, config.members + 1)
        for option, usual in {"temperature": {1.0}, "friction": {0.1, NearSGD.friction}}.items():
            if config.sampler == "released" and getattr(config, option) not in usual:
                raise UserError(f"--{option} has no meaning with --sampler released, which has its own: leave it out")
        shared = config.model_dump(include=set(infogan.Config.model_fields))
        self.game = infogan.InfoGAN(infogan.Config(**shared, start="k-means", consistency_with="teacher"), task)

    # The players and their turns --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        return {f"{name}-{m}": player for m in self.members for name, player in self.game.players().items()}

    def encoders(self) -> tuple[str, ...]:
        return tuple(f"recogniser-{m}" for m in self.members)

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """After the warm-up: every member's own K-means start, then one numbering of the clusters for all."""
        if phase != "burn-in" or not self.config.warmup_epochs:
            return
        for m in self.members:
            own = {name: players[f"{name}-{m}"] for name in ("recogniser", "head", "start")}
            self.game.enter("adversarial", own, batches, seed)
        samples = list(batches.shuffled(seed))
        first, *others = [
            torch.cat([players[name](part) for part in samples]).argmax(1).cpu().numpy() for name in self.encoders()
        ]
        for name, clusters in zip(self.encoders()[1:], others, strict=True):
            order = torch.from_numpy(alignment(first, clusters, self.k))
            for parameter in players[name].get_submodule("top").parameters():
                parameter.copy_(parameter[order])

    def phases(self) -> list[Phase]:
        c = self.config
        D = [
            Turn((f"discriminator-{m}", f"recogniser-{m}"), partial(self.discriminator_loss, member=m))
            for m in self.members
        ]
        G = [Turn(f"generator-{m}", partial(self.generator_loss, member=m)) for m in self.members]
        betas = (c.beta1, c.beta2)
        rates = {"generator": c.lr_generator, "discriminator": c.lr_discriminator, "recogniser": c.lr_discriminator}
        adam = {f"{name}-{m}": Adam(Linear(lr, lr), betas) for m in self.members for name, lr in rates.items()}
        phases = [Phase("burn-in", c.epochs, c.batch_size, [D + G], adam)]
        if c.warmup_epochs:
            Q = [Turn((f"recogniser-{m}", f"head-{m}"), partial(self.warmup_loss, member=m)) for m in self.members]
            rate = Linear(c.lr_warmup, c.lr_warmup)
            phases.insert(0, Phase("warm-up", c.warmup_epochs, c.warmup_batch_size, [Q], Adam(rate), pretrains=True))
        if c.sampling_epochs:
            phases.append(Phase("sampling", c.sampling_epochs, c.batch_size, [D + G], self.sampler()))
        return phases

    def sampler(self) -> Sampler:
        """What moves all players in the end: losses are means, so it is told how many samples they stand for."""
        c, n, rate = self.config, self.task.n_samples, Linear(self.config.lr_sampling, self.config.lr_sampling)
        if c.sampler == "released":
            return NearSGD(rate, n, prior_std=c.prior_std)
        return SGHMC(rate, n, c.friction, c.prior_std, c.temperature)

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        return tuple(self.game.draw(n, rng) for _ in self.members)

    # Losses -----------------------------------------------------------------------------------------------------------

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, member: int) -> Loss:
        """-log p(d | all g) a sample, without the prior: the member's InfoGAN against the mixture of all generators."""
        return self.game.discriminator_loss(
            self.pair(nets, member, self.mixture(nets)), batch, noise[member - 1], clock
        )

    def generator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, member: int) -> Loss:
        """-log p(g | d) a sample, without the prior, as a mean over all d."""
        own = noise[member - 1]
        sample = self.game.generated(self.pair(nets, member, nets[f"generator-{member}"]), own)
        pairs = (self.pair(nets, m, lambda code: sample) for m in self.members)
        losses = [self.game.generator_loss(pair, batch, own, clock).terms for pair in pairs]
        return Loss({term: torch.stack([loss[term] for loss in losses]).mean() for term in losses[0]})

    def warmup_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, member: int) -> Loss:
        """Extension: InfoGAN's warm-up of one member's recogniser."""
        own = Nets({name: nets[f"{name}-{member}"] for name in ("recogniser", "head")}, {})
        return contrast.views_loss("recogniser", self.task.pixel_range, own, batch, noise[member - 1], clock)

    def pair(self, nets: Nets, member: int, generator: Net) -> Nets:
        """The players of InfoGAN's game: a member's discriminator and recogniser, and a generator.

        Nobody has an average over time: what its recogniser is held to is what it says itself.
        """
        judges = {name: nets[f"{name}-{member}"] for name in ("recogniser", "discriminator")}
        return Nets(judges | {"generator": generator}, judges)

    def mixture(self, nets: Nets) -> Net:
        """All generators as one: codes `(b, m)` → samples `(b, *shape)`, of which member j makes every J-th."""

        def made(code: Tensor) -> Tensor:
            samples = torch.stack([nets[f"generator-{m}"](code) for m in self.members])
            i = torch.arange(len(code), device=code.device)
            return samples[i % len(self.members), i]

        return made

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Every member's log Q of each class, side by side `(b, J K)`."""
        return torch.cat([torch.log_softmax(nets[name](inputs), 1) for name in self.encoders()], 1)

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """What every member's last layer is given, side by side `(b, 128 J)`."""
        return torch.cat([nets[name](inputs, features=True) for name in self.encoders()], 1)

    def centres(self, embedding: Embedding, seed: int) -> Embedding:
        """Which class of each member is cluster 0, 1, …, `(J, K)`: that which shares most samples with the first's."""
        first, *others = self.log_posteriors(embedding).argmax(2).T
        orders = [alignment(first, clusters, self.k) for clusters in others]
        return np.stack([np.arange(self.k), *orders]).astype(np.float32)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """`population`: the likeliest cluster by the mean of the members' posteriors; `member`: by the first alone."""
        orders = centres.astype(np.int64)[None]
        posteriors = np.exp(np.take_along_axis(self.log_posteriors(embedding), orders, 2))
        return {"population": posteriors.mean(1).argmax(1), "member": posteriors[:, 0].argmax(1)}

    def log_posteriors(self, embedding: Embedding) -> Embedding:
        """An embedding `(n, J K)` as `(n, J, K)`."""
        return embedding.reshape(len(embedding), len(self.members), self.k)

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """The mixture's samples `(K, per_cluster, *shape)`."""
        return self.game.generate(Nets({"generator": self.mixture(nets)}, {}), per_cluster, rng)

    def symptoms(self, row: base.Row) -> list[str]:
        """InfoGAN's, of the member whose Q knows least."""
        bounds = [float(value) for name, value in row.items() if name.endswith(".bound")]
        return self.game.symptoms(row | {"discriminator.bound": min(bounds, default=math.inf)})

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        usual = infogan.InfoGAN.presets(task)
        default, smoke = (
            {name: value for name, value in usual[preset].values.items() if name in Config.model_fields}
            for preset in ("default", "smoke")
        )
        n, rate = task.n_samples, 2.5e-4  # .005 exp(-3): the released code's, after its first epoch
        default["epochs"] = max(round(36_000 / n), 2) if task.is_images else max(default["epochs"] // 2, 1)
        default["sampling_epochs"] = max(default["epochs"] // 2, 1)
        paper = {"members": 10, "noise_size": 100, "batch_size": max(64, task.n_clusters), "leak": 0.2}
        paper |= {"epochs": max(round(5000 * 64 / n), 1), "sampling_epochs": max(round(45_000 * 64 / n), 1)}
        paper |= {"lr_generator": rate, "lr_discriminator": rate, "lr_sampling": rate, "friction": 0.01}
        return {
            "default": Preset("our recipe and extensions; `gancluster train bayesgan`", default),
            "paper": Preset("ten members, the released code's rates and steps, without extensions; hours", paper),
            "smoke": Preset(
                "seconds, to see that all runs; `gancluster train bayesgan --preset smoke`",
                smoke | {"members": 2, "epochs": 1, "sampling_epochs": 1},
            ),
        }

    def extensions(self) -> list[str]:
        tempered = ["temperature"] if self.config.temperature != 1 else []
        return self.game.extensions() + tempered


def alignment(reference: NDArray[np.int64], clusters: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """For each of the k reference clusters the one of `clusters` that stands for it, `(k,)`: most samples in common.

    Both number the same samples `(n,)`; one to one (Hungarian algorithm), no label involved.
    """
    shared = np.bincount(reference * k + clusters, minlength=k * k).reshape(k, k)
    _, matched = linear_sum_assignment(shared, maximize=True)
    found: NDArray[np.int64] = matched
    return found
