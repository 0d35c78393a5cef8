"""Trained players: averaged and calibrated, the same after a restart, and each sample's embedding its own."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from games import Duel, duel, game, points

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine import trained
from gancluster.engine.checkpoint import save
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import as_they_stand, reopen, settle
from gancluster.errors import RunError
from gancluster.methods.clustergan import ClusterGAN, Config
from gancluster.methods.ganem import GANEM
from gancluster.networks.blocks import calibrate
from gancluster.runs.run import Run
from gancluster.runs.training import task_of

CPU = torch.device("cpu")


def over(method: Duel | None = None) -> Game:
    one = game(method)
    list(play(one))
    return one


@pytest.fixture
def averaging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Duel, "rates", {"seeker": 0.05})


@pytest.mark.usefixtures("averaging")
def test_the_averaged_weights_are_used_where_there_are_any() -> None:
    one, inputs = over(), torch.from_numpy(points().inputs)
    tree = one.state.averages["seeker"]
    assert not torch.equal(tree["weight"], one.state.players["seeker"]["weight"])
    embedding = settle(one).embed(one.batches)
    np.testing.assert_allclose(embedding, (inputs @ tree["weight"].T + tree["bias"]).numpy(), rtol=1e-5)
    assert embedding.dtype == np.float32


@pytest.mark.usefixtures("averaging")
def test_what_is_reopened_embeds_and_generates_the_same_bytes(tmp_path: Path) -> None:
    one = over()
    players = settle(one)
    save(one, tmp_path / "c")
    again = reopen(duel(), tmp_path / "c", CPU)
    np.testing.assert_array_equal(again.embed(one.batches), players.embed(one.batches))
    np.testing.assert_array_equal(again.generate(5, 1), players.generate(5, 1))


def test_generated_samples_are_a_row_a_cluster_and_their_seed_s() -> None:
    players = settle(over())
    first, same, other = players.generate(3, 0), players.generate(3, 0), players.generate(3, 1)
    assert first is not None
    assert first.shape == (2, 3, 2)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_embedding_keeps_the_stored_order_over_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    players = settle(over())
    wanted = players.embed(Batches(points()))
    monkeypatch.setattr(trained, "BATCH", 7)
    np.testing.assert_allclose(players.embed(Batches(points())), wanted, rtol=1e-6)


def test_a_single_sample_is_embedded_as_among_others(straight: Run, digits: Dataset) -> None:
    """The encoder's batch norm has the data's statistics: what else is in a batch does not matter."""
    task = task_of(digits, None)
    players = reopen(ClusterGAN(Config(**straight.request.options), task), straight.checkpoint, CPU)
    for one in (0, 17):
        alone = players.embed(Batches(digits.take(np.array([one]))))
        np.testing.assert_allclose(alone[0], straight.arrays()["embedding"][one], atol=1e-5)


def test_statistics_are_those_of_all_samples_though_the_game_begins_with_labelled_ones(digits: Dataset) -> None:
    options = GANEM.presets(task_of(digits, None))["smoke"].values | {"encoder_norm": "batch"}
    method = GANEM(GANEM.config_type(**options), task_of(digits, None)._replace(n_labels=20))
    one = Game(method, Batches(digits.unlabelled(), "cpu", digits.reveal(20, 0)), 0)
    wanted = copy.deepcopy(one.modules["encoder"])
    with torch.no_grad():
        calibrate(wanted, one.batches.parts())
    found = as_they_stand(one).modules["encoder"]
    for name, value in wanted.named_buffers():
        torch.testing.assert_close(found.get_buffer(name), value, rtol=1e-4, atol=1e-5)


def test_players_of_another_shape_are_not_reopened(straight: Run, digits: Dataset) -> None:
    config = Config(**{**straight.request.options, "code_size": 30})
    with pytest.raises(RunError, match="holds other networks"):
        reopen(ClusterGAN(config, task_of(digits, None)), straight.checkpoint, CPU)
