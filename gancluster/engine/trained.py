"""What comes out of a game: the trained players, ready to embed real samples and to generate new ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancluster.data.batches import Batches
from gancluster.engine import checkpoint
from gancluster.engine.game import Game
from gancluster.engine.randomness import Purpose, generator
from gancluster.methods.base import Method, Modules, Nets
from gancluster.networks.blocks import calibrate

BATCH = 1000
CALIBRATION = 10_000  # samples that an encoder's batch norm takes its statistics from


@dataclass(frozen=True)
class Trained:
    """A method's players in their final form: averaged weights where there are any, the encoders calibrated."""

    method: Method
    modules: Modules
    device: torch.device

    @torch.no_grad()
    def embed(self, batches: Batches) -> NDArray[np.float32]:
        """Embedding `(n, m)` of every sample, in the order they are stored."""
        return self._of_all(self.method.embed, batches)

    @torch.no_grad()
    def features(self, batches: Batches) -> NDArray[np.float32]:
        """The method's features `(n, d)` of every sample, in the order they are stored."""
        return self._of_all(self.method.features, batches)

    @torch.no_grad()
    def generate(self, per_cluster: int, seed: int) -> NDArray[np.float32] | None:
        """Samples `(n_clusters, per_cluster, *shape)`, or None where the game has no generator.

        The generator's batch norm sees all of them at once.
        """
        samples = self.method.generate(self._nets(), per_cluster, generator(self.device, seed, Purpose.SAMPLES))
        return None if samples is None else samples.float().cpu().numpy()

    def _of_all(self, look: Callable[[Nets, Tensor], Tensor], batches: Batches) -> NDArray[np.float32]:
        parts = [look(self._nets(), part) for part in batches.parts(BATCH)]
        return torch.cat(parts).float().cpu().numpy()

    def _nets(self) -> Nets:
        return Nets(self.modules, {})


@torch.no_grad()
def as_they_stand(game: Game) -> Trained:
    """Copies of the players of a game, in their final form: the game goes on as if nobody had looked."""
    modules = copy.deepcopy(game.modules)
    for name, module in modules.items():
        weights = game.state.averages.get(name, game.state.players[name])
        module.load_state_dict(weights | game.state.buffers[name])
    rng = generator("cpu", game.seed, Purpose.ORDER, 0, 0)
    index = torch.randperm(len(game.batches), generator=rng)[:CALIBRATION].to(game.device)
    for name in game.method.encoders():
        calibrate(modules[name], (game.batches.at(part) for part in torch.split(index, BATCH) if len(part) > 1))
        modules[name].eval()
    return Trained(game.method, modules, game.device)


def settle(game: Game) -> Trained:
    """The players of a game that is over; the encoders' batch norms get the data's statistics, also in `game.state`."""
    players = as_they_stand(game)
    for name in game.method.encoders():
        game.state.buffers[name] = {key: value.clone() for key, value in players.modules[name].named_buffers()}
    return players


@torch.no_grad()
def reopen(method: Method, path: Path, device: torch.device) -> Trained:
    """The players that `settle` left in the checkpoint at `path`."""
    _, tensors = checkpoint.read(path, method.name)
    modules = {name: module.to(device) for name, module in method.players().items()}
    wanted: dict[str, Tensor] = {}
    for name, module in modules.items():
        where = "averages" if name in method.averages() else "players"
        wanted |= {f"{where}/{name}/{key}": value for key, value in module.named_parameters()}
        wanted |= {f"buffers/{name}/{key}": value for key, value in module.named_buffers()}
    checkpoint.fill(wanted, {name: tensors[name] for name in wanted if name in tensors}, path)
    for name in method.encoders():
        modules[name].eval()
    return Trained(method, modules, device)
