"""AAE: who is moved by what, both priors, every option, more clusters than classes, samples by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gancluster import registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.methods.aae import AAE, Config
from gancluster.methods.base import EXAMPLES, Batch, Clock, Nets, Task

SMALL = {"width": 0.05, "epochs": 2, "batch_size": 60}


def started(dataset: Dataset, k: int = 10, **options: Any) -> Game:
    task = Task(dataset.shape, k, len(dataset), dataset.pixel_range)
    return Game(AAE(Config(**SMALL | options), task), Batches(dataset.unlabelled()), seed=0)


@pytest.mark.parametrize("prior", ["categorical", "gaussian"])
@pytest.mark.parametrize("k", [2, 30])
def test_both_priors_play_to_the_end_with_any_number_of_clusters(prior: str, k: int, digits: Dataset) -> None:
    game = started(digits, k, prior=prior)
    rows = [moment.row for moment in play(game) if moment.row]
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    players = settle(game)
    embedding = players.embed(game.batches)
    (found,) = game.method.assign(embedding, game.method.centres(embedding, 0)).values()
    assert 0 <= found.min() <= found.max() < k
    samples = players.generate(2, seed=0)
    assert (samples is None) == (prior == "gaussian")
    assert samples is None or samples.shape == (k, 2, *digits.shape)


@pytest.mark.parametrize("critic", [name for name in registry.BUILT_IN["critics"] if name != "meg"])
def test_every_critic_judges_both_parts(critic: str, digits: Dataset) -> None:
    rows = [moment.row for moment in play(started(digits, critic=critic, epochs=1)) if moment.row]
    assert {"class_discriminator.class", "class_discriminator.style", "encoder.class", "encoder.style"} <= set(rows[0])


def test_a_batch_is_redrawn_then_judged_then_fools() -> None:
    movers = [turn.movers for turn in AAE(Config(), EXAMPLES["small images"]).phases()[0].rounds[0]]
    assert movers == [("encoder", "decoder"), ("class_discriminator", "style_discriminator"), ("encoder",)]
    gaussian = AAE(Config(prior="gaussian"), EXAMPLES["small images"]).phases()[0].rounds[0]
    assert gaussian[1].movers == ("style_discriminator",)


def test_each_discriminator_is_shown_draws_of_its_own_prior_and_its_part_of_latents(digits: Dataset) -> None:
    game = started(digits)
    method, seen = game.method, dict[str, list[torch.Tensor]]()
    assert isinstance(method, AAE)
    players: dict[str, Any] = dict(game.modules)
    for part in ("class", "style"):
        players[f"{part}_discriminator"] = lambda z, part=part: seen.setdefault(part, []).append(z) or z.sum(1)
    x, noise = game.batches.at(torch.arange(60)), method.draw(60, torch.Generator().manual_seed(0))
    method.discriminator_loss(Nets(players, {}), Batch(x), noise, Clock(torch.tensor(0.0)))
    latents = game.modules["encoder"](x)
    for part, found in (("class", latents[:, :10]), ("style", latents[:, 10:])):
        assert torch.equal(seen[part][0], noise.prior[part])
        assert torch.equal(seen[part][1], found)
    assert torch.allclose(latents[:, :10].sum(1), torch.ones(60))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_presets_can_be_played_on_every_kind_of_data(kind: str) -> None:
    task = EXAMPLES[kind]
    for name, preset in AAE.presets(task).items():
        method = AAE(Config(**preset.values), task)
        assert method.phases()
        assert method.extensions() == (["critic wgan-gp"] if name == "default" else [])
        with torch.device("meta"):
            assert set(method.players()) == {"encoder", "decoder", "class_discriminator", "style_discriminator"}
