"""`gancluster predict RUN FILE -o labels.csv`: clusters of samples that a finished run has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gancluster.cli.data import DataDir
from gancluster.cli.options import RUNS, RunName, RunsDir
from gancluster.cli.places import check_free

File = Annotated[str, typer.Argument(metavar="FILE", help="An .npz file, a folder of images, or a data set's name.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The CSV file to write: index, cluster.")]


def predict(run: RunName, file: File, output: Output, data_dir: DataDir = None, runs_dir: RunsDir = RUNS) -> None:
    """Assign new samples to a run's clusters."""
    import pandas as pd

    from gancluster import atomic
    from gancluster.data import catalogue
    from gancluster.runs.finding import find
    from gancluster.runs.training import assign, new_samples

    found = find(runs_dir, run)
    check_free(output, "-o")
    clusters = assign(found, new_samples(found, file, catalogue.data_folder(data_dir)))
    atomic.write_text(output, pd.DataFrame({"cluster": clusters}).to_csv(index_label="index"))
    typer.echo(f"{len(clusters)} samples in {len(set(clusters.tolist()))} clusters: {output}")
