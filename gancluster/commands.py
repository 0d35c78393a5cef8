"""Commands as one would type them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def typed(words: Sequence[str], options: Mapping[str, Any]) -> str:
    """`gancluster WORDS --option value …`, for a shell; a switch is --option or --no-option."""
    given = [part for name, value in options.items() for part in _option(name.replace("_", "-"), value)]
    return shlex.join(["gancluster", *words, *given])


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]
