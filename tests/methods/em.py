"""GAN-EM in small: games of narrow networks and fitting batches, started, played and read off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.methods.base import EXAMPLES, Row, Task
from gancluster.methods.ganem import GANEM, Config

DIGITS = EXAMPLES["small images"]


def game(task: Task = DIGITS, **options: Any) -> GANEM:
    fitting = {"m_batch_size": 4 * task.n_clusters, "e_batch_size": 4 * task.n_clusters, "width": 0.125}
    return GANEM(Config(**fitting | options), task)


def started(dataset: Dataset, k: int = 10, labels: int = 0, seed: int = 0, **options: Any) -> Game:
    known = dataset.reveal(labels, seed) if labels else None
    method = game(Task(dataset.shape, k, len(dataset), n_labels=labels), **options)
    return Game(method, Batches(dataset.unlabelled(), "cpu", known), seed)


def played(training: Game) -> Iterator[Row]:
    return (moment.row for moment in play(training) if moment.row is not None)


def clusters(training: Game) -> NDArray[np.int64]:
    embedding = settle(training).embed(training.batches)
    (found,) = training.method.assign(embedding, training.method.centres(embedding, 0)).values()
    return found
