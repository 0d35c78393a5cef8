"""GANMM: K games that do not meet, who is given which samples, when; the classifier; runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from games import stopped_and_resumed
from torch import nn

from gancluster import critics, metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.errors import UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Nets, Task
from gancluster.methods.ganmm import GANMM, PRETRAINING, Config, chosen
from gancluster.networks import ganmm
from gancluster.optim import RMSprop

SMALL = EXAMPLES["small images"]
FAST: dict[str, Any] = {"width": 0.125, "batch_size": 60, "pretrain_epochs": 1, "epochs": 1, "classifier_steps": 1}
SHAPES = [(2,), (1, 8, 8), (1, 28, 28), (3, 18, 16)]


def clock(progress: float) -> Clock:
    return Clock(torch.tensor(progress))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Networks side by side ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_generators_and_critics_of_different_clusters_do_not_meet(shape: tuple[int, ...]) -> None:
    G, D = ganmm.generators(3, shape, 5, (0.0, 1.0), 0.125), ganmm.critics(3, shape, 0.125)
    z = torch.randn(4, 3, 5, requires_grad=True)
    samples = G(z)
    assert samples.shape == (4, 3, *shape)
    if len(shape) == 3:
        assert 0 <= float(samples.detach().min()) <= float(samples.detach().max()) <= 1
    (slope,) = torch.autograd.grad(samples[:, 1].square().sum(), z)
    assert bool((slope[:, 1] != 0).any())
    assert not slope[:, [0, 2]].any()
    x = torch.rand(4, 3, *shape, requires_grad=True)
    scores = D(x)
    assert scores.shape == (4, 3)
    (slope,) = torch.autograd.grad(scores[2, 1], x)
    assert bool((slope[2, 1] != 0).any())
    slope[2, 1] = 0
    assert not slope.any()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_networks_of_one_cluster_are_the_same_as_those_side_by_side(shape: tuple[int, ...]) -> None:
    """Each part of the weights is a net of its own: alone it gives what it gave beside the others."""
    torch.manual_seed(0)
    for many, one, x in (
        (ganmm.generators(3, shape, 5, (0.0, 1.0), 0.125), ganmm.generators(1, shape, 5, (0.0, 1.0), 0.125), (5,)),
        (ganmm.critics(3, shape, 0.125), ganmm.critics(1, shape, 0.125), shape),
    ):
        inputs = torch.rand(4, 3, *x)
        for k in range(3):
            one.load_state_dict(
                {n: w.view(3, -1)[k].view(one.state_dict()[n].shape) for n, w in many.state_dict().items()}
            )
            assert torch.allclose(one(inputs[:, k : k + 1])[:, 0], many(inputs)[:, k], atol=1e-5)


def test_the_sizes_are_the_released_code_s() -> None:
    with torch.device("meta"):
        D, G = ganmm.critics(1, (1, 28, 28), 1.0), ganmm.generators(1, (1, 28, 28), 128, (0.0, 1.0), 1.0)
        C, vectors = ganmm.classifier(10, (1, 28, 28), 1.0), ganmm.classifier(7, (19,), 1.0)
    found = [(m.in_channels, m.out_channels, m.kernel_size) for m in D if isinstance(m, nn.Conv2d)]
    assert found == [(1, 64, (5, 5)), (64, 128, (5, 5)), (128, 256, (5, 5))]
    found = [(m.in_channels, m.out_channels, m.kernel_size) for m in G if isinstance(m, nn.ConvTranspose2d)]
    assert found == [(256, 128, (5, 5)), (128, 64, (5, 5)), (64, 1, (5, 5))]
    assert [tuple(m.weight.shape) for m in G if isinstance(m, ganmm.Dense)] == [(1, 128, 4 * 4 * 256)]
    assert [(m.in_features, m.out_features) for m in C if isinstance(m, nn.Linear)] == [(7 * 7 * 128, 10)]
    assert [(m.in_features, m.out_features) for m in vectors if isinstance(m, nn.Linear)] == [(19, 64), (64, 7)]


# Who is given which samples -------------------------------------------------------------------------------------------


def test_without_exploration_each_pair_is_given_its_own_samples_each_as_often() -> None:
    p = torch.softmax(3 * torch.randn(40, 4, generator=rng()), 1)
    found = chosen(p, torch.rand(20_000, 4, generator=rng()), torch.zeros(()))
    for k in range(4):
        own = (p.argmax(1) == k) | (p[:, k] == p[:, k].max())
        counts = torch.bincount(found[:, k], minlength=40)
        assert torch.equal(counts > 0, own)
        assert torch.allclose(counts[own] / 20_000, torch.full((int(own.sum()),), 1 / int(own.sum())), atol=0.02)


def test_explored_samples_are_others_as_often_as_the_posterior_says() -> None:
    p = torch.softmax(torch.randn(12, 3, generator=rng()), 1)
    found = chosen(p, torch.rand(40_000, 3, generator=rng()), torch.ones(()))
    for k in range(3):
        others = (p.argmax(1) != k) & (p[:, k] < p[:, k].max())
        expected = torch.where(others, p[:, k], 0.0)
        shares = torch.bincount(found[:, k], minlength=12) / 40_000
        assert torch.allclose(shares, expected / expected.sum(), atol=0.01)


def test_a_pair_whose_cluster_is_empty_is_given_the_sample_that_is_nearest_to_it() -> None:
    p = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]])
    found = chosen(p, torch.rand(50, 2, generator=rng()), torch.zeros(()))
    assert set(found[:, 1].tolist()) == {1}


@pytest.mark.parametrize(("epsilon", "own"), [(0.5, 25), (0.2, 40), (0.1, 45), (0.04, 48)])
def test_of_fifty_samples_so_many_are_the_pair_s_own(epsilon: float, own: int) -> None:
    p = torch.eye(2)[torch.arange(10) % 2] * 0.8 + 0.1
    found = chosen(p, torch.rand(50, 2, generator=rng()), torch.tensor(epsilon))
    assert (found % 2 == torch.arange(2)).sum(0).tolist() == [own, own]


def test_exploration_falls_as_in_the_code() -> None:
    method = GANMM(Config(epochs=40), SMALL)
    for step, told in ((0, 0.5), (499, 0.5), (500, 0.2), (1000, 0.1), (1999, 0.1), (2000, 0.04), (3999, 0.04)):
        assert float(method.epsilon(clock(step / 4000))) == pytest.approx(told), step


# Losses ---------------------------------------------------------------------------------------------------------------


def parts(method: GANMM) -> tuple[Nets, dict[str, nn.Module], Batch]:
    torch.manual_seed(0)
    players = method.players()
    players["parts"].get_buffer("p").copy_(torch.eye(10)[torch.arange(1797) % 10])
    where = torch.randperm(1797)[:60]
    return Nets(players, {}), players, Batch(torch.rand(60, *SMALL.shape), where=where)


def test_before_em_each_critic_sees_its_part_of_the_data_and_its_generator() -> None:
    method = GANMM(Config(**FAST), SMALL)
    nets, players, batch = parts(method)
    assert batch.where is not None
    noise = method.draw(60, rng())
    told = method.discriminator_loss(nets, batch, noise, clock(0.0), alone=True).terms["adversarial"]
    index = chosen(players["parts"](batch.where), noise.places, torch.zeros(()))
    assert torch.equal(batch.where[index] % 10, torch.arange(10).expand(6, 10))
    D, G = players["discriminator"], players["generator"]
    by_pair = (D(G(noise.z)) - D(batch.inputs[index])).mean(0)
    assert torch.allclose(told, by_pair.mean(), atol=1e-6)
    assert torch.allclose(method.generator_loss(nets, batch, noise, clock(0.0)).total, -D(G(noise.z)).mean(), atol=1e-6)


def test_a_pair_s_slopes_are_those_of_its_own_game() -> None:
    method = GANMM(Config(**FAST, critic="wgan-gp"), SMALL)
    nets, players, batch = parts(method)
    noise = method.draw(60, rng())
    loss = method.discriminator_loss(nets, batch, noise, clock(0.0), alone=True, penalised=True)
    weight = players["discriminator"][1].weight
    (whole,) = torch.autograd.grad(loss.total, weight)
    real = batch.inputs[chosen(players["parts"](batch.where), noise.places, torch.zeros(()))][:, 3]
    fake, mix = players["generator"](noise.z)[:, 3], noise.mix.view(-1, 10)[:, 3]

    def score(x: torch.Tensor) -> torch.Tensor:
        """The fourth critic alone."""
        return players["discriminator"](torch.stack([x] * 10, 1))[:, 3]

    critic = critics.named("wgan-gp")
    penalty = critic.penalty(score, (real,), (fake,), mix)
    assert penalty is not None
    alone = critic.discriminator_loss(score(real), score(fake)) + penalty
    (own,) = torch.autograd.grad(alone, weight)
    assert torch.allclose(own[3] / 10, whole[3], atol=1e-6)
    assert not own[[k for k in range(10) if k != 3]].any()


def test_the_classifier_is_told_which_generator_made_a_sample() -> None:
    method = GANMM(Config(**FAST), SMALL)
    nets, players, batch = parts(method)
    noise = method.draw(60, rng())
    fakes = players["generator"](noise.z)
    logs = torch.log_softmax(players["classifier"](fakes.flatten(0, 1)), 1).view(6, 10, 10)
    expected = -torch.stack([logs[:, k, k] for k in range(10)]).mean()
    assert torch.allclose(method.classifier_loss(nets, batch, noise, clock(0.0)).total, expected, atol=1e-6)


# Runs -----------------------------------------------------------------------------------------------------------------


def test_generators_end_at_clusters_of_their_own(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancluster.methods.ganmm.STEPS", 40)
    task = Task(digits.shape, 10, len(digits))
    options = GANMM.presets(task)["default"].values | {"epochs": 3, "batch_size": 100, "pretrain_epochs": 1}
    training = Game(GANMM(Config(**options), task), Batches(digits.unlabelled()), 0)
    rows = [moment.row for moment in play(training) if moment.row]
    assert float(rows[-1]["classifier.correct"]) > float(rows[1]["classifier.correct"])
    players = settle(training)
    assert digits.labels is not None
    assert metrics.scores(digits.labels, players.embed(training.batches).argmax(1), 10)["acc"] > 0.4
    samples = players.generate(5, seed=0)
    assert samples is not None
    assert samples.shape == (10, 5, *digits.shape)


def test_stopped_anywhere_it_comes_to_the_same_bytes(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gancluster.methods.ganmm.STEPS", 5)
    task = Task(digits.shape, 10, len(digits))

    def game() -> Game:
        return Game(
            GANMM(Config(**FAST | {"critic": "wgan-gp", "batch_size": 30}), task), Batches(digits.unlabelled()), 3
        )

    assert all(stopped_and_resumed(game, (3, 5, 8), tmp_path))


def test_each_pair_begins_with_a_part_of_its_own(digits: Dataset) -> None:
    task = Task(digits.shape, 10, len(digits))
    found = [Game(GANMM(Config(**FAST), task), Batches(digits.unlabelled()), seed) for seed in (0, 0, 1)]
    first, same, other = (training.state.buffers["parts"]["p"] for training in found)
    assert found[0].phases[0].name == PRETRAINING
    assert first.sum(0).tolist() == [24] * 10
    assert torch.equal(first.sum(1), torch.ones(240))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_papers_settings() -> None:
    paper = Config(**GANMM.presets(EXAMPLES["grey images"])["paper"].values)
    method = GANMM(paper, EXAMPLES["grey images"])
    pretraining, em = method.phases()
    assert (pretraining.steps, pretraining.epochs, em.epochs) == (100, 5, 2000)
    turns = [(turn.movers, turn.repeat) for turn in em.rounds[0]]
    assert turns == [(("classifier",), 10), (("generator",), 1), (("discriminator",), 5)]
    rate = em.optimizer_of("discriminator")
    assert isinstance(rate, RMSprop)
    assert (rate.lr.start, rate.decay) == (5e-5, 0.9)
    assert method.extensions() == []


def test_a_pair_has_two_samples_or_more() -> None:
    task = SMALL._replace(n_clusters=30)
    assert GANMM.presets(task)["smoke"].values["batch_size"] == 60
    with pytest.raises(UserError, match="30 pairs want 2 samples each: let --batch-size be 60 or more"):
        GANMM(Config(batch_size=50), task)
