"""What comes out of a game: the trained players, ready to embed real samples and to generate new ones."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gancluster.data.batches import Batches, generator
from gancluster.engine.play import Game
from gancluster.methods.base import Nets
from gancluster.networks.blocks import calibrate

SAMPLES = 4  # key of the generator that generated samples come from
BATCH = 1000
CALIBRATION = 10_000  # samples that the encoder's batch norm takes its statistics from


@torch.no_grad()
def settle(game: Game) -> None:
    """Give the encoder its final form: averaged weights, if any, and the data's statistics in its batch norms."""
    name = game.method.encoder
    module = game.modules[name]
    parameters = game.state.averages.get(name, game.state.players[name])
    module.load_state_dict(parameters | game.state.buffers[name])
    index = game.order(0, 0)[:CALIBRATION]
    calibrate(module, (game.batches.at(part) for part in index.split(BATCH) if len(part) > 1))
    game.state.buffers[name] = {key: value.clone() for key, value in module.named_buffers()}


@torch.no_grad()
def embed(game: Game, batches: Batches) -> NDArray[np.float32]:
    """Embedding `(n, m)` of every sample by the settled encoder, in the order they are stored."""
    name = game.method.encoder
    nets = _evaluating(game)
    game.modules[name].eval()
    parts = [game.method.embed(nets, batches.at(i)) for i in torch.arange(len(batches)).split(BATCH)]
    game.modules[name].train()
    return torch.cat(parts).float().cpu().numpy()


@torch.no_grad()
def generate(game: Game, per_cluster: int, seed: int) -> NDArray[np.float32]:
    """Generated samples `(n_clusters, per_cluster, *shape)`; the generator's batch norm sees all of them at once."""
    rng = generator(game.device, seed, SAMPLES)
    return game.method.generate(_evaluating(game), per_cluster, rng).float().cpu().numpy()


def _evaluating(game: Game) -> Nets:
    return game.nets(dict(game.state.averages))
