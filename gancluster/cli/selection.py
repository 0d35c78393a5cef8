"""`gancluster eval --select`: rules for taking an epoch's partition side by side, the one that sees labels marked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gancluster.runs.run import Run
    from gancluster.runs.selection import Choice

BADGE = "selected with labels"
SHOWN = {"acc": "ACC", "nmi": "NMI", "ari": "ARI"}
Select = Annotated[
    str | None,
    typer.Option(
        metavar="last|internal|oracle", help="Which epoch to take, all rules side by side; after train --snapshots N."
    ),
]


def show_selection(run: Run, select: str, as_json: bool) -> None:
    """Print what each rule picks among the snapshots of `run`, that of `select` marked."""
    from gancluster.runs.selection import choices, pick

    chosen, found = pick(run, select), choices(run)
    if as_json:
        told = {"selected": chosen._asdict(), "selected_with_labels": chosen.selected_with_labels}
        print(json.dumps({"run": str(run.folder)} | told | {"choices": [choice._asdict() for choice in found]}))
    else:
        _print_choices(run, chosen, found)


def _print_choices(run: Run, chosen: Choice, found: list[Choice]) -> None:
    from rich.console import Console
    from rich.table import Table

    kept = len(run.snapshots()["epoch"])
    table = Table(title=f"{run.folder}: {kept} partitions kept on the way")
    for name in ["", "rule", "epoch", "in phase", "value", *SHOWN.values(), ""]:
        table.add_column(name, justify="right" if name in {"epoch", "value", *SHOWN.values()} else "left")
    for choice in found:
        scores = [f"{choice.scores[key]:.4f}" if choice.scores else "–" for key in SHOWN]
        mark, badge = "→" if choice == chosen else "", BADGE if choice.selected_with_labels else ""
        table.add_row(mark, choice.rule, str(choice.epoch), choice.phase, f"{choice.value:.4g}", *scores, badge)
    Console(markup=False).print(table)
