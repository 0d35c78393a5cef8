"""GAN-EM: *GAN based EM Learning Framework* (Zhao, Wang, Xie, Shi, Xu; 2018).

Expectation maximisation whose mixture model is a conditional GAN. The generator G(z, c) makes samples of class c; the
discriminator D has a unit for each of the K classes, and one more that says *fake*; the E-net E(x) tells the class.

    M-step   fit the mixture: D and G play, a real sample x counting w_i(x) for class i            (Eq. 1 and 2)
    E-step   w(x) = P(c | x): E learns to tell the classes of G's samples, which it then tells of real ones   (Eq. 5)

At the optimum of an E-step E is Bayes' posterior of the mixture that G makes, hence the w of the next M-step. Clusters
are E's most likely classes. With `--labels` E also learns from some labelled samples (section 5.3); with `--critic` D
scores pairs (w(x), x) and (c, G(z, c)) as another objective has it.

Where the paper and its authors' code differ, the preset `author-code` does as the code and `paper` as the paper; every
difference is an option. What neither has is marked *extension*: `default` uses it, and starts EM from clusters worth
keeping. Errata: docs/errata.md, G1-G24.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as logistic_loss

from gancluster import critics
from gancluster.data.batches import Batches
from gancluster.data.warp import Warp, draw_warp
from gancluster.errors import UserError
from gancluster.methods import adversarial, base, recipe
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Preset, Task, Turn
from gancluster.networks import gan_em
from gancluster.networks.blocks import calibrate
from gancluster.networks.statistics import Statistics
from gancluster.optim import Adam, Linear, Optimizer, RMSprop


class Config(recipe.Config):
    """GAN-EM's options; the defaults are the released code's, for MNIST."""

    iterations: int = Field(100, ge=1, description="EM iterations: an M-step, then an E-step")
    m_epochs: int = Field(5, ge=1, description="passes through the data in an M-step")
    m_batch_size: int = Field(70, ge=2, description="samples in an M-step's batch; paper: 64")
    e_steps: int = Field(1000, ge=1, description="steps of an E-step")
    e_batch_size: int = Field(200, ge=2, description="generated samples in an E-step's batch; paper: 256")

    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="begun afresh in every step; paper: rmsprop")
    lr_generator: float = Field(6e-4, gt=0, description="learning rate of G; paper: 2e-4 for all three")
    lr_discriminator: float = Field(2e-4, gt=0, description="learning rate of D")
    lr_encoder: float = Field(6e-5, gt=0, description="learning rate of E")
    lr_decay: float = Field(0.98, gt=0, le=1, description="factor on D's, G's and E's rate after every iteration")

    critic: str | None = Field(None, description="extension: instead of Eq. 1 and 2; " + critics.HELP)
    discriminator_norm: Literal["fitting", "batch", "none"] = Field(
        "fitting", description="D's normalisation; fitting: batch norm, none where a critic bounds D"
    )
    form: Literal["units", "kl"] = Field("units", description="G's loss: every unit of D; paper: kl, Eq. 1")
    clamp: float = Field(10.0, gt=0, description="bound on the logit whose exponential Eq. 1 takes; ours")
    real_weight: float = Field(2.0, ge=0, description="weight of D's fake unit on real samples")
    order: Literal["discriminator", "generator"] = Field("discriminator", description="moves first; paper: generator")

    codes: Literal["balanced", "drawn"] = Field("balanced", description="classes of a batch: equally often, or drawn")
    prior: Literal["uniform", "estimated"] = Field("uniform", description="classes in E-steps; paper: estimated, Eq. 8")
    noise: Literal["uniform", "normal"] = Field("uniform", description="distribution of z; the equations: normal")
    noise_size: int = Field(62, ge=1, description="length of z")

    encoder_norm: gan_em.Norm = Field("affine", description="E's batch norm; the code freezes it to an affine map")
    frozen_generator: bool = Field(True, description="G's batch norm is frozen in E-steps")
    width: float = Field(1.0, gt=0, le=4, description="channels and features of all networks, of the printed ones")
    bottleneck: int | None = Field(None, ge=1, description="units of a layer before E's last, to reduce dimensions")

    label_error: float = Field(0.05, ge=0, lt=1, description="error on the labelled samples that E may keep; paper: 0")
    label_epochs: int = Field(20, ge=1, description="at most so many times ten supervised steps after an E-step")
    lr_labels: float = Field(1e-3, gt=0, description="learning rate of supervised steps")
    label_weight: float = Field(0.0, ge=0, description="extension: weight of the labels in E-steps too")


class Noise(NamedTuple):
    """A step's random numbers: `places` `(n,)` in [0, 1), which the prior turns into classes; z `(n, noise_size)`.

    `mix` `(n,)`: for a critic's penalty between both sides; else `(0,)`.
    """

    places: Tensor
    z: Tensor
    warps: tuple[Warp, Warp]
    mix: Tensor


class GANEM(recipe.Method):
    """The game, its losses, and what the E-net says of new samples."""

    name: ClassVar[str] = "ganem"
    paper: ClassVar[str] = "Zhao, Wang, Xie, Shi, Xu: GAN-EM: GAN Based EM Learning Framework, 2018"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    semi_supervised: ClassVar[bool] = True
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.critic = critics.named(config.critic or "ns-gan", by_noise=True)  # the units' turns are those of ns-gan
        self.ranked_by = "encoder.consistency" if config.consistency_weight else None
        self.begins_with_w = config.warmup_epochs > 0 or task.n_labels > 0  # E has something to say from the outset
        for option in ("m_batch_size", "e_batch_size"):
            size, flag = getattr(config, option), "--" + option.replace("_", "-")
            if config.codes == "balanced" and size % self.k:
                mend = f"make it {math.ceil(size / self.k) * self.k}, or --codes drawn"
                raise UserError(f"{flag} {size} cannot hold {self.k} clusters equally often: {mend}")

    # The players and their steps --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, shape, critic = self.config, self.task.shape, self.critic
        encoder = gan_em.classifier(shape, self.k, c.encoder_norm, c.width, c.bottleneck)
        players = self.companions(encoder)
        fitting: gan_em.Norm = "none" if critic.bounds else "batch"
        norm = fitting if c.discriminator_norm == "fitting" else c.discriminator_norm
        players["discriminator"] = critic.wrap(gan_em.classifier(shape, self.k + 1, norm, c.width))
        players["generator"] = gan_em.generator(shape, self.k + c.noise_size, self.task.pixel_range, c.width)
        if critic.entropy:
            trunk = gan_em.classifier(shape, 1, "none", c.width)
            players["statistics"] = Statistics(trunk.body, trunk.n_features, self.k + c.noise_size)
        return players | {"encoder": encoder, "prior": gan_em.Prior(self.k)}

    def phases(self) -> list[Phase]:
        c = self.config
        labels = [self.label_step(t) for t in range(c.iterations + 1)] if self.task.n_labels else []
        steps = [[self.m_step(t), self.e_step(t), *labels[t + 1 :][:1]] for t in range(c.iterations)]
        return self.pretraining() + labels[:1] + [phase for iteration in steps for phase in iteration]

    def m_step(self, t: int) -> Phase:
        """D and G play on real samples, weighted by what E said of them; in the first, E has said nothing yet."""
        c, loss = self.config, partial(self.discriminator_loss, known=t > 0 or self.begins_with_w)
        G = Turn(adversarial.makers(self.critic), self.generator_loss)
        rounds = adversarial.rounds(self.critic, "discriminator", loss, G)
        rounds = [turns if c.order == "discriminator" else turns[::-1] for turns in rounds]
        rates = {"discriminator": c.lr_discriminator, "generator": c.lr_generator, "statistics": c.lr_generator}
        optimizers = {player: self.optimizer(lr, t) for player, lr in rates.items()}
        return Phase(f"M-step {t + 1}", c.m_epochs, c.m_batch_size, rounds, optimizers)

    def e_step(self, t: int) -> Phase:
        """E learns from G's samples."""
        c, turns = self.config, [Turn("encoder", self.encoder_loss)]
        optimizer, frozen = self.optimizer(c.lr_encoder, t), {"generator"} if c.frozen_generator else set()
        return Phase(f"E-step {t + 1}", 1, c.e_batch_size, [turns], optimizer, steps=c.e_steps, frozen=frozen)

    def label_step(self, t: int) -> Phase:
        """E learns from the labelled samples until it knows them: before EM, and after every E-step."""
        c, turns = self.config, [Turn("encoder", self.label_loss)]
        optimizer, until = self.optimizer(c.lr_labels, 0), self.knows_labels
        return Phase(f"labels {t}", c.label_epochs, min(self.task.n_labels, 100), [turns], optimizer, 10, until)

    def optimizer(self, lr: float, t: int) -> Optimizer:
        """As it begins in iteration `t`."""
        now = Linear(lr * self.config.lr_decay**t, lr * self.config.lr_decay**t)
        return Adam(now) if self.config.optimizer == "adam" else RMSprop(now)

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        super().enter(phase, players, batches, seed)
        c, encoder, prior = self.config, players["encoder"], players["prior"]
        if c.prior == "estimated":
            prior.get_buffer("phi").copy_(self.shares(phase, encoder, batches.shuffled(seed)))
        if phase.startswith("E-step") and c.frozen_generator:
            rng = torch.Generator(batches.stored.device).manual_seed(seed)
            noises = [self.draw(c.e_batch_size, rng) for _ in range(10)]
            calibrate(players["generator"], (self.conditioned(prior(n.places), n.z) for n in noises))

    def start_layer(self, encoder: nn.Module) -> tuple[str, Tensor]:
        """A `--bottleneck`, where there is one, gives each cluster a place in it."""
        assert isinstance(encoder, gan_em.Classifier)
        return ("bottleneck", encoder.places()) if self.config.bottleneck else super().start_layer(encoder)

    def shares(self, phase: str, encoder: nn.Module, samples: Iterable[Tensor]) -> Tensor:
        """Eq. 8: phi `(K,)`, the mean of w over all samples; in M-steps, and as long as E has said nothing, uniform."""
        if not phase.startswith("E-step") or (phase == "E-step 1" and not self.begins_with_w):
            return torch.full((self.k,), 1 / self.k)
        return torch.cat([torch.softmax(encoder(part), 1) for part in samples]).mean(0)

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        places = torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)  # in float32 strata's edges blur
        if self.config.codes == "balanced":
            places = (torch.randperm(n, generator=rng, device=rng.device) + places) / n
        numbers = torch.rand if self.config.noise == "uniform" else torch.randn
        warps = draw_warp(n, self.task.shape, self.task.flips, rng), draw_warp(n, self.task.shape, self.task.flips, rng)
        z = numbers(n, self.config.noise_size, generator=rng, device=rng.device)
        return Noise(places, z, warps, torch.rand(n if self.config.critic else 0, generator=rng, device=rng.device))

    # Losses -----------------------------------------------------------------------------------------------------------

    def discriminator_loss(
        self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, known: bool = True, penalised: bool = False
    ) -> Loss:
        """Eq. 2 for D (signs: erratum G1): class units say 1 on real samples, as strongly as w_i, and 0 on fakes.

        The fake unit says the opposite. Mean over the batch and all K + 1 units, as in the code. With `--critic`: its
        loss of the pairs (w(x), x) and (c, G(z, c)).
        """
        D, x = nets["discriminator"], batch.inputs
        w = self.embed(nets, x).detach() if known else x.new_full((len(x), self.k), 1 / self.k)
        sample, c = self.generated(nets, noise)
        real, fake = self.seen(x, noise.warps[0]), self.seen(sample, noise.warps[1])
        if self.config.critic:
            pairs, mix = ((w, real), (self.one_hot(c, self.k).to(w), fake)), noise.mix if penalised else None
            return adversarial.discriminator_loss(self.critic, adversarial.scored(D), *pairs, mix)
        weights = torch.cat([w, w.new_full((len(x), 1), self.config.real_weight)], 1)
        is_fake = F.pad(torch.zeros_like(w), (0, 1), value=1.0)
        return Loss({"real": logistic_loss(D(real), 1 - is_fake, weights), "fake": logistic_loss(D(fake), is_fake)})

    def generator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """G's samples of class c are taken for real ones of class c.

        *kl* is Eq. 1, `-1/2 E exp(logit_c)`: half the gradient of KL(real || generated) at the D of Eq. 18 (G2, G3).
        *units* is the code's: the unit of c up, all others and the fake unit down.
        """
        sample, c = self.generated(nets, noise)
        D, seen = nets["discriminator"], self.seen(sample, noise.warps[1])
        if self.config.critic:
            code, score = self.conditioned(c, noise.z), adversarial.scored(D)
            return adversarial.generator_loss(self.critic, nets, score, (code[:, : self.k], seen), sample, code)
        logits = D(seen)
        if self.config.form == "kl":
            own = logits.gather(1, c[:, None]).clamp(max=self.config.clamp)
            return Loss({"kl": -own.exp().mean() / 2})
        return Loss({"units": logistic_loss(logits, self.one_hot(c, self.k + 1).to(logits))})

    def encoder_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Eq. 5: cross-entropy of E against the classes that G was given; log K when G ignores them."""
        sample, c = self.generated(nets, noise)
        logits = nets["encoder"](self.seen(sample, noise.warps[1]))
        terms = {"classes": F.cross_entropy(logits, c)}
        if self.config.consistency_weight:
            warped = nets["encoder"](self.seen(batch.inputs, noise.warps[0]))
            terms["consistency"] = self.consistency_loss(nets, batch, warped)
        if self.config.label_weight and batch.labelled:
            terms["labels"] = self.config.label_weight * self.label_loss(nets, batch, noise, clock).total
        return Loss(terms, {"correct": (logits.argmax(1) == c).float().mean()})

    def label_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Cross-entropy of E against the labels that it is told (section 5.3)."""
        assert batch.labelled is not None
        samples, classes = batch.labelled
        logits = nets["encoder"](self.seen(samples, Warp(*(numbers[: len(samples)] for numbers in noise.warps[0]))))
        return Loss({"labels": F.cross_entropy(logits, classes)})

    def knows_labels(self, nets: Nets, batches: Batches) -> bool:
        """Whether E's error on the labelled samples is small enough."""
        wrong = nets["encoder"](batches.at(batches.known)).argmax(1) != batches.labels
        return bool(wrong.double().mean() <= self.config.label_error)

    # Their parts ------------------------------------------------------------------------------------------------------

    def generated(self, nets: Nets, noise: Noise) -> tuple[Tensor, Tensor]:
        """G's samples `(b, *shape)`, and the classes `(b,)` that they are of."""
        c = nets["prior"](noise.places)
        return nets["generator"](self.conditioned(c, noise.z)), c

    def conditioned(self, c: Tensor, z: Tensor) -> Tensor:
        """G's input `(b, K + d)`: the class, one-hot, then noise."""
        return torch.cat([self.one_hot(c, self.k).to(z), z], 1)

    def one_hot(self, c: Tensor, length: int) -> Tensor:
        """Classes `(b,)` as boolean `(b, length)`."""
        return c[:, None] == torch.arange(length, device=c.device)

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """w, the probability of each class `(b, K)` by E."""
        return torch.softmax(nets["encoder"](inputs), 1)

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """What E's last layer is given `(b, d)`: the `--bottleneck`, where there is one (section 5.1)."""
        return nets["encoder"](inputs, narrow=True)

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """G's samples `(K, per_cluster, *shape)`."""
        c = torch.arange(self.k, device=rng.device).repeat_interleave(per_cluster)
        sample = nets["generator"](self.conditioned(c, self.draw(len(c), rng).z))
        return sample.view(self.k, per_cluster, *self.task.shape)

    def symptoms(self, row: base.Row) -> list[str]:
        """From the fifth E-step on, E still at chance: whatever class G is given, it draws the same."""
        step, chance = str(row["phase"]).removeprefix("E-step "), math.log(self.k)
        if not step.isdigit() or int(step) < 5 or (loss := float(row["encoder.classes"])) <= 0.9 * chance:
            return []
        seen = f"E's loss {loss:.2f} is near log {self.k} = {chance:.2f}: G ignores its class"
        return [f"{seen}; try more --restarts, or a larger --lr-generator"]

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        def fitting(size: int) -> int:
            return math.ceil(size / task.n_clusters) * task.n_clusters

        n, m_epochs = task.n_samples, round(32_000 / task.n_samples)
        code: dict[str, Any] = {"m_batch_size": fitting(70), "e_batch_size": fitting(200)}
        default = code | {"width": 0.25, "iterations": 6, "m_epochs": min(max(m_epochs, 1), 20), "e_steps": 100}
        default |= {"lr_encoder": 2e-4, "encoder_norm": "batch"} | (recipe.for_images(n) if task.is_images else {})
        default |= {"label_error": 0.0, "lr_labels": 2e-4, "label_weight": 1.0}
        default |= {"lr_encoder": 1e-3, "e_steps": min(max(round(n / 300), 100), 200)} if task.n_labels else {}
        paper: dict[str, Any] = {"m_batch_size": 64, "e_batch_size": 256, "codes": "drawn", "optimizer": "rmsprop"}
        paper |= dict.fromkeys(("lr_generator", "lr_discriminator", "lr_encoder"), 2e-4)
        paper |= {"form": "kl", "order": "generator", "prior": "estimated", "encoder_norm": "batch", "label_error": 0.0}
        smoke = code | {"width": 0.125, "iterations": 2, "m_epochs": 1, "e_steps": 5}
        return {
            "default": Preset("our recipe: ACC .95 on digits, 2 min of one CPU core", default),
            "author-code": Preset("the released code and nothing else: days on a CPU; published error: 4.2 %", code),
            "paper": Preset("as printed, formulas corrected: days on a CPU", paper),
            "smoke": Preset("seconds, to see that all runs", smoke),
        }

    def extensions(self) -> list[str]:
        critic = [f"critic {self.config.critic}"] if self.config.critic else []
        labels = ["labels in E-steps"] if self.config.label_weight and self.task.n_labels else []
        return super().extensions() + critic + labels
