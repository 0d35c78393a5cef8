"""`gancluster train METHOD`: one run a seed; the options of METHOD are the fields of its config."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gancluster import registry
from gancluster.cli.options import RUNS, Json, RunsDir, name_first, with_options
from gancluster.errors import RunError

if TYPE_CHECKING:
    from gancluster.runs.run import Run

Resume = Annotated[bool, typer.Option("--resume", help="Go on with runs that were stopped.")]
SaveEvery = Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]


class Methods(TyperGroup):
    """One sub-command a method in the registry, made when it is asked for: its module imports torch."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, name_first(args, "train METHOD"))

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in sorted(registry.origins("methods")) if registry.works("methods", name)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _command(cmd_name)


app = typer.Typer(
    cls=Methods, no_args_is_help=True, help="Train a method; gancluster train METHOD --help shows its options."
)


@app.callback()
def _train() -> None:
    pass


def _command(name: str) -> Any:
    """The command `train NAME` with the options of training and of the method."""
    method = registry.find("methods", name)
    from gancluster.cli.progress import Display
    from gancluster.cli.results import show
    from gancluster.data import catalogue
    from gancluster.report.pictures import draw
    from gancluster.runs.processes import joined
    from gancluster.runs.run import Run
    from gancluster.runs.training import TrainOptions, plan, train, train_together, validated

    def command(
        *,
        resume: Resume = False,
        save_every: SaveEvery = 20.0,
        quiet: Quiet = False,
        as_json: Json = False,
        runs_dir: RunsDir = RUNS,
        **asked: Any,
    ) -> None:
        said = {key: value for key, value in asked.items() if value is not None}
        given = {key: said.pop(key) for key in list(said) if key not in TrainOptions.model_fields}
        options = validated(TrainOptions, said)
        folder, drawn = catalogue.data_folder(options.data_dir), (options.split, options.limit, options.seed)
        dataset = catalogue.load(options.dataset, folder, *drawn, options.features)
        with joined(options.engine, options.device, runs_dir) as company:
            requests = plan(name, dataset, options, given, _command_line())
            _refuse_unfinished([Run(company.runs_dir / request.folder, request) for request in requests], resume)
            runs = [Run.place(company.runs_dir, request) for request in requests]
            title, silent = f"{name} on {dataset.name}, seed", quiet or as_json or not company.is_first
            for place, run in enumerate(runs):
                with run.alone():
                    company.catch_up(run.request.folder)
                    if place % options.together == 0 and len(some := runs[place:][: options.together]) > 1:
                        seeds = f"{title}s {some[0].request.seed} to {some[-1].request.seed}"
                        with Display(seeds, silent) as display:
                            train_together(some, dataset, display, save_every)
                    with Display(f"{title} {run.request.seed}", silent) as display:
                        train(run, dataset, display, save_every, stop=company.stop)
                    if company.is_first:
                        draw(run, dataset)
            if company.is_first:
                show(runs, as_json)
        if any(run.status == "failed" for run in runs):
            raise typer.Exit(1)

    command.__doc__ = method.paper
    single = typer.Typer(add_completion=False)
    single.command(name)(with_options(command, {"Training": TrainOptions, f"Options of {name}": method.config_type}))
    return typer.main.get_command(single)


def _refuse_unfinished(runs: list[Run], resume: bool) -> None:
    """Never go on with a stopped run, or start it anew, without being told; one that is at work was not stopped."""
    for run in runs:
        if run.status == "unfinished" and run.folder.is_dir():
            with run.alone():
                pass
        if run.status == "unfinished" and run.is_begun and not resume:
            raise RunError(f"{run.folder} was stopped: add --resume to go on with it, or remove the folder")


def _command_line() -> str:
    return shlex.join(["gancluster", *sys.argv[1:]])
