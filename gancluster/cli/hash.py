"""`gancluster hash METHOD -o codes.npz`: binary codes of a data set, or of a finished run's embedding."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancluster.cli.data import DataDir, Part
from gancluster.cli.options import RUNS, RunsDir
from gancluster.cli.places import check_free

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Annotated[str, typer.Argument(metavar="METHOD", help="kmh, sphh, speh, pcah, lsh or itq.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The .npz to write: codes, and labels where known.")]
Name = Annotated[str | None, typer.Option("--dataset", help="Hash this data set's pixels: its name or path.")]
RunName = Annotated[str | None, typer.Option("--run", help="Hash this finished run's embedding: its folder or name.")]
Bits = Annotated[int, typer.Option(min=1, help="Length of a code.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the hash, and of --limit.")]
Limit = Annotated[int | None, typer.Option(help="Use this many samples of the data set, drawn by the seed.")]


def hash_samples(
    method: Method,
    output: Output,
    dataset: Name = None,
    run: RunName = None,
    bits: Bits = 32,
    seed: Seed = 0,
    limit: Limit = None,
    split: Part = "all",
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Make binary codes of samples, without their labels, to be searched by Hamming distance."""
    from gancluster import hashing
    from gancluster.data import catalogue
    from gancluster.errors import UserError
    from gancluster.runs.finding import find

    chosen = hashing.named(method)
    if (dataset is None) == (run is None):
        raise UserError("say what to hash: either --dataset NAME, for its pixels, or --run RUN, for its embedding")
    if run is not None and (limit is not None or split != "all"):
        raise UserError("--limit and --split choose samples of a --dataset: leave them out with --run")
    check_free(output, "-o")
    samples: NDArray[Any]
    labels: NDArray[Any] | None
    if run is not None:
        arrays = find(runs_dir, run).arrays()
        samples, labels = arrays["embedding"], arrays.get("labels")
    else:
        loaded = catalogue.load(str(dataset), catalogue.data_folder(data_dir), split, limit, seed)
        samples, labels = hashing.flattened(loaded), loaded.labels
    codes = chosen.fit(samples, bits, seed).encode(samples)
    hashing.save(output, codes, labels)
    then = "it has no labels to score with" if labels is None else f"now: {_scoring(output, len(codes))}"
    typer.echo(f"{len(codes)} codes of {bits} bits: {output}; {then}")


def _scoring(path: Path, n: int) -> str:
    """The command that scores a file of `n` codes; few of them leave no room for the papers' 1000 queries and items."""
    command, few = f"gancluster eval --codes {shlex.quote(str(path))}", max(n // 10, 1)
    return command if n >= 2000 else f"{command} --queries {few} --at {few}"
