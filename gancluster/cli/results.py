"""Results of trained runs on the terminal: a row a seed, their mean ± standard deviation and its interval; or JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gancluster.metrics.statistics import FOR_INTERVAL, mean_interval
from gancluster.runs import doctor, lottery
from gancluster.runs.run import Run

SHOWN = {"acc": "ACC", "nmi": "NMI", "ari": "ARI"}


def show(runs: list[Run], as_json: bool) -> None:
    """Print the results of `runs`, seeds of one request; scores are those of the paper's rule."""
    if as_json:
        print(json.dumps(summary(runs)))
        return
    console, first = Console(markup=False), runs[0].request
    table = Table(title=f"{first.method} on {first.dataset}, n = {first.n_samples}, K = {first.n_clusters}")
    for name in ["seed", "row", *SHOWN.values(), "empty clusters", "largest", "seconds"]:
        table.add_column(name, justify="left" if name == "row" else "right")
    for run in runs:
        table.add_row(str(run.request.seed), *_cells(run.result()))
    console.print(table)
    if len(scored := _scored(runs)) > 1:
        columns = {name: _column(scored, key) for key, name in SHOWN.items()}
        means = (f"{name} {np.mean(v):.3f} ± {np.std(v, ddof=1):.3f}" for name, v in columns.items())
        console.print(f"mean ± standard deviation over {len(scored)} seeds: {', '.join(means)}", soft_wrap=True)
        console.print(_intervals(columns), soft_wrap=True)
    for run in runs:
        result = run.result()
        if result["status"] == "failed":
            kept = "its last good checkpoint" if run.checkpoint.exists() else "its request"
            console.print(f"FAILED: {result['reason']}; {kept} is in {run.folder}", soft_wrap=True)
        for dropped in result.get("restarts", []):
            where = f"attempt {dropped['attempt']} dropped at {dropped['phase']}, epoch {dropped['epoch']}"
            told = f"seed {run.request.seed}: {where}: {'; '.join(dropped['symptoms'])}"
            console.print(told, soft_wrap=True)
        if "gain" in result:
            console.print(f"seed {run.request.seed}: {of_start(result)}", soft_wrap=True)
        if "starts" in result:
            console.print(f"seed {run.request.seed}: {lottery.in_a_line(result)}", soft_wrap=True)
        if "generated" in result:
            told = f"seed {run.request.seed}: generated points: {_of_toy(result['generated'])}"
            console.print(told, soft_wrap=True)
        for warning in result.get("warnings", []):
            console.print(f"warning: seed {run.request.seed}: {warning}", soft_wrap=True)
        for line in doctor.told(result["diagnosis"]) if result.get("diagnosis") else []:
            console.print(line, highlight=False, soft_wrap=True)
    if extensions := runs[0].result().get("extensions"):
        console.print(f"+ marks what is not in the paper: {', '.join(extensions)}", style="dim", soft_wrap=True)
    console.print(f"runs: {runs[0].folder.parent}", style="dim", soft_wrap=True)


def of_start(result: dict[str, Any]) -> str:
    """What a result owes to its pre-trained start."""
    start, ended = (next(iter(result[when].values()))["acc"] for when in ("start", "scores"))
    path = f"ACC {start:.3f} after pre-training, {ended:.3f} at the end ({result['gain']:+.3f})"
    return f"{path}; K-means of the samples: {result['floor']['acc']:.3f}"


def _of_toy(found: dict[str, Any]) -> str:
    """What a result says of generated points of the plane."""
    distance = f"W1 {found['w1']:.3f} to the data (real points: {found['w1_of_real']:.3f})"
    if "modes" not in found:
        return distance
    covered = f"{found['modes_covered']} of {found['modes']} modes covered"
    return f"{covered}, {found['high_quality_share']:.1%} within 3 standard deviations of one, {distance}"


def summary(runs: list[Run]) -> dict[str, Any]:
    """The same as one object: `runs`, one entry a seed, and `mean`, `std` (n - 1), 95 % `interval` over seeds."""
    scored, first = _scored(runs), runs[0].request
    keys = list(scored[0]) if scored else []
    return {
        "method": first.method,
        "dataset": first.dataset,
        "runs": [{"run": str(run.folder), "seed": run.request.seed, **run.result()} for run in runs],
        "mean": {key: float(np.mean(_column(scored, key))) for key in keys},
        "std": {key: float(np.std(_column(scored, key), ddof=1)) for key in keys if len(scored) > 1},
        "interval": {key: mean_interval(_column(scored, key)) for key in keys if len(scored) >= FOR_INTERVAL},
    }


def _intervals(columns: dict[str, list[float]]) -> str:
    """The line about the 95 % intervals of the means, or how many seeds they still take."""
    missing = FOR_INTERVAL - len(next(iter(columns.values())))
    if missing > 0:
        return f"95 % interval of the mean: {missing} more seed{'s' * (missing > 1)} needed"
    found = {name: mean_interval(values) for name, values in columns.items()}
    shown = ", ".join(f"{name} {one.low:.3f} to {one.high:.3f}" for name, one in found.items())
    return f"95 % interval of the mean: {shown}"


def _scored(runs: list[Run]) -> list[dict[str, float]]:
    """Scores by the paper's rule of each run that has any; failed runs are never averaged."""
    return [next(iter(result["scores"].values())) for result in map(Run.result, runs) if result.get("scores")]


def _column(scored: list[dict[str, float]], key: str) -> list[float]:
    return [scores[key] for scores in scored]


def _cells(result: dict[str, Any]) -> list[str]:
    seconds = f"{result['seconds']:.0f}"
    if result["status"] == "failed":
        return ["FAILED", *["–"] * 5, seconds]
    sizes = next(iter(result["sizes"].values()))
    shape = [str(sizes.count(0)), f"{max(sizes) / sum(sizes):.2f}"]
    scores = next(iter(result["scores"].values())) if result["scores"] else None
    return [result["row"], *(f"{scores[key]:.3f}" if scores else "–" for key in SHOWN), *shape, seconds]
