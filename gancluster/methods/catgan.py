"""CatGAN: *Unsupervised and Semi-supervised Learning with Categorical GANs* (Springenberg, ICLR 2016).

A discriminator that does not say *real* or *generated* but p(y | x), which of K classes: it is sure of real samples,
uses every class equally often, and cannot say what a generated sample is. The generator wants it to be sure of its own.

    D maximises   H(Y) - H(Y | X) + H(Y | G(Z))            the first two: the information I(X; Y) of real samples
    G maximises   H(Y of G(Z)) - H(Y | G(Z))               the information of its samples

H(Y) is the entropy of a batch's mean p, H(Y | X) the mean entropy of its p. Clusters are D's most likely classes. With
`--labels` D also learns from some labelled samples. What the paper does not have is marked *extension*.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gancluster.data.warp import Warp, draw_warp
from gancluster.methods import base, recipe
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Preset, Task, Turn
from gancluster.methods.imsat import entropies
from gancluster.networks import gan_em
from gancluster.optim import Adam, Linear


class Config(recipe.Config):
    """CatGAN's options."""

    epochs: int = Field(100, ge=1, description="passes of the game through the data")
    batch_size: int = Field(100, ge=2, description="samples in a batch, over which H(Y) is taken")
    lr: float = Field(2e-4, gt=0, description="Adam's learning rate")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay")
    width: float = Field(1.0, gt=0, le=4, description="channels and features of all networks")
    noise_size: int = Field(128, ge=1, description="length of z, uniform on [-1, 1]")
    label_weight: float = Field(1.0, ge=0, description="λ: weight of the labels' cross-entropy")


class Noise(NamedTuple):
    """A step's random numbers: z `(n, noise_size)`; `warps`: one for real samples, one for fakes."""

    z: Tensor
    warps: tuple[Warp, Warp]


class CatGAN(recipe.Method):
    """The game, its losses, and what D says of new samples."""

    name: ClassVar[str] = "catgan"
    semi_supervised: ClassVar[bool] = True
    paper: ClassVar[str] = (
        "Springenberg: Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks, "
        "ICLR 2016"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "discriminator"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.ranked_by = "discriminator.consistency" if config.consistency_weight else None

    # The players and their turns --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, task = self.config, self.task
        discriminator = gan_em.classifier(task.shape, task.n_clusters, width=c.width)
        generator = gan_em.generator(task.shape, c.noise_size, task.pixel_range, c.width)
        return self.companions(discriminator) | {"discriminator": discriminator, "generator": generator}

    def phases(self) -> list[Phase]:
        c, turns = self.config, [Turn("discriminator", self.discriminator_loss), Turn("generator", self.generator_loss)]
        game = Phase("adversarial", c.epochs, c.batch_size, [turns], Adam(Linear(c.lr, c.lr), (c.beta1, 0.999)))
        return [*self.pretraining(), game]

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        shape, flips = self.task.shape, self.task.flips
        z = 2 * torch.rand(n, self.config.noise_size, generator=rng, device=rng.device) - 1
        return Noise(z, (draw_warp(n, shape, flips, rng), draw_warp(n, shape, flips, rng)))

    # Losses -----------------------------------------------------------------------------------------------------------

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """-I(X; Y) of real samples, and minus the entropy that D has left on fakes; at least -2 log K together."""
        c, D = self.config, nets["discriminator"]
        real = D(self.seen(batch.inputs, noise.warps[0]))
        _, unsure = entropies(D(self.seen(nets["generator"](noise.z), noise.warps[1])))
        balance, sure = entropies(real)
        terms = {"balance": -balance, "sure": sure, "fakes": -unsure}
        if c.consistency_weight:
            terms["consistency"] = self.consistency_loss(nets, batch, real)
        if batch.labelled:
            samples, classes = batch.labelled
            by = Warp(*(numbers[: len(samples)] for numbers in noise.warps[0]))
            terms["labels"] = c.label_weight * F.cross_entropy(D(self.seen(samples, by)), classes)
        return Loss(terms, {"information": balance - sure})

    def generator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Minus the information of G's samples: D is sure of each, and they are of all classes; at least -log K."""
        fake = nets["discriminator"](self.seen(nets["generator"](noise.z), noise.warps[1]))
        balance, sure = entropies(fake)
        return Loss({"balance": -balance, "sure": sure})

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """D's probability of each class `(b, K)`."""
        return torch.softmax(nets["discriminator"](inputs), 1)

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """What D's last layer is given `(b, d)`."""
        return nets["discriminator"](inputs, features=True)

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """G's samples in the order of D's classes `(K, per_cluster, *shape)`; rows are classes if G is balanced."""
        k = self.task.n_clusters
        sample = nets["generator"](self.draw(k * per_cluster, rng).z)
        order = nets["discriminator"](sample).argmax(1).argsort(stable=True)
        return sample[order].view(k, per_cluster, *self.task.shape)

    def symptoms(self, row: base.Row) -> list[str]:
        """From the game's fifth epoch on, D says the same of all real samples, or nothing of any."""
        information, most = float(row.get("discriminator.information", math.inf)), math.log(self.task.n_clusters)
        if int(row["epoch"]) < 5 or information >= 0.1 * most:
            return []
        return [f"D's classes tell {information:.2f} of {most:.2f} nats of real samples; try more --restarts"]

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        n = task.n_samples
        default: dict[str, Any] = {"width": 0.25, "epochs": min(max(round(54_000 / n), 5), 30)}
        if task.is_images:
            default |= recipe.for_images(n)
        return {
            "default": Preset("our recipe and extensions: ACC .95 on digits, a minute of one CPU core", default),
            "paper": Preset("the paper's game without extensions, GAN-EM's networks", {}),
            "smoke": Preset("seconds, to see that all runs", {"width": 0.125, "batch_size": 60, "epochs": 2}),
        }
