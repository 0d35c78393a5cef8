"""The other ClusterGAN: what its cycle asks for, who is moved by which loss, its prior, its rules, what it refuses."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from games import outcome, placed
from torch import Tensor, nn

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import Moment, play
from gancluster.engine.trained import settle
from gancluster.errors import Interrupted, UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Loss, Nets, Task
from gancluster.methods.clustergan_latent import ClusterGANLatent, Config, Noise, Reading
from gancluster.networks.blocks import BatchNorm
from gancluster.runs.training import train

DIGITS = EXAMPLES["small images"]
CLOCK = Clock(torch.zeros(()))
FAST: dict[str, Any] = {"epochs": 2, "batch_size": 60, "width": 0.125}


def game(task: Task = DIGITS, **options: Any) -> ClusterGANLatent:
    return ClusterGANLatent(Config(**FAST | options), task)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_of(z_c: Tensor, z_n: Tensor) -> Noise:
    warps: Any = ()
    return Noise(z_c, z_n, warps, torch.zeros(len(z_c)))


# The cycle ------------------------------------------------------------------------------------------------------------


def test_an_encoder_that_inverts_the_generator_has_no_loss_and_knows_all() -> None:
    told = game().draw(60, rng())
    found = game().cycle(Reading(told.z_n, 1e3 * told.z_c), told)
    assert float(found.total) == 0
    assert float(found.watched["bound"]) == pytest.approx(math.log(10))
    lost = game().cycle(Reading(torch.zeros_like(told.z_n), torch.zeros(60, 10)), told)
    assert float(lost.terms["class"]) == pytest.approx(10 * math.log(10), rel=1e-5)
    assert float(lost.terms["noise"]) == pytest.approx(10 * 0.1**2, rel=0.1)  # β_n σ², whatever the length


def test_the_best_encoder_of_a_generator_that_forgets_is_the_mean_noise_and_the_posterior() -> None:
    """G makes only 5 different samples of 400 codes: E can but say what is true of all codes of its sample."""
    n, k, points = 400, 4, 5
    sample = torch.randint(points, (n,), generator=rng())
    z_c = F.one_hot(torch.randint(k, (n,), generator=rng(1)), k).double()
    z_n = torch.randn(n, 3, generator=rng(2), dtype=torch.float64)
    member = F.one_hot(sample, points).double()
    means, posterior = ((member / member.sum(0)).T @ z for z in (z_n, z_c))
    method = game(Task((6,), k, 200), noise_weight=2.0, class_weight=3.0)

    def cycle(codes: Tensor, logits: Tensor) -> Loss:
        return method.cycle(Reading(codes[sample], logits[sample]), noise_of(z_c, z_n))

    best = (means, posterior.log())
    slopes = torch.func.grad(lambda found: cycle(*found).total)(best)
    assert all(slope.abs().max() < 1e-12 for slope in slopes)
    told = cycle(*best)
    share = member.mean(0)
    entropy = -(share[:, None] * posterior * posterior.log()).sum()  # H(z_c | sample)
    assert float(told.terms["class"]) == pytest.approx(3 * float(entropy))
    assert float(told.terms["noise"]) == pytest.approx(2 * float((z_n - means[sample]).square().mean()))
    for seed in range(5):
        other = [b + torch.randn(b.shape, generator=rng(seed), dtype=torch.float64) for b in best]
        worse = cycle(*other)
        assert all(worse.terms[term] > told.terms[term] for term in ("noise", "class"))


# Who is moved, and who is told what -----------------------------------------------------------------------------------


def losses(loss: str, **options: Any) -> tuple[dict[str, nn.Module], Loss]:
    torch.manual_seed(0)
    method = game(**options)
    players = method.players()
    nets = Nets(players, {"encoder": players["encoder"]})
    made: Loss = getattr(method, loss)(nets, Batch(torch.rand(60, *DIGITS.shape)), method.draw(60, rng()), CLOCK)
    return players, made


@pytest.mark.parametrize(
    ("loss", "term", "moved"),
    [
        ("discriminator_loss", "adversarial", {"discriminator", "generator"}),
        ("generator_loss", "adversarial", {"discriminator", "generator"}),
        ("generator_loss", "noise", {"encoder", "generator"}),
        ("generator_loss", "class", {"encoder", "generator"}),
        ("generator_loss", "consistency", {"encoder"}),
    ],
)
def test_a_term_has_gradients_where_it_should(loss: str, term: str, moved: set[str]) -> None:
    """The cycle's reach G through E; E has no part in the game with D, nor G in E's consistency."""
    players, made = losses(loss, consistency_weight=1.0)
    for name, player in players.items():
        gradients = torch.autograd.grad(made.terms[term], player.parameters(), retain_graph=True, allow_unused=True)
        assert any(g is not None and bool(g.abs().max() > 0) for g in gradients) == (name in moved)


def test_the_discriminator_moves_alone_and_generator_and_encoder_together() -> None:
    D, both = game().phases()[-1].rounds[0]
    assert (D.movers, D.repeat) == (("discriminator",), 5)
    assert (both.movers, both.repeat) == (("generator", "encoder"), 1)


def test_the_discriminator_is_told_no_code() -> None:
    """With a generator that draws the same whatever its code, its loss is the same whatever the codes."""
    torch.manual_seed(0)
    method, fixed = game(), torch.rand(60, *DIGITS.shape)
    nets = Nets(method.players() | {"generator": lambda z: fixed}, {})
    one, other = (
        method.draw(60, rng())._replace(z_c=torch.eye(10)[[c] * 60], z_n=torch.full((60, 30), c / 10)) for c in (2, 7)
    )
    batch = Batch(torch.rand(60, *DIGITS.shape))
    values = [method.discriminator_loss(nets, batch, noise, CLOCK, penalised=True).total for noise in (one, other)]
    assert torch.equal(*values)


# The prior ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["balanced", "drawn"])
def test_codes_are_one_class_each_and_never_between_two(how: str) -> None:
    drawn = game(codes=how).draw(2000, rng())
    assert set(drawn.z_c.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(drawn.z_c.sum(1), torch.ones(2000))
    assert float(drawn.z_n.std()) == pytest.approx(0.1, rel=0.02)
    counts = drawn.z_c.sum(0)
    assert (counts == 200).all() if how == "balanced" else 130 < counts.min() < counts.max() < 270


# The rules ------------------------------------------------------------------------------------------------------------


def test_cluster_k_is_the_class_k_and_both_rules_agree_on_clear_codes() -> None:
    method = game(noise_size=3)
    drawn = method.draw(500, rng())
    embedding = torch.cat([drawn.z_n, (8 * drawn.z_c).softmax(1)], 1).numpy()
    found = method.assign(embedding, method.centres(embedding, seed=0))
    assert list(found) == ["kmeans", "posterior"]
    for clusters in found.values():
        assert np.array_equal(clusters, drawn.z_c.argmax(1).numpy())


def test_kmeans_sees_the_noise_where_it_is_trained_and_only_there() -> None:
    inputs = torch.rand(60, *DIGITS.shape)
    for weight, size in ((10.0, 34), (0.0, 10)):
        method = game(noise_size=24, noise_weight=weight)
        assert method.embed(Nets(method.players(), {}), inputs).shape == (60, size)


# Options, presets, refusals -------------------------------------------------------------------------------------------


def started(dataset: Dataset, k: int = 10, **options: Any) -> Game:
    return Game(game(Task(dataset.shape, k, len(dataset)), **options), Batches(dataset.unlabelled()), 0)


@pytest.mark.parametrize(
    "options",
    [
        {"codes": "balanced", "noise": 1.0, "noise_size": 1, "noise_weight": 0.0, "lr_end": 0.0},
        {"warp": 1.0, "pixel_noise": 0.1, "consistency_weight": 1.0, "average": 0.1, "encoder_norm": "batch"},
        {"warmup_epochs": 1, "warmup_batch_size": 60, "class_weight": 0.0},
    ],
    ids=str,
)
def test_every_option_plays_to_the_end(options: dict[str, Any], digits: Dataset) -> None:
    training = started(digits, **options)
    rows = [moment.row for moment in play(training) if moment.row]
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    embedding = settle(training).embed(training.batches)
    assert np.allclose(embedding[:, -10:].sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("k", [2, 13])
def test_a_smoke_run_of_any_number_of_clusters_plays_to_the_end(k: int, digits: Dataset) -> None:
    task = Task(digits.shape, k, len(digits))
    method = ClusterGANLatent(Config(**ClusterGANLatent.presets(task)["smoke"].values), task)
    training = Game(method, Batches(digits.unlabelled()), 0)
    assert len([moment.row for moment in play(training) if moment.row]) == 2
    players = settle(training)
    embedding = players.embed(training.batches)
    for found in method.assign(embedding, method.centres(embedding, 0)).values():
        assert 0 <= found.min() <= found.max() < k
    samples = players.generate(3, seed=0)
    assert samples is not None
    assert samples.shape == (k, 3, *digits.shape)


def test_the_papers_settings() -> None:
    task = EXAMPLES["grey images"]
    paper = Config(**ClusterGANLatent.presets(task)["paper"].values)
    assert (paper.lr, paper.beta1, paper.beta2, paper.batch_size, paper.critic) == (1e-4, 0.5, 0.9, 64, "wgan-gp")
    assert (paper.noise_size, paper.noise, paper.noise_weight, paper.class_weight) == (30, 0.1, 10, 10)
    assert paper.epochs * task.n_samples / 64 == pytest.approx(500_000, rel=0.01)
    method = ClusterGANLatent(paper, task)
    assert method.extensions() == []
    assert not any(isinstance(layer, BatchNorm) for layer in method.players()["encoder"].modules())


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2,)], ids=str)
def test_generated_samples_have_the_shape_of_real_ones(shape: tuple[int, ...]) -> None:
    method = game(Task(shape, 5, 100))
    nets = Nets(method.players(), {})
    made = method.generated(nets, method.draw(6, rng()))
    assert made.shape == (6, *shape)
    read = method.read(nets, made)
    assert (read.z_n.shape, read.logits.shape) == ((6, 30), (6, 5))
    assert nets["discriminator"](made).shape == (6,)


def test_images_that_the_networks_cannot_halve_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="images with sides divisible by 4, not 30x30"):
        game(Task((1, 30, 30), 10, 100)).players()


def test_a_generator_that_ignores_its_class_is_a_symptom() -> None:
    row: dict[str, Any] = {"phase": "adversarial", "epoch": 5, "generator.bound": 0.1}
    assert "G ignores it" in game().symptoms(row)[0]
    assert game().symptoms(row | {"epoch": 4}) == game().symptoms(row | {"generator.bound": 1.0}) == []
    assert game(Task((1, 8, 8), 1, 240)).symptoms(row | {"generator.bound": 0.0}) == []


# Runs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 4, 7])
def test_stopped_and_resumed_it_ends_with_the_same_bytes(at: int, tmp_path: Path, digits: Dataset) -> None:
    """In the warm-up, as the game begins, and within it."""
    options = {"warmup_epochs": 1, "warmup_batch_size": 60, "epochs": 1, "consistency_weight": 1.0}
    options |= {"critic": "wgan-gp:repeat=2"}

    def ask(moment: Moment) -> None:
        if moment.played == at:
            os.kill(os.getpid(), signal.SIGTERM)

    wanted = placed(tmp_path / "straight", digits, "clustergan-latent", **options)
    train(wanted, digits)
    run = placed(tmp_path / "stopped", digits, "clustergan-latent", **options)
    with pytest.raises(Interrupted):
        train(run, digits, ask)
    train(run, digits)
    assert outcome(run) == outcome(wanted)


def test_the_game_keeps_the_digits_that_the_warm_up_found(digits: Dataset) -> None:
    options = {"warmup_epochs": 40, "warmup_batch_size": 120, "epochs": 3, "width": 0.25, "consistency_weight": 1.0}
    training = started(digits, critic="ns-gan", **options)
    list(play(training))
    embedding = settle(training).embed(training.batches)
    found = training.method.assign(embedding, training.method.centres(embedding, 0))["kmeans"]
    assert digits.labels is not None
    assert metrics.scores(digits.labels, found, 10)["acc"] > 0.6
