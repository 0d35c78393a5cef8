"""InfoGAN: *Interpretable Representation Learning by Information Maximizing GANs* (Chen et al., NIPS 2016).

A GAN whose generator cannot ignore its code. G(z, c, v) turns noise z, a class c and continuous codes v into a sample;
the discriminator D tells samples from real ones; the recogniser Q reads c and v back from the sample.

    bound    L_I = E log Q(c | G(z, c, v)) + H(c) ≤ I(c; G(z, c, v))                    (Eq. 4, 5)
    game     min over G and Q, max over D, of V(D, G) - λ L_I                            (Eq. 6)

H(c) is constant, so -L_I is Q's cross-entropy on c; v is uniform on [-1, 1], and Q's model of it a Gaussian of variance
1. Q and D share all but their heads. Clusters are Q's most likely class of real samples.

Two turns, as in the released code: trunk, D's head and Q's head take one step down D's loss and Q's together (neither
loss knows the other's head), then G takes one down its own and Q's. `critic` says what D's and G's losses are. What
the paper does not have is marked *extension*.
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
from gancluster.errors import UserError
from gancluster.methods import adversarial, base, codes, recipe
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Preset, Task, Turn
from gancluster.networks import info_gan
from gancluster.networks.info_gan import Reading
from gancluster.networks.statistics import Statistics
from gancluster.optim import Adam, Linear, Optimizer, RMSprop, Tree


class Config(recipe.Config):
    """InfoGAN's options; the defaults are the released code's, for MNIST."""

    epochs: int = Field(10, ge=1, description="passes of the game through the data; released code: 5,000 steps")
    batch_size: int = Field(128, ge=2, description="samples in a batch")
    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="of all players")
    lr_generator: float = Field(1e-3, gt=0, description="learning rate of G")
    lr_discriminator: float = Field(2e-4, gt=0, description="learning rate of D and Q")
    lr_end: float = Field(1.0, ge=0, description="learning rates at the end, of those at the start (linear between)")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay; WGAN-GP: .5 too")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's second decay; WGAN-GP: .9")

    critic: str = Field("ns-gan", description=critics.HELP)
    norm: Literal["fitting", "batch", "none"] = Field(
        "fitting", description="the trunk's; fitting: batch norm on images, none on vectors and where D is bounded"
    )
    width: float = Field(1.0, gt=0, le=4, description="channels and features of all networks, of the printed ones")
    leak: float = Field(0.1, ge=0, lt=1, description="slope of D's and Q's leaky ReLU; released code: .01")

    noise: Literal["uniform", "normal"] = Field("uniform", description="distribution of z: on [-1, 1], or N(0, 1)")
    noise_size: int = Field(62, ge=1, description="length of z")
    code_size: int = Field(2, ge=1, description="number of continuous codes")
    info_weight: float = Field(1.0, ge=0, description="λ of the class: weight of Q's cross-entropy")
    code_weight: float = Field(1.0, ge=0, description="λ of the continuous codes: weight of Q's Gaussian likelihood")


class Noise(NamedTuple):
    """A step's random numbers: classes c `(n, K)`, one-hot; codes v `(n, code_size)`; z `(n, noise_size)`.

    `warps`: one for real samples, one for fakes. `mix` `(n,)`: for penalties between both sides.
    """

    c: Tensor
    v: Tensor
    z: Tensor
    warps: tuple[Warp, Warp]
    mix: Tensor


class InfoGAN(recipe.Method):
    """The game, its losses, and what Q says of new samples."""

    name: ClassVar[str] = "infogan"
    paper: ClassVar[str] = (
        "Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel: InfoGAN: Interpretable Representation Learning by "
        "Information Maximizing Generative Adversarial Nets, NIPS 2016"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "recogniser"
    published: ClassVar[dict[str, Any]] = {}  # what `paper` sets beside Config's defaults, but for leaks of ReLUs
    usual: ClassVar[dict[str, Any]] = {}  # what every preset sets
    plane: ClassVar[dict[str, Any]] = {}  # what `default` sets on the plane, beside what all have there
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        if config.batch_size < self.k:
            raise UserError(
                f"--batch-size {config.batch_size} is less than the {self.k} clusters: make it {self.k} or more"
            )
        self.critic = critics.named(config.critic, by_noise=True)
        self.norm = self.trunk_norm()
        self.ranked_by = "discriminator.consistency" if config.consistency_weight else None

    def trunk_norm(self) -> info_gan.Norm:
        """Batch norm or none; `UserError` where batch norm is asked for and D bounded."""
        asked = self.config.norm
        if asked == "fitting":
            return "batch" if self.task.is_images and not self.critic.bounds else "none"
        if asked == "batch" and self.critic.bounds:
            raise UserError(
                f"--norm batch has no meaning with --critic {self.config.critic}, which bounds D: take --norm none"
            )
        return asked

    # The players and their turns --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, task = self.config, self.task
        recogniser = info_gan.recogniser(task.shape, self.k, c.code_size, self.norm, c.width, c.leak)
        recogniser.trunk = self.critic.wrap(recogniser.trunk)
        n_input = self.k + c.code_size + c.noise_size
        players = self.companions(recogniser)
        if self.critic.entropy:
            players["statistics"] = Statistics(*info_gan.trunk(task.shape, "none", c.width, c.leak), n_input)
        return players | {
            "recogniser": recogniser,
            "discriminator": self.critic.wrap(info_gan.Verdict(recogniser.n_trunk)),
            "generator": info_gan.generator(task.shape, n_input, task.pixel_range, c.width),
        }

    def phases(self) -> list[Phase]:
        c, critic, both = self.config, self.critic, ("discriminator", "recogniser")
        G = Turn(adversarial.makers(critic), self.generator_loss)
        rounds = adversarial.rounds(critic, both, self.discriminator_loss, G, after=self.after_step)
        rates = dict.fromkeys(both, c.lr_discriminator) | dict.fromkeys(adversarial.makers(critic), c.lr_generator)
        optimizers = {player: self.optimizer(lr) for player, lr in rates.items()}
        return [*self.pretraining(), Phase("adversarial", c.epochs, c.batch_size, rounds, optimizers)]

    def optimizer(self, lr: float) -> Optimizer:
        c, rate = self.config, Linear(lr, lr * self.config.lr_end)
        return Adam(rate, betas=(c.beta1, c.beta2)) if c.optimizer == "adam" else RMSprop(rate)

    def after_step(self, parameters: Tree, buffers: Tree) -> None:
        """What the critic does to D's weights: to the trunk and D's head, but not to Q's own layers."""
        own = ("head.", "top.", "codes.")
        self.critic.after_step({n: w for n, w in parameters.items() if not n.startswith(own)}, buffers)

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        c, device = self.config, rng.device
        numbers = torch.rand if c.noise == "uniform" else torch.randn
        z = numbers(n, c.noise_size, generator=rng, device=device)
        return Noise(
            c=torch.eye(self.k, device=device)[codes.balanced_clusters(n, self.k, rng)],
            v=2 * torch.rand(n, c.code_size, generator=rng, device=device) - 1,
            z=2 * z - 1 if c.noise == "uniform" else z,
            warps=(
                draw_warp(n, self.task.shape, self.task.flips, rng),
                draw_warp(n, self.task.shape, self.task.flips, rng),
            ),
            mix=torch.rand(n, generator=rng, device=device),
        )

    # Losses -----------------------------------------------------------------------------------------------------------

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, penalised: bool = False) -> Loss:
        """The critic's loss of D, which moves trunk and D's head, and Q's, which moves trunk and Q's head."""
        D = nets["discriminator"]
        x, fake = self.seen(batch.inputs, noise.warps[0]), self.seen(self.generated(nets, noise), noise.warps[1])
        real, read = self.read(nets, x), self.read(nets, fake)
        terms = {"adversarial": self.critic.discriminator_loss(D(real.trunk), D(read.trunk))}
        if penalised:
            penalty = self.critic.penalty(lambda s: D(self.read(nets, s).trunk), (x,), (fake,), noise.mix)
            terms |= {} if penalty is None else {"penalty": self.critic.every * penalty}
        if self.config.consistency_weight:
            terms["consistency"] = self.consistency_loss(nets, batch, real.logits)
        told = self.information(read, noise)
        return Loss(terms | told.terms, told.watched)

    def generator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """The critic's loss of G, and Q's: samples pass for real ones, and tell their codes; less G's entropy."""
        sample = self.generated(nets, noise)
        read = self.read(nets, self.seen(sample, noise.warps[1]))
        fooled = self.critic.generator_loss(nets["discriminator"](read.trunk))
        entropy = adversarial.entropy_loss(self.critic, nets, sample, self.code(noise))
        terms = {"adversarial": fooled} | self.information(read, noise).terms | entropy.terms
        return Loss(terms, entropy.watched)

    def information(self, read: Reading, noise: Noise) -> Loss:
        """-λ L_I without its constants H: cross-entropy on c, Gaussian negative log-likelihood of v (both in nats).

        Watched: `bound`, the L_I of c, at most log K; 0 where Q is no better than chance.
        """
        of_class = -(noise.c * F.log_softmax(read.logits, 1)).sum(1).mean()
        of_codes = ((read.means - noise.v).square() / 2 + math.log(2 * math.pi) / 2).sum(1).mean()
        terms = {"class": self.config.info_weight * of_class, "codes": self.config.code_weight * of_codes}
        return Loss(terms, {"bound": math.log(self.k) - of_class})

    # Their parts ------------------------------------------------------------------------------------------------------

    def read(self, nets: Nets, samples: Tensor) -> Reading:
        """What the trunk and Q's head make of samples `(b, *shape)`."""
        reading: Any = nets["recogniser"](samples, everything=True)
        return Reading(*reading)

    def generated(self, nets: Nets, noise: Noise) -> Tensor:
        """G's samples `(b, *shape)`."""
        return nets["generator"](self.code(noise))

    def code(self, noise: Noise) -> Tensor:
        """G's input `(b, K + code_size + noise_size)`: class, continuous codes, noise."""
        return torch.cat([noise.c, noise.v, noise.z], 1)

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Q's probability of each class `(b, K)`."""
        return torch.softmax(nets["recogniser"](inputs), 1)

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """What Q's last layer is given `(b, 128)`."""
        return nets["recogniser"](inputs, features=True)

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """G's samples `(K, per_cluster, *shape)`."""
        c = torch.eye(self.k, device=rng.device).repeat_interleave(per_cluster, 0)
        sample = self.generated(nets, self.draw(len(c), rng)._replace(c=c))
        return sample.view(self.k, per_cluster, *self.task.shape)

    def symptoms(self, row: base.Row) -> list[str]:
        """From the game's fifth epoch on, Q at chance: whatever class G is given, it draws the same."""
        bound, most = float(row.get("discriminator.bound", math.inf)), math.log(self.k)
        if int(row["epoch"]) < 5 or bound >= 0.1 * most or not self.config.info_weight:
            return []
        seen = f"Q's bound {bound:.2f} on the information is near 0, not log {self.k} = {most:.2f}: G ignores its class"
        return [f"{seen}; try more --restarts, or a larger --info-weight"]

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        n, batch = task.n_samples, max(100, task.n_clusters)
        default: dict[str, Any] = {"width": 0.25, "batch_size": batch, "epochs": min(max(round(100_000 / n), 5), 100)}
        if task.is_images:
            default |= recipe.for_images(n)
        default |= cls.usual | (cls.on_the_plane(n) if task.shape == (2,) else {})
        paper = {"batch_size": max(128, task.n_clusters), "leak": 0.01, "epochs": max(round(5000 * 128 / n), 1)}
        paper |= cls.usual | cls.published
        smoke = cls.usual | {"width": 0.125, "batch_size": max(60, task.n_clusters), "epochs": 2}
        return {
            "default": Preset(f"our recipe and extensions; `gancluster train {cls.name}`", default),
            "paper": Preset("as released, without extensions", paper),
            "smoke": Preset(f"seconds, to see that all runs; `gancluster train {cls.name} --preset smoke`", smoke),
        }

    @classmethod
    def on_the_plane(cls, n: int) -> dict[str, Any]:
        """For `n` points of the plane: batches of 256 and about 3,000 steps of D; classes are codes enough."""
        critic = ({"critic": "ns-gan"} | cls.usual | cls.plane)["critic"]
        rates = {"lr_generator": 1e-3, "lr_discriminator": 1e-3, "lr_end": 0.0, "beta2": 0.9}
        noise = {"code_weight": 0.0, "noise": "normal", "noise_size": 2}
        epochs = max(round(770_000 / n / critics.named(critic, by_noise=True).repeat), 1)
        return rates | noise | {"epochs": epochs, "batch_size": 256} | cls.plane
