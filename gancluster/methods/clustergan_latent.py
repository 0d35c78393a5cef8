"""The other ClusterGAN: *Latent Space Clustering in Generative Adversarial Networks* (Mukherjee et al., AAAI 2019).

A GAN whose latent space is made of clusters, and an encoder that finds its way back. A code is noise and a class,
z = (z_n, z_c) with z_n ~ N(0, σ² I) and z_c one-hot; the generator G(z) makes samples of it; the discriminator D tells
them from real ones; the encoder E(x) tells z_n and the class.

    min over G and E, max over D, of   V(D, G) + β_n E ‖z_n - E(G(z))_n‖² + β_c E H(z_c, E(G(z))_c)

V is the game of `critic`, WGAN-GP's in the paper. σ is small, .1 beside the class's 1, so that codes of two classes do
not overlap. Two turns: D takes its steps, then G and E one together. Clusters are K-means of E's codes of real samples.

`clustergan` is the CVPR paper of that name: clustergan.py. What the paper does not have is marked *extension*.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gancluster import critics
from gancluster.data.warp import Warp, draw_warp
from gancluster.methods import adversarial, base, codes, recipe
from gancluster.methods.base import Batch, Clock, Embedding, Loss, Modules, Nets, Phase, Prediction, Preset, Task, Turn
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks import info_gan, latent_gan
from gancluster.networks.statistics import Statistics
from gancluster.optim import Adam, Linear

STEPS = 500_000  # of G and E in the released code


class Config(recipe.Config):
    """Its options; the defaults are the released code's, for MNIST."""

    epochs: int = Field(10, ge=1, description="passes of the game through the data; released code: 500,000 steps")
    batch_size: int = Field(64, ge=2, description="samples in a batch")
    lr: float = Field(1e-4, gt=0, description="Adam's learning rate, of all players")
    lr_end: float = Field(1.0, ge=0, description="learning rate at the end, of that at the start (linear between)")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second decay")

    critic: str = Field("wgan-gp", description=critics.HELP)
    encoder_norm: info_gan.Norm = Field("none", description="batch norm in E; paper: none")
    width: float = Field(1.0, gt=0, le=4, description="channels and features of all networks, of the printed ones")

    codes: Literal["balanced", "drawn"] = Field("drawn", description="classes of a batch: equally often, or drawn")
    noise_size: int = Field(30, ge=1, description="length of z_n")
    noise: float = Field(0.1, gt=0, description="σ, the standard deviation of z_n")
    noise_weight: float = Field(10.0, ge=0, description="β_n: weight of z_n's squared error, a mean over its length")
    class_weight: float = Field(10.0, ge=0, description="β_c: weight of the class's cross-entropy")


class Noise(NamedTuple):
    """A step's random numbers: classes z_c `(n, K)`, one-hot; z_n `(n, noise_size)`.

    `warps`: one for real samples, one for fakes. `mix` `(n,)`: for penalties between both sides.
    """

    z_c: Tensor
    z_n: Tensor
    warps: tuple[Warp, Warp]
    mix: Tensor


class Reading(NamedTuple):
    """What E makes of samples: z_n `(b, noise_size)`, and logits `(b, K)` of z_c."""

    z_n: Tensor
    logits: Tensor


class ClusterGANLatent(recipe.Method):
    """The game, its losses, and the clusters of E's codes."""

    name: ClassVar[str] = "clustergan-latent"
    paper: ClassVar[str] = (
        "Mukherjee, Asnani, Lin, Kannan: ClusterGAN: Latent Space Clustering in Generative Adversarial Networks, AAAI "
        "2019; not the CVPR 2019 paper of that name, which is `clustergan`"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.critic = critics.named(config.critic, by_noise=True)
        self.ranked_by = "generator.consistency" if config.consistency_weight else None

    # The players and their turns --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, shape = self.config, self.task.shape
        encoder = latent_gan.Encoder(shape, self.k, c.noise_size, c.encoder_norm, c.width)
        n_input = c.noise_size + self.k
        players = self.companions(encoder)
        if self.critic.entropy:
            players["statistics"] = Statistics(*info_gan.trunk(shape, "none", c.width, leak=0.2), n_input)
        return players | {
            "encoder": encoder,
            "discriminator": self.critic.wrap(latent_gan.Discriminator(shape, c.width)),
            "generator": info_gan.generator(shape, n_input, self.task.pixel_range, c.width),
        }

    def phases(self) -> list[Phase]:
        c, G = self.config, Turn((*adversarial.makers(self.critic), "encoder"), self.generator_loss)
        rounds = adversarial.rounds(self.critic, "discriminator", self.discriminator_loss, G)
        adam = Adam(Linear(c.lr, c.lr * c.lr_end), betas=(c.beta1, c.beta2))
        return [*self.pretraining(), Phase("adversarial", c.epochs, c.batch_size, rounds, adam)]

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        c, device, task = self.config, rng.device, self.task
        if c.codes == "balanced":
            classes = codes.balanced_clusters(n, self.k, rng)
        else:
            classes = torch.randint(self.k, (n,), generator=rng, device=device)
        return Noise(
            z_c=torch.eye(self.k, device=device)[classes],
            z_n=c.noise * torch.randn(n, c.noise_size, generator=rng, device=device),
            warps=(draw_warp(n, task.shape, task.flips, rng), draw_warp(n, task.shape, task.flips, rng)),
            mix=torch.rand(n, generator=rng, device=device),
        )

    # Losses -----------------------------------------------------------------------------------------------------------

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, penalised: bool = False) -> Loss:
        """The critic's loss of D, on samples alone: D is told no code."""
        x, fake = self.seen(batch.inputs, noise.warps[0]), self.seen(self.generated(nets, noise), noise.warps[1])
        mix = noise.mix if penalised else None
        return adversarial.discriminator_loss(self.critic, nets["discriminator"], (x,), (fake,), mix)

    def generator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Of G and E together: samples pass for real ones (which E has no part in), and E finds their codes again."""
        sample, D = self.generated(nets, noise), nets["discriminator"]
        fake = self.seen(sample, noise.warps[1])
        fooled = adversarial.generator_loss(self.critic, nets, D, (fake,), sample, self.code(noise))
        cycle, terms = self.cycle(self.read(nets, fake), noise), dict(fooled.terms)
        if self.config.consistency_weight:
            warped = self.read(nets, self.seen(batch.inputs, noise.warps[0])).logits
            terms["consistency"] = self.consistency_loss(nets, batch, warped)
        return Loss(terms | cycle.terms, fooled.watched | cycle.watched)

    def cycle(self, read: Reading, noise: Noise) -> Loss:
        """β_n times z_n's squared error, the mean over its length as in the code, and β_c times the cross-entropy.

        Least, 0, where E inverts G. Watched: `bound` in nats, at most log K; 0 where E is no better than chance.
        """
        of_class = -(noise.z_c * F.log_softmax(read.logits, 1)).sum(1).mean()
        of_noise = (read.z_n - noise.z_n).square().mean()
        terms = {"noise": self.config.noise_weight * of_noise, "class": self.config.class_weight * of_class}
        return Loss(terms, {"bound": math.log(self.k) - of_class})

    # Their parts ------------------------------------------------------------------------------------------------------

    def read(self, nets: Nets, samples: Tensor) -> Reading:
        """What E makes of samples `(b, *shape)`."""
        code = nets["encoder"](samples)
        return Reading(code[:, : -self.k], code[:, -self.k :])

    def generated(self, nets: Nets, noise: Noise) -> Tensor:
        """G's samples `(b, *shape)`."""
        return nets["generator"](self.code(noise))

    def code(self, noise: Noise) -> Tensor:
        """z: G's input `(b, noise_size + K)`."""
        return torch.cat([noise.z_n, noise.z_c], 1)

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """E's code `(b, noise_size + K)`: z_n, and the probability of each class; these alone where β_n is 0."""
        read = self.read(nets, inputs)
        of_class = torch.softmax(read.logits, 1)
        return torch.cat([read.z_n, of_class], 1) if self.config.noise_weight else of_class

    def centres(self, embedding: Embedding, seed: int) -> Embedding:
        """K-means of the codes as they are `(K, m)`, in the order of the classes that they match best."""
        table = torch.zeros(self.k, embedding.shape[1])
        table[:, -self.k :] = torch.eye(self.k)
        return codes.as_blocks(kmeans_centres(embedding, self.k, seed, unit=False), table)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """`kmeans`: the nearest centre, the paper's rule. `posterior`: E's most likely class."""
        posterior = embedding[:, -self.k :].argmax(1)
        return {"kmeans": nearest(embedding, centres, unit=False), "posterior": posterior}

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """G's samples `(K, per_cluster, *shape)`."""
        z_c = torch.eye(self.k, device=rng.device).repeat_interleave(per_cluster, 0)
        sample = self.generated(nets, self.draw(len(z_c), rng)._replace(z_c=z_c))
        return sample.view(self.k, per_cluster, *self.task.shape)

    def symptoms(self, row: base.Row) -> list[str]:
        """From the game's fifth epoch on, E at chance: whatever class G is given, it draws the same."""
        bound, most = float(row.get("generator.bound", math.inf)), math.log(self.k)
        if int(row["epoch"]) < 5 or bound >= 0.1 * most or not self.config.class_weight:
            return []
        seen = f"E knows {bound:.2f} of the log {self.k} = {most:.2f} nats of a class: G ignores it"
        return [f"{seen}; try more --restarts, or a larger --class-weight"]

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        n = task.n_samples
        default: dict[str, Any] = {"width": 0.25, "batch_size": 100, "epochs": min(max(round(54_000 / n), 5), 30)}
        default |= {"codes": "balanced", "critic": "ns-gan", "lr": 5e-4, "class_weight": 1.0, "noise_weight": 1.0}
        if task.is_images:
            default |= recipe.for_images(n) | {"consistency_weight": 3.0, "encoder_norm": "batch"}
        paper = {"epochs": max(round(STEPS * 64 / n), 1)}
        smoke = {"width": 0.125, "batch_size": 60, "epochs": 2}
        return {
            "default": Preset("our recipe and extensions: ACC .957 on digits, a minute of one CPU core", default),
            "paper": Preset("as released for MNIST, without extensions: days on a CPU", paper),
            "smoke": Preset("seconds, to see that all runs", smoke),
        }

    def extensions(self) -> list[str]:
        return super().extensions() + (["batch norm in E"] if self.config.encoder_norm == "batch" else [])
