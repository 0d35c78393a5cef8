"""VaDE: *Variational Deep Embedding* (Jiang, Zheng, Tan, Tang, Zhou; IJCAI 2017), a baseline without an adversary.

A variational auto-encoder whose prior is a mixture of Gaussians, one a cluster c:

    p(c) = π_c,   p(z | c) = N(μ_c, σ_c²),   p(x | z) by the decoder,   q(z | x) = N(μ̃(x), σ̃²(x)) by the encoder
    max  E log p(x | z) - KL(q(z, c | x) || p(z, c)),   q(c | x) = p(c | z),  z drawn from q(z | x)

All are trained together, after an auto-encoder has been and a mixture has been fitted to its latents. Clusters are the
largest p(c | z) at z = μ̃(x).

The paper starts from auto-encoders trained layer by layer; ours is trained in one piece, which is marked.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.methods import ae_kmeans, autoencoding, base
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Preset, Task, Turn
from gancluster.methods.mixture import fitted
from gancluster.optim import Adam, Linear

GAME = "variational"
LOG_2PI = math.log(2 * math.pi)


class Config(ae_kmeans.Config):
    """VaDE's options; sizes and rates are the released code's."""

    epochs: int = Field(300, ge=1, description="passes through the data, all trained together")
    lr: float = Field(2e-3, gt=0, description="Adam's learning rate then, at the start")
    lr_end: float = Field(0.1, ge=0, description="learning rate at the end, of that at the start (linear between)")
    floor: float = Field(0.1, gt=0, description="least deviation of the fitted mixture, of that of all latents")
    spread: float = Field(0.1, gt=0, description="σ̃ at the start, of the deviation of all latents")


class Encoder(nn.Module):
    """x `(b, *shape)` → μ̃ `(b, d)`; with `normal` `(b, d)` → μ̃, σ̃² and z = μ̃ + σ̃ normal, each `(b, d)`."""

    def __init__(self, layers: list[nn.Module], spread: float) -> None:
        super().__init__()
        *trunk, last = layers
        assert isinstance(last, nn.Linear)
        self.trunk, self.log_variance, self.mean = (
            nn.Sequential(*trunk),
            nn.Linear(last.in_features, last.out_features),
            last,
        )
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, 2 * math.log(spread))

    def forward(self, x: Tensor, normal: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        hidden = self.trunk(x)
        mean: Tensor = self.mean(hidden)
        if normal is None:
            return mean
        variance = self.log_variance(hidden).exp()
        return mean, variance, mean + variance.sqrt() * normal


class Prior(nn.Module):
    """The mixture: z `(b, d)` → log p(c, z) `(b, K)`; with a `variance` `(b, d)` its mean over N(z, variance).

    Of `normal` `(K, n, d)` alone: points of each Gaussian `(K, n, d)`.
    """

    def __init__(self, n_clusters: int, size: int) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.zeros(n_clusters))  # log π but for a constant
        self.means = nn.Parameter(torch.randn(n_clusters, size))
        self.log_variances = nn.Parameter(torch.zeros(n_clusters, size))

    def forward(self, z: Tensor | None = None, variance: Tensor | None = None, normal: Tensor | None = None) -> Tensor:
        if z is None:
            assert normal is not None
            return self.means[:, None] + (self.log_variances / 2).exp()[:, None] * normal
        off = (z[:, None] - self.means).square()
        if variance is not None:
            off = off + variance[:, None]
        exponent = off * (-self.log_variances).exp() + self.log_variances + LOG_2PI
        return self.shares.log_softmax(0) - exponent.sum(2) / 2


class VaDE(base.Method):
    """The pre-training, the bound, and the clusters of new samples."""

    name: ClassVar[str] = "vade"
    paper: ClassVar[str] = (
        "Jiang, Zheng, Tan, Tang, Zhou: Variational Deep Embedding: An Unsupervised and Generative Approach to "
        "Clustering, IJCAI 2017"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    def players(self) -> Modules:
        c, networks = self.config, ae_kmeans.networks(self.config, self.task)
        encoder = Encoder(list(networks["encoder"].children()), c.spread)
        return networks | {"encoder": encoder, "prior": Prior(self.task.n_clusters, c.latent_size)}

    def phases(self) -> list[Phase]:
        c, turns = self.config, [Turn(("encoder", "decoder", "prior"), self.loss)]
        start = autoencoding.pretraining(c.pretrain_epochs, c.batch_size, c.lr_pretrain)
        return [start, Phase(GAME, c.epochs, c.batch_size, [turns], Adam(Linear(c.lr, c.lr * c.lr_end), (0.9, 0.999)))]

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """When the bound's turn comes, latents of deviation 1 and the mixture that EM fits to them."""
        if phase != GAME:
            return
        encoder, prior = players["encoder"], players["prior"]
        autoencoding.standardise(encoder, players["decoder"], autoencoding.encoded(encoder, batches))
        latents = autoencoding.encoded(encoder, batches).double().cpu().numpy()
        theta, _ = fitted(latents, self.task.n_clusters, "gmm-diag", self.config.floor, seed)
        variances = torch.from_numpy(theta.covariances).diagonal(dim1=1, dim2=2)
        found = {"shares": torch.from_numpy(theta.shares).log(), "means": torch.from_numpy(theta.means)}
        for name, values in (found | {"log_variances": variances.log()}).items():
            prior.get_parameter(name).copy_(values)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Standard normal numbers `(n, latent_size)`, of which z are made."""
        return torch.randn(n, self.config.latent_size, generator=rng, device=rng.device)

    def loss(self, nets: Nets, batch: Batch, noise: Tensor, clock: Clock) -> Loss:
        """Minus the bound in nats, a sample's mean: what z does not tell of x, and KL(q(z, c | x) || p(z, c))."""
        encoder: Any = nets["encoder"]
        mean, variance, z = encoder(batch.inputs, noise)
        missed = self.surprise(nets["decoder"](z), batch.inputs)
        return Loss({"reconstruction": missed.mean(), "divergence": divergence(nets, mean, variance, z).mean()})

    def surprise(self, redrawn: Tensor, x: Tensor) -> Tensor:
        """-log p(x | z) `(b,)` but for a constant: of pixels, as shares, Bernoulli; of vectors N(redrawn, I)."""
        if not self.task.is_images:
            return (redrawn - x).square().sum(1) / 2
        low, high = self.task.pixel_range
        p, t = (((values - low) / (high - low)).flatten(1).clamp(0, 1) for values in (redrawn, x))
        return F.binary_cross_entropy(p, t, reduction="none").sum(1)

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """p(c | μ̃) `(b, K)`."""
        return nets["prior"](nets["encoder"](inputs)).softmax(1)

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """μ̃ `(b, latent_size)`."""
        return nets["encoder"](inputs)

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        k = self.task.n_clusters
        normal = self.draw(k * per_cluster, rng).view(k, per_cluster, -1)
        drawn = nets["decoder"](nets["prior"](normal=normal).flatten(0, 1))
        return drawn.view(k, per_cluster, *self.task.shape)

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        start, epochs = ae_kmeans.budget(task), min(max(round(500_000 / task.n_samples), 20), 200)
        released = {"batch_size": 100, "epochs": 3000}
        return {
            "default": Preset("a quarter of the units, fewer epochs", start["default"] | {"epochs": epochs}),
            "paper": Preset("as released for MNIST but for pre-training and Adam's epsilon", start["paper"] | released),
            "smoke": Preset("seconds, to see that all runs", start["smoke"] | {"epochs": 2}),
        }

    def extensions(self) -> list[str]:
        return ["pre-training in one piece"]


def divergence(nets: Nets, mean: Tensor, variance: Tensor, z: Tensor) -> Tensor:
    """KL(q(z, c | x) || p(z, c)) `(b,)` in nats, q(c | x) = p(c | z) of the z that was drawn."""
    log_q = nets["prior"](z).log_softmax(1)
    expected = nets["prior"](mean, variance)
    entropy = (variance.log() + LOG_2PI + 1).sum(1) / 2
    return (log_q.exp() * (log_q - expected)).sum(1) - entropy
