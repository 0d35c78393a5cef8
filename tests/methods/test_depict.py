"""DEPICT: both targets and what they minimise, where the softmax starts, noise, redrawn layers, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from games import stopped_and_resumed

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.errors import UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Nets, Row, Task
from gancluster.methods.dec import REFINEMENT, sharpened
from gancluster.methods.depict import DEPICT, START, Config, balanced
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks.depict import Decoder, Encoder

CLOCK = Clock(torch.zeros(()))
SHORT: dict[str, Any] = {"pretrain_epochs": 20, "start_epochs": 3, "epochs": 3, "batch_size": 60, "lr": 3e-3}
SHORT |= {"width": 0.25, "tolerance": 0.0}
GREY = EXAMPLES["grey images"]


def game(dataset: Dataset, **options: Any) -> Game:
    task = Task(dataset.shape, 10, len(dataset), dataset.pixel_range)
    return Game(DEPICT(Config(**SHORT | options), task), Batches(dataset.unlabelled()), 0)


def p_of(training: Game) -> torch.Tensor:
    """What the clean encoder says of all samples, by the players as they stand."""
    every = training.batches.at(torch.arange(len(training.batches)))
    return training.method.embed(training.nets({}), every).detach()


# The target -----------------------------------------------------------------------------------------------------------


def cost(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """KL(Q || P) + KL(f || uniform), f the mean of q: what the printed target is derived from."""
    f = q.mean(0)
    return (q * (q / p).log()).sum(1).mean() + (f * (f * q.shape[1]).log()).sum()


def test_the_printed_target_balances_and_the_code_s_is_its_square() -> None:
    p = torch.softmax(2 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), 1)
    q, f = balanced(p), p.sum(0)
    for row, wanted in zip(q, p, strict=True):
        assert torch.allclose(row, wanted / f.sqrt() / (wanted / f.sqrt()).sum(), atol=1e-6)
    squared = q.square() / q.square().sum(1, keepdim=True)
    assert torch.allclose(sharpened(p), squared, atol=1e-6)


def test_a_large_cluster_is_made_smaller_and_a_balanced_one_is_left() -> None:
    p = torch.tensor([[0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    assert bool((balanced(p)[:, 0] < p[:, 0]).all())
    assert torch.allclose(balanced(torch.full((6, 3), 1 / 3)), torch.full((6, 3), 1 / 3))
    even = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    assert torch.allclose(balanced(even), even)


def test_the_printed_target_lowers_the_cost_that_it_is_derived_from() -> None:
    for seed in range(20):
        p = torch.softmax(2 * torch.randn(40, 5, generator=torch.Generator().manual_seed(seed)), 1)
        assert float(cost(balanced(p), p)) < float(cost(p, p))


# The start ------------------------------------------------------------------------------------------------------------


def test_the_softmax_begins_with_k_means_centres_and_learns_its_partition(digits: Dataset) -> None:
    training = game(digits, start_epochs=40, epochs=1)
    for moment in play(training):
        if moment.played == 80:
            state = training.state
            latents = training.method.features(training.nets({}), training.batches.at(torch.arange(240))).numpy()
            centres = kmeans_centres(latents, 10, 0, unit=False)
            wanted = nearest(latents, centres, unit=False)
            assert torch.allclose(state.players["softmax"]["weight"], F.normalize(torch.from_numpy(centres), dim=1))
            assert np.array_equal(state.buffers["target"]["p"].argmax(1).numpy(), wanted)
            assert training.phases[state.phase].name == START
        if moment.phase == START and moment.epoch == 40:
            found = p_of(training).argmax(1).numpy()
    assert float((found == wanted).mean()) > 0.7


# Losses ---------------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_divergence_from_the_target_and_the_layers_errors() -> None:
    torch.manual_seed(0)
    method = DEPICT(Config(width=0.2, layer_weight=0.3, redraw_weight=2.0), EXAMPLES["small images"])
    players, x, where = method.players(), torch.rand(6, 1, 8, 8), torch.tensor([5, 200, 17, 3, 9, 1000])
    players["target"].get_buffer("p").copy_(torch.softmax(torch.randn(1797, 10), 1))
    noise = method.draw(6, torch.Generator().manual_seed(0))
    nets = Nets(players, {})
    terms = method.loss(nets, Batch(x, where=where), noise, CLOCK).terms
    E, q = players["encoder"], players["target"].get_buffer("p")[where]
    noisy = E(x, noise)
    p = torch.softmax(players["softmax"](noisy), 1)
    assert torch.allclose(terms["clusters"], (q * (q / p).log()).sum(1).mean(), atol=1e-6)
    first, second, _ = E(x, every=True)
    x_hat, first_hat, second_hat = players["decoder"](noisy, every=True)
    hidden = F.mse_loss(first_hat, first) + F.mse_loss(second_hat, second)
    assert torch.allclose(terms["reconstruction"], 2 * F.mse_loss(x_hat, x))
    assert torch.allclose(terms["layers"], 2 * 0.3 * hidden)


def test_noise_is_the_noisy_pass_s_alone_and_comes_with_the_call() -> None:
    method = DEPICT(Config(width=0.2), EXAMPLES["small images"])
    E, x = method.players()["encoder"], torch.rand(6, 1, 8, 8)
    noise = method.draw(6, torch.Generator().manual_seed(0))
    assert [mask.shape[1:] for mask in noise] == [(1, 8, 8), (10, 3, 3)]
    assert 0.8 < float(noise[0].mean()) < 1
    assert torch.equal(E(x), E(x))
    assert torch.equal(E(x, noise), E(x, noise))
    assert not torch.allclose(E(x), E(x, noise))


# Networks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "hidden"),
    [
        ((1, 28, 28), [(50, 13, 13), (50, 7, 7)]),
        ((1, 16, 16), [(50, 7, 7), (50, 4, 4)]),
        ((3, 18, 30), [(50, 8, 14), (50, 4, 7)]),
        ((7,), [(500,), (500,)]),
    ],
    ids=str,
)
def test_layers_are_the_released_ones_and_the_decoder_mirrors_them(
    shape: tuple[int, ...], hidden: list[tuple[int, ...]]
) -> None:
    E, D = Encoder(shape, 10, 1.0), Decoder(shape, 10, (0.0, 1.0), 1.0)
    x = torch.rand(2, *shape)
    outputs = E(x, every=True)
    assert [tuple(out.shape[1:]) for out in outputs] == [*hidden, (10,)]
    assert [tuple(out.shape[1:]) for out in D(outputs[-1], every=True)] == [shape, *hidden]
    assert torch.equal(E(x), outputs[-1])
    assert float(outputs[-1].detach().abs().max()) < 1


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(UserError, match="4x4 pixels or more, not 3x8"):
        DEPICT(Config(), Task((1, 3, 8), 4, 100))


# Runs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["printed", "code"])
def test_the_target_is_made_from_clean_samples_before_every_epoch(target: str, digits: Dataset) -> None:
    training, seen = game(digits, target=target, pretrain_epochs=1, start_epochs=1), 0
    sharpen = balanced if target == "printed" else sharpened
    for moment in play(training):
        if moment.row and moment.phase != "pre-training" and not training.is_over:
            assert training.phases[training.state.phase].name == REFINEMENT
            assert torch.allclose(training.state.buffers["target"]["p"], sharpen(p_of(training)), atol=1e-5)
            seen += 1
    assert seen == 3


@pytest.mark.parametrize(("tolerance", "epochs"), [(0.0, 3), (1.0, 1)])
def test_it_is_over_once_hardly_any_sample_changes_its_cluster(tolerance: float, epochs: int, digits: Dataset) -> None:
    rows: list[Row] = [m.row for m in play(game(digits, tolerance=tolerance, pretrain_epochs=1)) if m.row]
    assert [row["phase"] for row in rows].count(REFINEMENT) == epochs


def test_digits_are_found_and_sharper_than_they_were(digits: Dataset) -> None:
    training = game(digits, pretrain_epochs=60, epochs=20)
    certain = [
        float(p_of(training).max(1).values.mean()) for m in play(training) if m.row and m.phase != "pre-training"
    ]
    assert certain[-1] > certain[2]
    assert digits.labels is not None
    found = settle(training).embed(training.batches)
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert metrics.scores(digits.labels, found.argmax(1), 10)["acc"] > 0.55


def test_stopped_anywhere_it_comes_to_the_same_bytes(digits: Dataset, tmp_path: Path) -> None:
    options = {"pretrain_epochs": 2, "start_epochs": 1, "epochs": 2}
    assert all(stopped_and_resumed(lambda: game(digits, **options), (7, 8, 10, 12, 15), tmp_path))


def test_the_papers_settings() -> None:
    paper, code = (Config(**DEPICT.presets(GREY)[name].values) for name in ("paper", "author-code"))
    assert (paper.target, code.target) == ("printed", "code")
    assert (paper.batch_size, paper.lr, paper.layer_weight, paper.width) == (100, 1e-4, 0.1, 1.0)
    assert DEPICT(paper, GREY).extensions() == []
