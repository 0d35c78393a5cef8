"""ClusterGAN: *Balanced Self-Paced Learning for Generative Adversarial Clustering Network* (CVPR 2019).

Three players. The generator G turns a latent code z into a sample; the clusterer C turns a sample x into a code; the
discriminator D sees pairs, and asks which player made them:

    real pair   (C(x), x)          a true sample with the clusterer's code
    fake pair   (z, G(z))          a true code with the generator's sample

When D cannot tell (Eq. 2), C inverts G, and C's codes of real data are distributed as the prior's: disjoint blocks, one
a cluster, equally often. Minimum entropy (Eq. 3) makes C decide, self-paced and balanced over clusters (Eq. 5-6);
consistency (Eq. 7) makes it decide alike for a sample and its augmentation. Clusters are K-means of C's codes.
The AAAI 2019 paper called ClusterGAN is another method: clustergan_latent.py.

What the paper does not have is marked *extension*: `default` uses it, `paper` does not. Where the paper's formulas are
wrong (errata B1, B7, B9, B11) ours are corrected; `--form printed --critic gan --blur additive` plays them as printed.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from gancluster import critics
from gancluster.data.batches import Batches
from gancluster.data.warp import Warp, draw_warp, warp
from gancluster.errors import UserError
from gancluster.methods import adversarial, base, codes, contrast, pretraining, self_paced
from gancluster.methods.base import Batch, Clock, Embedding, Loss, Modules, Nets, Phase, Prediction, Preset, Task, Turn
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks import compact, triple_gan
from gancluster.networks.blocks import adapt, draw_numbers
from gancluster.optim import Adam, Linear

Pair = tuple[Tensor, Tensor]
Pass = tuple[Tensor, ...]
LOOK = 20_000  # samples that whitening is learnt from: several times as many as an image has values
PART = {"compact": 20_000, "triple-gan": 1000}  # samples that C is shown at once where it starts at clusters


class Config(pretraining.Config):
    """ClusterGAN's options; the defaults are the game of the preset `default` for USPS's 11,000 images of 16x16."""

    epochs: int = Field(20, ge=1, description="passes of the adversarial game through the data")
    batch_size: int = Field(100, ge=2, description="samples in a batch")
    lr: float = Field(5e-4, gt=0, description="Adam's learning rate at the start")
    lr_end: float = Field(5e-5, ge=0, description="Adam's learning rate at the end (linear between)")
    clip: float | None = Field(None, gt=0, description="bound on the norm of each player's gradient")
    networks: Literal["compact", "triple-gan"] = Field("compact", description="architecture of the three players")

    code_size: int = Field(100, ge=2, description="m, the length of a latent code")
    code_noise: float = Field(0.5, ge=0, description="width of the code's noise at the start")
    code_noise_end: float = Field(0.1, ge=0, description="width of the code's noise at the end (linear between)")
    blur: codes.Blur = Field("scaled", description="how noise softens a code: scaled to [0, 1]; printed: additive")
    separate_noise: bool = Field(True, description="extension: D sees codes under fresh noise, on both sides")

    gan: bool = Field(True, description="play against D and G (Eq. 2); off: the paper's first ablation")
    critic: str = Field("r1", description=critics.HELP + "; printed: gan, which saturates; paper: ns-gan")
    adversarial_weight: float = Field(0.05, ge=0, description="weight of C's adversarial loss until half of training")
    adversarial_weight_end: float = Field(0.0, ge=0, description="extension: its weight at the end (linear between)")
    warp_discriminator: bool = Field(True, description="extension: D sees warped samples, true and generated alike")
    pairs_weight: float = Field(1.0, ge=0, description="extension: weight of C's loss on generated samples' codes")

    entropy_weight: float = Field(0.3, ge=0, description="weight of the minimum-entropy loss (Eq. 3)")
    entropy_from: float = Field(0.5, ge=0, le=1, description="share of training after which entropy is minimised")
    pace: Literal["balanced", "plain", "none"] = Field("balanced", description="self-paced weights of the entropy")
    kappa: float = Field(1.0, ge=0, description="strength of the balance over clusters")
    schedule: self_paced.Schedule = Field("fraction", description="what grows linearly: selected fraction or threshold")
    form: self_paced.Form = Field("corrected", description="Theorem 1 and Eq. 3: corrected, or as printed (B1, B11)")

    consistency: bool = Field(True, description="C's codes of a sample and of its augmentation agree (Eq. 7)")
    consistency_weight: float = Field(1.0, ge=0, description="at 1 a changed cluster costs 2; printed: m / clusters")
    consistency_ramp: float = Field(0.0, ge=0, le=1, description="share of training over which its weight grows from 0")
    consistency_with: Literal["start", "teacher", "itself"] = Field("start", description="what C(x~) is to agree with")
    warp: float = Field(1.0, ge=0, description="strength of the warps that augment images; 0: noise alone")
    shift_only: bool = Field(False, description="warp by shifts (and flips, where the data allow them) alone")
    noise: float = Field(0.1, ge=0, description="standard deviation of the noise that augments, of the pixel range")

    average: float = Field(0.01, gt=0, le=1, description="rate of the average of C's weights; 1: the last weights")
    warmup_temperature: float = Field(1.0, gt=0, description="the higher, the less alike images repel in the warm-up")
    start_logit: float = Field(4.0, gt=0, description="± logit of C's units there; at 2 samples move more easily")


class Noise(NamedTuple):
    """Every random number of one step on n samples.

    `codes` `(n, m)`: clean block codes. `uniform` `(3, n, m)`: their noise before G, on D's fake and D's real side.
    `warps`: one for real samples, one for fakes. `mix` `(n,)`: for penalties between both sides. `clusterer`: what C's
    noisy layers use on real, augmented and generated samples; `discriminator`: D's, on real and fake pairs.
    """

    codes: Tensor
    uniform: Tensor
    warps: tuple[Warp, ...]
    mix: Tensor
    clusterer: tuple[Pass, ...]
    discriminator: tuple[Pass, ...]


class ClusterGAN(base.Method):
    """The game, its losses, and what its clusterer says of new samples."""

    name: ClassVar[str] = "clustergan"
    paper: ClassVar[str] = (
        "Ghasedi Dizaji, Wang, Deng, Huang: Balanced Self-Paced Learning for Generative Adversarial Clustering "
        "Network, CVPR 2019"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "clusterer"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        for option in ("code_size", "batch_size"):
            if getattr(config, option) < task.n_clusters:
                flag, what = "--" + option.replace("_", "-"), f"less than the {task.n_clusters} clusters"
                raise UserError(f"{flag} {getattr(config, option)} is {what}, which all need a place: raise {flag}")
        self.critic, self.table = critics.named(config.critic), codes.block_table(task.n_clusters, config.code_size)
        no_start = config.consistency_with == "start" and not config.warmup_epochs
        self.agrees_with = "teacher" if no_start else config.consistency_with
        self.ranked_by = "clusterer.inconsistency" if config.consistency else None
        with torch.device("meta"):
            self.prototypes = self.players()

    # The players and their turns --------------------------------------------------------------------------------------

    def players(self) -> Modules:
        networks, task = {"compact": compact, "triple-gan": triple_gan}[self.config.networks], self.task
        trio = networks.players(task.shape, self.config.code_size, task.n_clusters, task.pixel_range)
        players: Modules = {"clusterer": trio.clusterer}
        if self.config.gan:
            players = trio._asdict() | {"discriminator": self.critic.wrap(trio.discriminator)}
        if self.config.warmup_epochs:
            players |= pretraining.players(trio.clusterer.n_features, task.n_samples)
        return players

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        c, C = self.config, players["clusterer"]
        if phase == self.phases()[0].name:
            adapt(C, next(batches.shuffled(seed, LOOK)))
        else:
            part, logits = PART[c.networks], c.start_logit * (2 * self.table - 1)
            pretraining.start_from_clusters(C, players, batches, "top", logits, seed, c.start, part)

    def averages(self) -> dict[str, float]:
        return {"clusterer": self.config.average}

    def phases(self) -> list[Phase]:
        c, G, C = self.config, Turn("generator", self.generator_loss), Turn("clusterer", self.clusterer_loss)
        rounds = adversarial.rounds(self.critic, "discriminator", self.discriminator_loss, G, C) if c.gan else [[C]]
        turns = Turn(("clusterer", "head"), self.warmup_loss), Turn("clusterer", self.self_training_loss)
        game = Phase("adversarial", c.epochs, c.batch_size, rounds, Adam(Linear(c.lr, c.lr_end), clip=c.clip))
        return [*pretraining.phases(c, *turns), game]

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        return Noise(
            codes=self.table.to(rng.device)[codes.balanced_clusters(n, self.task.n_clusters, rng)],
            uniform=torch.rand(3, n, self.config.code_size, generator=rng, device=rng.device),
            warps=tuple(draw_warp(n, self.task.shape, self.task.flips, rng) for _ in range(2)),
            mix=torch.rand(n, generator=rng, device=rng.device),
            clusterer=tuple(self._draw_pass("clusterer", n, rng) for _ in range(3)),
            discriminator=tuple(self._draw_pass("discriminator", n, rng) for _ in range(2)),
        )

    # Pairs and losses -------------------------------------------------------------------------------------------------

    def real_pair(self, code: Tensor, sample: Tensor, noise: Noise, clock: Clock) -> Pair:
        """(C(x), x): codes `(b, m)` and samples `(b, *shape)` as D sees them."""
        if self.config.separate_noise:
            code = codes.blurred(code, noise.uniform[2], self.code_noise(clock), self.config.blur)
        return code, self.augment(sample, noise.warps[0]) if self.config.warp_discriminator else sample

    def fake_pair(self, nets: Nets, noise: Noise, clock: Clock) -> Pair:
        """(z, G(z)): codes `(b, m)` and samples `(b, *shape)` as D sees them."""
        sample = self.generated(nets, noise, clock)
        uniform = noise.uniform[1 if self.config.separate_noise else 0]
        code = codes.blurred(noise.codes, uniform, self.code_noise(clock), self.config.blur)
        return code, self.augment(sample, noise.warps[1]) if self.config.warp_discriminator else sample

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock, penalised: bool = False) -> Loss:
        """Eq. 2 for D: real pairs up, fake pairs down; 2 log 2 = 1.39 when it cannot tell.

        Every `critic.every` steps `penalised`: with the critic's penalty on the slope of D (without its noise).
        """
        C, D = nets["clusterer"], nets["discriminator"]
        real = self.real_pair(C(batch.inputs, noise.clusterer[0]), batch.inputs, noise, clock)
        fake = self.fake_pair(nets, noise, clock)
        on_real, on_fake = noise.discriminator
        terms = {"adversarial": self.critic.discriminator_loss(D(*real, on_real), D(*fake, on_fake))}
        penalty = self.critic.penalty(D, real, fake, noise.mix) if penalised else None
        return Loss(terms if penalty is None else terms | {"penalty": self.critic.every * penalty})

    def generator_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Eq. 2 for G: its pairs pass for real ones."""
        fake = nets["discriminator"](*self.fake_pair(nets, noise, clock), noise.discriminator[1])
        return Loss({"adversarial": self.critic.generator_loss(fake)})

    def clusterer_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Algorithm 1, line 5: the adversarial, minimum-entropy and consistency losses of C, and its extension."""
        c, C = self.config, nets["clusterer"]
        code = C(batch.inputs, noise.clusterer[0])
        entropy, selected = self.entropy_loss(code, clock)
        terms = {"entropy": c.entropy_weight * clock.ramp(c.entropy_from, c.entropy_from) * entropy}
        watched = {"selected": selected}
        if c.gan:
            real = nets["discriminator"](*self.real_pair(code, batch.inputs, noise, clock), noise.discriminator[0])
            weight = c.adversarial_weight + (c.adversarial_weight_end - c.adversarial_weight) * clock.ramp(0.5, 1.0)
            terms["adversarial"] = weight * self.critic.generator_loss(-real)
        if c.consistency:
            watched["inconsistency"] = self.consistency_loss(nets, code, batch, noise)
            terms["consistency"] = c.consistency_weight * clock.ramp(0.0, c.consistency_ramp) * watched["inconsistency"]
        if c.gan and c.pairs_weight:
            generated = self.augment(self.generated(nets, noise, clock), noise.warps[1])
            terms["pairs"] = c.pairs_weight * codes.cross_entropy(C(generated, noise.clusterer[2]), noise.codes)
        return Loss(terms, watched)

    def entropy_loss(self, code: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """Eq. 3 with self-paced weights nu (Eq. 5-6): mean of nu_i l_i, and the selected share, mean of nu_i.

        A sample belongs to the cluster whose block is most active; nu is computed without gradient, then held.
        """
        c, k = self.config, self.task.n_clusters
        losses = self_paced.pairwise_entropy(code, c.form)
        if c.pace == "none":
            return losses.mean(), torch.ones_like(losses).mean()
        clusters = codes.block_means(code.detach(), self.table.to(code)).argmax(1)
        kappa = c.kappa if c.pace == "balanced" else 0.0
        nu = self_paced.paced_weights(losses.detach(), clusters, k, clock.progress, kappa, c.form, c.schedule)
        return (nu * losses).mean(), nu.mean()

    def consistency_loss(self, nets: Nets, code: Tensor, batch: Batch, noise: Noise) -> Tensor:
        """Eq. 7: mean of ||C(x) - C(x~)||² over m / K, so that a full change of cluster counts 2.

        Extension: in the place of C(x) the code of the cluster that x started in, or what C's average says of x.
        """
        c, augmented = self.config, nets["clusterer"](self.augment(batch.inputs, noise.warps[0]), noise.clusterer[1])
        if self.agrees_with == "start":
            code = self.table.to(code)[nets["start"](batch.where)]
        elif self.agrees_with == "teacher":
            code = nets.averaged["clusterer"](batch.inputs).detach()
        return (augmented - code).square().sum(1).mean() / (c.code_size / self.task.n_clusters)

    def warmup_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Extension: two warps of a sample attract, other samples repel."""
        views = [(self.augment(batch.inputs, w), r) for w, r in zip(noise.warps, noise.clusterer[:2], strict=True)]
        one, other = (nets["head"](nets["clusterer"](*view, features=True)) for view in views)
        return Loss({"instances": contrast.instance_discrimination(one, other, self.config.warmup_temperature)})

    def self_training_loss(self, nets: Nets, batch: Batch, noise: Noise, clock: Clock) -> Loss:
        """Extension: cross-entropy of C's codes of augmented samples against those of the clusters they start in."""
        code = nets["clusterer"](self.augment(batch.inputs, noise.warps[0]), noise.clusterer[0])
        return Loss({"clusters": codes.cross_entropy(code, self.table.to(code)[nets["start"](batch.where)])})

    # Their parts ------------------------------------------------------------------------------------------------------

    def generated(self, nets: Nets, noise: Noise, clock: Clock) -> Tensor:
        """G's samples `(b, *shape)` from the noisy codes."""
        width = self.code_noise(clock)
        return nets["generator"](codes.blurred(noise.codes, noise.uniform[0], width, self.config.blur))

    def code_noise(self, clock: Clock) -> Tensor:
        """Width of the code's noise now."""
        start, end = self.config.code_noise, self.config.code_noise_end
        return start + (end - start) * clock.progress

    def augment(self, samples: Tensor, by: Warp) -> Tensor:
        """The augmentation that consistency asks C to ignore."""
        low, high = self.task.pixel_range
        return warp(samples, by, self.config.warp, self.config.noise * (high - low), self.config.shift_only)

    def _draw_pass(self, player: str, n: int, rng: torch.Generator) -> Pass:
        return draw_numbers(self.prototypes[player], n, rng) if player in self.prototypes else ()

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """C's codes `(b, m)` in (0, 1)."""
        return nets["clusterer"](inputs)

    def centres(self, embedding: Embedding, seed: int) -> Embedding:
        """K-means of the codes at unit length (Eq. 3's similarity is a cosine), numbered as the blocks they match."""
        return codes.as_blocks(kmeans_centres(embedding, self.task.n_clusters, seed), self.table)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """`kmeans`: the nearest centre, the paper's rule. `block`: the most active block; they agree once C aligns."""
        block = codes.block_means(torch.from_numpy(embedding), self.table).argmax(1).numpy()
        return {"kmeans": nearest(embedding, centres), "block": block}

    def binary_codes(self, embedding: Embedding, centres: Embedding, bits: int) -> NDArray[np.bool_]:
        """Section 4.3: `1(C(x) > 1/2)` `(n, bits)`, of as many units a block where C has more than `bits`."""
        size, k = self.config.code_size, self.task.n_clusters
        if bits < k:
            raise UserError(f"{bits} bits cannot hold a block for each of {k} clusters: ask for {k} or more")
        if bits > size:
            raise UserError(f"codes of {size} units have no {bits} bits: train with --code-size {bits}")
        return embedding[:, codes.thinned(self.table, bits).numpy()] > 0.5

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """G's samples `(n_clusters, per_cluster, *shape)` from codes under the noise of the end of training."""
        if not self.config.gan:
            return None
        clean = self.table.to(rng.device).repeat_interleave(per_cluster, 0)
        uniform = torch.rand(clean.shape, generator=rng, device=rng.device)
        samples = nets["generator"](codes.blurred(clean, uniform, self.config.code_noise_end, self.config.blur))
        return samples.view(self.task.n_clusters, per_cluster, *samples.shape[1:])

    def extensions(self) -> list[str]:
        c = self.config
        used = {
            "warm-up": c.warmup_epochs > 0,
            f"start from {c.start}": c.warmup_epochs > 0,
            "self-training": c.warmup_epochs > 0 and c.self_training > 0,
            f"critic {c.critic}": c.gan and c.critic not in ("gan", "ns-gan"),
            "fading game": c.gan and c.adversarial_weight_end != c.adversarial_weight,
            "separate noise": c.gan and c.separate_noise,
            "warped discriminator": c.gan and c.warp_discriminator,
            "generated pairs": c.gan and c.pairs_weight > 0,
            f"consistency with {self.agrees_with}": c.consistency and self.agrees_with != "itself",
            "warps beyond shifts": c.consistency and self.task.is_images and c.warp > 0 and not c.shift_only,
        }
        return [name for name, on in used.items() if on]

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        colour = task.is_images and task.shape[0] > 1
        passes = max(5, round(220_000 / task.n_samples))  # as many steps, whatever the size of the data set
        default: dict[str, Any] = {"epochs": min(passes, 40), "warmup_epochs": min(max(2 * passes, 15), 100)}
        default |= {"self_training": 3} if task.is_images else {}
        default |= {"lr": 1e-3, "lr_end": 1e-4} if task.is_images and max(task.shape[1:]) < 16 else {}
        paper = (
            {"networks": "triple-gan", "epochs": 500, "lr": 1e-4, "lr_end": 1e-5, "critic": "ns-gan"}
            | {"entropy_weight": 1.0, "entropy_from": 0.0, "schedule": "threshold"}
            | {"warp": 0.5 if colour else 0.0, "shift_only": True, "noise": 0.15}  # 0.5: two pixels of 32
            | {"adversarial_weight": 1.0, "adversarial_weight_end": 1.0, "pairs_weight": 0.0}
            | {"separate_noise": False, "warp_discriminator": False}
            | {"consistency_weight": 100 / task.n_clusters, "consistency_with": "itself"}
        )
        batch = max(100, task.n_samples // 20)
        smoke = {"epochs": 2, "batch_size": batch, "warmup_epochs": 1, "warmup_batch_size": batch}
        return {
            "default": Preset("our recipe, with extensions; `gancluster train clustergan --dataset usps`", default),
            "paper": Preset("as printed, corrected; needs a GPU; `gancluster train clustergan --preset paper`", paper),
            "smoke": Preset("seconds, to see that all runs; `gancluster train clustergan --preset smoke`", smoke),
        }
