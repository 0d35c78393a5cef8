"""GAN-EM's presets, and short runs of it to their end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from em import clusters, game, played, started

from gancluster import metrics
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.trained import settle
from gancluster.methods.base import EXAMPLES, Nets, Task
from gancluster.methods.ganem import GANEM, Config

VECTORS = Task((6,), 3, 200)
kinds = pytest.mark.parametrize("kind", EXAMPLES)


@kinds
def test_presets_are_there_for_every_kind_of_data_and_can_be_played(kind: str) -> None:
    task = EXAMPLES[kind]
    presets = GANEM.presets(task)
    assert {"default", "paper", "smoke"} <= set(presets)
    for preset in presets.values():
        assert preset.description
        for k in (task.n_clusters, 20, 30):
            other = task._replace(n_clusters=k)
            assert GANEM(Config(**GANEM.presets(other)["default"].values), other).phases()
        assert GANEM(Config(**preset.values), task).phases()


@kinds
def test_the_recipe_for_images_is_for_images(kind: str) -> None:
    task = EXAMPLES[kind]
    config = Config(**GANEM.presets(task)["default"].values)
    assert (config.warmup_epochs > 0, config.self_training) == ((True, 3) if task.is_images else (False, 0))


@kinds
def test_the_papers_preset_is_what_is_printed(kind: str) -> None:
    config = Config(**GANEM.presets(EXAMPLES[kind])["paper"].values)
    assert (config.optimizer, config.lr_generator, config.lr_discriminator, config.lr_encoder) == (
        *("rmsprop", 2e-4),
        *(2e-4, 2e-4),
    )
    assert (config.form, config.order, config.prior, config.encoder_norm) == ("kl", "generator", "estimated", "batch")
    assert (config.m_epochs, config.e_steps, config.lr_decay, config.width) == (5, 1000, 0.98, 1.0)
    assert (config.m_batch_size, config.e_batch_size, config.codes) == (64, 256, "drawn")
    assert (config.warp, config.pixel_noise, config.consistency_weight, config.warmup_epochs) == (0, 0, 0, 0)


@kinds
def test_a_smoke_run_takes_few_steps(kind: str) -> None:
    task = EXAMPLES[kind]
    values = GANEM.presets(task)["smoke"].values
    phases = GANEM(Config(**values), task).phases()
    assert sum(phase.epochs * (phase.steps or 240 // phase.batch_size) for phase in phases) <= 60


@pytest.mark.parametrize("k", [10, 20, 30])
def test_a_smoke_run_plays_to_the_end(k: int, digits: Dataset) -> None:
    values = GANEM.presets(Task(digits.shape, k, len(digits)))["smoke"].values
    training = started(digits, k, **values)
    rows = list(played(training))
    assert len(rows) == sum(phase.epochs for phase in training.phases)
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    players = settle(training)
    embedding = players.embed(training.batches)
    assert np.allclose(embedding.sum(1), 1, atol=1e-5)
    found = clusters(training)
    assert found.shape == (len(digits),)
    assert 0 <= found.min() <= found.max() < k
    samples = players.generate(3, seed=0)
    assert samples is not None
    assert samples.shape == (k, 3, *digits.shape)
    assert 0 <= samples.min() < samples.max() <= 1


@pytest.mark.parametrize(
    "options",
    [
        {"form": "kl", "order": "generator", "optimizer": "rmsprop", "prior": "estimated", "encoder_norm": "batch"},
        {"codes": "drawn", "noise": "normal", "frozen_generator": False, "encoder_norm": "none", "m_batch_size": 33},
        {"consistency_weight": 1.0, "warp": 0.5, "pixel_noise": 0.1, "bottleneck": 2},
        {"warmup_epochs": 1, "warmup_batch_size": 60, "real_weight": 0.0},
    ],
    ids=str,
)
def test_every_switch_plays_to_the_end(options: dict[str, Any], digits: Dataset) -> None:
    training = started(digits, iterations=2, m_epochs=1, e_steps=3, **options)
    assert len(list(played(training))) == sum(phase.epochs for phase in training.phases)
    assert np.isfinite(settle(training).embed(training.batches)).all()


def test_the_encoder_learns_the_classes_that_the_generator_shows(digits: Dataset) -> None:
    options = {"m_epochs": 4, "e_steps": 60, "lr_encoder": 1e-3, "width": 0.25}
    rows = {str(row["phase"]): row for row in played(started(digits, iterations=2, **options))}
    loss, correct = (float(rows["E-step 2"][f"encoder.{term}"]) for term in ("classes", "correct"))
    assert loss < 0.5 * math.log(10)
    assert correct > 0.6


def test_generated_samples_come_cluster_by_cluster() -> None:
    method = game(VECTORS)
    nets = Nets({"generator": lambda code: code[:, :6]}, {})  # a sample that shows its class, then noise
    samples = method.generate(nets, 5, torch.Generator().manual_seed(0))
    assert samples is not None
    assert torch.equal(samples[:, :, :3], torch.eye(3)[:, None].expand(3, 5, 3))
    assert len(samples[:, :, 3].unique()) == 15


def test_the_cluster_is_the_most_likely_class() -> None:
    w = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]], np.float32)
    method = game(VECTORS)
    found = method.assign(w, method.centres(w, 0))
    assert {rule: clusters.tolist() for rule, clusters in found.items()} == {"posterior": [1, 0]}
    assert metrics.scores(np.array([1, 0]), found["posterior"], 3)["acc"] == 1


def test_a_few_labels_are_learnt_and_name_the_clusters(digits: Dataset) -> None:
    training = started(digits, labels=20, iterations=1, m_epochs=1, e_steps=5, encoder_norm="batch")
    before, after = "".join("L" if str(row["phase"]).startswith("labels") else "-" for row in played(training)).split(
        "--"
    )
    assert 0 < len(before) <= 20
    assert known_error(training) <= 0.05 or len(after) == 20
    found = clusters(training)
    assert digits.labels is not None
    assert (found == digits.labels).mean() > 0.3  # cluster k is class k


def known_error(training: Game) -> float:
    batches = training.batches
    said = training.nets({})["encoder"](batches.at(batches.known)).argmax(1)
    return float((said != batches.labels).double().mean())
