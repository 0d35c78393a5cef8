"""`gancluster methods [NAME]`: the methods there are, or one's paper, presets and options."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gancluster import registry

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="One method, to see all of it.")]


def methods(name: Name = None) -> None:
    """List the methods, or show one with its presets and options."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if name is not None:
        _show(console, registry.find("methods", name))
        return
    table = Table(title="methods (gancluster methods NAME shows one)")
    for column in ("name", "paper", "from"):
        table.add_column(column, overflow="fold")
    for known, origin in sorted(registry.origins("methods").items()):
        table.add_row(known, registry.find("methods", known).paper, origin)
    console.print(table)


def _show(console: Any, method: Any) -> None:
    from rich.table import Table

    from gancluster.methods.base import EXAMPLES

    console.print(f"[bold]{method.name}[/bold]  {method.paper}", soft_wrap=True)
    seen: set[str] = set()
    for kind, task in EXAMPLES.items():
        for preset, (description, values) in method.presets(task).items():
            line = f"{preset} ({kind}): {description} {values or 'the defaults below'}"
            if f"{preset}{description}{values}" not in seen:
                console.print(line, soft_wrap=True, markup=False)
            seen.add(f"{preset}{description}{values}")
    table = Table("option", "default", "what it does")
    for field, info in method.config_type.model_fields.items():
        table.add_row("--" + field.replace("_", "-"), str(info.default), info.description)
    console.print(table)
