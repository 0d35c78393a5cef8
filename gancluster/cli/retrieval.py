"""`gancluster eval --retrieval` and `gancluster eval --codes FILE.npz`: binary codes as an index to search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from gancluster.errors import DataError, UserError

if TYPE_CHECKING:
    from gancluster.runs.run import Run

ANEW = "save it anew, by numpy.savez(path, codes=…, labels=…)"


class RetrievalOptions(BaseModel):
    """What may be asked of a search; the command line's options are made from it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    bits: str = Field("32,64", description="lengths of the codes of a run, as 32,64")
    queries: int = Field(1000, description="samples that are searched for; the others are the gallery")
    at: int = Field(1000, description="score the first so many items found (k)")
    seed: int = Field(0, description="draws the queries and the order of the gallery")


def of_run(run: Run, given: dict[str, Any], as_json: bool) -> None:
    """Score the codes that the run's method makes of its embedding."""
    from gancluster.runs.attempts import method_of

    options, arrays = RetrievalOptions(**given), run.arrays()
    if "labels" not in arrays:
        raise DataError(f"{run.request.dataset} has no labels, so nothing says what a search should find: add labels")
    method = method_of(run.request)
    codes = [method.binary_codes(arrays["embedding"], arrays["centres"], bits) for bits in _lengths(options.bits)]
    results = [_scored(one, arrays["labels"], options) for one in codes]
    _print({"run": str(run.folder), "retrieval": results}, f"{run.folder} ({run.result()['row']})", as_json)


def of_file(path: Path, given: dict[str, Any], as_json: bool) -> None:
    """Score the codes `(n, bits)` and labels `(n,)` in an .npz."""
    if "bits" in given:
        raise UserError(f"the codes in {path} have the length they have: leave out --bits")
    codes, labels = _read(path)
    result = _scored(codes, labels, RetrievalOptions(**given))
    _print({"codes": str(path), "retrieval": [result]}, str(path), as_json)


def _lengths(bits: str) -> list[int]:
    try:
        lengths = [int(part) for part in bits.split(",")]
    except ValueError:
        lengths = [0]
    if min(lengths) < 1:
        raise UserError(f"--bits {bits} are not lengths of codes: give one or more, as 32,64")
    return lengths


def _read(path: Path) -> tuple[Any, ...]:
    from gancluster.data.reading import arrays, names_in

    if not path.is_file():
        raise DataError(f"{path} does not exist or is no file: give an .npz of codes and labels")
    there = names_in(path, ANEW)
    for name in ("codes", "labels"):
        if name not in there:
            raise DataError(f"{path} has no '{name}' (it has: {', '.join(there) or 'nothing'}): {ANEW}")
    return arrays(path, "codes", "labels", advice=ANEW)


def _scored(codes: Any, labels: Any, options: RetrievalOptions) -> dict[str, Any]:
    from gancluster.metrics import retrieval_scores

    return retrieval_scores(codes, labels, options.queries, options.seed, options.at)


def _print(told: dict[str, Any], title: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told))
        return
    from rich.console import Console

    console = Console(markup=False)
    for result in told["retrieval"]:
        console.print(_table(f"{title}: retrieval by {result['bits']} bits, in percent", result))


def _table(title: str, result: dict[str, Any]) -> Any:
    from rich.table import Table

    from gancluster.metrics.retrieval import printed_as

    caption = (
        f"{result['n']} labelled samples: {result['queries']} queries drawn by seed {result['seed']}, "
        f"{result['gallery']} in the gallery; {result['distinct_codes']} distinct codes; "
        f"{result['without_relevant']} queries without a relevant item"
    )
    table = Table(title=title, caption=caption, caption_justify="left")
    table.add_column("score")
    for order in ("expected", "fixed order", "worst", "best"):
        table.add_column(order, justify="right")
    table.add_column("compares with", style="dim")
    for name, orders in result["scores"].items():
        values = (orders[order] for order in ("expected", "fixed", "worst", "best"))
        table.add_row(name, *(f"{100 * value:.2f}" for value in values), printed_as(name, result))
    return table
