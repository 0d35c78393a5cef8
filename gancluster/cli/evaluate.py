"""`gancluster eval [RUN]`: a finished run's scores, which paper's figure each compares with, and a confusion matrix."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gancluster.cli.options import RUNS, Json, RunsDir

RunName = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's folder or name; the newest without.")]
Hungarian = Annotated[bool, typer.Option("--hungarian", help="Only scores under the best one-to-one matching.")]
Majority = Annotated[bool, typer.Option("--majority", help="Only scores by majorities (more clusters than classes).")]

ONLY_HUNGARIAN = ("acc", "nmi", "nmi_arithmetic", "nmi_max", "ari")
ONLY_MAJORITY = ("cluster_majority", "class_majority")


def evaluate(
    run: RunName = None,
    hungarian: Hungarian = False,
    majority: Majority = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Score a finished run against the labels of its data set."""
    from gancluster import metrics
    from gancluster.errors import DataError
    from gancluster.runs import find

    found = find(runs_dir, run)
    arrays = found.arrays()
    if "labels" not in arrays:
        raise DataError(
            f"{found.request.dataset} has no labels, so {found.folder} cannot be scored: add labels to the data"
        )
    clusters = {
        name.removeprefix("clusters/"): values for name, values in arrays.items() if name.startswith("clusters/")
    }
    labels, k = arrays["labels"], found.request.n_clusters
    scores = {rule: metrics.scores(labels, values, k) for rule, values in clusters.items()}
    wanted = [*ONLY_HUNGARIAN] * hungarian + [*ONLY_MAJORITY] * majority or list(next(iter(scores.values())))
    scores = {rule: {name: values[name] for name in wanted} for rule, values in scores.items()}
    if as_json:
        print(json.dumps({"run": str(found.folder), "scores": scores}))
        return
    _print_scores(f"{found.folder} ({found.result()['row']})", scores)
    _print_confusion(metrics.contingency(labels, next(iter(clusters.values())), k))


def _print_scores(title: str, scores: dict[str, dict[str, float]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from gancluster.metrics import COMPARABLE

    table = Table(title=title)
    table.add_column("score")
    for rule in scores:
        table.add_column(rule, justify="right")
    table.add_column("compares with", style="dim")
    for name in next(iter(scores.values())):
        values = [
            f"{found[name]:.0f}"
            if float(found[name]).is_integer() and name in {"n", "empty_clusters"}
            else f"{found[name]:.4f}"
            for found in scores.values()
        ]
        table.add_row(name, *values, COMPARABLE.get(name, ""))
    Console().print(table)


def _print_confusion(table: Any) -> None:
    """Counts, rows = classes, columns = clusters, each cluster under the class it is matched to."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from gancluster.metrics import matching

    classes = matching(table)
    order = np.lexsort((np.arange(len(classes)), np.where(classes < 0, len(classes), classes)))
    shown = Table(title="classes (rows) × clusters (columns), matched one to one")
    shown.add_column("class", justify="right")
    for cluster in order:
        shown.add_column(str(cluster), justify="right")
    for row in range(len(table)):
        cells = (f"[bold]{table[row, k]}[/bold]" if classes[k] == row else str(table[row, k] or "·") for k in order)
        shown.add_row(str(row), *cells)
    Console().print(shown)
