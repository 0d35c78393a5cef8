"""DASC: who is moved by what, what is real and what a fake, C's diagonal, what is refused, a run that is resumed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import outcome, placed

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import Moment, play
from gancluster.engine.trained import settle
from gancluster.errors import Interrupted, UserError
from gancluster.methods.base import Task
from gancluster.methods.dasc import DASC, Config, SelfExpression, combinations, least
from gancluster.runs.training import assign, train

SMALL: dict[str, Any] = {"width": 0.05, "pretrain_epochs": 2, "epochs": 3, "interval": 2, "batch_size": 60}
SMALL |= {"latent_size": 6, "rank": 2}


def started(dataset: Dataset, **options: Any) -> Game:
    method = DASC(Config(**SMALL | options), Task(dataset.shape, 10, len(dataset), dataset.pixel_range))
    return Game(method, Batches(dataset.unlabelled()), seed=0)


def test_a_game_ends_with_a_cluster_for_every_sample_and_a_c_of_diagonal_zero(digits: Dataset) -> None:
    game = started(digits)
    rows = [moment.row for moment in play(game) if moment.row]
    assert {"discriminator.real", "discriminator.fake", "encoder.expression", "encoder.adversarial"} <= set(rows[-1])
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    players = settle(game)
    (found,) = game.method.assign(players.embed(game.batches), np.empty((0, 10), np.float32)).values()
    assert found.shape == (len(digits),)
    C = players.modules["expression"]()
    assert not C.diagonal().any()
    assert C.abs().sum() > 0
    assert set(players.modules["clusters"].get_buffer("clusters").tolist()) == set(range(10))


def test_the_start_beats_k_means_of_the_samples_here(digits: Dataset) -> None:
    """240 digits, settings of the preset but for its width."""
    from sklearn.cluster import KMeans

    from gancluster import metrics

    assert digits.labels is not None
    game = started(digits, width=0.1, latent_size=64, rank=4, pretrain_epochs=200, epochs=1, interval=1)
    list(play(game))
    found = settle(game).embed(game.batches).argmax(1)
    rival = KMeans(10, n_init=10, random_state=0).fit(digits.inputs.reshape(240, -1)).labels_
    acc = [metrics.scores(digits.labels, clusters, 10)["acc"] for clusters in (found, rival)]
    assert acc[0] > acc[1]


def test_a_turn_moves_its_own_players_and_without_the_adversary_there_is_none(digits: Dataset) -> None:
    generator = ("encoder", "decoder", "expression")
    full, none = (started(digits, adversarial_weight=weight).phases[1].rounds[0] for weight in (0.1, 0.0))
    assert [turn.movers for turn in full] == [("discriminator",), generator]
    assert [turn.movers for turn in none] == [generator]


def test_a_latent_is_made_of_the_others_wherever_the_batch_has_it() -> None:
    expression, z, where = SelfExpression(5), torch.randn(5, 3), torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        expression.weight.copy_(torch.randn(5, 5))
    made, C = expression(z, where), expression()
    for place, i in enumerate(where):
        expected = torch.stack([C[i, j] * z[at] for at, j in enumerate(where) if i != j]).sum(0)
        assert torch.allclose(made[place], expected, atol=1e-5)


def test_real_are_the_members_of_least_energy_of_each_cluster() -> None:
    clusters = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    energies = torch.tensor([4.0, 1.0, 3.0, 2.0, 9.0, 8.0, 5.0])
    assert least(energies, clusters, 0.5).tolist() == [False, True, False, True, False, True, True]
    assert least(energies, clusters, 1.0).all()


def test_fakes_are_combinations_of_members_alone() -> None:
    clusters = torch.tensor([0] * 8 + [1] * 2)
    noise = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
    weights = combinations(torch.eye(10), clusters, noise)  # of unit vectors: the weights themselves
    assert torch.allclose(weights.square().sum(1), torch.ones(10))
    assert (weights != 0).sum(1).tolist() == [8] * 8 + [2] * 2
    assert not weights[:8, 8:].any()


def test_too_many_samples_and_too_large_subspaces_are_refused() -> None:
    with pytest.raises(UserError, match=r"2001 are more than --max-samples 2000: .*--limit 2000"):
        DASC(Config(), Task((1, 8, 8), 10, 2001))
    with pytest.raises(UserError, match="lower --rank"):
        DASC(Config(rank=6, latent_size=6), Task((1, 8, 8), 10, 100))


def test_a_run_that_was_stopped_ends_as_one_that_was_not_and_places_new_samples(
    tmp_path: Path, digits: Dataset
) -> None:
    straight = placed(tmp_path / "straight", digits, "dasc", **SMALL)
    train(straight, digits)
    for at in (5, 8, 9, 12):  # in the pre-training, before the game, within an epoch of it, between two
        run, stop = placed(tmp_path / f"{at}", digits, "dasc", **SMALL), threading.Event()

        def watch(moment: Moment, at: int = at, stop: threading.Event = stop) -> None:
            if moment.played == at:
                stop.set()

        with pytest.raises(Interrupted):
            train(run, digits, watch, stop=stop)
        train(run, digits)
        assert outcome(run) == outcome(straight)
    few = digits.take(np.arange(7))
    assert assign(straight, few).tolist() == straight.arrays()["clusters/subspace"][:7].tolist()
