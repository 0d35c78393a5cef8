"""Optimisers against torch.optim to the last bit of double precision, and the schedule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gancluster.optim import SGD, Adam, Linear, Optimizer, RMSprop, Tree, clip_norm

LR = Linear(0.01, 0.01)
Reference = Callable[[list[Tensor]], torch.optim.Optimizer]

PAIRS: dict[str, tuple[Optimizer, Reference]] = {
    "Adam": (Adam(LR), lambda ps: torch.optim.Adam(ps, 0.01, (0.5, 0.999), eps=1e-8)),
    "Adam with other settings": (Adam(LR, (0.9, 0.99), 1e-4), lambda ps: torch.optim.Adam(ps, 0.01, (0.9, 0.99), 1e-4)),
    "RMSprop": (RMSprop(LR), lambda ps: torch.optim.RMSprop(ps, 0.01, alpha=0.99, eps=1e-8)),
    "RMSprop with other settings": (RMSprop(LR, 0.9, 1e-6), lambda ps: torch.optim.RMSprop(ps, 0.01, 0.9, 1e-6)),
    "SGD": (SGD(LR), lambda ps: torch.optim.SGD(ps, 0.01)),
    "SGD with momentum": (SGD(LR, 0.9), lambda ps: torch.optim.SGD(ps, 0.01, momentum=0.9)),
}


def tree(seed: int) -> Tree:
    """Weights, or gradients, of a small network."""
    rng = torch.Generator().manual_seed(seed)
    shapes = {"weight": (3, 4), "bias": (4,), "scale": ()}
    return {name: torch.randn(shape, generator=rng, dtype=torch.float64) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_steps_are_those_of_torch(name: str) -> None:
    ours, reference = PAIRS[name]
    weights, theirs = tree(0), [value.clone().requires_grad_() for value in tree(0).values()]
    memory, optimizer = ours.state(weights), reference(theirs)
    for step in range(1, 30):
        gradients = tree(step)
        for weight, gradient in zip(theirs, gradients.values(), strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
        ours.step(weights, gradients, memory, lr=0.01)
    for found, expected in zip(weights.values(), theirs, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("name", PAIRS)
def test_all_that_is_remembered_is_in_the_state(name: str) -> None:
    optimizer, _ = PAIRS[name]
    straight, memory = tree(0), optimizer.state(tree(0))
    for step in range(1, 7):
        optimizer.step(straight, tree(step), memory, lr=0.01)
        if step == 3:
            resumed = {key: value.clone() for key, value in straight.items()}
            saved = {part: {key: value.clone() for key, value in kept.items()} for part, kept in memory.items()}
    for step in range(4, 7):
        optimizer.step(resumed, tree(step), saved, lr=0.01)
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)


@pytest.mark.parametrize("name", PAIRS)
def test_weights_stacked_over_seeds_move_as_each_would_alone(name: str) -> None:
    optimizer, _ = PAIRS[name]

    def stacked(seed: int) -> Tree:
        return {key: torch.stack([tree(seed)[key], tree(seed + 100)[key]]) for key in tree(seed)}

    alone, together = tree(100), stacked(0)
    memories = optimizer.state(alone), optimizer.state(together)
    for step in range(1, 5):
        optimizer.step(alone, tree(step + 100), memories[0], lr=0.01)
        optimizer.step(together, stacked(step), memories[1], lr=0.01)
    assert all(torch.equal(together[key][1], alone[key]) for key in alone)


@pytest.mark.parametrize("bound", [0.1, 1000.0])
def test_gradients_are_clipped_to_their_common_norm_as_torch_does(bound: float) -> None:
    gradients = tree(1)
    theirs = [torch.zeros_like(value).requires_grad_() for value in gradients.values()]
    for weight, gradient in zip(theirs, gradients.values(), strict=True):
        weight.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(theirs, bound)
    clip_norm(gradients, bound)
    for gradient, weight in zip(gradients.values(), theirs, strict=True):
        assert weight.grad is not None
        assert torch.equal(gradient, weight.grad)
    norm = torch.cat([value.flatten() for value in gradients.values()]).norm()
    assert norm <= bound


def test_a_linear_schedule_goes_from_start_to_end() -> None:
    schedule = Linear(1e-3, 1e-4)
    assert [schedule.at(t) for t in (0.0, 0.5, 1.0)] == pytest.approx([1e-3, 5.5e-4, 1e-4])
