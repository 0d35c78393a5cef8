"""Improved GAN: the softmax with one class more, feature matching, who is moved, labels, runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from games import outcome, placed
from torch import Tensor, nn

from gancluster.data.dataset import Dataset
from gancluster.engine.play import Moment
from gancluster.errors import Interrupted, UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Labelled, Loss, Nets, Task
from gancluster.methods.improved_gan import Config, ImprovedGAN
from gancluster.networks.blocks import draw_numbers
from gancluster.runs.training import train

DIGITS = EXAMPLES["small images"]._replace(n_labels=100)
POINTS = Task((5,), 5, 100, n_labels=10)  # samples that are their own logits
CLOCK = Clock(torch.zeros(()))


def game(task: Task = DIGITS, **options: Any) -> ImprovedGAN:
    return ImprovedGAN(Config(**{"epochs": 2, "batch_size": 60, "width": 0.125} | options), task)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def of_logits(real: Tensor, fake: Tensor, labelled: Labelled) -> Loss:
    """D's loss where its logits are its input, and G draws `fake`."""
    method = game(POINTS)
    nets = Nets({"discriminator": lambda x, numbers: x, "generator": lambda z: fake}, {})
    return method.discriminator_loss(nets, Batch(real, labelled), method.draw(len(real), rng()), CLOCK)


def test_real_and_fake_cost_their_cross_entropy_in_a_softmax_of_one_class_more() -> None:
    real, fake = torch.randn(2, 8, 5, generator=rng())
    told = of_logits(real, fake, Labelled(real, torch.arange(8) % 5))
    generated = torch.full((8,), 5)
    of_fake = F.cross_entropy(F.pad(fake, (0, 1)), generated)
    is_real = -(1 - F.pad(real, (0, 1)).softmax(1)[:, 5]).log().mean()
    assert float(told.terms["fake"]) == pytest.approx(float(of_fake) / 2, rel=1e-5)
    assert float(told.terms["real"]) == pytest.approx(float(is_real) / 2, rel=1e-5)


def test_labels_are_classes_among_the_real_ones() -> None:
    real, classes = torch.randn(8, 5, generator=rng()), torch.tensor([3, 0, 4])
    told = of_logits(real, real, Labelled(real[:3], classes))
    assert float(told.terms["labels"]) == pytest.approx(float(F.cross_entropy(real[:3], classes)))
    shifted = of_logits(real + 7, real, Labelled(real[:3] + 7, classes))  # more real: the same classes
    assert float(shifted.terms["labels"]) == pytest.approx(float(told.terms["labels"]), rel=1e-5)
    assert shifted.terms["real"] < told.terms["real"]


def test_features_match_where_their_means_do() -> None:
    real, fake = torch.randn(2, 60, 5, generator=rng())
    nets = Nets({"discriminator": lambda x, numbers, features: x, "generator": lambda z: fake}, {})
    method = game(POINTS)
    told = method.generator_loss(nets, Batch(real), method.draw(60, rng()), CLOCK)
    assert float(told.total) == pytest.approx(float((real.mean(0) - fake.mean(0)).square().mean()))
    fake += real.mean(0) - fake.mean(0)
    assert float(method.generator_loss(nets, Batch(real), method.draw(60, rng()), CLOCK).total) < 1e-12


@pytest.mark.parametrize(
    ("loss", "term", "reached"),
    [
        ("discriminator_loss", "labels", {"discriminator"}),
        ("discriminator_loss", "real", {"discriminator"}),
        ("discriminator_loss", "fake", {"discriminator", "generator"}),
        ("generator_loss", "features", {"discriminator", "generator"}),
    ],
)
def test_a_term_has_gradients_where_it_should(loss: str, term: str, reached: set[str]) -> None:
    torch.manual_seed(0)
    method = game()
    players: dict[str, nn.Module] = method.players()
    batch = Batch(torch.rand(60, *DIGITS.shape), Labelled(torch.rand(20, *DIGITS.shape), torch.arange(20) % 10))
    made: Loss = getattr(method, loss)(Nets(players, {}), batch, method.draw(60, rng()), CLOCK)
    for name, player in players.items():
        weights = list(player.parameters())
        gradients = torch.autograd.grad(made.terms[term], weights, retain_graph=True, allow_unused=True)
        assert any(g is not None and bool(g.abs().max() > 0) for g in gradients) == (name in reached)


def test_noise_changes_logits_and_comes_with_the_call() -> None:
    torch.manual_seed(0)
    D, x = game().players()["discriminator"], torch.rand(60, *DIGITS.shape)
    numbers = draw_numbers(D, 60, rng())
    assert len(numbers) == 6
    assert torch.equal(D(x, numbers), D(x, numbers))
    assert not torch.allclose(D(x), D(x, numbers))
    assert D(x, features=True).shape == (60, 31)


def test_without_labels_it_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="give it some, as with --labels 100"):
        game(EXAMPLES["small images"])


def test_stopped_and_resumed_it_ends_with_the_same_bytes(tmp_path: Path, digits: Dataset) -> None:
    def ask(moment: Moment) -> None:
        if moment.played == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    wanted, run = (placed(tmp_path / name, digits, "improved-gan", labels=20) for name in ("straight", "stopped"))
    train(wanted, digits)
    with pytest.raises(Interrupted):
        train(run, digits, ask)
    train(run, digits)
    assert outcome(run) == outcome(wanted)


def test_from_few_labels_it_tells_the_others(tmp_path: Path, digits: Dataset) -> None:
    run = placed(tmp_path, digits, "improved-gan", labels=50, epochs=40, width=0.25, average=0.02)
    train(run, digits)
    assert (run.arrays()["clusters/posterior"] == digits.labels).mean() > 0.7
