"""`gancluster methods [NAME]`: the methods and critics there are, or one method's paper, presets and options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from gancluster import registry
from gancluster.errors import UnknownName

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="One method, to see all of it.")]


def methods(name: Name = None) -> None:
    """List the methods and the adversarial objectives, or show one method with its presets and options."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if name is not None:
        _show(Console(), registry.find("methods", name))
        return
    _list(console, "methods", "methods (gancluster methods NAME shows one)", lambda method: method.paper)
    _list(console, "critics", "adversarial objectives (train METHOD --critic NAME)", _summary)


def _list(console: Any, kind: registry.Kind, title: str, tell: Callable[[Any], str]) -> None:
    """A table of every plug-in of a kind; one that cannot be imported is there, with the reason."""
    from rich.table import Table

    table = Table(title=title)
    for column in ("name", "what it is", "from"):
        table.add_column(column, overflow="fold")
    for name, origin in sorted(registry.origins(kind).items()):
        try:
            told = tell(registry.find(kind, name))
        except UnknownName as error:
            told = str(error)
        table.add_row(name, told, "built in" if origin == registry.OWN else origin)
    console.print(table)
    for line in registry.passed_over(kind):
        console.print(line, soft_wrap=True)


def _summary(critic: Any) -> str:
    """The first sentence of its docstring."""
    return " ".join((critic.__doc__ or "").split("\n\n")[0].split())


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
