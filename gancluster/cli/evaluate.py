"""`gancluster eval [RUN]`: a finished run's scores, which paper's figure each compares with, and a confusion matrix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancluster.cli import retrieval
from gancluster.cli.data import DataDir
from gancluster.cli.options import RUNS, AnyRun, Json, RunsDir, with_options
from gancluster.cli.selection import Select, show_selection
from gancluster.data.splits import Split
from gancluster.errors import DataError, UserError

if TYPE_CHECKING:
    from gancluster.runs.run import Run

Hungarian = Annotated[bool, typer.Option("--hungarian", help="Only scores under the best one-to-one matching.")]
Majority = Annotated[bool, typer.Option("--majority", help="Only scores by majorities (more clusters than classes).")]
Part = Annotated[
    Split | None, typer.Option(help="Score another split of the data set: its samples are assigned as new ones are.")
]
Search = Annotated[bool, typer.Option("--retrieval", help="Score binary codes of the run by Hamming retrieval.")]
Codes = Annotated[Path | None, typer.Option(help="Score the codes and labels in this .npz by retrieval; no RUN.")]

ONLY_HUNGARIAN = ("acc", "nmi", "nmi_arithmetic", "nmi_max", "ari")
ONLY_MAJORITY = ("cluster_majority", "class_majority")


def _evaluate(
    *,
    run: AnyRun = None,
    hungarian: Hungarian = False,
    majority: Majority = False,
    split: Part = None,
    data_dir: DataDir = None,
    search: Search = False,
    codes: Codes = None,
    select: Select = None,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    **asked: Any,
) -> None:
    """Score a finished run against the labels of its data set."""
    from gancluster.runs.finding import find

    given = {name: value for name, value in asked.items() if value is not None}
    clustering: dict[str, Any] = {"--hungarian": hungarian, "--majority": majority}
    clustering |= {"--split": split, "--data-dir": data_dir, "--select": select}
    _refuse_mixed([option for option, value in clustering.items() if value], run, search, codes, list(given))
    if codes is not None:
        return retrieval.of_file(codes, given, as_json)
    found = find(runs_dir, run)
    if search:
        return retrieval.of_run(found, given, as_json)
    if select is not None:
        return show_selection(found, select, as_json)
    wanted = [*ONLY_HUNGARIAN] * hungarian + [*ONLY_MAJORITY] * majority
    _clustering(found, wanted, split, data_dir, as_json)


evaluate = with_options(_evaluate, {"Retrieval": retrieval.RetrievalOptions})


def _refuse_mixed(
    clustering: list[str], run: str | None, search: bool, codes: Path | None, searching: list[str]
) -> None:
    """`UserError` where options of clustering and of retrieval are given together, or a run and a file."""
    if codes is not None and run is not None:
        raise UserError(f"--codes {codes} is scored without a run: leave out {run}, or --codes")
    if clustering and (search or codes is not None):
        raise UserError(f"{clustering[0]} is about clusters, not codes: leave it out, or --retrieval and --codes")
    if searching and not search and codes is None:
        raise UserError(f"--{searching[0]} is about retrieval: add --retrieval, or --codes FILE.npz")
    if "--select" in clustering and len(clustering) > 1:
        raise UserError(f"--select shows ACC, NMI and ARI of kept partitions: leave out {clustering[0]}")
    if "--data-dir" in clustering and "--split" not in clustering:
        raise UserError("--data-dir says where another --split lies: add --split, or leave it out")


def _clustering(found: Run, wanted: list[str], split: Split | None, data_dir: Path | None, as_json: bool) -> None:
    from gancluster import metrics
    from gancluster.cli.results import of_start
    from gancluster.runs import lottery

    labels, clusters = _stored(found) if split is None else _assigned(found, split, data_dir)
    k = found.request.n_clusters
    named = found.request.n_labels > 0
    scores = {rule: metrics.scores(labels, values, k, named) for rule, values in clusters.items()}
    wanted = wanted or list(next(iter(scores.values())))
    scores = {rule: {name: values[name] for name in wanted} for rule, values in scores.items()}
    if as_json:
        splits = {} if split is None else {"trained_on": found.request.split, "split": split}
        print(json.dumps({"run": str(found.folder), **splits, "scores": scores}))
        return
    where = "" if split is None else f", trained on split {found.request.split}, scored on {split}"
    _print_scores(f"{found.folder} ({found.result()['row']}){where}", scores)
    if split is None and "gain" in found.result():
        print(of_start(found.result()))
    if split is None and "starts" in found.result():
        print(lottery.in_a_line(found.result()))
    _print_confusion(labels, next(iter(clusters.values())), k)


def _stored(found: Run) -> tuple[Any, dict[str, Any]]:
    """Labels of the samples that the run was trained on, and their clusters by rule."""
    arrays = found.arrays()
    if "labels" not in arrays:
        raise DataError(
            f"{found.request.dataset} has no labels, so {found.folder} cannot be scored: add labels to the data"
        )
    clusters = {
        name.removeprefix("clusters/"): values for name, values in arrays.items() if name.startswith("clusters/")
    }
    return arrays["labels"], clusters


def _assigned(found: Run, split: Split, data_dir: Path | None) -> tuple[Any, dict[str, Any]]:
    """Labels of another split of the run's data set, and the clusters of its samples by the paper's rule."""
    from gancluster.data import catalogue
    from gancluster.runs.training import assign, new_samples

    rule = next(name for name in found.arrays() if name.startswith("clusters/"))
    dataset = new_samples(found, found.request.source, catalogue.data_folder(data_dir), split)
    if dataset.labels is None:
        raise DataError(f"{dataset.name} has no labels, so its split {split} cannot be scored: add labels to the data")
    return dataset.labels, {rule.removeprefix("clusters/"): assign(found, dataset)}


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


def _print_confusion(labels: Any, clusters: Any, k: int) -> None:
    """Counts, rows = classes that occur, columns = the `k` clusters, each under the class that it is matched to."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from gancluster.metrics import contingency, matching

    table = contingency(labels, clusters, k)
    classes = matching(table)
    order = np.lexsort((np.arange(len(classes)), np.where(classes < 0, len(classes), classes)))
    shown = Table(title="classes (rows) × clusters (columns), matched one to one")
    shown.add_column("class", justify="right")
    for cluster in order:
        shown.add_column(str(cluster), justify="right")
    for row, name in enumerate(np.unique(labels[labels >= 0])):
        cells = (f"[bold]{table[row, k]}[/bold]" if classes[k] == row else str(table[row, k] or "·") for k in order)
        shown.add_row(str(name), *cells)
    Console().print(shown)
