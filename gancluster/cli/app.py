"""`gancluster`: the verbs, and what an error looks like (one line on stderr; 2 for the user's, 1 for a failed run)."""

from __future__ import annotations

import io
import os
import sys

import typer

from gancluster import __version__
from gancluster.cli import (
    bench,
    compare,
    data,
    doctor,
    embed,
    evaluate,
    hash,
    methods,
    predict,
    report,
    runs,
    sample,
    train,
    verify,
)
from gancluster.errors import Interrupted, UserError
from gancluster.plain import plain

app = typer.Typer(
    name="gancluster",
    help="Adversarial clustering, compared: train a method, score it, look at what it made.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(train.app, name="train")
app.command("eval")(evaluate.evaluate)
app.command()(compare.compare)
app.command()(runs.runs)
app.command()(doctor.doctor)
app.command()(methods.methods)
app.command()(sample.sample)
app.command()(predict.predict)
app.command()(embed.embed)
app.command("hash")(hash.hash_samples)
app.add_typer(bench.app, name="bench")
app.command("report")(report.report)
app.command()(verify.verify)
app.add_typer(data.app, name="data", help="The data sets: list them, look at one, fetch one.")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def main() -> None:
    """Entry point of the command `gancluster`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± shows ?
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Carry out one command line and return its exit code."""
    try:
        code = app(arguments, prog_name="gancluster", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return _say(f"{error.filename or 'output'}: {reason}: see that it can be read and written, or name another", 2)
    except (UserError, typer.TyperException) as error:
        return _say(error.format_message() if isinstance(error, typer.TyperException) else str(error), 2)
    except Interrupted as error:
        return _say(f"{error}; repeat the command with --resume to go on", 130)
    return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    is_other = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK", "0") != "0"
    if message and not is_other:  # the help has been printed; torchrun's others are silent
        print("error: " + plain(" ".join(message.split())), file=sys.stderr)
    return code
