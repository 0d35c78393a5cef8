"""Optimisers against torch.optim to the last bit of float64, samplers without their noise, and the schedule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from games import Duel, duel, game, weights
from torch import Tensor

from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.methods.base import Phase, Turn
from gancluster.optim import (
    SGD,
    SGHMC,
    Adam,
    Linear,
    Memory,
    NearSGD,
    Optimizer,
    RMSprop,
    Sampler,
    Tree,
    clip_norm,
    merged,
)

LR = Linear(0.01, 0.01)
Reference = Callable[[list[Tensor]], torch.optim.Optimizer]

PAIRS: dict[str, tuple[Optimizer, Reference]] = {
    "Adam": (Adam(LR), lambda ps: torch.optim.Adam(ps, 0.01, (0.5, 0.999), eps=1e-8, fused=True)),
    "Adam with other settings": (
        Adam(LR, (0.9, 0.99), 1e-4),
        lambda ps: torch.optim.Adam(ps, 0.01, (0.9, 0.99), 1e-4, fused=True),
    ),
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
def test_the_weights_of_two_games_moved_in_one_call_move_as_each_would_alone(name: str) -> None:
    optimizer, _ = PAIRS[name]
    alone, both = tree(100), merged([tree(0), tree(100)])
    memories = optimizer.state(alone), optimizer.state(both)
    for step in range(1, 5):
        optimizer.step(alone, tree(step + 100), memories[0], lr=0.01)
        optimizer.step(both, merged([tree(step), tree(step + 100)]), memories[1], lr=0.01)
    assert all(torch.equal(both[f"1/{key}"], alone[key]) for key in alone)


@pytest.mark.parametrize("name", PAIRS)
def test_a_gradient_s_layout_in_memory_changes_nothing(name: str) -> None:
    optimizer, _ = PAIRS[name]
    one, other = tree(0), tree(0)
    memories = optimizer.state(one), optimizer.state(other)
    for step in range(1, 4):
        turned = tree(step) | {"weight": tree(step)["weight"].T.contiguous().T, "bias": torch.ones(4).double()}
        optimizer.step(one, turned | {"bias": torch.ones(1).double().expand(4)}, memories[0], lr=0.01)
        optimizer.step(other, {key: value.contiguous() for key, value in turned.items()}, memories[1], lr=0.01)
    assert all(torch.equal(one[key], other[key]) for key in one)


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


SAMPLERS: dict[str, Sampler] = {"SGHMC": SGHMC(LR, 50, 0.2, 0.7), "released": NearSGD(LR, 50, prior_std=0.7)}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_without_its_noise_is_momentum_with_the_prior_as_weight_decay(name: str) -> None:
    """SGHMC's prior counts once among 50 samples; the released code's is also divided by a tensor's entries."""
    quiet: Sampler = (
        SGHMC(LR, 50, 0.2, 0.7, temperature=0.0) if name == "SGHMC" else NearSGD(LR, 50, rate=0.0, prior_std=0.7)
    )
    ours, theirs = tree(0), [value.clone().requires_grad_() for value in tree(0).values()]
    decay = 1 / (50 * 0.7**2)
    groups = [{"params": [w], "weight_decay": decay if name == "SGHMC" else 2 * decay / w.numel()} for w in theirs]
    memory, reference = quiet.state(ours), torch.optim.SGD(groups, 0.01, momentum=0.8 if name == "SGHMC" else 0.5)
    for step in range(1, 30):
        gradients = tree(step)
        for weight, gradient in zip(theirs, gradients.values(), strict=True):
            weight.grad = gradient.clone()
        reference.step()
        quiet.refresh(memory, 0.01, torch.Generator())
        quiet.step(ours, gradients, memory, lr=0.01)
    for found, expected in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_a_sampler_draws_is_its_generator_s(name: str) -> None:
    memories = [SAMPLERS[name].state(tree(0)) for _ in range(3)]
    for memory, seed in zip(memories, (1, 1, 2), strict=True):
        SAMPLERS[name].refresh(memory, 0.01, torch.Generator().manual_seed(seed))
    one, same, other = (memory["velocity"]["weight"] for memory in memories)
    assert torch.equal(one, same)
    assert (one != other).all()


class Listening(SGD):
    """Gradient descent that asks for random numbers, and notes them."""

    heard: list[float]

    def refresh(self, memory: Memory, lr: float, rng: torch.Generator) -> None:
        self.heard.append(float(torch.rand((), generator=rng)))


def listening(heard: list[float]) -> Game:
    """A game of a sampler whose turns are repeated, shared, and come twice a round."""
    sampler = Listening(Linear(0.1, 0.1))
    object.__setattr__(sampler, "heard", heard)

    def layout(d: Duel) -> list[Phase]:
        rounds = [[Turn(("seeker", "maker"), d.seeker_loss, 2), Turn("maker", d.maker_loss)]]
        return [Phase("one", 2, 8, rounds, sampler)]

    return game(duel(layout))


def test_no_two_moves_of_a_game_share_a_sampler_s_numbers_and_no_stop_changes_them() -> None:
    straight, stopped = list[float](), list[float]()
    wanted, one = listening(straight), listening(stopped)
    list(play(wanted))
    while not one.is_over:
        next(play(one))
    assert len(set(straight)) == len(straight) == 6 * (2 * 2 + 1)
    assert stopped == straight
    assert all(torch.equal(value, weights(one)[name]) for name, value in weights(wanted).items())
    assert isinstance(Listening(LR), Sampler)
    assert not isinstance(Adam(LR), Sampler)
