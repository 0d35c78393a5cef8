"""DEPICT: *Deep Clustering via Joint Convolutional Autoencoder Embedding and Relative Entropy Minimization*, ICCV 2017.

An auto-encoder whose latents a softmax divides into clusters. What the clean encoder says of all samples, sharpened and
balanced, is what the noisy one is to say of them, while the decoder redraws every layer of the clean one:

    p_ik = softmax of a linear map of z_i,  z_i = E(x_i)
    q_ik ∝ p_ik / √f_k,  f_k = Σ_i p_ik                            printed: minimises KL(Q || P) + KL(f || uniform)
    q_ik ∝ p_ik² / f_k                                             the released code's: the square of the printed one
    min   -1/N Σ_i Σ_k q_ik log p̃_ik  +  Σ_l λ_l mean (h_l - ĥ_l)²     p̃ and ĥ by noisy latents, h_0 = x

Noise is dropout in E. Three phases: the auto-encoder alone; the softmax, from K-means' centres, learns its partition;
then Q is made anew from all samples before every epoch. Clusters are the largest p.

By the released code, where the paper is silent; what is ours: docs/methods/depict.md.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.methods import base
from gancluster.methods.autoencoding import PRETRAINING, encoded, settled
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Preset, Task, Turn
from gancluster.methods.dec import REFINEMENT, Target
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks.blocks import Numbers, draw_numbers
from gancluster.networks.depict import Decoder, Encoder
from gancluster.optim import Adam, Linear

START = "start"
PLAYERS = ("encoder", "decoder")


class Config(base.Config):
    """DEPICT's options; the defaults are the released code's, for MNIST."""

    pretrain_epochs: int = Field(1000, ge=1, description="passes in which the auto-encoder is trained alone")
    start_epochs: int = Field(20, ge=1, description="passes in which the softmax learns K-means' partition")
    epochs: int = Field(400, ge=1, description="passes of the clustering, at most: so often the target is made anew")
    tolerance: float = Field(0.001, ge=0, le=1, description="the game is over once a smaller share changes its cluster")
    batch_size: int = Field(100, ge=2, description="samples in a batch")
    lr: float = Field(1e-4, gt=0, description="Adam's learning rate")
    target: Literal["printed", "code"] = Field("code", description="Q: as printed, or its square as in the code")
    redraw_weight: float = Field(1.0, ge=0, description="weight of the redrawn samples' error")
    layer_weight: float = Field(0.1, ge=0, description="weight of each hidden layer's error, of the samples'")
    width: float = Field(1.0, gt=0, le=4, description="channels and features of both networks, of the printed 50")


class DEPICT(base.Method):
    """The three phases and what they minimise."""

    name: ClassVar[str] = "depict"
    paper: ClassVar[str] = (
        "Ghasedi Dizaji, Herandi, Deng, Cai, Huang: Deep Clustering via Joint Convolutional Autoencoder Embedding and "
        "Relative Entropy Minimization, ICCV 2017"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        with torch.device("meta"):
            self.noisy = Encoder(task.shape, task.n_clusters, config.width)

    # The players and their phases -------------------------------------------------------------------------------------

    def players(self) -> Modules:
        task, width = self.task, self.config.width
        return {
            "encoder": Encoder(task.shape, task.n_clusters, width),
            "decoder": Decoder(task.shape, task.n_clusters, task.pixel_range, width),
            "softmax": nn.Linear(task.n_clusters, task.n_clusters),
            "target": Target(task.n_samples, task.n_clusters),
        }

    def phases(self) -> list[Phase]:
        c = self.config
        adam, joint = Adam(Linear(c.lr, c.lr), betas=(0.9, 0.999)), [Turn((*PLAYERS, "softmax"), self.loss)]
        return [
            Phase(PRETRAINING, c.pretrain_epochs, c.batch_size, [[Turn(PLAYERS, self.redrawing)]], adam),
            Phase(START, c.start_epochs, c.batch_size, [joint], adam, pretrains=True),
            Phase(REFINEMENT, c.epochs, c.batch_size, [joint], adam, until=settled("target", c.tolerance)),
        ]

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """The softmax begins with the directions of K-means' centres, and is to learn K-means' partition."""
        if phase == START:
            latents = encoded(players["encoder"], batches)
            centres = kmeans_centres(latents.cpu().numpy(), self.task.n_clusters, seed, unit=False)
            clusters = torch.from_numpy(nearest(latents.cpu().numpy(), centres, unit=False))
            players["softmax"].get_parameter("weight").copy_(F.normalize(torch.from_numpy(centres), dim=1))
            players["softmax"].get_parameter("bias").zero_()
            players["target"].get_buffer("p").copy_(torch.eye(self.task.n_clusters)[clusters])

    def renew(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        target = players["target"]
        if phase == REFINEMENT and isinstance(target, Target):
            p = torch.softmax(players["softmax"](encoded(players["encoder"], batches)), 1)
            target.follow(p)
            if self.config.target == "printed":
                target.p.copy_(balanced(p))

    def draw(self, n: int, rng: torch.Generator) -> Numbers:
        """The masks of one noisy pass."""
        return draw_numbers(self.noisy, n, rng)

    # Losses -----------------------------------------------------------------------------------------------------------

    def loss(self, nets: Nets, batch: Batch, noise: Numbers, clock: Clock) -> Loss:
        """KL from the target to what the noisy encoder says, a sample's mean in nats, and `redrawing`'s terms."""
        assert batch.where is not None
        said = torch.log_softmax(nets["softmax"](nets["encoder"](batch.inputs, noise)), 1)
        clusters = F.kl_div(said, nets["target"](batch.where), reduction="batchmean")
        return Loss({"clusters": clusters} | self.redrawing(nets, batch, noise, clock).terms)

    def redrawing(self, nets: Nets, batch: Batch, noise: Numbers, clock: Clock) -> Loss:
        """Mean squared errors of samples, and of the clean encoder's hidden layers, redrawn from noisy latents."""
        c, E = self.config, nets["encoder"]
        wanted = [batch.inputs, *E(batch.inputs, every=True)[:-1]]
        redrawn = nets["decoder"](E(batch.inputs, noise), every=True)
        errors = [F.mse_loss(found, layer) for found, layer in zip(redrawn, wanted, strict=True)]
        layers = c.layer_weight * torch.stack(errors[1:]).sum()
        return Loss({"reconstruction": c.redraw_weight * errors[0], "layers": c.redraw_weight * layers})

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """p `(b, K)`, without noise."""
        return torch.softmax(nets["softmax"](nets["encoder"](inputs)), 1)

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Latents `(b, K)`."""
        return nets["encoder"](inputs)

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        n = task.n_samples
        ours = {"width": 0.5, "lr": 1e-3, "pretrain_epochs": min(max(round(360_000 / n), 10), 200)}
        ours |= {"start_epochs": 10, "epochs": min(max(round(180_000 / n), 10), 100)}
        return {
            "default": Preset("half the channels, fewer epochs at a higher rate: minutes on a CPU", ours),
            "paper": Preset("the printed game at the released code's settings, for MNIST", {"target": "printed"}),
            "author-code": Preset("as released for MNIST: a sharper target", {}),
            "smoke": Preset(
                "seconds, to see that all runs",
                {"width": 0.2, "pretrain_epochs": 2, "start_epochs": 1, "epochs": 2, "lr": 1e-3},
            ),
        }


def balanced(p: Tensor) -> Tensor:
    """Q of p `(n, K)` as printed, `p_ik / √f_k` by row: large clusters count less, but nobody is sharpened."""
    weight = p / p.sum(0).sqrt()
    return weight / weight.sum(1, keepdim=True)
