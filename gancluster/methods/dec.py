"""DEC: *Unsupervised Deep Embedding for Clustering Analysis* (Xie, Girshick, Farhadi; ICML 2016), and IDEC (2017).

An auto-encoder is trained, K-means of its latents gives centres μ; then encoder and centres are refined together:

    q_ij = (1 + |z_i - μ_j|²)⁻¹ / Σ_j' (1 + |z_i - μ_j'|²)⁻¹      how much sample i belongs to cluster j    (Eq. 1)
    min  KL(P || Q) = Σ_i Σ_j p_ij log p_ij / q_ij                                                            (Eq. 2)
    p_ij = (q_ij² / f_j) / Σ_j' (q_ij'² / f_j'),  f_j = Σ_i q_ij   the sharper target                         (Eq. 3)

P is made from all samples, before every epoch, and held. The game is over once hardly any sample changes its cluster.
IDEC (Guo, Gao, Liu, Yin; IJCAI 2017) keeps the decoder: γ KL(P || Q) + the error of redrawn samples. Clusters are the
largest q.

Both papers train their auto-encoder layer by layer and with noise; ours is trained in one piece, which is marked.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.methods import ae_kmeans, autoencoding, base
from gancluster.methods.base import Batch, Clock, Embedding, Loss, Modules, Nets, Phase, Prediction, Preset, Task, Turn
from gancluster.methods.kmeans import kmeans_centres
from gancluster.optim import SGD, Adam, Linear, Optimizer

REFINEMENT = "refinement"


class Config(ae_kmeans.Config):
    """DEC's options; the defaults are the paper's, and its re-implementations' where it is silent."""

    epochs: int = Field(140, ge=1, description="epochs of refinement, at most: so often the target is made anew")
    interval: int | None = Field(140, ge=1, description="steps of such an epoch; none: a pass through the data")
    tolerance: float = Field(0.001, ge=0, le=1, description="the game is over once a smaller share changes its cluster")
    optimizer: Literal["sgd", "adam"] = Field("sgd", description="of the refinement")
    lr: float = Field(0.01, gt=0, description="learning rate of the refinement")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")


class Centres(nn.Module):
    """μ: latents `(b, d)` → log q `(b, K)`, by Student's t with one degree of freedom (Eq. 1)."""

    def __init__(self, n_clusters: int, size: int) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.randn(n_clusters, size))

    def forward(self, z: Tensor) -> Tensor:
        distances = (z[:, None] - self.points).square().sum(2)
        return torch.log_softmax(-torch.log1p(distances), 1)


class Target(nn.Module):
    """P and the clusters of all samples: where samples are stored `(b,)` → p `(b, K)`.

    Without an argument: the share of samples whose cluster is not what it was an epoch before.
    """

    p: Tensor
    clusters: Tensor
    changed: Tensor

    def __init__(self, n_samples: int, n_clusters: int) -> None:
        super().__init__()
        self.register_buffer("p", torch.full((n_samples, n_clusters), 1 / n_clusters))
        self.register_buffer("clusters", torch.full((n_samples,), -1))
        self.register_buffer("changed", torch.ones(()))

    def forward(self, index: Tensor | None = None) -> Tensor:
        return self.changed if index is None else self.p[index]

    def follow(self, q: Tensor) -> None:
        """Take everything from q `(n, K)` as it is now."""
        clusters = q.argmax(1)
        self.changed.copy_((clusters != self.clusters).float().mean())
        self.clusters.copy_(clusters)
        self.p.copy_(sharpened(q))


def sharpened(q: Tensor) -> Tensor:
    """P of q `(n, K)` (Eq. 3): confident assignments count more, large clusters less."""
    weight = q.square() / q.sum(0)
    return weight / weight.sum(1, keepdim=True)


class DEC(base.Method):
    """Pre-training and refinement."""

    name: ClassVar[str] = "dec"
    paper: ClassVar[str] = "Xie, Girshick, Farhadi: Unsupervised Deep Embedding for Clustering Analysis, ICML 2016"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    movers: ClassVar[tuple[str, ...]] = ("encoder", "centres")
    published: ClassVar[dict[str, Any]] = {}  # what `paper` sets beside Config's defaults
    config: Config

    # The players and their phases -------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, task = self.config, self.task
        return ae_kmeans.networks(c, task) | {
            "centres": Centres(task.n_clusters, c.latent_size),
            "target": Target(task.n_samples, task.n_clusters),
        }

    def phases(self) -> list[Phase]:
        c, turns = self.config, [Turn(self.movers, self.loss)]
        start = autoencoding.pretraining(c.pretrain_epochs, c.batch_size, c.lr_pretrain)
        steps, until = c.interval, autoencoding.settled("target", c.tolerance)
        return [start, Phase(REFINEMENT, c.epochs, c.batch_size, [turns], self.optimizer(), steps=steps, until=until)]

    def optimizer(self) -> Optimizer:
        c, lr = self.config, Linear(self.config.lr, self.config.lr)
        return SGD(lr, c.momentum) if c.optimizer == "sgd" else Adam(lr, betas=(0.9, 0.999))

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        if phase == REFINEMENT:
            latents = autoencoding.encoded(players["encoder"], batches).cpu().numpy()
            centres = kmeans_centres(latents, self.task.n_clusters, seed, unit=False)
            players["centres"].get_parameter("points").copy_(torch.from_numpy(centres))

    def renew(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        target = players["target"]
        if phase == REFINEMENT and isinstance(target, Target):
            q = [players["centres"](players["encoder"](part)).exp() for part in batches.parts()]
            target.follow(torch.cat(q))

    def draw(self, n: int, rng: torch.Generator) -> tuple[()]:
        return ()

    # The loss ---------------------------------------------------------------------------------------------------------

    def loss(self, nets: Nets, batch: Batch, noise: tuple[()], clock: Clock) -> Loss:
        """KL(P || Q) in nats, a sample's mean; at its least, 0, where Q is the target."""
        return Loss({"clusters": self.divergence(nets, batch, nets["encoder"](batch.inputs))})

    def divergence(self, nets: Nets, batch: Batch, latents: Tensor) -> Tensor:
        """KL(P || Q) of a batch's latents, mean over samples."""
        assert batch.where is not None
        return F.kl_div(nets["centres"](latents), nets["target"](batch.where), reduction="batchmean")

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """q `(b, K)`."""
        return nets["centres"](nets["encoder"](inputs)).exp()

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Latents `(b, latent_size)`."""
        return nets["encoder"](inputs)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """`student`: the largest q."""
        return {"student": embedding.argmax(1)}

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        start, epochs = ae_kmeans.budget(task), min(max(round(500_000 / task.n_samples), 20), 100)
        ours = {"optimizer": "adam", "lr": 1e-3, "interval": None, "epochs": epochs}
        return {
            "default": Preset("a quarter of the units, Adam, a target a pass", start["default"] | ours),
            "paper": Preset("as printed, but for the pre-training", start["paper"] | cls.published),
            "smoke": Preset("seconds, to see that all runs", start["smoke"] | {"epochs": 2, "interval": None}),
        }

    def extensions(self) -> list[str]:
        return ["pre-training in one piece"]


class IDECConfig(Config):
    """IDEC's options; the defaults are the paper's, for MNIST."""

    optimizer: Literal["sgd", "adam"] = Field("adam", description="of the refinement")
    lr: float = Field(1e-3, gt=0, description="learning rate of the refinement")
    cluster_weight: float = Field(0.1, ge=0, description="γ: weight of KL(P || Q), of the reconstruction's")


class IDEC(DEC):
    """DEC whose decoder goes on: one step deeper than elsewhere, because a method is a class that has its name."""

    name: ClassVar[str] = "idec"
    paper: ClassVar[str] = (
        "Guo, Gao, Liu, Yin: Improved Deep Embedded Clustering with Local Structure Preservation, IJCAI 2017"
    )
    config_type: ClassVar[type[base.Config]] = IDECConfig
    movers: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "centres")
    config: IDECConfig

    def loss(self, nets: Nets, batch: Batch, noise: tuple[()], clock: Clock) -> Loss:
        """γ KL(P || Q), a sample's mean, and the mean squared error of redrawn samples."""
        latents = nets["encoder"](batch.inputs)
        redrawn = F.mse_loss(nets["decoder"](latents), batch.inputs)
        clusters = self.config.cluster_weight * self.divergence(nets, batch, latents)
        return Loss({"clusters": clusters, "reconstruction": redrawn})
