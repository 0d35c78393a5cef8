"""`gancluster bench TABLE | list | docs`: a paper's table, or one's own, run here: published beside measured."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import Field
from typer.core import TyperGroup

from gancluster.cli.asked import TableOptions, asked_by, table_asked
from gancluster.cli.data import DataDir
from gancluster.cli.options import RUNS, RunsDir, name_first, with_options
from gancluster.cli.places import check_free, make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gancluster.bench.cells import Outcome
    from gancluster.bench.executor import Executor
    from gancluster.bench.grid import Folders, Planned
    from gancluster.bench.layout import Table
    from gancluster.bench.sheets import Sheet

Format = Literal["terminal", "markdown", "latex", "csv", "json", "html"]
ENDINGS = {"markdown": "md", "latex": "tex", "csv": "csv", "json": "json", "html": "html"}
RESULTS = Path("results")
STATES = {"waiting": "to run", "trained": "to score", "finished": "finished", "failed": "failed", "no data": "no data"}

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be run, and about how long; run nothing.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Go on with cells that failed, too.")]
SaveEvery = Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")]
As = Annotated[Format | None, typer.Option("--format", help="How the table is shown (default: by --output's ending).")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write the table to this file.")]
Pictures = Annotated[Path | None, typer.Option(help="Draw the table as bars, and Figure 3's planes, in this folder.")]
CapsuleFile = Annotated[
    Path | None, typer.Option("--capsule", help="Pack the table for gancluster verify, to this file.")
]
ResultsDir = Annotated[Path, typer.Option(help="Where every whole table is kept as JSON.")]


class BenchOptions(TableOptions):
    """The same, and how it is run."""

    jobs: int = Field(1, ge=1, description="cells that are run side by side, each on one CPU thread")
    cluster: str | None = Field(
        None, description="instead, the workers of a Dask cluster: tcp://HOST:8786, or local:4, which is begun for it"
    )


class Tables(TyperGroup):
    """One sub-command a table, made when it is asked for, beside those that are none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, name_first(args, "bench TABLE"))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or _command(cmd_name)


app = typer.Typer(
    cls=Tables,
    no_args_is_help=True,
    subcommand_metavar="TABLE [OPTIONS] | list | docs",
    help="Run a table: table2, critics, … (gancluster bench list shows all), or one of your own from a TOML file; "
    "gancluster bench TABLE --help shows the options.",
)


@app.callback()
def _bench() -> None:
    pass


@app.command("list")
def list_all(runs_dir: RunsDir = RUNS) -> None:
    """List the tables, with the number of their cells and what they cost, by budget."""
    from rich.console import Console
    from rich.table import Table as Shown

    from gancluster.bench import budgets, costs, tables
    from gancluster.bench.cells import Outcome

    shown, here = Shown(title="gancluster bench TABLE --budget …", show_lines=True), costs.measured(runs_dir)
    for name in ("table", *budgets.SEEDS):
        shown.add_column(name, overflow="fold")
    for table in tables.every():
        works = [
            costs.work([Outcome(cell=cell, status="waiting") for cell in table.cells(budget)], here)
            for budget in budgets.SEEDS
        ]
        named = f"{table.name} --paper {table.paper}" if table.paper in ("ganem", "dcan") else table.name
        shown.add_row(f"{named}\n{table.title}", *(work.short for work in works))
    Console(markup=False).print(shown)


@app.command()
def docs(
    source: Annotated[Path, typer.Argument(help="The folder of tables in JSON.")] = RESULTS,
    target: Annotated[Path, typer.Argument(help="The folder of pages.")] = Path("docs/results"),
) -> None:
    """Write the documentation's pages of results from tables in JSON, and nothing else."""
    from gancluster.bench import pages

    make(target, "TARGET")
    for path in pages.write(source, target):
        typer.echo(path)


def _command(name: str) -> Any:
    """The command `bench NAME`."""

    def command(
        *,
        dry_run: DryRun = False,
        retry_failed: RetryFailed = False,
        save_every: SaveEvery = 20.0,
        form: As = None,
        output: Output = None,
        pictures: Pictures = None,
        capsule: CapsuleFile = None,
        results_dir: ResultsDir = RESULTS,
        data_dir: DataDir = None,
        runs_dir: RunsDir = RUNS,
        **asked: Any,
    ) -> None:
        from gancluster.bench import grid
        from gancluster.bench.sheets import filled
        from gancluster.cli.board import Board
        from gancluster.data import catalogue
        from gancluster.runs.training import validated

        options = validated(BenchOptions, {key: value for key, value in asked.items() if value is not None})
        ending = _ending(form, output)
        table = table_asked(name, options)
        _check_capsule(table, capsule)
        folders = grid.Folders(runs_dir, catalogue.data_folder(data_dir))
        cells = table.cells(options.budget, seeds=options.seeds)
        planned = grid.look(cells, folders, shlex.join(["gancluster", *sys.argv[1:]]), options.engine)
        if dry_run:
            return _show_plan(table, planned, folders, options.jobs)
        make(pictures, "--pictures")
        _say_what_it_takes(table, planned, folders, options.jobs)
        executor = _executor(options)
        with Board(table.name, planned, retry_failed) as board:
            outcomes = grid.carry_out(planned, folders, executor, board, retry_failed, save_every)
        _end_if_stopped(outcomes, runs_dir)
        sheet = filled(table, outcomes, options.budget, data_dir, asked_by("bench", name, options))
        _keep(sheet, None if options.is_narrow(table) else results_dir)
        _hand_over(sheet, ending, output)
        if pictures is not None:
            _draw(table, sheet, outcomes, folders, pictures)
        if capsule is not None:
            _pack(table, sheet, outcomes, folders, capsule)
        if any(outcome.status == "failed" for outcome in outcomes):
            raise typer.Exit(1)

    command.__doc__ = "Run the table, but for what is finished already, and show it: published beside measured."
    single = typer.Typer(add_completion=False)
    single.command(name)(with_options(command, {"Table": BenchOptions}))
    return typer.main.get_command(single)


def _ending(form: Format | None, output: Path | None) -> str | None:
    """The ending of the format asked for, None for the terminal; `UserError` where there is no such format."""
    from gancluster.bench.render import FORMATS
    from gancluster.errors import RunError, UnknownName
    from gancluster.registry import unknown

    if output is not None:
        check_free(output, "-o")
    if form == "terminal" or (form is None and output is None):
        if output is not None:
            raise RunError(f"--format terminal is not for a file: leave out --output {output}")
        return None
    if form is not None:
        return ENDINGS[form]
    ending = "" if output is None else output.suffix.removeprefix(".")
    if ending not in FORMATS:
        raise UnknownName(unknown("format", f".{ending}", [f".{known}" for known in FORMATS]) + ": or say --format")
    return ending


def _check_capsule(table: Table, capsule: Path | None) -> None:
    """Whether the table can be packed there, before it is run."""
    from gancluster.errors import UserError

    if capsule is None:
        return
    check_free(capsule, "--capsule")
    if not table.cells(seeds=1):
        raise UserError(f"{table.name} has no runs, so there is nothing to compute anew: leave out --capsule")


def _executor(options: BenchOptions) -> Executor:
    """Who runs the cells; `UserError` where there is no such."""
    from gancluster.bench.local import Processes
    from gancluster.errors import UserError

    if options.cluster is None:
        return Processes(options.jobs)
    if options.jobs != 1:
        raise UserError("--jobs is for processes of this machine: leave it out, a cluster has its workers")
    from gancluster.bench.cluster import Cluster

    return Cluster(options.cluster)


# What is shown --------------------------------------------------------------------------------------------------------


def _show_plan(table: Table, planned: Sequence[Planned], folders: Folders, jobs: int) -> None:
    """What is finished and what would be run, a line a system and data set, in 80 columns."""
    from rich.console import Console
    from rich.table import Table as Shown

    from gancluster.bench import costs

    here, outcomes = costs.measured(folders.runs), [one.outcome for one in planned]
    shown = Shown("what", "data set", "preset", "runs", "about", title=table.name)
    by_system: dict[tuple[str, str, str], list[Outcome]] = {}
    for outcome in outcomes:
        cell = outcome.cell
        samples = "" if cell.limit is None else f", {cell.limit:,}"
        by_system.setdefault((cell.system, cell.dataset + samples, cell.preset), []).append(outcome)
    before = ""
    for (system, *named), found in by_system.items():
        work, states = costs.work(found, here), [_state(outcome) for outcome in found]
        about = "" if not work.cells else "?" if work.unknown else costs.duration(work.seconds)
        runs = {name: states.count(state) for state, name in STATES.items() if state in states}
        told = ", ".join(name if name == "no data" else f"{n} {name}" for name, n in runs.items())
        shown.add_row("" if system == before else system, *named, told, about)
        before = system
    console = Console(markup=False)
    console.print(shown)
    console.print(f"{table.name}: {costs.work(outcomes, here).told(jobs)}; nothing was run", soft_wrap=True)
    for reason in dict.fromkeys(f"{outcome.status}: {outcome.reason}" for outcome in outcomes if outcome.reason):
        console.print(reason, soft_wrap=True)


def _state(outcome: Outcome) -> str:
    return "trained" if outcome.status == "waiting" and not outcome.is_to_run else outcome.status


def _say_what_it_takes(table: Table, planned: Sequence[Planned], folders: Folders, jobs: int) -> None:
    from gancluster.bench import costs

    work = costs.work([one.outcome for one in planned], costs.measured(folders.runs))
    if work.cells:
        print(f"{table.name}: {work.told(jobs)}; runs are kept in {folders.runs}", file=sys.stderr, flush=True)


def _end_if_stopped(outcomes: Sequence[Outcome], runs_dir: Path) -> None:
    """Exit as `train` does where the table was stopped before its end."""
    waiting = sum(outcome.status == "waiting" for outcome in outcomes)
    if waiting:
        told = f"stopped with {waiting} of {len(outcomes)} cells still to be finished; all else is saved in {runs_dir}"
        print(f"error: {told}; repeat the command to go on", file=sys.stderr)
        raise typer.Exit(130)


def _keep(sheet: Sheet, results_dir: Path | None) -> None:
    """Write the whole table as JSON, from which pages are made; a part of one would take the place of the whole."""
    from gancluster import atomic
    from gancluster.bench import pages, render

    if results_dir is None:
        return
    make(results_dir, "--results-dir")
    atomic.write_text(results_dir / f"{pages.name(sheet)}.json", render.json_text(sheet))


def _hand_over(sheet: Sheet, ending: str | None, output: Path | None) -> None:
    """The table in the format of that ending, to the file or else printed; without one, for the terminal."""
    from gancluster import atomic
    from gancluster.bench import render

    if ending is None:
        return _print(sheet)
    text = render.rendered(sheet, ending)
    if output is None:
        print(text, end="")
    else:
        atomic.write_text(output, text)
        typer.echo(output)


def _print(sheet: Sheet) -> None:
    """A table a data set, and the notes."""
    from rich.console import Console
    from rich.table import Table as Shown

    from gancluster.bench import render

    console = Console(markup=False)
    console.print(render.heading(sheet), style="bold", soft_wrap=True)
    for grid in render.grids(sheet):
        first, *others = grid.header
        shown = Shown(first, title=grid.title, show_lines=any("\n" in cell for row in grid.rows for cell in row))
        for name in others:
            shown.add_column(name, justify="right")
        for row in grid.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in render.notes(sheet):
        console.print(note, style="dim", soft_wrap=True)


def _draw(table: Table, sheet: Sheet, outcomes: Sequence[Outcome], folders: Folders, pictures: Path) -> None:
    """The table as bars; where it is about how samples lie in the plane, that too."""
    from gancluster.bench import drawn, pages

    paths = [pictures / f"{pages.name(sheet)}.png"]
    drawn.as_bars(sheet, paths[0])
    if table.name == "figure3":
        paths += drawn.as_planes(table, outcomes, folders.runs, folders.data, pictures)
    for path in paths:
        typer.echo(path)


def _pack(table: Table, sheet: Sheet, outcomes: Sequence[Outcome], folders: Folders, path: Path) -> None:
    """The table with all that its numbers follow from."""
    from gancluster.bench import capsule

    capsule.write(path, capsule.pack(table, sheet, outcomes, folders.runs, folders.data))
    typer.echo(path)
