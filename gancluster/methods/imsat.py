"""IMSAT: *Learning Discrete Representations via Information Maximizing Self-Augmented Training* (Hu et al., ICML 2017).

A classifier p(y | x) that has no labels. It tells as much about x as it can, and the same after a small change T(x):

    min  R - λ (μ H(Y) - H(Y | X))       at μ = 1 the bracket is the mutual information I(X; Y)
    R    = E KL(p(y | x) || p(y | T(x))),  p(y | x) held
    T(x) = x + α σ(x) u                  σ(x): the distance from x to its tenth neighbour in the data
    u                                    a random direction (RPT), or the one that changes p most (VAT)

H(Y) is a batch's. Clusters are the most likely y. No auto-encoder, no start, no generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.errors import UserError
from gancluster.methods import base
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Preset, Task, Turn
from gancluster.methods.neighbours import nearest_neighbours
from gancluster.networks.blocks import BatchNorm, View
from gancluster.optim import Adam, Linear


class Config(base.Config):
    """IMSAT's options; the defaults are the paper's, for MNIST."""

    epochs: int = Field(50, ge=1, description="passes through the data")
    batch_size: int = Field(250, ge=2, description="samples in a batch")
    lr: float = Field(2e-3, gt=0, description="Adam's learning rate")
    width: float = Field(1.0, gt=0, le=4, description="units of the two hidden layers, of the printed 1200")
    augmentation: Literal["vat", "rpt"] = Field("vat", description="T: virtual adversarial or random perturbation")
    radius: float = Field(0.25, ge=0, description="α: length of a perturbation, of the distance to the neighbour")
    neighbour: int = Field(10, ge=1, description="which neighbour")
    probe: float = Field(10.0, gt=0, description="VAT: length of the random step from which the worst one is guessed")
    info_weight: float = Field(0.1, ge=0, description="λ: weight of the mutual information")
    balance: float = Field(4.0, ge=0, description="μ: weight of H(Y) in it")


class Neighbours(nn.Module):
    """The distance from every sample to one of its neighbours: where samples are stored `(b,)` → `(b,)`."""

    distance: Tensor

    def __init__(self, n_samples: int) -> None:
        super().__init__()
        self.register_buffer("distance", torch.zeros(n_samples))

    def forward(self, index: Tensor) -> Tensor:
        return self.distance[index]


class IMSAT(base.Method):
    """The classifier and its loss."""

    name: ClassVar[str] = "imsat"
    paper: ClassVar[str] = (
        "Hu, Miyato, Tokui, Matsumoto, Sugiyama: Learning Discrete Representations via Information Maximizing "
        "Self-Augmented Training, ICML 2017"
    )
    config_type: ClassVar[type[base.Config]] = Config
    encoder: ClassVar[str] = "classifier"
    config: Config

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        if config.neighbour >= task.n_samples:
            most = task.n_samples - 1
            raise UserError(f"--neighbour {config.neighbour}: {task.n_samples} samples have {most} neighbours each")

    def players(self) -> Modules:
        hidden, k = max(round(1200 * self.config.width), 1), self.task.n_clusters
        return {
            "classifier": classifier(math.prod(self.task.shape), hidden, k),
            "neighbours": Neighbours(self.task.n_samples),
        }

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        samples = self.scaled(torch.cat(list(batches.parts()))).flatten(1)
        distances = nearest_neighbours(samples, self.config.neighbour + 1).distances
        players["neighbours"].get_buffer("distance").copy_(distances[:, -1])

    def phases(self) -> list[Phase]:
        c, turns = self.config, [Turn("classifier", self.loss)]
        return [Phase("training", c.epochs, c.batch_size, [turns], Adam(Linear(c.lr, c.lr), betas=(0.9, 0.999)))]

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """A random direction for every sample, `(n, *shape)`."""
        return unit(torch.randn(n, *self.task.shape, generator=rng, device=rng.device))

    def loss(self, nets: Nets, batch: Batch, noise: Tensor, clock: Clock) -> Loss:
        """`R - λ (μ H(Y) - H(Y | X))` in nats, as its three terms; watched: I(X; Y), at most log K."""
        c, p, x = self.config, nets["classifier"], self.scaled(batch.inputs)
        logits = p(x)
        held = logits.detach()
        direction = noise if c.augmentation == "rpt" else worst_direction(p, x, held, noise, c.probe)
        assert batch.where is not None
        length = (c.radius * nets["neighbours"](batch.where)).view(-1, *[1] * (x.ndim - 1))
        marginal, conditional = entropies(logits)
        terms = {
            "augmentation": divergence(held, p(x + length * direction)).mean(),
            "conditional": c.info_weight * conditional,
            "marginal": -c.info_weight * c.balance * marginal,
        }
        return Loss(terms, {"information": marginal - conditional})

    def scaled(self, samples: Tensor) -> Tensor:
        """Images from their pixel range to [-1, 1], as in the released code; vectors as they are."""
        low, high = self.task.pixel_range
        return 2 * (samples - low) / (high - low) - 1 if self.task.is_images else samples

    # After training ---------------------------------------------------------------------------------------------------

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """The probability of each cluster `(b, K)`."""
        return torch.softmax(nets["classifier"](self.scaled(inputs)), 1)

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        ours = {"width": 0.25, "epochs": min(max(round(500_000 / task.n_samples), 50), 200)}
        return {
            "default": Preset("a quarter of the units, more epochs for fewer samples", ours),
            "paper": Preset("as printed for MNIST", {}),
            "smoke": Preset("seconds, to see that all runs", {"epochs": 2, "width": 0.125}),
        }


def classifier(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """x → logits `(b, outputs)`: two hidden layers with batch norm.

    Weights begin at `scale √(2 / inputs)`, scales .1, .1 and .0001: at first every cluster is as likely.
    """
    layers: list[nn.Module] = [View(inputs)]
    for fewer, more, scale in ((inputs, hidden, 0.1), (hidden, hidden, 0.1), (hidden, outputs, 1e-4)):
        linear = nn.Linear(fewer, more)
        nn.init.normal_(linear.weight, std=scale * math.sqrt(2 / fewer))
        nn.init.zeros_(linear.bias)
        layers += [linear, BatchNorm(more), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


def entropies(logits: Tensor) -> tuple[Tensor, Tensor]:
    """H(Y) and H(Y | X) in nats of p(y | x) given by `logits` `(b, K)`, x uniform over the batch."""
    logs = torch.log_softmax(logits, 1)
    marginal = torch.logsumexp(logs, 0) - math.log(len(logits))
    return -(marginal.exp() * marginal).sum(), -(logs.exp() * logs).sum(1).mean()


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """`KL(one || other)` `(b,)` in nats, of distributions given by logits `(b, K)`."""
    ours, theirs = torch.log_softmax(one, 1), torch.log_softmax(other, 1)
    return (ours.exp() * (ours - theirs)).sum(1)


def worst_direction(
    classify: Callable[[Tensor], Tensor], x: Tensor, logits: Tensor, start: Tensor, probe: float
) -> Tensor:
    """The direction in which p(y | x), given by `logits`, changes most: unit vectors `(b, *shape)`, without gradient.

    One power iteration on the divergence's Hessian from unit vectors `start`, by the gradient at `x + probe start`
    (Miyato et al. 2016).
    """

    def change(direction: Tensor) -> Tensor:
        return divergence(logits, classify(x + probe * direction)).sum()

    with torch.no_grad():
        return unit(torch.func.grad(change)(start))


def unit(vectors: Tensor) -> Tensor:
    """Each sample of `(b, *shape)` divided by its length; one of length 0 stays."""
    flat = vectors.flatten(1)
    largest = flat.abs().amax(1, keepdim=True).clamp_min(1e-30)  # before squaring: gradients may be as small as 1e-25
    scaled = flat / largest
    length = scaled.square().sum(1, keepdim=True).sqrt().clamp_min(1e-30)
    return (scaled / length).view_as(vectors)
