"""`gancluster report [RUN]`: one HTML page on a finished run and its seeds, to be sent, printed or kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gancluster.cli.data import DataDir
from gancluster.cli.options import RUNS, RunsDir

RunName = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's folder or name; the newest without.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="The page (default: report.html beside the run).")]


def report(run: RunName = None, output: Output = None, data_dir: DataDir = None, runs_dir: RunsDir = RUNS) -> None:
    """Write one self-contained HTML page: scores, samples to point at, pictures, errors, options, commands."""
    from gancluster.data import catalogue
    from gancluster.errors import DataError, RunError
    from gancluster.groups import gather
    from gancluster.report import page, told
    from gancluster.runs import find
    from gancluster.training import own_samples

    found = find(runs_dir, run)
    if output is not None and output.exists():
        raise RunError(f"{output} exists and is not overwritten: choose another -o")
    group, request = gather(runs_dir, str(found.folder)), found.request
    try:
        samples = own_samples(found, catalogue.data_folder(data_dir))
    except DataError as error:
        samples = None
        typer.echo(f"note: the page shows no samples under the pointer: {error}", err=True)
    title = f"{found.result().get('row', request.method)} on {request.dataset}"
    subtitle = f"seed {request.seed}, n = {request.n_samples:,}, K = {request.n_clusters}, preset {request.preset}"
    path = output or found.folder / "report.html"
    page.write(path, title, subtitle, told.of_run(found, group, samples))
    typer.echo(path)
