"""DASC: *Deep Adversarial Subspace Clustering* (Zhou, Hou, Feng; CVPR 2018).

Latents of a cluster lie near a subspace. Every latent is made of the others, z_i ≈ Σ_j c_ij z_j, and a spectral
clustering of |C| + |C|ᵀ tells which belong together; a discriminator D has a subspace, of basis U_k, for each cluster:

    energy     E_k(z) = |z - U_k U_kᵀ z|²
    real       those members of cluster k whose energy is least
    fake       random combinations of members of cluster k
    D          lowers E_k(real) + max(0, m - E_k(fake)); encoder, decoder and C lower E_k(fake)

A combination leaves a subspace as far as its members do: D turns towards the members it is sure of and away from the
others, which the encoder brings back. C has n² weights: for small data sets.

Only a summary of the paper was at hand: the above is from it. Ours is all else, and that clusters are the nearest
subspaces, so that new samples have one too.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.errors import UserError
from gancluster.methods import ae_kmeans, autoencoding, base
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Preset, Task, Turn
from gancluster.methods.mixture import partition
from gancluster.methods.spectral import smallest
from gancluster.networks import autoencoder
from gancluster.optim import Adam, Linear

GAME, TINY = "adversarial", 1e-12


class Config(ae_kmeans.Config):
    """DASC's options; no number is the paper's. Energies, and C, are those of latents of length 1."""

    latent_size: int = Field(64, ge=2, description="length of a latent")
    epochs: int = Field(10, ge=1, description="spectral clusterings in the game")
    interval: int = Field(20, ge=1, description="steps from one to the next; each takes all samples")
    lr: float = Field(1e-4, gt=0, description="Adam's learning rate in the game, of all players")
    max_samples: int = Field(2000, ge=2, description="more samples are refused: C has the square of their number")
    rank: int = Field(4, ge=1, description="dimensions of a cluster's subspace")
    ridge: float = Field(10.0, gt=0, description="weight of C's squares, beside the squared error of self-expression")
    kept: int = Field(20, ge=1, description="largest entries of a row of C that the spectral clustering sees")
    adversarial_weight: float = Field(1.0, ge=0, description="weight of the fakes' energy; 0: no game")
    margin: float = Field(0.5, gt=0, description="energy above which D no longer lifts a fake (m)")
    real: float = Field(0.5, gt=0, le=1, description="share of a cluster's members, of least energy, that are real")


class SelfExpression(nn.Module):
    """C, of diagonal 0: latents `(n, d)` of all samples, stored at `where` `(n,)` → Σ_j c_ij z_j `(n, d)`.

    Without latents: C `(n, n)`.
    """

    def __init__(self, n_samples: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_samples, n_samples))

    def forward(self, z: Tensor | None = None, where: Tensor | None = None) -> Tensor:
        here = torch.arange(len(self.weight), device=self.weight.device)
        C: Tensor = self.weight * (here != here[:, None])
        return C if z is None else C[where][:, where] @ z


class Subspaces(nn.Module):
    """D, a subspace a cluster: latents `(b, d)` → their energies `(b, K)`, squared distances to each."""

    def __init__(self, n_clusters: int, size: int, rank: int) -> None:
        super().__init__()
        self.bases = nn.Parameter(torch.randn(n_clusters, size, rank))

    def forward(self, z: Tensor) -> Tensor:
        U: Tensor = torch.linalg.qr(self.bases).Q
        return (z - (z @ U) @ U.mT).square().sum(2).T


class Clusters(nn.Module):
    """The partition in force, which nobody trains: `where` samples are stored `(b,)` → their clusters `(b,)`."""

    def __init__(self, n_samples: int) -> None:
        super().__init__()
        self.register_buffer("clusters", torch.full((n_samples,), -1))

    def forward(self, where: Tensor) -> Tensor:
        return self.get_buffer("clusters")[where]


class DASC(base.Method):
    """Pre-training and game, their losses, and the subspace nearest to a sample."""

    name: ClassVar[str] = "dasc"
    paper: ClassVar[str] = "Zhou, Hou, Feng: Deep Adversarial Subspace Clustering, CVPR 2018"
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "encoder"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        if task.n_samples > (most := config.max_samples):
            many = f"{task.n_samples} are more than --max-samples {most}: take some of them with --limit {most}"
            raise UserError(f"dasc keeps a number for every pair of samples, and {many}")
        if config.rank >= (size := config.latent_size):
            raise UserError(f"a subspace of --rank {config.rank} is no part of --latent-size {size}: lower --rank")

    # The players and their phases -------------------------------------------------------------------------------------

    def players(self) -> Modules:
        c, n = self.config, self.task.n_samples
        networks = ae_kmeans.networks(c, self.task)
        networks["encoder"] = nn.Sequential(networks["encoder"], autoencoder.Sphere())
        return networks | {
            "expression": SelfExpression(n),
            "discriminator": Subspaces(self.task.n_clusters, c.latent_size, c.rank),
            "clusters": Clusters(n),
        }

    def phases(self) -> list[Phase]:
        c = self.config
        D = Turn("discriminator", self.discriminator_loss)
        G = Turn(("encoder", "decoder", "expression"), self.generator_loss)
        turns = [D, G] if c.adversarial_weight else [G]
        game = Phase(GAME, c.epochs, self.task.n_samples, [turns], Adam(Linear(c.lr, c.lr)), steps=c.interval)
        return [autoencoding.pretraining(c.pretrain_epochs, c.batch_size, c.lr_pretrain), game]

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        """When the game begins: the best C of the latents as they are, its clusters, and the subspaces of these."""
        if phase == GAME:
            z = unit(autoencoding.encoded(players["encoder"], batches))
            players["expression"].get_parameter("weight").copy_(best_expression(z, self.config.ridge))
            bases = principal(z, self.recluster(players, seed), self.task.n_clusters, self.config.rank)
            players["discriminator"].get_parameter("bases").copy_(bases)

    def renew(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        if phase == GAME:
            self.recluster(players, seed)

    def recluster(self, players: Modules, seed: int) -> Tensor:
        """Clusters `(n,)` of C, numbered as those before that they share most samples with; `players` has them."""
        held, C = players["clusters"].get_buffer("clusters"), players["expression"]().double().cpu().numpy()
        before = held.cpu().numpy() if bool((held >= 0).all()) else None
        return held.copy_(torch.from_numpy(spectral_clusters(C, self.task.n_clusters, self.config.kept, seed, before)))

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """How much of each sample a fake would have `(n, n)`; nothing for the batches of the pre-training."""
        return torch.randn(n, n if n == self.task.n_samples else 0, generator=rng, device=rng.device)

    def discriminator_loss(self, nets: Nets, batch: Batch, noise: Tensor, clock: Clock) -> Loss:
        """EBGAN's: low energy to real latents, and at least the margin to fakes."""
        z, clusters = unit(nets["encoder"](batch.inputs)), nets["clusters"](batch.where)
        own = nets["discriminator"](z).gather(1, clusters[:, None])[:, 0]
        real, fake = least(own, clusters, self.config.real), self.fakes_energy(nets, z, clusters, noise)
        return Loss({"real": (own * real).sum() / real.sum(), "fake": (self.config.margin - fake).relu().mean()})

    def generator_loss(self, nets: Nets, batch: Batch, noise: Tensor, clock: Clock) -> Loss:
        """Latents are made of each other, samples are redrawn from what is made, and fakes have low energy."""
        c, x = self.config, batch.inputs
        z, C = unit(nets["encoder"](x)), nets["expression"]()
        made = nets["expression"](z, batch.where)
        missed = (nets["decoder"](autoencoder.Sphere()(made)) - x).square().mean() / (x - x.mean(0)).square().mean()
        expressed = ((z - made).square().sum() + c.ridge * C.square().sum()) / len(z)
        if not c.adversarial_weight:
            return Loss({"reconstruction": missed, "expression": expressed})
        fooled = c.adversarial_weight * self.fakes_energy(nets, z, nets["clusters"](batch.where), noise).mean()
        return Loss({"reconstruction": missed, "expression": expressed, "adversarial": fooled})

    def fakes_energy(self, nets: Nets, z: Tensor, clusters: Tensor, noise: Tensor) -> Tensor:
        """E_k `(b,)` of a combination of members of each latent's cluster k."""
        return nets["discriminator"](combinations(z, clusters, noise)).gather(1, clusters[:, None])[:, 0]

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Minus the energies `(b, K)`: the largest is that of the nearest subspace."""
        return -nets["discriminator"](unit(nets["encoder"](inputs)))

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Latents `(b, latent_size)`, of length 1."""
        return unit(nets["encoder"](inputs))

    def assign(self, embedding: base.Embedding, centres: base.Embedding) -> base.Prediction:
        """`subspace`: the nearest."""
        return {"subspace": embedding.argmax(1)}

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        start, epochs = ae_kmeans.budget(task), {"pretrain_epochs": min(max(round(50_000 / task.n_samples), 20), 200)}
        return {
            "default": Preset("a quarter of the units", start["default"] | epochs),
            "paper": Preset("all units; every number is ours", start["paper"]),
            "smoke": Preset("seconds, to see that all runs", start["smoke"] | {"epochs": 2, "interval": 1}),
        }


# The parts of losses and fits -----------------------------------------------------------------------------------------


def unit(z: Tensor) -> Tensor:
    """Latents `(b, d)` on the sphere of radius √d, brought to length 1."""
    return z / math.sqrt(z.shape[1])


def best_expression(z: Tensor, ridge: float) -> Tensor:
    """The C `(n, n)` of diagonal 0 that minimises |z - C z|² + ridge |C|².

    c_ij = -P_ij / P_ii, where P = (z zᵀ + ridge I)⁻¹: every row is a ridge regression on the other latents.
    """
    z = z.double()
    P: Tensor = torch.linalg.inv(z @ z.T + ridge * torch.eye(len(z), dtype=z.dtype, device=z.device))
    return (-P / P.diagonal()[:, None]).fill_diagonal_(0).float()


def spectral_clusters(
    C: NDArray[np.float64], n_clusters: int, kept: int, seed: int, before: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Clusters `(n,)`, none empty, of the graph |C| + |C|ᵀ, a row's `kept` largest: K-means of its eigenvectors."""
    graph = np.abs(C)
    graph[graph < np.sort(graph, axis=1)[:, -min(kept, len(C)), None]] = 0
    graph += graph.T
    scale = 1 / np.sqrt(np.maximum(graph.sum(1), TINY))
    _, vectors = smallest(np.eye(len(C)) - scale[:, None] * graph * scale, n_clusters, seed)
    return partition(vectors / np.maximum(np.linalg.norm(vectors, axis=1)[:, None], TINY), n_clusters, seed, before)


def principal(z: Tensor, clusters: Tensor, n_clusters: int, rank: int) -> Tensor:
    """The subspace nearest to each cluster's latents, through the origin: orthonormal `(K, d, rank)`."""
    scatters = [z[clusters == k].T @ z[clusters == k] for k in range(n_clusters)]
    bases: Tensor = torch.linalg.eigh(torch.stack(scatters)).eigenvectors
    return bases[:, :, -rank:]


def least(energies: Tensor, clusters: Tensor, share: float) -> Tensor:
    """Whether `(b,)` less than that `share` of one's cluster has less energy."""
    alike = clusters == clusters[:, None]
    return (alike & (energies < energies[:, None])).sum(1) < share * alike.sum(1)


def combinations(z: Tensor, clusters: Tensor, noise: Tensor) -> Tensor:
    """Linear combinations `(n, d)`, one for each latent, of all members of its cluster; squared weights sum to 1."""
    return F.normalize(noise * (clusters == clusters[:, None]), dim=1) @ z
