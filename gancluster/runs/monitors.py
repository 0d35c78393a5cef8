"""What a game looks like at an epoch's end, without labels: how even its clusters are, and what its codes become."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gancluster.engine.game import Game
from gancluster.engine.randomness import Purpose
from gancluster.engine.trained import as_they_stand
from gancluster.methods.base import Nets, Row

LOOKS = 12  # in a phase, at most, beside the first epoch's
SEEN = 200  # real samples that are looked at, at most: the same ones every time
MADE = 10  # samples that are made of every cluster's code

ENTROPY, COVERAGE = "monitor.entropy", "monitor.coverage"


def are_due(game: Game, row: Row) -> bool:
    """Whether the epoch that ended with `row` is one to look at: some of each phase that is no pre-training."""
    phase = next(phase for phase in game.phases if phase.name == row["phase"])
    epoch = int(row["epoch"])
    return not phase.pretrains and (epoch == 1 or epoch * LOOKS // phase.epochs > (epoch - 1) * LOOKS // phase.epochs)


@torch.no_grad()
def look(game: Game) -> Row:
    """`monitor.entropy`: of the sizes of clusters, in nats, log K when they are even; the game does not notice.

    `monitor.coverage`: the share of clusters that samples made of all K codes are found in by the encoder; left out
    where there is no generator.
    """
    players, method = as_they_stand(game), game.method
    rng = np.random.default_rng((game.seed, Purpose.LOOK))
    some = torch.from_numpy(np.sort(rng.permutation(len(game.batches))[:SEEN])).to(game.device)
    nets = Nets(players.modules, {})
    real = method.embed(nets, game.batches.at(some)).float().cpu().numpy()
    centres = method.centres(real, game.seed)
    found: Row = {ENTROPY: entropy(next(iter(method.assign(real, centres).values())))}
    made = players.generate(MADE, game.seed)
    if made is not None:
        samples = torch.from_numpy(made).to(game.device).flatten(0, 1)
        codes = method.assign(method.embed(nets, samples).float().cpu().numpy(), centres)
        found[COVERAGE] = len(np.unique(next(iter(codes.values())))) / method.task.n_clusters
    return found


def entropy(clusters: NDArray[np.int64]) -> float:
    """Of the sizes of clusters `(n,)`, in nats."""
    shares = np.unique(clusters, return_counts=True)[1] / len(clusters)
    return float(-(shares * np.log(shares)).sum() + 0.0)
