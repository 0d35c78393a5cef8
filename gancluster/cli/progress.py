"""What is shown while a run trains: a live bar with the losses on a terminal, a line a minute elsewhere, or nothing."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from gancluster.engine.play import Moment

EVERY = 60.0  # seconds between lines where there is no terminal


class Display:
    """Follows the moments of one run, on standard error."""

    def __init__(self, title: str, quiet: bool) -> None:
        self.title, self.quiet, self.losses = title, quiet, ""
        self.console = Console(stderr=True)
        self.is_live = self.console.is_terminal and not quiet
        self.next_line = time.monotonic()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[losses]}"),
            console=self.console,
            disable=not self.is_live,
            transient=True,
        )
        self.task = self.progress.add_task(title, total=None, losses="")

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, moment: Moment) -> None:
        if moment.row is not None:
            self.losses = _losses(moment)
        if self.is_live:
            place = f"{self.title} · {moment.phase} {moment.epoch}/{moment.epochs}"
            self.progress.update(
                self.task, completed=moment.played, total=moment.total, description=place, losses=self.losses
            )
        elif moment.row is not None and not self.quiet and time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + EVERY
            where = f"{moment.phase} {moment.epoch}/{moment.epochs}, step {moment.played} of {moment.total}"
            print(f"{self.title}: {where}: {self.losses}", file=self.console.file, flush=True)


def _losses(moment: Moment) -> str:
    """The epoch's losses in short: `clusterer.adversarial 0.71  …`."""
    row = moment.row or {}
    return "  ".join(f"{name} {value:.3g}" for name, value in row.items() if isinstance(value, float))
