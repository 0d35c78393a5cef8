"""Command-line options made from a model's fields: a field's type, description and default are the option's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gancluster.errors import UserError

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A finished run's folder or name.")]
AnyRun = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's folder or name; the newest without.")]
RunsDir = Annotated[Path, typer.Option(envvar="GANCLUSTER_RUNS", help="Where the runs lie.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
RUNS = Path("runs")


def with_options(function: Callable[..., Any], models: dict[str, type[BaseModel]]) -> Callable[..., Any]:
    """`function(**values)` as a command whose options are the models' fields, in one help panel a model.

    An option that is not given is None: only what the user said reaches the function, and presets fill in the rest.
    """
    options = {
        name: inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name, field, panel)
        )
        for panel, model in models.items()
        for name, field in model.model_fields.items()
    }
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]

    def command(**values: Any) -> None:
        function(**values)

    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature([*options.values(), *own])  # type: ignore[attr-defined]
    return command


def name_first(words: list[str], usage: str) -> list[str]:
    """The words of a command that begins with a name; `UserError` where an option takes its place."""
    if words and words[0].startswith("-") and words[0] != "--help":
        raise UserError(f"a name comes before {words[0]}: gancluster {usage} {words[0]} and so on")
    return words


def _option(name: str, field: FieldInfo, panel: str) -> Any:
    text = field.description or ""
    if field.default is not None:
        shown = (
            {True: "on", False: "off"}.get(field.default, field.default)
            if isinstance(field.default, bool)
            else field.default
        )
        text += f" (default: {shown})"
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag
    return Annotated[field.annotation | None, typer.Option(declaration, help=text, rich_help_panel=panel)]  # type: ignore[operator]
