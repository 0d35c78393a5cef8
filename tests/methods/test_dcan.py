"""DCAN: who is moved by what, what D is shown, when the game is over, every option, what is refused."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from gancluster import registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.errors import UserError
from gancluster.methods import autoencoding
from gancluster.methods.base import EXAMPLES, Batch, Clock, Nets, Task
from gancluster.methods.dcan import DCAN, Config
from gancluster.methods.mixture import Mixture, Model
from gancluster.methods.pretraining import By

SMALL = {"width": 0.1, "pretrain_epochs": 1, "epochs": 2, "batch_size": 60, "latent_size": 4}
CLOCK = Clock(torch.tensor(0.5))


def dcan(task: Task, **options: Any) -> DCAN:
    return DCAN(Config(**SMALL | options), task)


def started(dataset: Dataset, **options: Any) -> Game:
    method = dcan(Task(dataset.shape, 10, len(dataset), dataset.pixel_range), **options)
    return Game(method, Batches(dataset.unlabelled()), seed=0)


def fitted(dataset: Dataset, **options: Any) -> tuple[DCAN, Nets, Tensor]:
    """A method, its players with θ fitted, and samples."""
    game = started(dataset, **options)
    for name in ("enter", "renew"):
        with torch.no_grad():
            getattr(game.method, name)("adversarial", game.modules, game.batches, 0)
    assert isinstance(game.method, DCAN)
    return game.method, Nets(game.modules, {}), game.batches.at(torch.arange(60))


@pytest.mark.parametrize(
    "options",
    [
        *({"mixture": model} for model in get_args(Model)),
        {"critic": "gan", "conditional": True, "mixture": "gmm"},
        {"critic": "wgan-gp", "reconstruction_weight": 1.0},
        {"warp": 1.0, "pixel_noise": 0.1, "reconstruction_weight": 0.5, "conditional": True},
        {"sphere": True, "discrimination_weight": 1.0, "warp": 1.0, "adversarial_weight": 0.1, "lr_end": 0.1},
        {"adversarial_weight": 0.0, "reconstruction_weight": 1.0},
        {"cosine": True, "sphere": True, "reconstruction_weight": 1.0},
        {"start": "communities", "conditional": True, "reconstruction_weight": 1.0},
    ],
    ids=str,
)
def test_every_option_plays_to_the_end(options: dict[str, Any], digits: Dataset) -> None:
    game = started(digits, **options)
    rows = [moment.row for moment in play(game) if moment.row]
    assert [row["phase"] for row in rows[:2]] == ["pre-training", "adversarial"]
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    players = settle(game)
    (clusters,) = game.method.assign(players.embed(game.batches), game.method.centres(np.zeros((1, 10)), 0)).values()
    assert set(clusters) == set(range(10))
    assert players.features(game.batches).shape == (len(digits), 4)


@pytest.mark.parametrize("critic", [name for name in registry.BUILT_IN["critics"] if name != "meg"])
def test_every_critic_of_latents_plays(critic: str, digits: Dataset) -> None:
    game = started(digits, critic=critic, epochs=1)
    before = game.state.players["discriminator"] | {}
    rows = [moment.row for moment in play(game) if moment.row]
    assert "discriminator.adversarial" in rows[-1]
    after = game.state.players["discriminator"]
    assert any(not torch.equal(weight, after[name]) for name, weight in before.items())


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_latents_that_tell_samples_apart_do_so_from_the_outset(weight: float, digits: Dataset) -> None:
    game = started(digits, discrimination_weight=weight, warp=1.0)
    pretraining, adversarial, *_ = [moment.row for moment in play(game) if moment.row]
    for row in (pretraining, adversarial):
        assert ("encoder.instances" in row) == (weight > 0)


def test_d_is_moved_by_its_loss_alone_and_the_encoder_by_its_own(digits: Dataset) -> None:
    movers = [turn.movers for turns in started(digits).phases[1].rounds for turn in turns]
    assert movers == [("discriminator",), ("encoder",)]
    kept = started(digits, reconstruction_weight=1.0).phases[1].rounds[0][1]
    assert kept.movers == ("encoder", "decoder")


@pytest.mark.parametrize("start", get_args(By))
def test_d_is_shown_the_cluster_of_the_sample_on_both_sides(start: By, digits: Dataset) -> None:
    method, nets, x = fitted(digits, conditional=True, warp=1.0, start=start)
    seen: list[Tensor] = []

    def D(z: Tensor) -> Tensor:
        seen.append(z)
        return z.sum(1)

    players, batch = {name: nets[name] for name in nets} | {"discriminator": D}, Batch(x, where=torch.arange(60))
    method.discriminator_loss(Nets(players, {}), batch, method.draw(60, torch.Generator().manual_seed(0)), CLOCK)
    for side in seen:
        assert torch.equal(side[:, 4:].argmax(1), nets["mixture"].get_buffer("clusters")[:60])
        assert torch.equal(side[:, 4:].sum(1), torch.ones(60))
    assert not torch.allclose(seen[0][:, :4], seen[1][:, :4])


def test_communities_are_held_and_the_game_is_over_once_theta_tells_them_apart(digits: Dataset) -> None:
    game = started(digits, start="communities", epochs=3, tolerance=0.5)
    list(play(game))
    started_in, theta = (game.state.buffers[name]["clusters"].numpy() for name in ("start", "mixture"))
    told = settle(game).embed(game.batches).argmax(1)
    assert np.array_equal(theta, started_in)
    assert (told != started_in).mean() == pytest.approx(float(game.state.buffers["mixture"]["changed"]), abs=1e-3)
    assert (told != started_in).mean() < 0.5


def test_standardised_latents_are_redrawn_as_before(digits: Dataset) -> None:
    game = started(digits)
    E, D, batches = game.modules["encoder"], game.modules["decoder"], game.batches
    with torch.no_grad():
        latents, before = autoencoding.encoded(E, batches), torch.cat([D(E(x)) for x in batches.parts()])
        autoencoding.standardise(E, D, latents)
        found = autoencoding.encoded(E, batches)
        assert torch.allclose(found.mean(0), torch.zeros(4), atol=1e-5)
        assert float(found.square().mean()) == pytest.approx(1, abs=1e-4)
        assert torch.allclose(torch.cat([D(E(x)) for x in batches.parts()]), before, atol=1e-5)


@pytest.mark.parametrize(("tolerance", "epochs"), [(1.0, 0), (0.0, 3)])
def test_the_game_is_over_once_few_samples_change_their_cluster(tolerance: float, epochs: int, digits: Dataset) -> None:
    game = started(digits, epochs=3, tolerance=tolerance)
    rows = [moment.row for moment in play(game) if moment.row]
    assert sum(row["phase"] == "adversarial" for row in rows) == max(epochs, 1)


def test_clusters_are_those_of_a_last_fit(digits: Dataset) -> None:
    game = started(digits, tolerance=0.0)
    list(play(game))
    found = settle(game).embed(game.batches).argmax(1)
    assert np.array_equal(found, game.state.buffers["mixture"]["clusters"].numpy())


def test_theta_is_fitted_before_every_epoch_and_stands_still_within(digits: Dataset) -> None:
    game, means = started(digits, tolerance=0.0), []
    for moment in play(game):
        if moment.phase == "adversarial":
            means.append(game.state.buffers["mixture"]["means"].clone())
    steps = len(digits) // 60
    assert all(torch.equal(one, means[0]) for one in means[: steps - 1])
    assert not torch.equal(means[0], means[steps - 1])


@pytest.mark.parametrize("kind", EXAMPLES)
def test_presets_can_be_played_on_every_kind_of_data(kind: str) -> None:
    task = EXAMPLES[kind]
    for name, preset in DCAN.presets(task).items():
        method = DCAN(Config(**preset.values), task)
        assert [phase.name for phase in method.phases()] == ["pre-training", "adversarial", "clusters"]
        with torch.device("meta"):
            assert isinstance(method.players()["mixture"], Mixture)
        assert name == "default" or method.extensions() == []
    paper = Config(**DCAN.presets(task)["paper"].values)
    assert (paper.critic, paper.conditional, paper.reconstruction_weight) == ("gan", False, 0)


def test_a_critic_that_needs_a_generator_s_noise_is_refused(digits: Dataset) -> None:
    with pytest.raises(UserError):
        started(digits, critic="meg")


def test_full_covariances_are_refused_where_clusters_are_held(digits: Dataset) -> None:
    with pytest.raises(UserError, match="--mixture gmm is for clusters that EM may move: add --start k-means"):
        started(digits, start="communities", mixture="gmm")


def test_by_the_cosine_neither_pre_training_nor_game_looks_at_lengths(digits: Dataset) -> None:
    method, nets, x = fitted(digits, cosine=True, reconstruction_weight=1.0, adversarial_weight=0.0)
    redrawn = nets["decoder"](nets["encoder"](x)).flatten(1)
    cosines = (redrawn * x.flatten(1)).sum(1) / redrawn.norm(dim=1) / x.flatten(1).norm(dim=1)
    batch = Batch(x)
    before = autoencoding.direction_loss(nets, batch, (), CLOCK).terms["reconstruction"]
    during = method.encoder_loss(nets, batch, method.draw(60, torch.Generator()), CLOCK).terms["reconstruction"]
    assert float(before.detach()) == pytest.approx(1 - float(cosines.detach().mean()), abs=1e-5)
    assert float(during.detach()) == pytest.approx(float(before.detach()), abs=1e-5)
    assert float(autoencoding.astray(7 * x, x)) == pytest.approx(0, abs=1e-5)
    assert method.phases()[0].rounds[0][0].loss is autoencoding.direction_loss
