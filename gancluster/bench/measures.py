"""What tables measure of a run beside its own scores: retrieval by its codes, and errors on samples it has not seen."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster import atomic, metrics, registry
from gancluster.attempts import method_of
from gancluster.data import catalogue
from gancluster.errors import RunError, UserError
from gancluster.methods.base import Method
from gancluster.runs import Run
from gancluster.training import assign

FILE = "measured.json"
BITS = (32, 64)
AT = 1000  # queries, and items of each that are scored

Scores = dict[str, float]


def take(run: Run, data_dir: Path) -> None:
    """Measure a finished run and write it down in its folder, unless that was done."""
    if not are_there(run):
        put_down(run, _retrieval(run) | _unseen(run, data_dir))


def put_down(run: Run, scores: Scores) -> None:
    atomic.write_text(run.folder / FILE, json.dumps(scores, indent=2) + "\n")


def are_there(run: Run) -> bool:
    return (run.folder / FILE).exists()


def of(run: Run) -> Scores:
    """What was put down of a run."""
    try:
        return dict(json.loads((run.folder / FILE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{run.folder / FILE} is damaged ({error}): remove it and repeat the command") from error


def searched(codes: NDArray[np.bool_], labels: NDArray[np.int64], seed: int) -> Scores:
    """Retrieval by codes `(n, bits)`: `mAP/32` and so on, as expected over ties, as the papers' tables have them.

    1000 queries are drawn, or a tenth of the labelled samples if these are fewer than 10,000; without 1000 items to
    search in nothing is said of the first 1000.
    """
    n, bits = int((labels >= 0).sum()), codes.shape[1]
    queries = min(AT, n // 10)
    k = min(AT, n - queries)
    found: dict[str, Any] = metrics.retrieval_scores(codes, labels, queries, seed, k)["scores"]
    return {f"{name}/{bits}": row["expected"] for name, row in found.items() if k == AT or "@" not in name}


def _retrieval(run: Run) -> Scores:
    """By the codes of a run's method, if it is a game, of the lengths that its clusters allow."""
    arrays, found = run.arrays(), dict[str, float]()
    if "labels" not in arrays or not issubclass(registry.find("methods", run.request.method), Method):
        return found
    method = method_of(run.request)
    for bits in BITS:
        with contextlib.suppress(UserError):
            codes = method.binary_codes(arrays["embedding"], arrays["centres"], bits)
            found |= searched(codes, arrays["labels"], run.request.seed)
    return found


def _unseen(run: Run, data_dir: Path) -> Scores:
    """The scores of a semi-supervised run on the test samples, if it has learnt from the training samples alone."""
    request = run.request
    if not request.n_labels or request.split != "train":
        return {}
    test = catalogue.load(request.source, data_dir, "test")
    assert test.labels is not None
    return metrics.scores(test.labels, assign(run, test), request.n_clusters, named=True)
