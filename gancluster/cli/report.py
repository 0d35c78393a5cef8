"""`gancluster report [RUN | TABLE]`: one HTML page on a finished run and its seeds, or on a table as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gancluster.cli.asked import TableOptions, asked_by, table_asked
from gancluster.cli.data import DataDir
from gancluster.cli.options import RUNS, RunsDir, with_options
from gancluster.cli.places import check_free, make

What = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN | TABLE]", help="A run's folder or name, a table's name or TOML file; the newest run."
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The page (default: beside the run, or in the folder of runs).")
]


def _report(
    *, what: What = None, output: Output = None, data_dir: DataDir = None, runs_dir: RunsDir = RUNS, **asked: Any
) -> None:
    """Write one self-contained HTML page on a run or on a table: scores, samples to point at, pictures, commands.

    Of a table it shows what has been run, and trains nothing.
    """
    from gancluster.errors import UserError

    given = {name: value for name, value in asked.items() if value is not None}
    if output is not None:
        check_free(output, "-o")
    if what is not None and _is_table(what):
        path = _on_table(what, given, output, data_dir, runs_dir)
    elif given:
        raise UserError(f"--{next(iter(given))} is about a table, and {what or 'the newest run'} is none: leave it out")
    else:
        path = _on_run(what, output, data_dir, runs_dir)
    typer.echo(path)


report = with_options(_report, {"Table": TableOptions})


def _is_table(what: str) -> bool:
    """Whether it is a table rather than a run."""
    from gancluster.bench import tables

    is_run = (Path(what) / "config.json").exists()
    return not is_run and (what.endswith(".toml") or what in {table.name for table in tables.every()})


def _on_table(name: str, given: dict[str, Any], output: Path | None, data_dir: Path | None, runs_dir: Path) -> Path:
    from gancluster.bench import grid, pages, render, sheets, told
    from gancluster.data import catalogue
    from gancluster.report import page
    from gancluster.runs.training import validated

    options = validated(TableOptions, given)
    table, folders = table_asked(name, options), grid.Folders(runs_dir, catalogue.data_folder(data_dir))
    planned = grid.look(table.cells(options.budget, seeds=options.seeds), folders, engine=options.engine)
    outcomes = grid.as_run(planned, folders)
    sheet = sheets.filled(table, outcomes, options.budget, data_dir, asked_by("bench", name, options))
    path = output or runs_dir / f"{pages.name(sheet)}{'-part' if options.is_narrow(table) else ''}.html"
    done = sum(outcome.status == "finished" for outcome in outcomes)
    subtitle = f"budget {sheet.budget}, {done} of {len(outcomes)} runs finished, gancluster {sheet.version}"
    commands = [sheet.command, asked_by("report", name, options)]
    make(path.parent, "--runs-dir")
    page.write(path, render.heading(sheet), subtitle, told.of_table(sheet, outcomes, folders, commands))
    return path


def _on_run(which: str | None, output: Path | None, data_dir: Path | None, runs_dir: Path) -> Path:
    from gancluster.data import catalogue
    from gancluster.errors import DataError
    from gancluster.report import page, told
    from gancluster.runs.groups import gather
    from gancluster.runs.training import own_samples

    found = _found(which, runs_dir)
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
    return path


def _found(which: str | None, runs_dir: Path) -> Any:
    """The run called so; what is neither a run nor a table is told to be neither."""
    from gancluster.bench import tables
    from gancluster.errors import RunError, UnknownName
    from gancluster.registry import unknown
    from gancluster.runs.finding import every, find

    try:
        return find(runs_dir, which)
    except RunError as error:
        runs = [run.folder.name for run in every(runs_dir)]
        if which is None or Path(which).exists() or any(name.startswith(which) for name in runs):
            raise
        known = {*runs, *(table.name for table in tables.every())}
        listing = "gancluster runs and gancluster bench list"
        raise UnknownName(unknown("run or table", which, known, listing)) from error
