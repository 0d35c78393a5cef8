"""Runs without a game: all samples are fitted in one go, and what was found is put down as a game's clusters are."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine import device
from gancluster.errors import Interrupted, UserError
from gancluster.methods.base import Embedding, Fit, Fitted
from gancluster.runs import collapse
from gancluster.runs.outcomes import put_down
from gancluster.runs.run import Run

FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)  # what numerical libraries raise


def carry_out(run: Run, method: Fit, dataset: Dataset) -> dict[str, Any]:
    """The result of fitting all samples; failed, with the reason, where the numbers do not go through."""
    samples, started, told = flat(Batches(dataset.unlabelled())), time.monotonic(), list[str]()
    try:
        found = _fit(run, method, samples, told)
    except FAILURES as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        result: dict[str, Any] = {"status": "failed", "reason": reason, "warnings": told}
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped: {method.name} keeps nothing on the way, and begins again") from error
    else:
        centres = np.empty((0, samples.shape[1]), np.float32) if found.centres is None else found.centres
        arrays = {"embedding": found.embedding, "centres": centres}
        clusters, began = found.clusters.astype(np.int64), time.monotonic()
        result = put_down(run, dataset, {method.name: clusters}, arrays, method.extensions())
        result["evaluation_seconds"] = round(time.monotonic() - began, 2)
        sizes = np.bincount(clusters, minlength=run.request.n_clusters).tolist()
        result["warnings"] = told + collapse.empty(sizes, "another --seed") + collapse.lopsided(sizes)
    seconds = round(time.monotonic() - started, 1)
    machine = f"{device.machine(torch.device('cpu'))}, scikit-learn {sklearn.__version__}"
    return result | {"restarts": [], "seconds": seconds, "machine": machine}


def assign(run: Run, batches: Batches) -> NDArray[np.int64]:
    """The nearest of the run's centres `(n,)`; `UserError` where it has none."""
    centres = run.arrays()["centres"]
    if not len(centres):
        raise UserError(f"{run.request.method} clusters the samples that it is given and no others: train it on these")
    return np.asarray(pairwise_distances_argmin(flat(batches), centres), np.int64)


def flat(batches: Batches) -> Embedding:
    """Every sample in the order they are stored, scaled, `(n, d)`."""
    return torch.cat([part.flatten(1) for part in batches.parts()]).float().cpu().numpy()


def _fit(run: Run, method: Fit, samples: Embedding, told: list[str]) -> Fitted:
    """Fit by the run's seed and threads alone; what libraries warn of is `told`."""
    seed = run.request.seed
    with warnings.catch_warnings(record=True) as caught, torch.random.fork_rng(devices=[]):
        warnings.simplefilter("always")
        torch.manual_seed(seed)
        try:
            with threadpool_limits(run.request.threads):
                return method.fit(samples, seed)
        finally:
            told += dict.fromkeys(str(warning.message).splitlines()[0] for warning in caught)
