"""`gancluster data list | info NAME | fetch NAME`: which data sets there are, what one is made of, and getting it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancluster import registry
from gancluster.cli.options import Json
from gancluster.data.splits import Split
from gancluster.plain import plain

if TYPE_CHECKING:
    from gancluster.data import catalogue

DataDir = Annotated[
    Path | None, typer.Option(help="Where data sets lie (default: $GANCLUSTER_DATA, or a cache folder).")
]
Name = Annotated[str, typer.Argument(help="A data set's name, or the path of an .npz or a folder of images.")]
Wanted = Annotated[str, typer.Argument(metavar="NAME", help="A data set's name, or that of a network of --features.")]
Part = Annotated[Split, typer.Option(help="Which published part; all: train followed by test.")]

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_all(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List every data set that has a name, and whether it is here; and the networks of --features."""
    from gancluster.data import catalogue
    from gancluster.data.features import NETWORKS

    folder = catalogue.data_folder(data_dir)
    entries = catalogue.entries(folder)
    if as_json:
        print(json.dumps({"data_dir": str(folder), "datasets": [asdict(entry) for entry in entries]}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "here", "where from", "what it is", title=f"data sets (in {folder})")
    table.columns[0].no_wrap = True
    for entry in entries:
        table.add_row(entry.name, "yes" if entry.here else "no", _where_from(entry), entry.summary)
    console = Console(markup=False, highlight=False)
    console.print(table)
    for network in NETWORKS.values():
        state = "here" if network.files(folder) else f"not here: {network.command(folder)}"
        console.print(f"the weights of --features {network.name} are {state}", soft_wrap=True)
    for line in registry.passed_over("datasets"):
        console.print(line, soft_wrap=True)


@app.command()
def info(name: Name, data_dir: DataDir = None, split: Part = "all", as_json: Json = False) -> None:
    """Read a data set, check it, and tell what it is made of."""
    from gancluster.data import catalogue

    folder = catalogue.data_folder(data_dir)
    facts = catalogue.facts(catalogue.load(name, folder, split))
    facts["files"] = [plain(str(path)) for path in catalogue.files_of(name, folder)]
    if as_json:
        print(json.dumps(facts))
        return
    for fact, value in facts.items():
        print(f"{fact.replace('_', ' '):12}", _in_words(value))


@app.command()
def fetch(name: Wanted, data_dir: DataDir = None) -> None:
    """Download a data set, or a network's weights, into the data folder, unless they are there."""
    from gancluster.data import catalogue

    paths = catalogue.fetch(name, catalogue.data_folder(data_dir))
    print("\n".join(map(str, paths)) or f"{name} needs no file")


def _where_from(entry: catalogue.Entry) -> str:
    """How one comes by a data set; plug-ins are named."""
    how = {"embedded": "comes along", "fetch": "fetch", "supply": "your own file"}[entry.obtained]
    return how if entry.origin == registry.OWN else f"{how} ({entry.origin})"


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count}" for name, count in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
