"""How the command line is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gancluster.runs.run import Run

Ask = Callable[..., "Said"]


@dataclass(frozen=True)
class Said:
    """What a command line answered."""

    code: int
    out: str
    err: str


def root_of(made: Run) -> Path:
    """The runs' folder that a run lies in."""
    return made.folder.parents[2]
