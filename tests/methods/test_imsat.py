"""IMSAT: entropies, perturbations and their radius against formulas; what is held; that it finds digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.errors import UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Loss, Nets, Task
from gancluster.methods.imsat import (
    IMSAT,
    Config,
    divergence,
    entropies,
    unit,
    worst_direction,
)

CLOCK = Clock(torch.zeros(()))
VECTORS = Task((5,), 3, 40)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def game(task: Task = VECTORS, **options: Any) -> IMSAT:
    return IMSAT(Config(**{"width": 0.01, "batch_size": 8} | options), task)


# The objective --------------------------------------------------------------------------------------------------------


def test_entropies_are_those_of_the_definition() -> None:
    logits = normal(50, 4)
    p = torch.softmax(logits, 1).numpy()
    marginal, conditional = entropies(logits)
    mean = p.mean(0)
    assert float(marginal) == pytest.approx(-(mean * np.log(mean)).sum())
    assert float(conditional) == pytest.approx(-(p * np.log(p)).sum(1).mean())
    information = (p * np.log(p / mean)).sum() / 50
    assert float(marginal - conditional) == pytest.approx(information)


def test_information_is_log_k_for_balanced_clusters_and_none_where_all_look_alike() -> None:
    sure, alike = 100 * torch.eye(4).repeat(3, 1), torch.zeros(12, 4)
    assert [float(h) for h in entropies(sure)] == pytest.approx([math.log(4), 0], abs=1e-6)
    assert [float(h) for h in entropies(alike)] == pytest.approx([math.log(4)] * 2)


def played(method: IMSAT, x: Tensor, noise: Tensor | None = None) -> tuple[Loss, dict[str, nn.Module]]:
    """The loss on samples `x`, all with a neighbour at distance 2, and the players it is taken at."""
    torch.manual_seed(0)
    players = method.players()
    players["classifier"][-1].weight.data.normal_(generator=rng())  # type: ignore[index, union-attr]
    players["neighbours"].get_buffer("distance").fill_(2.0)
    noise = method.draw(len(x), rng(1)) if noise is None else noise
    return method.loss(Nets(players, {}), Batch(x, where=torch.arange(len(x))), noise, CLOCK), players


@pytest.mark.parametrize("augmentation", ["vat", "rpt"])
def test_the_loss_is_augmentation_minus_weighted_information(augmentation: str) -> None:
    x = normal(8, 5).float()
    loss, players = played(game(augmentation=augmentation, info_weight=0.3, balance=1.0), x)
    marginal, conditional = entropies(players["classifier"](x).detach())
    rest = (loss.total - loss.terms["augmentation"]).detach()
    assert float(rest) == pytest.approx(-0.3 * float(marginal - conditional), rel=1e-5)
    assert float(loss.watched["information"].detach()) == pytest.approx(float(marginal - conditional), rel=1e-5)
    assert float(loss.terms["augmentation"].detach()) > 0
    heavy, _ = played(game(augmentation=augmentation, info_weight=0.3, balance=4.0), x)
    assert float(heavy.terms["marginal"]) == pytest.approx(4 * float(loss.terms["marginal"]))


def test_neither_the_prediction_nor_the_direction_is_pulled() -> None:
    """The gradient of the augmentation term is that of KL(constant || p(y | x + constant))."""
    method, x = game(), normal(8, 5).float()
    loss, players = played(method, x)
    classify, weights = players["classifier"], list(players["classifier"].parameters())
    held = classify(x).detach()
    r = worst_direction(classify, x, held, method.draw(8, rng(1)), 10.0)
    assert not r.requires_grad
    alone = divergence(held, classify(x + 0.25 * 2.0 * r)).mean()
    wanted = torch.autograd.grad(alone, weights)
    found = torch.autograd.grad(loss.terms["augmentation"], weights)
    assert all(torch.allclose(f, w, atol=1e-7) for f, w in zip(found, wanted, strict=True))
    still, players = played(game(radius=0.0), x)
    gradients = torch.autograd.grad(still.terms["augmentation"], list(players["classifier"].parameters()))
    assert max(float(g.abs().max()) for g in gradients) < 1e-6


# The perturbations ----------------------------------------------------------------------------------------------------


def test_the_worst_direction_is_a_power_iteration_on_the_fisher_information() -> None:
    """For p = softmax(W x): KL ≈ rᵀ H r / 2 with H = Wᵀ (diag p - p pᵀ) W, so that one iteration gives H u."""
    weight, x, start = normal(4, 6), normal(3, 6, seed=1), unit(normal(3, 6, seed=2))
    logits = x @ weight.T
    found = worst_direction(lambda s: s @ weight.T, x, logits, start, 1e-4)
    p = torch.softmax(logits, 1)
    fisher = torch.einsum("ki,bkl,lj->bij", weight, torch.diag_embed(p) - p[:, :, None] * p[:, None], weight)
    assert torch.allclose(found, unit((fisher @ start[:, :, None])[:, :, 0]), atol=1e-3)


def test_no_random_direction_changes_two_clusters_more_than_the_worst() -> None:
    weight, x = normal(2, 6), normal(3, 6, seed=1)
    logits = x @ weight.T
    worst = worst_direction(lambda s: s @ weight.T, x, logits, unit(normal(3, 6, seed=2)), 1e-3)
    change = divergence(logits, (x + 0.01 * worst) @ weight.T)
    for seed in range(100):
        other = divergence(logits, (x + 0.01 * unit(normal(3, 6, seed=10 + seed))) @ weight.T)
        assert bool((other < 1.05 * change).all())  # the two signs differ in third order


def test_directions_have_length_one_however_small_the_gradient() -> None:
    tiny = unit(torch.tensor([[3e-25, 4e-25], [0.0, 0.0], [30.0, 40.0]]))
    assert torch.allclose(tiny, torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.6, 0.8]]))


@pytest.mark.parametrize("augmentation", ["vat", "rpt"])
def test_samples_are_moved_by_a_share_of_the_distance_to_their_neighbour(augmentation: str) -> None:
    method, seen = game(augmentation=augmentation, radius=0.5), list[Tensor]()
    distances = torch.linspace(1, 4, 40)

    def classify(x: Tensor) -> Tensor:
        seen.append(x)
        return x[:, :3] ** 2

    nets = Nets({"classifier": classify, "neighbours": lambda index: distances[index]}, {})
    x, index = normal(8, 5).float(), torch.arange(30, 38)
    method.loss(nets, Batch(x, where=index), method.draw(8, rng()), CLOCK)
    assert torch.allclose((seen[-1] - x).norm(dim=1), 0.5 * distances[index], rtol=1e-5)
    assert len(seen) == (3 if augmentation == "vat" else 2)


def test_images_are_seen_from_minus_one_to_one_and_their_neighbours_too(digits: Dataset) -> None:
    task = Task(digits.shape, 10, len(digits), digits.pixel_range)
    training = Game(game(task, batch_size=60), Batches(digits.unlabelled()), 0)
    flat = digits.inputs.reshape(len(digits), -1) / 255 * 2 - 1
    wanted = NearestNeighbors(n_neighbors=11).fit(flat).kneighbors(flat)[0][:, 10]
    assert np.allclose(training.state.buffers["neighbours"]["distance"].numpy(), wanted, atol=1e-4)


# A run ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("augmentation", "least"), [("vat", 0.45), ("rpt", 0.25)])
def test_it_tells_digits_apart_far_above_chance(augmentation: str, least: float, digits: Dataset) -> None:
    task = Task(digits.shape, 10, len(digits), digits.pixel_range)
    method = game(task, batch_size=120, width=0.1, epochs=60, augmentation=augmentation)
    training = Game(method, Batches(digits.unlabelled()), 0)
    rows = [moment.row for moment in play(training) if moment.row]
    assert 0 < float(rows[0]["classifier.information"]) < float(rows[-1]["classifier.information"]) < math.log(10)
    embedding = settle(training).embed(training.batches)
    assert np.allclose(embedding.sum(1), 1, atol=1e-5)
    found = method.assign(embedding, method.centres(embedding, 0))["posterior"]
    assert digits.labels is not None
    assert metrics.scores(digits.labels, found, 10)["acc"] > least


@pytest.mark.parametrize("kind", EXAMPLES)
def test_no_preset_has_an_extension(kind: str) -> None:
    task = EXAMPLES[kind]
    for preset in IMSAT.presets(task).values():
        method = IMSAT(Config(**preset.values), task)
        assert method.extensions() == []
        assert method.draw(3, rng()).shape == (3, *task.shape)


def test_the_paper_s_settings() -> None:
    paper = Config(**IMSAT.presets(EXAMPLES["grey images"])["paper"].values)
    assert (paper.info_weight, paper.balance, paper.radius, paper.neighbour, paper.probe) == (0.1, 4.0, 0.25, 10, 10.0)
    assert (paper.epochs, paper.batch_size, paper.lr) == (50, 250, 2e-3)
    shapes = [tuple(w.shape) for w in IMSAT(paper, EXAMPLES["grey images"]).players()["classifier"].parameters()]
    assert [shape for shape in shapes if len(shape) == 2] == [(1200, 784), (1200, 1200), (10, 1200)]


def test_a_neighbour_that_nobody_has_is_refused() -> None:
    with pytest.raises(UserError, match="--neighbour 10: 10 samples have 9 neighbours each"):
        game(Task((5,), 3, 10))
