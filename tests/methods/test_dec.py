"""Auto-encoder + K-means, DEC, IDEC: where refinement starts, what it is held to, who moves, when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from games import stopped_and_resumed
from sklearn.cluster import KMeans

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.data.embedded import gaussians_8
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.methods.ae_kmeans import AEKMeans
from gancluster.methods.base import EXAMPLES, Batch, Clock, Nets, Row, Task
from gancluster.methods.dec import DEC, IDEC, REFINEMENT, sharpened

CLOCK = Clock(torch.zeros(()))
METHODS = [AEKMeans, DEC, IDEC]
FAST: dict[str, Any] = {"pretrain_epochs": 20, "batch_size": 60, "width": 0.1}
SHORT: dict[str, Any] = FAST | {"epochs": 3, "interval": None, "tolerance": 0.0, "optimizer": "adam", "lr": 1e-3}


def method_of(kind: Any, dataset: Dataset, **options: Any) -> Any:
    task = Task(dataset.shape, dataset.n_classes or 10, len(dataset), dataset.pixel_range)
    return kind(kind.config_type(**options), task)


def game(kind: Any, dataset: Dataset, seed: int = 0, **options: Any) -> Game:
    return Game(method_of(kind, dataset, **options), Batches(dataset.unlabelled()), seed)


def rows_of(training: Game) -> list[Row]:
    return [moment.row for moment in play(training) if moment.row]


def partition(training: Game) -> np.ndarray:
    embedding = settle(training).embed(training.batches)
    (found,) = training.method.assign(embedding, training.method.centres(embedding, training.seed)).values()
    return found


def q_of(training: Game) -> torch.Tensor:
    """Assignments of all samples by the players as they stand."""
    nets = training.nets({})
    return training.method.embed(nets, training.batches.at(torch.arange(len(training.batches))))


# The start ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start(digits: Dataset) -> Game:
    training = game(AEKMeans, digits, **FAST)
    list(play(training))
    return training


def test_the_auto_encoder_learns_and_k_means_of_its_latents_are_the_clusters(start: Game, digits: Dataset) -> None:
    errors = [float(row["encoder.reconstruction"]) for row in rows_of(game(AEKMeans, digits, **FAST))]
    assert errors[-1] < 0.5 * errors[0]
    latents = settle(start).embed(start.batches)
    wanted = KMeans(10, n_init=20, random_state=0).fit_predict(latents)
    assert metrics.scores(wanted, partition(start), 10)["acc"] > 0.98


@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_refinement_starts_from_the_partition_of_the_auto_encoder_and_k_means(
    kind: Any, start: Game, digits: Dataset
) -> None:
    training = game(kind, digits, **SHORT)
    moments = play(training)
    while training.phases[training.state.phase].name != REFINEMENT:
        assert next(moments).played <= 20 * 4
    assert np.array_equal(q_of(training).argmax(1).numpy(), partition(start))
    for name, weight in start.state.players["encoder"].items():
        assert torch.equal(weight, training.state.players["encoder"][name])


# The target -----------------------------------------------------------------------------------------------------------


def test_the_target_is_made_from_all_samples_before_every_epoch_and_then_held(digits: Dataset) -> None:
    training, seen = game(DEC, digits, **SHORT), list[torch.Tensor]()
    for moment in play(training):
        if moment.phase == REFINEMENT or moment.played == 80:
            p = training.state.buffers["target"]["p"]
            if moment.row and not training.is_over:
                assert torch.allclose(p, sharpened(q_of(training)), atol=1e-5)
                seen.append(p)
            else:
                assert torch.equal(p, seen[-1])
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1])


def test_a_batch_is_held_to_its_own_samples_targets(digits: Dataset) -> None:
    torch.manual_seed(0)
    method = method_of(DEC, digits, **SHORT)
    players = method.players()
    players["target"].get_buffer("p").copy_(torch.softmax(torch.randn(len(digits), 10), 1))
    index = torch.tensor([5, 200, 17])
    x = Batches(digits.unlabelled()).at(index)
    loss = method.loss(Nets(players, {}), Batch(x, where=index), (), CLOCK)
    q, p = method.embed(players, x), players["target"].get_buffer("p")[index]
    assert float(loss.total.detach()) == pytest.approx(float((p * (p / q).log()).sum(1).mean().detach()), rel=1e-4)


@pytest.mark.parametrize(("tolerance", "epochs"), [(0.0, 3), (1.0, 1)])
def test_it_is_over_once_hardly_any_sample_changes_its_cluster(tolerance: float, epochs: int, digits: Dataset) -> None:
    rows = rows_of(game(DEC, digits, **SHORT | {"tolerance": tolerance}))
    assert [row["phase"] for row in rows[20:]] == [REFINEMENT] * epochs


def test_an_interval_counts_steps(digits: Dataset) -> None:
    training = game(DEC, digits, **SHORT | {"interval": 7, "epochs": 2})
    assert [moment.played for moment in play(training) if moment.row][-2:] == [87, 94]


# Who moves ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "movers"), [(DEC, {"encoder", "centres"}), (IDEC, {"encoder", "decoder", "centres"})])
def test_only_idec_keeps_the_decoder(kind: Any, movers: set[str], digits: Dataset) -> None:
    training = game(kind, digits, **SHORT)
    before: dict[str, torch.Tensor] = {}
    for moment in play(training):
        flat = {name: torch.cat([w.flatten() for w in t.values()]) for name, t in training.state.players.items() if t}
        before = flat if moment.played == 80 else before
    assert {name for name, w in flat.items() if not torch.equal(w, before[name])} == movers


def test_idec_adds_the_error_of_redrawn_samples(digits: Dataset) -> None:
    torch.manual_seed(0)
    method = method_of(IDEC, digits, **SHORT, cluster_weight=0.3)
    players, index = method.players(), torch.arange(60)
    x = Batches(digits.unlabelled()).at(index)
    batch, nets = Batch(x, where=index), Nets(players, {})
    terms = method.loss(nets, batch, (), CLOCK).terms
    alone = DEC.loss(method, nets, batch, (), CLOCK).total
    redrawn = players["decoder"](players["encoder"](x))
    assert torch.allclose(terms["clusters"], 0.3 * alone)
    assert torch.allclose(terms["reconstruction"], F.mse_loss(redrawn, x))


# Runs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DEC, IDEC])
def test_refinement_sharpens_and_finds_digits(kind: Any, digits: Dataset) -> None:
    training = game(kind, digits, **SHORT | {"epochs": 20})
    certain = [float(q_of(training).max(1).values.mean()) for moment in play(training) if moment.played in (80, 160)]
    assert certain[1] > certain[0]
    assert digits.labels is not None
    assert metrics.scores(digits.labels, partition(training), 10)["acc"] > 0.55


def test_stopped_anywhere_it_comes_to_the_same_bytes(digits: Dataset, tmp_path: Path) -> None:
    assert all(stopped_and_resumed(lambda: game(IDEC, digits, **SHORT), (78, 80, 83, 84), tmp_path))


@pytest.mark.parametrize("kind", METHODS)
def test_vectors_are_clustered_too(kind: Any) -> None:
    blobs = gaussians_8(Path(), "all")
    some = blobs.take(np.arange(0, len(blobs), 4))
    options = FAST if kind is AEKMeans else SHORT
    training = game(kind, some, **options | {"latent_size": 2, "lr_pretrain": 3e-3})
    list(play(training))
    assert some.labels is not None
    assert metrics.scores(some.labels, partition(training), 8)["acc"] > 0.6


def test_the_papers_settings() -> None:
    task = EXAMPLES["grey images"]
    dec, idec = (kind.config_type(**kind.presets(task)["paper"].values) for kind in (DEC, IDEC))
    assert (dec.optimizer, dec.lr, dec.momentum, dec.batch_size, dec.tolerance) == ("sgd", 0.01, 0.9, 256, 0.001)
    assert (idec.optimizer, idec.lr, idec.interval, idec.cluster_weight, idec.width) == ("adam", 1e-3, 140, 0.1, 1.0)
    assert DEC(dec, task).extensions() == ["pre-training in one piece"]
