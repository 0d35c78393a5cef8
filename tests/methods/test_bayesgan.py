"""Bayesian GAN as a clusterer: one numbering for all members, predictions averaged, every option, the same bytes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import outcome, placed
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import Moment, play
from gancluster.engine.trained import settle
from gancluster.errors import Interrupted, UserError
from gancluster.methods.base import EXAMPLES, Nets, Task
from gancluster.methods.bayesgan import BayesGAN, Config, alignment
from gancluster.networks.blocks import BatchNorm
from gancluster.optim import SGHMC, Adam, NearSGD
from gancluster.runs.run import Run
from gancluster.runs.training import train, trained

FAST: dict[str, Any] = {"members": 2, "epochs": 1, "sampling_epochs": 1, "batch_size": 60, "width": 0.125}


def method(task: Task = EXAMPLES["small images"], **options: Any) -> BayesGAN:
    return BayesGAN(Config(**FAST | options), task)


def started(dataset: Dataset, k: int = 10, **options: Any) -> Game:
    return Game(method(Task(dataset.shape, k, len(dataset)), **options), Batches(dataset.unlabelled()), 0)


# One numbering --------------------------------------------------------------------------------------------------------


def test_alignment_finds_a_renumbering_again_though_a_third_of_the_samples_have_moved() -> None:
    rng = np.random.default_rng(0)
    reference, numbers = rng.integers(0, 6, 500), rng.permutation(6)
    clusters = numbers[reference]
    moved = rng.random(500) < 1 / 3
    clusters[moved] = rng.integers(0, 6, moved.sum())
    np.testing.assert_array_equal(alignment(reference, clusters, 6), numbers)


def test_alignment_is_one_to_one_where_clusters_are_empty() -> None:
    found = alignment(np.array([0, 0, 3, 3]), np.array([2, 2, 1, 2]), 4)
    assert sorted(found) == [0, 1, 2, 3]
    assert (found[0], found[3]) == (2, 1)


def posteriors(clusters: np.ndarray[Any, Any], sureness: float, k: int) -> np.ndarray[Any, Any]:
    """Log posteriors `(n, k)` that give each sample's cluster `sureness`, the others the rest."""
    likely = np.full((len(clusters), k), (1 - sureness) / (k - 1), np.float32)
    likely[np.arange(len(clusters)), clusters] = sureness
    return np.log(likely)


def test_members_that_number_their_clusters_differently_are_averaged_cluster_by_cluster() -> None:
    """Each member errs on samples of its own, so the population errs on none."""
    k, rng = 5, np.random.default_rng(1)
    true = np.arange(300) % k
    wrong = np.array_split(rng.permutation(300)[:90], 3)
    members = []
    for numbers, off in zip([np.arange(k), rng.permutation(k), rng.permutation(k)], wrong, strict=True):
        own = true.copy()
        own[off] = (own[off] + 1) % k
        members.append(posteriors(numbers[own], 0.6, k))
    embedding = np.concatenate(members, 1)
    one = method(Task((6,), k, 300), members=3)
    found = one.assign(embedding, one.centres(embedding, 0))
    np.testing.assert_array_equal(found["population"], true)
    assert (found["member"] != true).sum() == 30


def test_a_sure_member_outweighs_two_that_waver() -> None:
    sure, wavering = np.log([[0.98, 0.01, 0.01]]), np.log([[0.3, 0.4, 0.3]])
    one = method(Task((6,), 3, 300), members=3)
    embedding = np.concatenate([wavering, wavering, sure], 1).astype(np.float32)
    found = one.assign(embedding, np.tile(np.arange(3, dtype=np.float32), (3, 1)))
    assert (found["population"].item(), found["member"].item()) == (0, 1)


def test_after_the_warm_up_all_members_number_their_clusters_alike(digits: Dataset) -> None:
    training = started(digits, members=3, warmup_epochs=8, warmup_batch_size=120)
    next(moment for moment in play(training) if moment.phase == "warm-up" and training.state.phase == 1)
    samples = training.batches.at(torch.arange(len(digits)))
    with torch.no_grad():
        first, *others = [training.nets({})[name](samples).argmax(1).numpy() for name in training.method.encoders()]
    for clusters in others:
        assert (alignment(first, clusters, 10) == np.arange(10)).sum() >= 9
        assert (clusters != first).any()  # each has a partition of its own


# The population -------------------------------------------------------------------------------------------------------


class Saying(nn.Module):
    """A generator that says who it is."""

    def __init__(self, name: float) -> None:
        super().__init__()
        self.name = name

    def forward(self, code: Tensor) -> Tensor:
        return torch.full((len(code), 6), self.name)


def test_of_the_mixture_s_samples_every_member_makes_the_same_share() -> None:
    one = method(Task((6,), 3, 300), members=3)
    made = one.mixture(Nets({f"generator-{m}": Saying(m) for m in (1, 2, 3)}, {}))(torch.zeros(8, 4))
    assert made[:, 0].tolist() == [1, 2, 3, 1, 2, 3, 1, 2]


def test_burn_in_is_adam_s_and_then_the_sampler_moves_everybody() -> None:
    for name, kind in {"sghmc": SGHMC, "released": NearSGD}.items():
        _, burn_in, sampling = method(sampler=name, warmup_epochs=1).phases()
        everybody = {f"{player}-{m}" for player in ("generator", "discriminator", "recogniser") for m in (1, 2)}
        assert {m for turn in sampling.rounds[0] for m in turn.movers} == everybody
        assert all(isinstance(burn_in.optimizer_of(player), Adam) for player in everybody)
        assert all(isinstance(sampling.optimizer_of(player), kind) for player in everybody)
    sampler = method(friction=0.2, prior_std=0.5, temperature=0.1, lr_sampling=0.01).sampler()
    assert isinstance(sampler, SGHMC)
    assert (sampler.n, sampler.friction, sampler.prior_std, sampler.temperature) == (1797, 0.2, 0.5, 0.1)
    assert [phase.name for phase in method(sampling_epochs=0).phases()] == ["burn-in"]


def test_every_member_s_batch_norm_is_calibrated(digits: Dataset) -> None:
    training = started(digits)
    list(play(training))
    players = settle(training)
    for name in ("recogniser-1", "recogniser-2"):
        norms = [layer for layer in players.modules[name].modules() if isinstance(layer, BatchNorm)]
        assert norms
        assert all(not layer.training and float(layer.mean.abs().max()) > 0 for layer in norms)
    whole = players.embed(training.batches)
    alone = players.embed(Batches(digits.take(np.array([17]))))
    np.testing.assert_allclose(alone[0], whole[17], atol=1e-5)
    np.testing.assert_allclose(np.exp(whole).reshape(-1, 2, 10).sum(2), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("k", "options"),
    [
        (2, {}),
        (13, {"sampler": "released", "norm": "none", "noise": "normal"}),
        (10, {"members": 1, "temperature": 0.0, "warp": 1.0, "pixel_noise": 0.1}),
        (10, {"members": 3, "sampling_epochs": 0, "warmup_epochs": 1, "warmup_batch_size": 60}),
    ],
    ids=str,
)
def test_every_option_plays_to_the_end(k: int, options: dict[str, Any], digits: Dataset) -> None:
    training = started(digits, k, **options)
    rows = [moment.row for moment in play(training) if moment.row]
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    players, members = settle(training), training.method.config.members
    embedding = players.embed(training.batches)
    centres = training.method.centres(embedding, 0)
    assert centres.shape == (members, k)
    for found in training.method.assign(embedding, centres).values():
        assert found.shape == (len(digits),)
        assert 0 <= found.min() <= found.max() < k
    assert players.features(training.batches).shape == (len(digits), 128 * members)
    samples = players.generate(3, seed=0)
    assert samples is not None
    assert samples.shape == (k, 3, *digits.shape)


# Presets, refusals, the same bytes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_member_moves(kind: str) -> None:
    task = EXAMPLES[kind]
    for preset in BayesGAN.presets(task).values():
        one = BayesGAN(Config(**preset.values), task)
        everybody = {f"{name}-{m}" for name in ("generator", "discriminator", "recogniser") for m in one.members}
        assert {m for phase in one.phases() for turns in phase.rounds for t in turns for m in t.movers} >= everybody


def test_the_papers_settings() -> None:
    task = EXAMPLES["grey images"]
    paper = Config(**BayesGAN.presets(task)["paper"].values)
    sizes = (paper.members, paper.friction, paper.prior_std, paper.batch_size, paper.noise_size)
    assert sizes == (10, 0.01, 1, 64, 100)
    assert BayesGAN(paper, task).extensions() == []


def test_a_temperature_other_than_bayes_is_an_extension_and_refused_where_there_is_none() -> None:
    assert method(temperature=0.5).extensions() == ["temperature"]
    with pytest.raises(UserError, match="--temperature has no meaning with --sampler released"):
        method(temperature=0.5, sampler="released")
    with pytest.raises(UserError, match="--friction has no meaning with --sampler released"):
        method(friction=0.5, sampler="released")
    with pytest.raises(UserError, match="--batch-size 9 is less than the 10 clusters"):
        method(batch_size=9)


def test_a_generator_that_ignores_its_class_is_a_symptom_in_any_member() -> None:
    row: dict[str, Any] = {"phase": "burn-in", "epoch": 5, "discriminator-1.bound": 2.0, "discriminator-2.bound": 0.1}
    assert "G ignores its class" in method().symptoms(row)[0]
    assert method().symptoms(row | {"discriminator-2.bound": 1.0}) == []
    assert method().symptoms({"phase": "warm-up", "epoch": 9}) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Run:
    run = placed(tmp_path_factory.mktemp("population"), digits, "bayesgan", **FAST)
    train(run, digits)
    return run


def test_stopped_after_every_step_it_comes_to_the_same_bytes(tmp_path: Path, undisturbed: Run, digits: Dataset) -> None:
    """Also while it samples: what disturbs a player is a function of seed, step and turn."""
    run = placed(tmp_path, digits, "bayesgan", **FAST)

    def stop(moment: Moment) -> None:
        signal.raise_signal(signal.SIGTERM)

    for _ in range(8):
        with pytest.raises(Interrupted):
            train(run, digits, stop, save_every=1000)
    train(run, digits)
    assert outcome(run) == outcome(undisturbed)


def test_a_finished_run_embeds_again_as_it_did(undisturbed: Run, digits: Dataset) -> None:
    embedding = trained(undisturbed).embed(Batches(digits.unlabelled()))
    np.testing.assert_array_equal(embedding, undisturbed.arrays()["embedding"])
    assert list(undisturbed.result()["scores"]) == ["population", "member"]
