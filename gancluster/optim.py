"""Optimisers and schedules as plain data with pure state: a method names them, the engine applies them.

An optimiser holds its settings; `state(parameters)` makes what it must remember, and `step` moves parameters and state
in place. Every operation is elementwise, so the weights of many games are moved in one call. Checked against
`torch.optim` to the last bit of float64 in tests/test_optim.py. A `Sampler` takes random numbers too, from a generator
that the engine hands it; that it samples what it should is checked in tests/paper/test_sghmc.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Tree = dict[str, Tensor]
Memory = dict[str, Tree]


@dataclass(frozen=True)
class Linear:
    """From `start` to `end`, linearly in the phase's progress (0 → 1)."""

    start: float
    end: float

    def at(self, progress: float) -> float:
        return self.start + (self.end - self.start) * progress


class Optimizer(Protocol):
    """`lr` is a schedule over the phase; `clip` bounds the gradient's global norm when it is not None."""

    @property
    def lr(self) -> Linear: ...

    @property
    def clip(self) -> float | None: ...

    def state(self, parameters: Tree) -> Memory: ...

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None: ...


@runtime_checkable
class Sampler(Optimizer, Protocol):
    """An optimiser whose weights never settle: before each step, `refresh` disturbs its memory at random, in place."""

    def refresh(self, memory: Memory, lr: float, rng: torch.Generator) -> None: ...


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015, with bias correction, as `torch.optim` computes it in one pass over each weight (`fused`)."""

    lr: Linear
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8
    clip: float | None = None

    def state(self, parameters: Tree) -> Memory:
        steps = {name: torch.zeros((), device=value.device) for name, value in parameters.items()}
        return {"mean": _zeros(parameters), "square": _zeros(parameters), "steps": steps}

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None:
        mean, square, steps = (_values(memory[name]) for name in ("mean", "square", "steps"))
        gradient = [value.contiguous() for value in gradients.values()]  # the fused pass goes through memory in order
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            _values(parameters), gradient, mean, square, [], steps,
            lr=lr, beta1=self.betas[0], beta2=self.betas[1], eps=self.eps,
            weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip


@dataclass(frozen=True)
class RMSprop:
    """Hinton's lecture 6e, as in `torch.optim.RMSprop` (no momentum, not centred)."""

    lr: Linear
    decay: float = 0.99
    eps: float = 1e-8
    clip: float | None = None

    def state(self, parameters: Tree) -> Memory:
        return {"square": _zeros(parameters)}

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None:
        g, square = _values(gradients), _values(memory["square"])
        torch._foreach_mul_(square, self.decay)
        torch._foreach_addcmul_(square, g, g, 1 - self.decay)
        width = torch._foreach_sqrt(square)
        torch._foreach_add_(width, self.eps)
        torch._foreach_addcdiv_(_values(parameters), g, width, -lr)


@dataclass(frozen=True)
class SGD:
    """Gradient descent with heavy-ball momentum."""

    lr: Linear
    momentum: float = 0.0
    clip: float | None = None

    def state(self, parameters: Tree) -> Memory:
        return {"velocity": _zeros(parameters)}

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None:
        velocity = _values(memory["velocity"])
        torch._foreach_mul_(velocity, self.momentum)
        torch._foreach_add_(velocity, _values(gradients))
        torch._foreach_add_(_values(parameters), velocity, alpha=-lr)


@dataclass(frozen=True)
class SGHMC:
    """Stochastic gradient Hamiltonian Monte Carlo (Chen, Fox, Guestrin 2014), as in the Bayesian GAN's Algorithm 1.

        refresh   v ← (1 − α) v + N(0, 2 α η T)
        step      v ← v − η ∇U,   w ← w + v          U = n · loss + |w|² / 2 prior_std²

    Draws weights from exp(−U / T), up to the error of a finite η. `loss` is the mean of -log likelihood over `n`
    samples, so the likelihood is a product over all of them, and the prior N(0, prior_std²) counts once. η is `lr / n`:
    `lr` is the rate of gradients of the mean, as elsewhere. `friction` α, in (0, 1], `temperature` T ≥ 0.
    """

    lr: Linear
    n: int
    friction: float = 0.01
    prior_std: float = 1.0
    temperature: float = 1.0
    clip: float | None = None

    def state(self, parameters: Tree) -> Memory:
        return {"velocity": _zeros(parameters)}

    def refresh(self, memory: Memory, lr: float, rng: torch.Generator) -> None:
        deviation = (2 * self.friction * self.temperature * lr / self.n) ** 0.5
        _fade_and_disturb(memory["velocity"], 1 - self.friction, deviation, rng)

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None:
        velocity, weights = _values(memory["velocity"]), _values(parameters)
        torch._foreach_add_(velocity, _values(gradients), alpha=-lr)
        torch._foreach_add_(velocity, weights, alpha=-lr / (self.n * self.prior_std**2))
        torch._foreach_add_(weights, velocity)


@dataclass(frozen=True)
class NearSGD:
    """What the Bayesian GAN's released code does in SGHMC's place: gradient descent with a trace of noise.

        refresh   v ← momentum · v + N(0, 2 α η) / n
        step      v ← v + ∇loss + 2 w / (n · entries · prior_std²),   w ← w − lr · v

    Noise is divided by n where only its variance should be, and multiplied by `lr` on top; the prior is divided by the
    number of entries of each tensor. `friction` α and `rate` η are the noise's alone. `temperature` tells the T left.
    """

    lr: Linear
    n: int
    friction: float = 0.01
    rate: float = 2e-4
    momentum: float = 0.5
    prior_std: float = 1.0
    clip: float | None = None

    def temperature(self, lr: float) -> float:
        """The T at which SGHMC with the same momentum and rate would have this noise."""
        return lr * self.friction * self.rate / (self.n * (1 - self.momentum))

    def state(self, parameters: Tree) -> Memory:
        return {"velocity": _zeros(parameters)}

    def refresh(self, memory: Memory, lr: float, rng: torch.Generator) -> None:
        deviation = (2 * self.friction * self.rate) ** 0.5 / self.n
        _fade_and_disturb(memory["velocity"], self.momentum, deviation, rng)

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None:
        velocity, weights = _values(memory["velocity"]), _values(parameters)
        torch._foreach_add_(velocity, _values(gradients))
        prior = [2 / (self.n * self.prior_std**2 * weight.numel()) for weight in weights]
        torch._foreach_add_(velocity, torch._foreach_mul(weights, prior))
        torch._foreach_add_(weights, velocity, alpha=-lr)


def merged(trees: Sequence[Tree]) -> Tree:
    """One tree of many: the tensors of tree k themselves, under `k/name`; of a single tree, that tree."""
    if len(trees) == 1:
        return trees[0]
    return {f"{k}/{name}": value for k, tree in enumerate(trees) for name, value in tree.items()}


def clip_norm(gradients: Tree, bound: float) -> None:
    """Scale all gradients in place so that their common Euclidean norm is at most `bound`."""
    norm = torch.stack(list(torch._foreach_norm(_values(gradients)))).norm()
    torch._foreach_mul_(_values(gradients), (bound / (norm + 1e-6)).clamp(max=1.0))


def _fade_and_disturb(velocity: Tree, kept: float, deviation: float, rng: torch.Generator) -> None:
    """Leave `kept` of a velocity, and add normal numbers of that standard deviation."""
    for value in velocity.values():
        numbers = torch.randn(value.shape, generator=rng, dtype=value.dtype, device=value.device)
        value.mul_(kept).add_(numbers, alpha=deviation)


def _zeros(parameters: Mapping[str, Tensor]) -> Tree:
    return {name: torch.zeros_like(value) for name, value in parameters.items()}


def _values(tree: Tree) -> list[Tensor]:
    return list(tree.values())
