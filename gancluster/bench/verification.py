"""Verifying a capsule: every score from the clusters, every mean, interval and verdict from the scores, and compared.

Needs neither data set nor GPU nor the methods that were run. What it cannot see is whether the clusters are the
method's: for that the requests are there, and whoever runs them again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

from gancluster import metrics
from gancluster.bench import measures, sheets, tables
from gancluster.bench.capsule import Arrays, Capsule, Packed, read, samples_of
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.layout import Table
from gancluster.bench.sheets import Entry, Sheet
from gancluster.data.reading import reason
from gancluster.errors import DataError
from gancluster.hashing import HASHES
from gancluster.runs.run import Request

CLOSE = 1e-12  # what the arithmetic of another processor may make of the same numbers
FREE = {"command", "version"}  # of a sheet: they follow from nothing
THE_SHEET = "the sheet"

Seeds = defaultdict[str, set[int]]


class Difference(NamedTuple):
    """What a capsule has `told` somewhere, and what was `found` instead."""

    where: str
    what: str
    told: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.what} is told to be {self.told}, but comes to {self.found}"


@dataclass
class Tally:
    """What was compared: how many `numbers`, the `largest` distance of those that agree, and what differs."""

    runs: int = 0
    numbers: int = 0
    largest: float = 0.0
    differences: list[Difference] = field(default_factory=list)

    def compare(self, where: str, what: str, told: Any, found: Any) -> None:
        """Compare two plain values, with all that is in them."""
        if isinstance(told, dict) and isinstance(found, dict):
            for key in told | found:
                self.compare(where, f"{what} {key}".strip(), told.get(key), found.get(key))
        elif isinstance(told, list | tuple) and isinstance(found, list | tuple) and len(told) == len(found):
            for i, pair in enumerate(zip(told, found, strict=True)):
                self.compare(where, f"{what} {i}", *pair)
        elif _is_number(told) and _is_number(found):
            self.numbers += 1
            if isclose(told, found, rel_tol=CLOSE, abs_tol=CLOSE):
                self.largest = max(self.largest, abs(told - found))
            else:
                self.differences.append(Difference(where, what, told, found))
        elif told != found:
            self.differences.append(Difference(where, what, told, found))


Tallies = dict[tuple[str, str], Tally]


def verify(path: Path) -> tuple[Sheet, Tallies]:
    """The sheet in a capsule, and what came of comparing it: a tally a system and data set, and one of the sheet.

    `DataError` in one line for a file that is no capsule, damaged, or does not hang together.
    """
    capsule = read(path)
    try:
        return capsule.told.sheet, compared(capsule)
    except Exception as error:  # what somebody has made up may raise anything
        advice = "have it made anew, by gancluster bench TABLE --capsule FILE"
        raise DataError(f"{path} does not hang together ({reason(error)}): {advice}") from error


def compared(capsule: Capsule) -> Tallies:
    """All that can be computed anew from a capsule's arrays, held against what it tells."""
    tallies, outcomes = defaultdict[tuple[str, str], Tally](Tally), list[Outcome]()
    seeds, known, requests = Seeds(set), dict[str, measures.Scores](), dict[str, Request | None]()
    for packed in capsule.told.cells:
        told, cell = packed.outcome, packed.outcome.cell
        seeds[cell.series].add(cell.seed)
        tally = tallies[cell.system, cell.dataset]
        outcomes.append(_again(packed, capsule.arrays, known))
        tally.runs += told.status == "finished"
        tally.compare(str(cell), "", told.scores, outcomes[-1].scores)
        for what, asked, ran in _as_asked(packed, requests.setdefault(packed.key, packed.request)):
            tally.compare(str(cell), what, asked, ran)
    sheet, table = capsule.told.sheet, capsule.told.layout.table()
    again = sheets.filled(table, outcomes, sheet.budget, Path("DIR"), sheet.command)
    tally = tallies[THE_SHEET, ""] = Tally(runs=len(outcomes))
    _compare_sheets(tally, sheet, again)
    _compare_seeds(tally, seeds)
    _compare_figures(tally, table)
    return dict(tallies)


def _again(packed: Packed, arrays: Arrays, known: dict[str, measures.Scores]) -> Outcome:
    """The outcome with the scores that its run's arrays have; `known`: those of runs that other cells share."""
    outcome, request = packed.outcome, packed.request
    if outcome.status != "finished":
        return outcome
    if request is None:
        return outcome.model_copy(update={"scores": {}})
    if packed.key not in known:
        own = {name.partition("/")[2]: v for name, v in arrays.items() if name.startswith(f"{packed.key}/")}
        shared = {name: arrays.get(f"{samples_of(request)}/{name}") for name in ("labels", measures.UNSEEN_LABELS)}
        own |= {name: values for name, values in shared.items() if values is not None}
        labels, clusters, k = own.get("labels"), own.get("clusters"), request.n_clusters
        scores = measures.Scores()
        if labels is not None and clusters is not None and not measures.is_of_unseen(request):
            if k > len(clusters):
                raise ValueError(f"{len(clusters)} samples in {k} clusters")
            scores = metrics.scores(labels, clusters, k, named=request.n_labels > 0)
        known[packed.key] = scores | measures.scored(request, labels, own)
    return outcome.model_copy(update={"scores": known[packed.key]})


def _as_asked(packed: Packed, first: Request | None) -> Iterator[tuple[str, Any, Any]]:
    """What a cell asks for, beside what its run was; `first`: whose the same arrays were before."""
    cell, request = packed.outcome.cell, packed.request
    if packed.outcome.status != "finished":
        return
    if request is None:
        yield "its request", "there", "missing"
        return
    for name in ("method", "features", "seed", "limit", "split", "starts"):
        yield name, getattr(cell, name), getattr(request, name)
    if cell.method not in HASHES:  # which have no presets
        yield "preset", cell.preset, request.preset
    yield "data set", cell.dataset, request.source
    yield "labels", cell.labels, request.n_labels
    if cell.clusters is not None:
        yield "clusters", cell.clusters, request.n_clusters
    for name, value in cell.options.items():
        yield name, value, request.options.get(name)
    if first != request:
        yield "its run", "its own", "that of another request"


def _compare_sheets(tally: Tally, told: Sheet, found: Sheet) -> None:
    """Hold one sheet against another, place by place."""
    places: dict[str, Any] = {"heads": True, "lines": {"__all__": {"entries"}}} | dict.fromkeys(FREE, True)
    tally.compare(THE_SHEET, "", told.model_dump(exclude=places), found.model_dump(exclude=places))
    heads = [head.model_dump() for head in told.heads], [head.model_dump() for head in found.heads]
    tally.compare(THE_SHEET, "heads", *heads)
    for line, other in zip(told.lines, found.lines, strict=False):
        tally.compare(line.title, "places", len(line.entries), len(other.entries))
        for head, mine, theirs in zip(told.heads, line.entries, other.entries, strict=False):
            where = f"{line.title}, {head.dataset} {head.metric}"
            left = {"not_run", "waiting"} if _is_blank(theirs) else set()  # which methods there are may have changed
            tally.compare(where, "", mine.model_dump(exclude=left), theirs.model_dump(exclude=left))


def _is_blank(entry: Entry) -> bool:
    """Whether nothing was run for it."""
    return not (entry.measured or entry.failed or entry.missing or entry.unscored)


def _compare_seeds(tally: Tally, seeds: Seeds) -> None:
    """No cell may lack a seed that others have: left out, it would count in no mean."""
    every = sorted(set().union(*seeds.values()))
    for cell, found in seeds.items():
        tally.compare(str(Cell.model_validate_json(cell)).rpartition(", ")[0], "seeds", every, sorted(found))


def _compare_figures(tally: Tally, table: Table) -> None:
    """The figures of a paper's table are those that it prints there, and all of those in these rows and columns."""
    printed = tables.named(table.name, table.paper).figures if table.paper else table.figures
    places = {(row.title, column.key) for row in table.rows for column in table.columns}
    for place in [*table.figures, *(places & printed.keys() - table.figures.keys())]:
        if table.figures.get(place) != printed.get(place):
            told, found = (figures[place].text if place in figures else None for figures in (table.figures, printed))
            tally.differences.append(Difference(", ".join(place), "printed figure", told, found))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
