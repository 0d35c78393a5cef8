"""`gancluster sample RUN`: a PNG grid of generated samples, one row a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gancluster.cli.options import RUNS, AnyRun, RunsDir
from gancluster.cli.places import check_free

Count = Annotated[int, typer.Option("--per-cluster", "-n", min=1, help="Samples in a row.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the samples.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The PNG (default: samples-seed<SEED>.png in the run).")
]


def sample(
    run: AnyRun = None, per_cluster: Count = 10, seed: Seed = 0, output: Output = None, runs_dir: RunsDir = RUNS
) -> None:
    """Generate samples of each cluster."""
    from gancluster.report.pictures import draw_samples
    from gancluster.runs.finding import find

    found = find(runs_dir, run)
    if output is not None:
        check_free(output, "-o")
    path = output or found.folder / f"samples-seed{seed}.png"
    draw_samples(found, per_cluster, seed, path)
    typer.echo(path)
