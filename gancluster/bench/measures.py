"""What tables measure of a run beside its own scores: retrieval by its codes, and errors on samples it has not seen.

What was measured lies beside the run as `measured.json`, and what it was measured from as `measured.npz`: the codes of
each length, `codes/32` uint8 `(n, 4)`, eight bits an octet; clusters `(m,)` of unseen samples, and their labels.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster import atomic, metrics, registry
from gancluster.data.features import network
from gancluster.data.reading import arrays, names_in
from gancluster.errors import DataError, RunError, UserError
from gancluster.methods.base import Method
from gancluster.runs.attempts import method_of
from gancluster.runs.run import Request, Run
from gancluster.runs.training import assign, new_samples

FILE, EVIDENCE = "measured.json", "measured.npz"
BITS = (32, 64)
AT = 1000  # queries, and items of each that are scored
UNSEEN, UNSEEN_LABELS = "unseen/clusters", "unseen/labels"

Scores = dict[str, float]
Evidence = dict[str, NDArray[Any]]


def take(run: Run, data_dir: Path) -> None:
    """Measure a finished run and write it down in its folder, unless that was done."""
    if not are_there(run):
        stored = run.arrays()
        evidence = _codes(run, stored) | _unseen(run, data_dir)
        put_down(run, scored(run.request, stored.get("labels"), evidence), evidence)


def put_down(run: Run, scores: Scores, evidence: Evidence) -> None:
    atomic.write_npz(run.folder / EVIDENCE, evidence)
    atomic.write_text(run.folder / FILE, json.dumps(scores, indent=2) + "\n")


def are_there(run: Run) -> bool:
    return (run.folder / FILE).exists() and (run.folder / EVIDENCE).exists()


def of(run: Run) -> Scores:
    """What was put down of a run."""
    try:
        return dict(json.loads((run.folder / FILE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{run.folder / FILE} is damaged ({error}): remove it and repeat the command") from error


def is_of_unseen(request: Request) -> bool:
    """Whether its scores in a table are those of test samples: it is semi-supervised, on the training samples alone."""
    return request.n_labels > 0 and request.split == "train"


def evidence_of(run: Run) -> Evidence:
    """What it was measured from."""
    path = run.folder / EVIDENCE
    try:
        names = names_in(path)
        return dict(zip(names, arrays(path, *names), strict=True))
    except DataError as error:
        raise RunError(f"{path} is damaged ({error}): remove it and repeat the command") from error


def scored(request: Request, labels: NDArray[Any] | None, evidence: Mapping[str, NDArray[Any]]) -> Scores:
    """What the evidence of a run is worth, its samples' `labels` `(n,)` being known."""
    found = Scores()
    for bits in BITS:
        if labels is not None and (octets := evidence.get(f"codes/{bits}")) is not None:
            found |= searched(np.unpackbits(octets, axis=1, count=bits).astype(bool), labels, request.seed)
    if UNSEEN in evidence:
        found |= metrics.scores(evidence[UNSEEN_LABELS], evidence[UNSEEN], request.n_clusters, named=True)
    return found


def packed(codes: NDArray[np.bool_]) -> Evidence:
    """Codes `(n, bits)` as evidence."""
    return {f"codes/{codes.shape[1]}": np.packbits(codes, axis=1)}


def searched(codes: NDArray[np.bool_], labels: NDArray[np.int64], seed: int) -> Scores:
    """Retrieval by codes `(n, bits)`: `mAP/32` and so on, as expected over ties, as the papers' tables have them.

    1000 queries are drawn, or a tenth of the labelled samples if these are fewer than 10,000; without 1000 items to
    search in nothing is said of the first 1000, and nothing at all of fewer than ten samples.
    """
    n, bits = int((labels >= 0).sum()), codes.shape[1]
    queries = min(AT, n // 10)
    if not queries:
        return {}
    k = min(AT, n - queries)
    found: dict[str, Any] = metrics.retrieval_scores(codes, labels, queries, seed, k)["scores"]
    return {f"{name}/{bits}": row["expected"] for name, row in found.items() if k == AT or "@" not in name}


def _codes(run: Run, stored: Evidence) -> Evidence:
    """The codes of a run's method, if it is a game and there are labels, of the lengths that its clusters allow."""
    found = Evidence()
    if "labels" not in stored or not issubclass(registry.find("methods", run.request.method), Method):
        return found
    method = method_of(run.request)
    for bits in BITS:
        with contextlib.suppress(UserError):
            found |= packed(method.binary_codes(stored["embedding"], stored["centres"], bits))
    return found


def _unseen(run: Run, data_dir: Path) -> Evidence:
    """The clusters of the test samples, if it is by them that tables score the run.

    Nothing where it has learnt from ready-made features, which a file has of its own samples and of no others.
    """
    request = run.request
    is_ready_made = request.features is not None and network(request.features) is None
    if not is_of_unseen(request) or is_ready_made:
        return {}
    test = new_samples(run, request.source, data_dir, "test")
    assert test.labels is not None
    return {UNSEEN: assign(run, test), UNSEEN_LABELS: test.labels}
