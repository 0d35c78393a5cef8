"""Optimisers and schedules as plain data with pure state: a method names them, the engine applies them.

An optimiser holds its settings; `state(parameters)` makes what it must remember, and `step` moves parameters and state
in place. Every operation is elementwise, so parameters stacked over seeds are updated as they are. Checked against
`torch.optim` to the last bit of float64 in tests/test_optim.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015, with bias correction."""

    lr: Linear
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8
    clip: float | None = None

    def state(self, parameters: Tree) -> Memory:
        return {"mean": _zeros(parameters), "square": _zeros(parameters), "steps": {"n": torch.zeros(())}}

    def step(self, parameters: Tree, gradients: Tree, memory: Memory, lr: float) -> None:
        first, second = self.betas
        g, mean, square = _values(gradients), _values(memory["mean"]), _values(memory["square"])
        n = int(memory["steps"]["n"].add_(1))
        torch._foreach_lerp_(mean, g, 1 - first)
        torch._foreach_mul_(square, second)
        torch._foreach_addcmul_(square, g, g, 1 - second)
        width = torch._foreach_sqrt(square)
        torch._foreach_div_(width, (1 - second**n) ** 0.5)
        torch._foreach_add_(width, self.eps)
        torch._foreach_addcdiv_(_values(parameters), mean, width, -lr / (1 - first**n))


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


def clip_norm(gradients: Tree, bound: float) -> None:
    """Scale all gradients in place so that their common Euclidean norm is at most `bound`."""
    norm = torch.stack(list(torch._foreach_norm(_values(gradients)))).norm()
    torch._foreach_mul_(_values(gradients), (bound / (norm + 1e-6)).clamp(max=1.0))


def _zeros(parameters: Mapping[str, Tensor]) -> Tree:
    return {name: torch.zeros_like(value) for name, value in parameters.items()}


def _values(tree: Tree) -> list[Tensor]:
    return list(tree.values())
