"""CatGAN: the least that its losses can be, whose information they are, who is moved, labels, runs."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import outcome, placed
from torch import Tensor, nn

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import Moment, play
from gancluster.engine.trained import settle
from gancluster.errors import Interrupted
from gancluster.methods.base import EXAMPLES, Batch, Clock, Labelled, Loss, Nets, Task
from gancluster.methods.catgan import CatGAN, Config
from gancluster.runs.training import train

DIGITS = EXAMPLES["small images"]
POINTS = Task((5,), 5, 100)  # samples that are their own logits
CLOCK = Clock(torch.zeros(()))
FAST: dict[str, Any] = {"epochs": 2, "batch_size": 60, "width": 0.125}
LOG = math.log(5)


def game(task: Task = DIGITS, **options: Any) -> CatGAN:
    return CatGAN(Config(**FAST | options), task)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def of_logits(loss: str, real: Tensor, fake: Tensor, labelled: Labelled | None = None) -> Loss:
    """A loss where D's logits are its input, and G draws `fake`."""
    method = game(POINTS)
    nets = Nets({"discriminator": lambda x: x, "generator": lambda z: fake}, {})
    made: Loss = getattr(method, loss)(nets, Batch(real, labelled), method.draw(len(real), rng()), CLOCK)
    return made


# Entropies ------------------------------------------------------------------------------------------------------------


def test_the_best_discriminator_knows_all_of_real_samples_and_nothing_of_fakes() -> None:
    sure, unsure = 1e3 * torch.eye(5), torch.zeros(5, 5)
    assert float(of_logits("discriminator_loss", sure, unsure).total) == pytest.approx(-2 * LOG)
    assert float(of_logits("generator_loss", sure, sure).total) == pytest.approx(-LOG)
    for seed in range(20):
        real, fake = 3 * torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(seed))
        assert -2 * LOG < float(of_logits("discriminator_loss", real, fake).total) < LOG
        assert -LOG < float(of_logits("generator_loss", real, fake).total) <= 1e-6


@pytest.mark.parametrize(
    ("logits", "information"),
    [(torch.zeros(10, 5), 0.0), (1e3 * torch.eye(5)[[2] * 10], 0.0), (1e3 * torch.eye(5)[[0, 1] * 5], math.log(2))],
    ids=["unsure of all", "one class for all", "two classes of five"],
)
def test_neither_doubt_nor_one_class_for_all_is_information(logits: Tensor, information: float) -> None:
    told = of_logits("discriminator_loss", logits, logits)
    assert float(told.watched["information"]) == pytest.approx(information, abs=1e-6)
    assert float(of_logits("generator_loss", logits, logits).total) == pytest.approx(-information, abs=1e-6)


def test_the_information_is_the_mutual_information_of_sample_and_class() -> None:
    logits = torch.randn(12, 5, generator=rng(), dtype=torch.float64)
    joint = torch.softmax(logits, 1) / 12
    independent = joint.sum(0) * joint.sum(1, keepdim=True)
    expected = float((joint * (joint / independent).log()).sum())
    told = of_logits("discriminator_loss", logits.float(), logits.float())
    assert float(told.watched["information"]) == pytest.approx(expected, abs=1e-5)


def test_labels_cost_their_cross_entropy() -> None:
    real, classes = torch.randn(8, 5, generator=rng()), torch.tensor([3, 0, 4])
    told = of_logits("discriminator_loss", real, real, Labelled(real[:3], classes))
    expected = -torch.log_softmax(real[:3], 1)[torch.arange(3), classes].mean()
    assert float(told.terms["labels"]) == pytest.approx(float(expected))
    assert "labels" not in of_logits("discriminator_loss", real, real).terms


@pytest.mark.parametrize(
    ("loss", "term", "reached"),
    [
        ("discriminator_loss", "balance", {"discriminator"}),
        ("discriminator_loss", "sure", {"discriminator"}),
        ("discriminator_loss", "fakes", {"discriminator", "generator"}),
        ("discriminator_loss", "consistency", {"discriminator"}),
        ("generator_loss", "balance", {"discriminator", "generator"}),
        ("generator_loss", "sure", {"discriminator", "generator"}),
    ],
)
def test_fakes_have_no_part_in_the_information_of_real_samples(loss: str, term: str, reached: set[str]) -> None:
    torch.manual_seed(0)
    method = game(consistency_weight=1.0)
    players: dict[str, nn.Module] = method.players()
    nets = Nets(players, {"discriminator": players["discriminator"]})
    made = getattr(method, loss)(nets, Batch(torch.rand(60, *DIGITS.shape)), method.draw(60, rng()), CLOCK)
    for name, player in players.items():
        weights = list(player.parameters())
        gradients = torch.autograd.grad(made.terms[term], weights, retain_graph=True, allow_unused=True)
        assert any(g is not None and bool(g.abs().max() > 0) for g in gradients) == (name in reached)


# Options, presets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 10, 13])
@pytest.mark.parametrize("options", [{}, {"warmup_epochs": 1, "warmup_batch_size": 60, "consistency_weight": 1.0}])
def test_every_option_plays_to_the_end(options: dict[str, Any], k: int, digits: Dataset) -> None:
    method = game(Task(digits.shape, k, len(digits)), **options)
    training = Game(method, Batches(digits.unlabelled()), 0)
    rows = [moment.row for moment in play(training) if moment.row]
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    players = settle(training)
    embedding = players.embed(training.batches)
    assert np.allclose(embedding.sum(1), 1, atol=1e-5)
    samples = players.generate(3, seed=0)
    assert samples is not None
    assert samples.shape == (k, 3, *digits.shape)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_presets_can_be_played_on_every_kind_of_data(kind: str) -> None:
    task = EXAMPLES[kind]
    for name, preset in CatGAN.presets(task).items():
        method = CatGAN(Config(**preset.values), task)
        assert method.phases()
        with torch.device("meta"):
            assert set(method.players()) >= {"discriminator", "generator"}
        assert (method.extensions() == []) == (name != "default" or not task.is_images)


def test_generated_samples_come_in_the_order_of_their_classes() -> None:
    method, fake = game(POINTS), torch.eye(5).repeat(2, 1)
    nets = Nets({"discriminator": lambda x: x, "generator": lambda z: fake}, {})
    samples = method.generate(nets, 2, rng())
    assert samples is not None
    assert torch.equal(samples, torch.eye(5).repeat_interleave(2, 0).view(5, 2, 5))


def test_a_discriminator_that_tells_nothing_is_a_symptom() -> None:
    row: dict[str, Any] = {"phase": "adversarial", "epoch": 5, "discriminator.information": 0.1}
    assert "D's classes tell 0.10 of 2.30 nats" in game().symptoms(row)[0]
    assert game().symptoms(row | {"epoch": 4}) == game().symptoms(row | {"discriminator.information": 1.0}) == []
    assert game(Task((1, 8, 8), 1, 240)).symptoms(row | {"discriminator.information": 0.0}) == []


# Runs -----------------------------------------------------------------------------------------------------------------


def test_stopped_and_resumed_it_ends_with_the_same_bytes(tmp_path: Path, digits: Dataset) -> None:
    options = {"warmup_epochs": 1, "warmup_batch_size": 60, "epochs": 1, "consistency_weight": 1.0}

    def ask(moment: Moment) -> None:
        if moment.played == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    wanted, run = (placed(tmp_path / name, digits, "catgan", labels=20, **options) for name in ("straight", "stopped"))
    train(wanted, digits)
    with pytest.raises(Interrupted):
        train(run, digits, ask)
    train(run, digits)
    assert outcome(run) == outcome(wanted)


def test_with_labels_a_cluster_is_a_class(tmp_path: Path, digits: Dataset) -> None:
    run = placed(tmp_path, digits, "catgan", labels=100, epochs=40, width=0.25, lr=1e-3)
    train(run, digits)
    found, labels = run.arrays()["clusters/posterior"], digits.labels
    assert labels is not None
    assert (found == labels).mean() > 0.8


def test_the_game_keeps_the_digits_that_the_warm_up_found(digits: Dataset) -> None:
    options = {"warmup_epochs": 40, "warmup_batch_size": 120, "epochs": 3, "width": 0.25, "consistency_weight": 1.0}
    training = Game(game(Task(digits.shape, 10, len(digits)), **options), Batches(digits.unlabelled()), 0)
    list(play(training))
    assert digits.labels is not None
    assert metrics.scores(digits.labels, settle(training).embed(training.batches).argmax(1), 10)["acc"] > 0.6
