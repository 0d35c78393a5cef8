"""What is shown while a table is run: every cell's state on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gancluster.bench.executor import News
from gancluster.bench.grid import Planned

EVERY = 60.0  # seconds between lines where there is no terminal
MARKS = {"finished": "✓", "failed": "✗", "no data": "–", "waiting": "·"}
STYLES = {"finished": "green", "failed": "bold red", "no data": "dim", "waiting": "dim"}
LEGEND = "✓ finished   ✗ failed   – no data   · waiting   a seed a sign; Ctrl-C stops and loses nothing"


class Board:
    """Follows what happens to the cells of a table, on standard error."""

    def __init__(self, title: str, planned: Sequence[Planned], retry_failed: bool = False) -> None:
        self.title, self.cells = title, [one.outcome.cell for one in planned]
        self.places: dict[str, list[int]] = {}
        for place, one in enumerate(planned):
            self.places.setdefault(one.key, []).append(place)
        self.states = ["waiting" if retry_failed and o.has_failed and o.key else o.outcome.status for o in planned]
        self.at_work: dict[int, News] = {}
        self.console = Console(stderr=True)
        self.live = Live(console=self.console, get_renderable=self.shown, transient=True, refresh_per_second=2)
        self.over = threading.Event()
        self.teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Board:
        if self.console.is_terminal:
            self.live.start()
        else:
            self.teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.over.set()
        if self.console.is_terminal:
            self.live.stop()
        else:
            self.teller.join()

    def __call__(self, news: News) -> None:
        for place in self.places[news.job]:
            self.at_work.pop(place, None)
            if news.state == "running":
                self.at_work[place] = news
            elif news.state in ("ended", "refused", "given up"):
                self.states[place] = "failed" if news.reason else "finished"
        if news.reason and news.state != "stopped":
            failed = "" if news.state == "died" else "FAILED: "
            self.live.console.print(
                f"{self.cells[self.places[news.job][0]]}: {failed}{news.reason}", soft_wrap=True, markup=False
            )

    def line(self) -> str:
        """All of it in a line."""
        counts = Counter(self.states)
        told = [f"{counts['finished']} of {len(self.states)} cells finished"]
        told += [f"{counts['failed']} failed"] if counts["failed"] else []
        told += [f"{self.cells[place]}: {_progress(news)}" for place, news in [*self.at_work.items()]]
        return f"{self.title}: {'; '.join(told)}"

    def shown(self) -> Group:
        head = f"{self.title}: {self.states.count('finished')} of {len(self.states)} cells finished"
        return Group(Text(head, "bold"), self.table(), Text(LEGEND, "dim"))

    def table(self) -> Table:
        """A row a system, a column a data set, a sign a seed."""
        shown = Table()
        datasets = list(dict.fromkeys(cell.dataset for cell in self.cells))
        shown.add_column("")
        for dataset in datasets:
            shown.add_column(dataset)
        for system in dict.fromkeys(cell.system for cell in self.cells):
            shown.add_row(system, *(self._marks(system, dataset) for dataset in datasets))
        return shown

    def _marks(self, system: str, dataset: str) -> Text:
        text = Text()
        for place, cell in enumerate(self.cells):
            if (cell.system, cell.dataset) != (system, dataset):
                continue
            if place in self.at_work:
                text.append(f" {_share(self.at_work[place])} ", "bold cyan")
            else:
                text.append(MARKS[self.states[place]], STYLES[self.states[place]])
        return text

    def _tell(self) -> None:
        print(self.line(), file=sys.stderr, flush=True)
        while not self.over.wait(EVERY):
            print(self.line(), file=sys.stderr, flush=True)


def _share(news: News) -> str:
    return f"{news.played / news.total:.0%}" if news.total else "at work"


def _progress(news: News) -> str:
    return f"{news.where}, {_share(news)}" if news.where else _share(news)
