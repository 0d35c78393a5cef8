"""DC-GMM: *DeepCluster: A General Clustering Framework Based on Deep Learning* (Tian, Zhou, Guan; ECML PKDD 2017).

An auto-encoder whose latents z = enc(x) are tied to copies y of them, which belong to a mixture θ:

    min  Σ_i |x_i - dec(z_i)|² / 2 + λ G(y_i)   s.t.  y_i = z_i,     G(y) = -log Σ_k π_k N(y; μ_k, Σ_k)

or, by `--mixture kmeans`, G(y) = |y - μ|² / 2 to the nearest mean: DC-Kmeans. ADMM, with scaled multipliers u; before
every epoch:

    θ      is fitted to all y
    y      = (ρ I + λ Σ_k r_k Σ_k⁻¹)⁻¹ (ρ (z + u) + λ Σ_k r_k Σ_k⁻¹ μ_k),   r_k = p(k | y as it was)
    u      += z - y

and in the epoch the networks descend |x - dec(z)|² / 2 + ρ |z - y + u|² / 2. Clusters are θ's.

The y step is one of EM: the r are held, which makes of G a quadratic that touches it and is nowhere below it, so the
augmented Lagrangian cannot rise. By the released code, as far as we have read it; what is ours:
docs/methods/baselines.md.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.methods import ae_kmeans, autoencoding, base
from gancluster.methods.base import Batch, Clock, Embedding, Loss, Modules, Nets, Phase, Prediction, Preset, Task, Turn
from gancluster.methods.mixture import Mixture, Model
from gancluster.optim import Adam, Linear

GAME = "ADMM"


class Config(ae_kmeans.Config):
    """DC-GMM's options; λ, ρ and epochs are the released code's, for MNIST."""

    epochs: int = Field(300, ge=1, description="passes of the game through the data, at most: so many rounds of ADMM")
    tolerance: float = Field(0.0, ge=0, le=1, description="the game is over once a smaller share changes its cluster")
    lr: float = Field(1e-3, gt=0, description="Adam's learning rate in the game")
    mixture: Model = Field("gmm", description="θ: Gaussians by EM, of full or diagonal covariance, or K-means")
    floor: float = Field(0.1, gt=0, description="least deviation of θ, of that of all latents when the game begins")
    cluster_weight: float = Field(0.01, ge=0, description="λ: weight of G")
    tie: float = Field(10.0, gt=0, description="ρ: weight of the distance between latents and their copies")


class Copies(nn.Module):
    """y and u of all samples, a player that nobody trains: where samples are stored `(b,)` → both, `(b, 2, d)`."""

    pair: Tensor

    def __init__(self, n_samples: int, size: int) -> None:
        super().__init__()
        self.register_buffer("pair", torch.zeros(n_samples, 2, size))

    def forward(self, index: Tensor) -> Tensor:
        return self.pair[index]

    def begin(self, z: Tensor) -> None:
        """y = z `(n, d)` and u = 0."""
        self.pair.copy_(torch.stack([z, torch.zeros_like(z)], 1))

    def follow(self, z: Tensor, theta: Mixture, weight: float) -> None:
        """The steps of y and u, given z `(n, d)` and θ; `weight` is λ / ρ."""
        y, u = self.pair.unbind(1)
        moved = pulled(z + u, y, theta, weight)
        self.pair.copy_(torch.stack([moved, u + z - moved], 1))


def pulled(v: Tensor, y: Tensor, theta: Mixture, weight: float) -> Tensor:
    """Where `weight` Q + |· - v|² / 2 is least, all `(n, d)`: Q is the quadratic that touches G at `y` from above."""
    precision, pull = majorant(y, theta)
    moved: Tensor = torch.linalg.solve(torch.eye(y.shape[1]).to(y) + weight * precision, v + weight * pull)
    return moved


def majorant(y: Tensor, theta: Mixture) -> tuple[Tensor, Tensor]:
    """A `(n, d, d)` and b `(n, d)` of the quadratic y'ᵀ A y' / 2 - bᵀ y' that touches G at `y' = y` but for a constant.

    Mixture: precisions and what they make of means, weighed by p(k | y). K-means: I and the nearest mean.
    """
    scores = theta.scores(y)
    if theta.model == "kmeans":
        return torch.eye(y.shape[1]).to(y).expand(len(y), -1, -1), theta.means[scores.argmax(1)]
    precisions, shares = torch.cholesky_inverse(theta.factors), scores.softmax(1)
    pulls = (precisions @ theta.means[:, :, None])[:, :, 0]
    return torch.einsum("nk,kij->nij", shares, precisions), shares @ pulls


class DCGMM(base.Method):
    """Pre-training, and the rounds of ADMM."""

    name: ClassVar[str] = "dc-gmm"
    paper: ClassVar[str] = (
        "Tian, Zhou, Guan: DeepCluster: A General Clustering Framework Based on Deep Learning, ECML PKDD 2017"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    # The players and their phases -------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, (n, k) = self.config, (self.task.n_samples, self.task.n_clusters)
        return ae_kmeans.networks(c, self.task) | {
            "mixture": Mixture(k, c.latent_size, n, c.mixture),
            "copies": Copies(n, c.latent_size),
        }

    def phases(self) -> list[Phase]:
        c, turns = self.config, [Turn(("encoder", "decoder"), self.loss)]
        start = autoencoding.pretraining(c.pretrain_epochs, c.batch_size, c.lr_pretrain)
        adam, until = Adam(Linear(c.lr, c.lr), betas=(0.9, 0.999)), autoencoding.settled("mixture", c.tolerance)
        return [start, Phase(GAME, c.epochs, c.batch_size, [turns], adam, until=until)]

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """The game begins with latents of deviation 1, and copies that are like them."""
        encoder, copies = players["encoder"], players["copies"]
        if phase == GAME and isinstance(copies, Copies):
            autoencoding.standardise(encoder, players["decoder"], autoencoding.encoded(encoder, batches))
            copies.begin(autoencoding.encoded(encoder, batches))

    def renew(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """A round of ADMM but for the networks: θ, from its clusters on, then y and u."""
        theta, copies, c = players["mixture"], players["copies"], self.config
        if phase == GAME and isinstance(theta, Mixture) and isinstance(copies, Copies):
            theta.fit(copies.pair[:, 0], c.floor, seed)
            copies.follow(autoencoding.encoded(players["encoder"], batches), theta, c.cluster_weight / c.tie)

    def draw(self, n: int, rng: torch.Generator) -> tuple[()]:
        return ()

    # The loss ---------------------------------------------------------------------------------------------------------

    def loss(self, nets: Nets, batch: Batch, noise: tuple[()], clock: Clock) -> Loss:
        """Half the squared error of redrawn samples, and ρ / 2 |z - y + u|², means over samples; watched: |z - y|²."""
        z = nets["encoder"](batch.inputs)
        y, u = nets["copies"](batch.where).unbind(1)
        redrawn = F.mse_loss(nets["decoder"](z), batch.inputs, reduction="sum") / (2 * len(z))
        tied = self.config.tie / 2 * (z - y + u).square().sum(1).mean()
        return Loss({"reconstruction": redrawn, "tie": tied}, {"residual": (z - y).square().sum(1).mean()})

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
        start, epochs = ae_kmeans.budget(task), min(max(round(250_000 / task.n_samples), 20), 50)
        ours = {"cluster_weight": 0.03, "tie": 1.0, "lr": 3e-3, "epochs": epochs}
        return {
            "default": Preset("a quarter of the units, fewer epochs, a looser tie", start["default"] | ours),
            "paper": Preset("λ, ρ, epochs and batches of the released code", start["paper"] | {"batch_size": 100}),
            "smoke": Preset("seconds, to see that all runs", start["smoke"] | {"epochs": 2}),
        }

    def extensions(self) -> list[str]:
        return ["pre-training in one piece"]
