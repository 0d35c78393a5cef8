"""DC-GMM: y's step is the least of its quadratic, the tie closes, the loss by hand, and a run that finds digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from games import stopped_and_resumed

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.data.embedded import gaussians_8
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.methods.base import Batch, Clock, Nets, Row, Task
from gancluster.methods.dcgmm import DCGMM, GAME, Config, Copies, pulled
from gancluster.methods.mixture import Mixture, Model

everywhere = pytest.mark.parametrize("model", get_args(Model))
K, D, N = 3, 2, 300
CLOCK = Clock(torch.zeros(()))
SHORT: dict[str, Any] = {"pretrain_epochs": 20, "epochs": 3, "batch_size": 60, "width": 0.1}


def game(dataset: Dataset, **options: Any) -> Game:
    task = Task(dataset.shape, dataset.n_classes or 10, len(dataset), dataset.pixel_range)
    return Game(DCGMM(Config(**SHORT | options), task), Batches(dataset.unlabelled()), seed=0)


def rows_of(training: Game) -> list[Row]:
    return [moment.row for moment in play(training) if moment.row]


def accuracy(training: Game, dataset: Dataset) -> float:
    (found,) = training.method.assign(settle(training).embed(training.batches), np.empty(0)).values()
    assert dataset.labels is not None
    return float(metrics.scores(dataset.labels, found, training.method.task.n_clusters)["acc"])


# The rounds -----------------------------------------------------------------------------------------------------------


def points(n: int = N) -> torch.Tensor:
    """Three oblique blobs of the plane, near enough to each other for some points to belong to two."""
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]).double()
    oblique = torch.tensor([[1.0, 0.6], [0.0, 0.5]]).double()
    return centres[torch.arange(n) % K] + torch.randn(n, D, generator=rng, dtype=torch.float64) @ oblique


def theta(model: Model) -> Mixture:
    mixture = Mixture(K, D, N, model).double()
    mixture.fit(points(), 0.1, seed=0)
    return mixture


def cost(y: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """G of each y, but for a constant."""
    scores = mixture.scores(y)
    return -(scores.amax(1) if mixture.model == "kmeans" else scores.logsumexp(1))


def held(y: torch.Tensor, before: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """Σ_k r_k of minus the scores of y, r from the y `before`: the quadratic, but for a constant."""
    scores = mixture.scores(before)
    shares = torch.eye(K).double()[scores.argmax(1)] if mixture.model == "kmeans" else scores.softmax(1)
    return -(shares * mixture.scores(y)).sum(1)


@everywhere
@pytest.mark.parametrize("weight", [0.0, 0.2, 5.0])
def test_the_step_of_y_is_where_its_objective_has_no_slope(model: Model, weight: float) -> None:
    mixture, before = theta(model), points()
    v = before + torch.randn(N, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = pulled(v, before, mixture, weight).requires_grad_()
    objective = weight * held(y, before, mixture) + (y - v).square().sum(1) / 2
    (slope,) = torch.autograd.grad(objective.sum(), y)
    assert float(slope.abs().max()) < 1e-10


@everywhere
def test_the_quadratic_touches_the_cost_and_is_nowhere_below_it(model: Model) -> None:
    mixture, before, y = theta(model), points(), points().flip(0).requires_grad_()
    at = before.clone().requires_grad_()
    slopes = [torch.autograd.grad(f.sum(), at)[0] for f in (cost(at, mixture), held(at, before, mixture))]
    torch.testing.assert_close(*slopes)
    rise = held(y, before, mixture) - held(before, before, mixture)
    assert bool((rise >= cost(y, mixture) - cost(before, mixture) - 1e-10).all())


@everywhere
@pytest.mark.parametrize("weight", [0.2, 5.0])
def test_a_step_of_y_never_raises_the_augmented_lagrangian(model: Model, weight: float) -> None:
    mixture, y = theta(model), points()
    v = y + torch.randn(N, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = list[torch.Tensor]()
    for _ in range(5):
        values.append(weight * cost(y, mixture) + (y - v).square().sum(1) / 2)
        y = pulled(v, y, mixture, weight)
    assert bool((torch.stack(values).diff(dim=0) <= 1e-10).all())


def test_by_k_means_y_lies_between_what_it_is_tied_to_and_the_nearest_mean() -> None:
    mixture, z, weight = theta("kmeans"), points(), 0.25
    copies = Copies(N, D).double()
    copies.begin(z)
    copies.follow(z, mixture, weight)
    y, u = copies(torch.arange(N)).unbind(1)
    mean = mixture.means[torch.cdist(z, mixture.means).argmin(1)]
    assert torch.allclose(y, (z + weight * mean) / (1 + weight))
    assert torch.allclose(u, z - y)


@everywhere
def test_multipliers_are_the_slope_of_the_cost_and_the_tie_closes(model: Model) -> None:
    """The network's step made exact, for a network that may give any latents: it stays near where it began."""
    mixture, x, weight, tie = theta(model), points(), 0.1, 3.0
    z, copies, residuals = x, Copies(N, D).double(), list[float]()
    copies.begin(z)
    for _ in range(200):
        copies.follow(z, mixture, weight / tie)
        y, u = copies.pair.unbind(1)
        z = (x + tie * (y - u)) / (1 + tie)  # the least of |z - x|² / 2 + ρ |z - y + u|² / 2
        residuals.append(float((z - y).norm(dim=1).max()))
    assert residuals[-1] < 1e-6 < 1e-3 < residuals[0]
    at = y.clone().requires_grad_()
    (slope,) = torch.autograd.grad(weight * cost(at, mixture).sum(), at)
    torch.testing.assert_close(tie * u, slope, atol=1e-5, rtol=0)
    torch.testing.assert_close(x - z, slope, atol=1e-5, rtol=0)  # a stationary point of the problem itself


# The game -------------------------------------------------------------------------------------------------------------


def test_the_loss_is_half_the_squared_errors_of_a_sample_and_of_its_tie(digits: Dataset) -> None:
    torch.manual_seed(0)
    training = game(digits, tie=3.0)
    method, players, index = training.method, training.method.players(), torch.tensor([5, 200, 17])
    players["copies"].get_buffer("pair").copy_(torch.randn(len(digits), 2, 10))
    x, pair = training.batches.at(index), players["copies"].get_buffer("pair")[index]
    with torch.no_grad():
        loss = method.loss(Nets(players, {}), Batch(x, where=index), (), CLOCK)
    z = players["encoder"](x).detach()
    errors, ties, apart = [], [], []
    for i in range(3):
        errors.append(float((players["decoder"](z[i : i + 1])[0].detach() - x[i]).square().sum() / 2))
        ties.append(float(3.0 / 2 * (z[i] - pair[i, 0] + pair[i, 1]).square().sum()))
        apart.append(float((z[i] - pair[i, 0]).square().sum()))
    assert float(loss.terms["reconstruction"]) == pytest.approx(np.mean(errors), rel=1e-5)
    assert float(loss.terms["tie"]) == pytest.approx(np.mean(ties), rel=1e-5)
    assert float(loss.watched["residual"]) == pytest.approx(np.mean(apart), rel=1e-5)


def test_a_round_comes_before_every_epoch_and_copies_are_held_in_between(digits: Dataset) -> None:
    training, seen = game(digits), list[torch.Tensor]()
    for moment in play(training):
        if moment.phase == GAME or moment.played == 80:
            pair = training.state.buffers["copies"]["pair"]
            if moment.row and not training.is_over:
                seen.append(pair)
            else:
                assert torch.equal(pair, seen[-1])
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1])


@everywhere
def test_no_cluster_is_empty_after_any_round(model: Model, digits: Dataset) -> None:
    training = game(digits, mixture=model, cluster_weight=1.0, tie=1.0)
    for moment in play(training):
        if moment.row and training.state.phase == 1:
            assert len(training.state.buffers["mixture"]["clusters"].unique()) == 10


@pytest.mark.parametrize(("tolerance", "epochs"), [(0.0, 3), (1.0, 1)])
def test_it_is_over_once_a_fit_moves_hardly_any_sample(tolerance: float, epochs: int, digits: Dataset) -> None:
    rows = rows_of(game(digits, tolerance=tolerance))
    assert [row["phase"] for row in rows[20:]] == [GAME] * epochs


@everywhere
def test_digits_are_found_and_latents_come_near_their_copies(model: Model, digits: Dataset) -> None:
    training = game(digits, mixture=model, epochs=15)
    rows = [row for row in rows_of(training) if row["phase"] == GAME]
    assert float(rows[-1]["encoder.residual"]) < 0.1
    assert accuracy(training, digits) > 0.5  # by chance .1


def test_vectors_are_clustered_too() -> None:
    blobs = gaussians_8(Path(), "all")
    some = blobs.take(np.arange(0, len(blobs), 4))
    training = game(some, latent_size=2, lr_pretrain=3e-3)
    list(play(training))
    assert accuracy(training, some) > 0.6


def test_stopped_anywhere_it_comes_to_the_same_bytes(digits: Dataset, tmp_path: Path) -> None:
    places = (78, 80, 83, 84)  # 80 steps of pre-training, 4 a round
    assert all(stopped_and_resumed(lambda: game(digits), places, tmp_path))
