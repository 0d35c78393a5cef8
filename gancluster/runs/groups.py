"""Groups of runs, one request over its seeds: found by a path or by any of its runs, and compared with each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gancluster.errors import DataError, RunError, UnknownName, UserError
from gancluster.metrics import statistics
from gancluster.metrics.statistics import Improvement, Interval, Published, Verdict
from gancluster.registry import unknown
from gancluster.runs.finding import every, find
from gancluster.runs.run import NOT_IN_KEY, Run, Status

Scores = dict[int, float]


@dataclass(frozen=True)
class Group:
    """Runs whose requests differ in the seed alone, in its order; `name`: how they were asked for."""

    name: str
    runs: list[Run]

    def seeds(self, status: Status) -> list[int]:
        return [run.request.seed for run in self.runs if run.status == status]

    def scores(self, key: str) -> Scores:
        """Score `key` by the paper's rule of every finished seed; failed and unfinished runs have none."""
        found = {}
        for run in self.runs:
            if run.status != "finished":
                continue
            scores = run.result()["scores"]
            if scores is None:
                raise DataError(f"{run.request.dataset} has no labels, so {run.folder} has no scores to compare")
            by_rule = next(iter(scores.values()))
            if key not in by_rule:
                raise UnknownName(unknown("score", key, by_rule))
            found[run.request.seed] = float(by_rule[key])
        return found


class Summary(NamedTuple):
    """One group; `interval` is None below 5 finished seeds, `std` below 2, `mean` without any."""

    group: str
    row: str
    n: int
    mean: float | None
    std: float | None
    interval: Interval | None
    failed: list[int]
    unfinished: list[int]


class Pair(NamedTuple):
    """Two groups over their `n` common seeds; what so few cannot carry is None, and `note` says why.

    `p`: of the sign-flip test, adjusted by Holm for all pairs tested; `improvement`: P(A > B) over all seeds of both.
    """

    a: str
    b: str
    n: int
    difference: float | None
    p: float | None
    improvement: Improvement | None
    seeds_needed: int | None
    note: str


def gather(root: Path, which: str) -> Group:
    """The group called `which` below `root`: `<data set>/<method>/<preset>`, or any one of its runs.

    `RunError` where there is none, or where the path holds runs of several requests.
    """
    path, runs = Path(which), every(root)
    names = [(*run.folder.parts[-3:-1], run.request.preset) for run in runs]
    named = [run for run, name in zip(runs, names, strict=True) if name == path.parts[-3:]]
    if not named:
        below = [run.folder for run in runs if run.folder.parts[-len(path.parts) :] == path.parts]
        if len(path.parts) > 1 and not below and not os.path.isdir(path):
            raise UnknownName(unknown("group", which, set(map("/".join, names))))
        one = find(root, str(below[0]) if below else which)
        siblings = every(one.folder.resolve().parents[2])
        named = [run for run in siblings if _request(run) == _request(one)]
    differ = differing(named)
    if differ:
        first = {str(_request(run)): run.folder.name for run in reversed(named)}
        raise RunError(
            f"{which} holds {len(first)} requests (they differ in {', '.join(differ)}): "
            f"name a run of the one you mean, such as {' or '.join(sorted(first.values()))}"
        )
    return Group(which, sorted(named, key=lambda run: run.request.seed))


def same_data(groups: list[Group]) -> None:
    """`DataError` unless all groups were trained on the same samples, bit for bit."""
    first, *others = (group.runs[0].request for group in groups)
    for other, group in zip(others, groups[1:], strict=True):
        if other.sha256 != first.sha256:
            raise DataError(
                f"{groups[0].name} is about {first.dataset} ({first.n_samples} samples, sha256 {first.sha256[:8]}), "
                f"{group.name} about {other.dataset} ({other.n_samples}, {other.sha256[:8]}): compare on the same data"
            )


def summary(group: Group, key: str) -> Summary:
    """Mean, standard deviation (n - 1) and 95 % interval of score `key` over the finished seeds."""
    values = list(group.scores(key).values())
    n = len(values)
    rows = [run.result()["row"] for run in group.runs if run.status == "finished"]
    return Summary(
        group.name,
        rows[0] if rows else group.runs[0].request.method,
        n,
        float(np.mean(values)) if n else None,
        float(np.std(values, ddof=1)) if n > 1 else None,
        statistics.mean_interval(values) if n >= statistics.FOR_INTERVAL else None,
        group.seeds("failed"),
        group.seeds("unfinished"),
    )


def compared(groups: list[Group], key: str) -> list[Pair]:
    """Every two groups, with Holm's correction over all pairs that could be tested.

    `seeds_needed`: for a difference that would stand as the clearest of as many.
    """
    chosen = list(combinations(groups, 2))
    pairs = [_pair(a, b, key, 1 - 0.05 / len(chosen)) for a, b in chosen]
    adjusted = iter(statistics.holm([pair.p for pair in pairs if pair.p is not None]))
    return [pair if pair.p is None else pair._replace(p=next(adjusted)) for pair in pairs]


def judged(group: Group, key: str, published: Published, margin: float) -> tuple[Verdict, int | None]:
    """The verdict on a printed mean, and how many more seeds it takes (None: more than 1000)."""
    values = list(group.scores(key).values())
    return statistics.verdict(values, published, margin), statistics.seeds_needed(values, published, margin)


def _pair(a: Group, b: Group, key: str, level: float) -> Pair:
    ours, theirs = a.scores(key), b.scores(key)
    n = len(ours.keys() & theirs.keys())
    found = Pair(a.name, b.name, n, None, None, None, None, "")
    try:
        first, second = statistics.paired(ours, theirs)
        found = found._replace(
            difference=float((first - second).mean()),
            improvement=statistics.probability_of_improvement(list(ours.values()), list(theirs.values())),
            seeds_needed=statistics.seeds_needed(first - second, level=level),
        )
        return found._replace(p=statistics.paired_test(first, second).p)
    except UserError as error:
        return found._replace(note=str(error))


def _request(run: Run) -> dict[str, Any]:
    return run.request.model_dump(exclude=NOT_IN_KEY | {"seed"})


def differing(runs: list[Run]) -> list[str]:
    """Names of the options and fields in which the requests of runs differ, the seed aside."""

    def uneven(values: list[dict[str, Any]]) -> Iterator[str]:
        names = dict.fromkeys(name for value in values for name in value)
        return (name for name in names if any(value.get(name) != values[0].get(name) for value in values))

    requests = [_request(run) for run in runs]
    options = list(uneven([request.pop("options") for request in requests]))
    return options + list(uneven(requests))
