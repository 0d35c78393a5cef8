"""About how long cells take: as long as their like took here, or else where the package's own table was measured."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from gancluster.bench.cells import Cell, Outcome
from gancluster.hashing import HASHES
from gancluster.runs.finding import every


class Kind(NamedTuple):
    """What makes cells cost alike, more or less: all but seed and options."""

    method: str
    dataset: str
    preset: str
    limit: int | None


class Cost(NamedTuple):
    """Seconds that one run took, and the options that it was configured with, `starts` among them."""

    seconds: float
    options: dict[str, Any]


def kind_of(cell: Cell) -> Kind:
    """The kind of a cell; the attributes of CelebA are of one kind, and hashes have no presets."""
    preset = "default" if cell.method in HASHES else cell.preset
    return Kind(cell.method, cell.dataset.partition(":")[0], preset, cell.limit)


def measured(runs_dir: Path) -> dict[Kind, list[Cost]]:
    """What every finished run below the folder took."""
    found = defaultdict[Kind, list[Cost]](list)
    for root in (runs_dir, runs_dir / ".hashes"):
        for run in every(root):
            request = run.request
            if run.status == "finished":
                kind = Kind(request.method, request.source.partition(":")[0], request.preset, request.limit)
                options = request.options | {"starts": request.starts}
                found[kind].append(Cost(run.result()["seconds"], options))
    return found


def estimate(cell: Cell, here: dict[Kind, list[Cost]]) -> float | None:
    """Seconds that the cell will take: the median of its like, those with its own options first; None if unknown."""
    kind = kind_of(cell)
    like = here.get(kind, [])
    asked = cell.options | {"starts": cell.starts}
    own = [cost for cost in like if asked.items() <= ({"starts": 1} | cost.options).items()]
    if like:
        return statistics.median(cost.seconds for cost in own or like)
    return packaged().get(kind)


class Work(NamedTuple):
    """What is still to be run of a table: `cells`, of which `unknown` cost nobody knows what, the others `seconds`."""

    cells: int
    seconds: float
    unknown: int

    @property
    def short(self) -> str:
        """In few words, a line each: *30 cells*, *8 minutes*, *+ 4 unknown*."""
        known = [duration(self.seconds)] if self.cells > self.unknown else []
        unknown = [f"{'+ ' if known else ''}{self.unknown} unknown"] if self.unknown else []
        return "\n".join([f"{self.cells} cells", *known, *unknown]) if self.cells else "–"

    def told(self, jobs: int = 1) -> str:
        """In words: *12 to run: 8 in about 3 minutes with 2 jobs, 4 of unknown cost*."""
        if not self.cells:
            return "nothing to run"
        known = f"about {duration(self.seconds / jobs)}" + (f" with {jobs} jobs" if jobs > 1 else "")
        if not self.unknown:
            return f"{self.cells} to run, {known}"
        if self.cells == self.unknown:
            return f"{self.cells} to run, of unknown cost"
        return f"{self.cells} to run: {self.cells - self.unknown} in {known}, {self.unknown} of unknown cost"


def work(outcomes: Sequence[Outcome], here: dict[Kind, list[Cost]]) -> Work:
    """What is still to be run among `outcomes`."""
    costs = [estimate(outcome.cell, here) for outcome in outcomes if outcome.is_to_run]
    return Work(len(costs), sum(cost or 0 for cost in costs), sum(cost is None for cost in costs))


def duration(seconds: float) -> str:
    """Seconds in the unit that one would say: *8 minutes*."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return "1 second" if seconds < 1.5 else f"{seconds:.0f} seconds"


@cache
def packaged() -> dict[Kind, float]:
    """The package's table: median seconds a run, one thread of a shared two-core x86-64 machine without a GPU.

    Preset `smoke` as `benchmarks/bench_costs.py` prints it; `default` is about the middle of what docs/results.md has.
    """
    text = files("gancluster.bench").joinpath("costs.csv").read_text(encoding="utf-8")
    return {
        Kind(row["method"], row["dataset"], row["preset"], int(row["limit"]) if row["limit"] else None): float(
            row["seconds"]
        )
        for row in csv.DictReader(text.splitlines())
    }


def as_csv(here: dict[Kind, list[Cost]]) -> str:
    """Runs' costs as the package's table has them, a line a kind."""
    lines = [
        [*(str(part) for part in kind[:3]), str(kind.limit or ""), f"{statistics.median(c.seconds for c in costs):.1f}"]
        for kind, costs in sorted(here.items(), key=str)
    ]
    return "\n".join(",".join(line) for line in [[*Kind._fields, "seconds"], *lines]) + "\n"
