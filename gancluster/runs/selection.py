"""Which epoch's partition to take: by rules that see no label and, only to show what it adds, by one that does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gancluster import metrics, registry
from gancluster.errors import DataError, UserError
from gancluster.runs.run import Run

Values = NDArray[np.float64]  # one a snapshot, `(s,)`
RULE_OF = {"last": "last epoch", "internal": "best silhouette", "oracle": "oracle (best ACC)"}
LOSSES = (("inconsistency", "consistency"), ("adversarial",))  # of the encoder; the first of each that the log has


class Choice(NamedTuple):
    """A rule, and the snapshot it picks.

    `epoch` counts over all phases; `phase` is the one it lies in. `value`: what the rule looked at. `scores`: as
    `metrics.scores` has them, None where the data have no labels.
    """

    rule: str
    epoch: int
    phase: str
    value: float
    scores: dict[str, float] | None
    selected_with_labels: bool


def choices(run: Run) -> list[Choice]:
    """What each rule picks among the snapshots of a finished run; of equals the latest. The oracle, if any, is last.

    Raises `RunError` where the run kept no snapshots. A rule that has nothing to look at is left out.
    """
    labels, snapshots, log = run.arrays().get("labels"), run.snapshots(), run.log()
    k, epochs = run.request.n_clusters, snapshots["epoch"]
    scores = None if labels is None else [metrics.scores(labels, found, k) for found in snapshots["clusters"]]
    criteria = _label_free(snapshots, log, registry.find("methods", run.request.method).encoder)
    if scores is not None:
        criteria[RULE_OF["oracle"]] = np.array([found["acc"] for found in scores])
    return [
        Choice(
            rule,
            int(epochs[i]),
            str(log["phase"][epochs[i] - 1]),
            float(values[i]),
            None if scores is None else scores[i],
            rule == RULE_OF["oracle"],
        )
        for rule, values in criteria.items()
        if (i := _best(-values if rule.startswith("lowest") else values)) is not None
    ]


def pick(run: Run, select: str) -> Choice:
    """The choice that `last`, `internal` or `oracle` stands for; `UserError` where there is none."""
    if select not in RULE_OF:
        raise UserError(registry.unknown("rule", select, RULE_OF, "gancluster eval --help"))
    for choice in choices(run):
        if choice.rule == RULE_OF[select]:
            return choice
    if select == "oracle":
        raise DataError(f"{run.request.dataset} has no labels for an oracle to see: --select last, or internal")
    raise DataError(f"every partition that {run.folder} kept is a single cluster: there is nothing to choose by")


def _label_free(snapshots: dict[str, NDArray[Any]], log: pd.DataFrame, encoder: str) -> dict[str, Values]:
    """Each rule with what it looks at; NaN where it cannot say."""
    found = {
        RULE_OF["last"]: snapshots["epoch"].astype(float),
        RULE_OF["internal"]: snapshots["silhouette"],
        "best stability": snapshots["stability"],
    }
    for terms in LOSSES:
        column = next((f"{encoder}.{term}" for term in terms if f"{encoder}.{term}" in log), None)
        if column is not None:
            # Not every epoch plays every turn: what counts is the last value up to the snapshot.
            found[f"lowest {column}"] = log[column].ffill().to_numpy(float)[snapshots["epoch"] - 1]
    return found


def _best(values: Values) -> int | None:
    """Index of the highest that is a number, of equals the last."""
    if np.isnan(values).all():
        return None
    return int(np.flatnonzero(values == np.nanmax(values))[-1])
