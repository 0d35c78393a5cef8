"""`gancluster verify CAPSULE`: every number of a packed table, computed anew; exit code 0 if all agree, else 1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(metavar="CAPSULE", help="What gancluster bench TABLE --capsule has made.")]

SHOWN = 20  # differences


def verify(capsule: File) -> None:
    """Compute every number of a packed table anew, without data set or GPU, and compare them."""
    from rich.console import Console
    from rich.table import Table

    from gancluster.bench import render, verification
    from gancluster.plain import plain

    sheet, tallies = verification.verify(capsule)
    console = Console(markup=False)
    shown = Table("what", "data set", "runs", "numbers", "agree", title=plain(render.heading(sheet)))
    for (what, dataset), tally in tallies.items():
        if not (tally.numbers or tally.differences):
            continue  # it was not run
        agree = f"{len(tally.differences)} differ" if tally.differences else "yes"
        shown.add_row(plain(what), plain(dataset), str(tally.runs), str(tally.numbers), agree)
    console.print(shown)
    differences = [difference for tally in tallies.values() for difference in tally.differences]
    for difference in differences[:SHOWN]:
        console.print(plain(str(difference)), soft_wrap=True)
    if len(differences) > SHOWN:
        console.print(f"and {len(differences) - SHOWN} more")
    numbers, largest = sum(tally.numbers for tally in tallies.values()), max(t.largest for t in tallies.values())
    told = f"{len(differences)} differ" if differences else f"all agree (largest distance {largest:.1g})"
    made = f"packed by gancluster {plain(sheet.version)}: {plain(sheet.command)}"
    console.print(f"{numbers:,} numbers computed anew, {told}; {made}", soft_wrap=True)
    if differences:
        raise typer.Exit(1)
