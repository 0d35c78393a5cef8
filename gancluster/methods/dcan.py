"""DCAN: *Deep Clustering using Adversarial Net based Clustering Loss* (Lim; slides, and arXiv 2412.08933).

A discriminator in place of a clustering loss. An auto-encoder is trained; a clustering model θ, K-means or a Gaussian
mixture, is fitted to its latents; then the encoder plays against a discriminator D of latents:

    T = 1      z+ ~ p(z | θ*), drawn from the cluster that a sample is assigned to
    T = 0      z = G(x), the sample's latent
    L          E ln D(z+) + E ln(1 - D(G(x))): D ascends it, the encoder G descends     (slides 2.1, 3; errata D1, D2)

At the best D, L is 2 JSD(p(z | θ) || q(z | x)) - 2 ln 2: latents come to lie as θ says. θ is fitted anew before every
epoch, and the game is over once hardly any sample changes its cluster. Clusters are θ's.

The slides name no networks, no optimiser, and not what θ* is or how to draw from it (erratum D6): all that is ours.
What goes beyond choices that they leave open is marked *extension*.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from gancluster import critics
from gancluster.data.batches import Batches
from gancluster.data.warp import Warp, draw_warp, warp
from gancluster.errors import UserError
from gancluster.methods import adversarial, ae_kmeans, autoencoding, base, contrast, pretraining
from gancluster.methods.base import Batch, Clock, Embedding, Loss, Modules, Nets, Phase, Prediction, Preset, Task, Turn
from gancluster.methods.communities import communities_of
from gancluster.methods.mixture import Mixture, Model, partition
from gancluster.networks import autoencoder
from gancluster.optim import Adam, Linear

GAME = "adversarial"


class Config(ae_kmeans.Config):
    """DCAN's options; the slides give none of the numbers."""

    epochs: int = Field(50, ge=1, description="passes of the game through the data, at most")
    tolerance: float = Field(0.001, ge=0, le=1, description="the game is over once a smaller share changes its cluster")
    cosine: bool = Field(False, description="redrawn samples need only point the same way: for rows such as tf-idf")
    lr: float = Field(1e-4, gt=0, description="Adam's learning rate in the game, of encoder and discriminator")
    lr_end: float = Field(
        1.0, ge=0, description="learning rate at the game's end, of that at its start (linear between)"
    )

    mixture: Model = Field("kmeans", description="θ: K-means, or Gaussians by EM, of full or diagonal covariance")
    floor: float = Field(0.1, gt=0, description="least deviation of z+, of that of all latents when the game begins")
    sphere: bool = Field(False, description="latents have one length, the root of their number of values")
    critic: str = Field("ns-gan", description=f"{critics.HELP}; as printed: gan")
    conditional: bool = Field(False, description="D is told the cluster of z+ and z")
    adversarial_weight: float = Field(1.0, ge=0, description="weight of the encoder's adversarial loss; 0: no game")
    reconstruction_weight: float = Field(0.0, ge=0, description="weight in the game of the share not redrawn")

    start: pretraining.By = Field(
        "k-means", description="θ's first clusters, of latents; extension: communities of neighbours, to which it holds"
    )
    warp: float = Field(0.0, ge=0, description="extension: strength of the warps that the encoder plays under")
    pixel_noise: float = Field(0.0, ge=0, description="extension: noise with the warps, of the pixel range")
    discrimination_weight: float = Field(
        0.0, ge=0, description="extension: latents of two warps of a sample attract, of others repel, from the outset"
    )


class Noise(NamedTuple):
    """A step's random numbers: `normal` `(n, d)`, of which z+ are made; `mix` `(n,)` on [0, 1); two warps a sample."""

    normal: Tensor
    mix: Tensor
    warps: tuple[Warp, Warp]


class DCAN(base.Method):
    """The two phases, their losses, and what θ says of new samples."""

    name: ClassVar[str] = "dcan"
    paper: ClassVar[str] = "Lim: Deep Clustering using Adversarial Net based Clustering Loss, 2024"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.k = task.n_clusters
        self.critic = critics.named(config.critic)
        if config.start == "communities" and config.mixture == "gmm":
            raise UserError("--mixture gmm is for clusters that EM may move: add --start k-means")

    # The players and their phases -------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c = self.config
        networks, judged = ae_kmeans.networks(c, self.task), c.latent_size + (self.k if c.conditional else 0)
        if c.sphere:
            networks["encoder"] = nn.Sequential(networks["encoder"], autoencoder.Sphere())
        if c.start == "communities":
            networks["start"] = pretraining.Start(self.task.n_samples)
        return networks | {
            "discriminator": self.critic.wrap(autoencoder.latent_discriminator(judged)),
            "mixture": Mixture(self.k, c.latent_size, self.task.n_samples, c.mixture),
        }

    def phases(self) -> list[Phase]:
        c = self.config
        G = Turn(("encoder", "decoder") if c.reconstruction_weight else "encoder", self.encoder_loss)
        played = adversarial.rounds(self.critic, "discriminator", self.discriminator_loss, G)
        rounds = played if c.adversarial_weight else [[G]]
        adam = Adam(Linear(c.lr, c.lr * c.lr_end))
        game = Phase(GAME, c.epochs, c.batch_size, rounds, adam, until=autoencoding.settled("mixture", c.tolerance))
        last = replace(game, name="clusters", epochs=1, until=lambda nets, batches: True)  # at once: θ's last fit
        loss = autoencoding.direction_loss if c.cosine else autoencoding.reconstruction_loss
        loss = self.pretraining_loss if c.discrimination_weight else loss
        return [autoencoding.pretraining(c.pretrain_epochs, c.batch_size, c.lr_pretrain, loss), game, last]

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        encoder = players["encoder"]
        if phase == GAME and not self.config.sphere:
            autoencoding.standardise(encoder, players["decoder"], autoencoding.encoded(encoder, batches))
        if phase == GAME and self.config.start == "communities":
            samples, z = torch.cat(list(batches.parts())), autoencoding.encoded(encoder, batches)
            clusters = communities_of(samples, [z], [1.0, 1.0], partition(z.cpu().numpy(), self.k, seed), seed)
            players["start"].get_buffer("clusters").copy_(torch.from_numpy(clusters))

    def renew(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """Before every epoch of the game, and at its end, θ is fitted to latents as they are, from its clusters on.

        Or it holds to those of the start, and its means and variances follow.
        """
        if phase == autoencoding.PRETRAINING:
            return
        theta, latents, floor = players["mixture"], autoencoding.encoded(players["encoder"], batches), self.config.floor
        assert isinstance(theta, Mixture)
        if self.config.start == "communities":
            theta.hold(latents, players["start"].get_buffer("clusters"), floor)
        else:
            theta.fit(latents, floor, seed)

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        return Noise(
            normal=torch.randn(n, self.config.latent_size, generator=rng, device=rng.device),
            mix=torch.rand(n, generator=rng, device=rng.device),
            warps=(
                draw_warp(n, self.task.shape, self.task.flips, rng),
                draw_warp(n, self.task.shape, self.task.flips, rng),
            ),
        )

    # Losses -----------------------------------------------------------------------------------------------------------

    def pretraining_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Where latents tell samples apart: the share that they do not redraw, and instance discrimination."""
        x, (one, other) = batch.inputs, (self.played(nets, batch.inputs, by) for by in noise.warps)
        instances = self.config.discrimination_weight * contrast.instance_discrimination(one, other)
        return Loss({"reconstruction": self.missed(nets["decoder"](nets["encoder"](x)), x), "instances": instances})

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, penalised: bool = False) -> Loss:
        """-L at D, by the critic: points of θ up, latents down."""
        D, clusters = nets["discriminator"], self.clusters(nets, batch)
        drawn = nets["mixture"](clusters, noise.normal)
        real, fake = self.shown(drawn, clusters), self.shown(self.played(nets, batch.inputs, noise.warps[0]), clusters)
        return adversarial.discriminator_loss(self.critic, D, (real,), (fake,), noise.mix if penalised else None)

    def encoder_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Latents pass for points of θ; by options they still tell samples, redrawn or told apart from each other."""
        c, x, terms = self.config, batch.inputs, dict[str, Tensor]()
        played, z = self.played(nets, x, noise.warps[0]), nets["encoder"](x)
        if c.adversarial_weight:
            fake = self.shown(played, self.clusters(nets, batch, z))
            terms["adversarial"] = c.adversarial_weight * self.critic.generator_loss(nets["discriminator"](fake))
        if c.reconstruction_weight:
            terms["reconstruction"] = c.reconstruction_weight * self.missed(nets["decoder"](z), x)
        if c.discrimination_weight:
            again = self.played(nets, x, noise.warps[1])
            terms["instances"] = c.discrimination_weight * contrast.instance_discrimination(played, again)
        return Loss(terms)

    # Their parts ------------------------------------------------------------------------------------------------------

    def played(self, nets: Nets, x: Tensor, by: Warp) -> Tensor:
        """The latents `(b, d)` that the encoder plays with: those of samples, warped where warps are asked for."""
        low, high = self.task.pixel_range
        return nets["encoder"](warp(x, by, self.config.warp, self.config.pixel_noise * (high - low)))

    def clusters(self, nets: Nets, batch: Batch, z: Tensor | None = None) -> Tensor:
        """The cluster of each sample `(b,)`: the one that it started in, or by θ of its latent, `z` where known."""
        if self.config.start == "communities":
            return nets["start"](batch.where)
        return nets["mixture"](nets["encoder"](batch.inputs) if z is None else z).argmax(1)

    def missed(self, redrawn: Tensor, x: Tensor) -> Tensor:
        """The share of the samples' variance that is not redrawn; by option what their directions lack."""
        if self.config.cosine:
            return autoencoding.astray(redrawn, x)
        return (redrawn - x).square().mean() / (x - x.mean(0)).square().mean()

    def shown(self, z: Tensor, clusters: Tensor) -> Tensor:
        """What D is shown of latents `(b, d)`: themselves, and by option their clusters `(b,)`, one-hot."""
        if self.config.sphere:
            z = autoencoder.Sphere()(z)
        if not self.config.conditional:
            return z
        return torch.cat([z, (clusters[:, None] == torch.arange(self.k, device=z.device)).to(z)], 1)

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """θ's scores of each cluster `(b, K)`, the largest the likeliest."""
        return nets["mixture"](nets["encoder"](inputs))

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Latents `(b, d)`."""
        return nets["encoder"](inputs)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """`theta`: the likeliest cluster."""
        return {"theta": embedding.argmax(1)}

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        n = task.n_samples
        few: dict[str, Any] = {"batch_size": 250, "width": 0.25, "reconstruction_weight": 1.0, "tolerance": 0.0}
        images = few | {"pretrain_epochs": min(max(round(180_000 / n), 20), 100), "lr": 1e-3, "lr_end": 0.1}
        images |= {"epochs": min(max(round(90_000 / n), 20), 50), "conditional": True, "sphere": True}
        images |= {"start": "communities", "discrimination_weight": 1.0, "warp": 1.0, "pixel_noise": 0.1}
        vectors = few | {"mixture": "gmm-diag", "pretrain_epochs": min(max(round(150_000 / n), 10), 100), "epochs": 8}
        text = vectors | {"mixture": "kmeans", "cosine": True, "sphere": True}
        if task.is_images:
            gave = "our recipe: ACC on one CPU core .94 on digits (half a minute), .97 on MNIST (12 min)"
            ours = {"default": Preset(gave, images)}
        else:
            ours = {
                "default": Preset("our recipe, without extensions", vectors),
                "text": Preset("our recipe for rows such as tf-idf", text),
            }
        paper, smoke = {"critic": "gan", "batch_size": 256}, {"width": 0.1, "pretrain_epochs": 1, "epochs": 2}
        return ours | {
            "paper": Preset("as printed; its numbers, and what it leaves open, are ours", paper),
            "smoke": Preset("seconds, to see that all runs", smoke | {"batch_size": 60}),
        }

    def extensions(self) -> list[str]:
        c = self.config
        used = {
            "start from communities": c.start == "communities",
            "warps": c.warp > 0 or c.pixel_noise > 0,
            "instance discrimination": c.discrimination_weight > 0,
        }
        return [name for name, on in used.items() if on]
