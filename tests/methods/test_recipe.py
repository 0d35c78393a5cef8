"""The recipe, in each game that it can be added to: whose clusters warped samples are asked for, and its marks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gancluster import registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.methods import recipe
from gancluster.methods.base import EXAMPLES, Batch, Clock, Nets

GAMES = ["infogan", "clustergan-latent", "catgan", "ganem"]


DIGITS = EXAMPLES["small images"]


def game(name: str, n_samples: int = 1797, **options: Any) -> recipe.Method:
    method: Any = registry.find("methods", name)
    made: recipe.Method = method(method.config_type(**options), DIGITS._replace(n_samples=n_samples))
    return made


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("asked", ["start", "teacher"])
def test_warped_samples_are_asked_for_the_clusters_they_started_in_or_the_average_s(name: str, asked: str) -> None:
    method = game(name, warmup_epochs=1, consistency_weight=2.0, consistency_with=asked)
    said, averaged = (3 * torch.randn(2, 7, 10, generator=torch.Generator().manual_seed(0))).unbind()
    started = torch.tensor([0, 9, 4, 4, 2, 1, 7])

    def start(where: Tensor) -> Tensor:
        return started[where - 20]

    nets = Nets({"start": start}, {method.encoder: lambda x: averaged})
    loss = method.consistency_loss(nets, Batch(torch.zeros(7, 1, 8, 8), where=20 + torch.arange(7)), said)
    target = torch.eye(10)[started] if asked == "start" else torch.softmax(averaged, 1)
    assert float(loss) == pytest.approx(2 * float(-(target * torch.log_softmax(said, 1)).sum(1).mean()), rel=1e-5)
    assert f"consistency with {asked}" in method.extensions()


@pytest.mark.parametrize("name", GAMES)
def test_without_a_warm_up_there_is_no_start_to_agree_with(name: str) -> None:
    method = game(name, consistency_weight=1.0)
    assert method.agrees_with == "teacher"
    assert "start" not in method.players()
    assert method.extensions() == ["consistency with teacher"]
    assert game(name).extensions() == []


@pytest.mark.parametrize("name", GAMES)
def test_self_training_asks_warped_samples_for_the_clusters_they_started_in(name: str) -> None:
    method = game(name, warmup_epochs=1, consistency_with="teacher")
    said, started = torch.randn(7, 12, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 9, 4, 4, 2, 1, 7])
    nets = Nets({"start": lambda where: started[where], method.encoder: lambda x: said}, {})
    batch = Batch(torch.zeros(7, 1, 8, 8), where=torch.arange(7))
    loss = method.self_training_loss(
        nets, batch, method.draw(7, torch.Generator().manual_seed(0)), Clock(torch.tensor(0.5))
    )
    wanted = -torch.log_softmax(said[:, -10:], 1)[torch.arange(7), started].mean()
    assert float(loss.total) == pytest.approx(float(wanted))


@pytest.mark.parametrize("name", GAMES)
def test_after_each_phase_before_the_game_the_encoder_says_where_samples_start(name: str, digits: Dataset) -> None:
    smoke = registry.find("methods", name).presets(DIGITS)["smoke"].values
    options = smoke | {"warmup_epochs": 1, "warmup_batch_size": 120, "self_training": 2, "self_training_steps": 3}
    training, seen = Game(game(name, len(digits), **options), Batches(digits), 0), []
    where = torch.arange(len(digits))
    assert "self-training" in training.method.extensions()
    for moment in play(training):
        if moment.row:  # the next phase's start is set, and nobody has moved
            nets = training.nets({})
            clusters = nets["start"](where)
            said = nets[training.method.encoder](training.batches.at(where))[:, -10:].argmax(1)
            assert clusters.unique().tolist() == list(range(10))
            assert float((said == clusters).double().mean()) > 0.9
            seen.append(moment.phase)
        if len(seen) == 3:
            break
    assert seen == ["warm-up", "self-training 1", "self-training 2"]
