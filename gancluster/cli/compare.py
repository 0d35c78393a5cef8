"""`gancluster compare GROUP...`: methods, presets or options on the same data over their seeds, or a printed mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancluster.cli.options import RUNS, Json, RunsDir

if TYPE_CHECKING:
    from rich.table import Table

    from gancluster.runs.groups import Pair, Summary

Groups = Annotated[
    list[str],
    typer.Argument(metavar="GROUP...", help="DATA/METHOD/PRESET, or a run that stands for all seeds of its request."),
]
Score = Annotated[str, typer.Option(help="What is compared: acc, nmi, ari, or another key of eval --json.")]
Printed = Annotated[float | None, typer.Option("--published", help="A printed mean to hold every group against.")]
PrintedStd = Annotated[
    float | None, typer.Option("--published-std", help="Its standard deviation over runs; without it, ours is taken.")
]
PrintedRuns = Annotated[int, typer.Option("--published-runs", help="The number of runs it is the mean of.")]
Margin = Annotated[float, typer.Option(help="A mean that is surely this near to the printed one reproduces it.")]


def compare(
    groups: Groups,
    score: Score = "acc",
    published: Printed = None,
    published_std: PrintedStd = None,
    published_runs: PrintedRuns = 5,
    margin: Margin = 0.01,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Compare groups of runs over their seeds, or hold them against a printed mean."""
    from gancluster.errors import UserError
    from gancluster.metrics.statistics import Published
    from gancluster.runs import groups as gathered

    if len(groups) < 2 and published is None:
        raise UserError("one group compares with nothing: name another, or give a printed mean with --published")
    if published is not None and abs(published) > 1:
        raise UserError(f"--published {published:g} is no fraction: write 97 % as .97")
    found = [gathered.gather(runs_dir, which) for which in groups]
    gathered.same_data(found)
    summaries = [gathered.summary(group, score) for group in found]
    pairs = gathered.compared(found, score)
    printed = None if published is None else Published(published, published_std, published_runs)
    verdicts = [] if printed is None else [gathered.judged(group, score, printed, margin) for group in found]
    request, differ = found[0].runs[0].request, gathered.differing([group.runs[0] for group in found])
    if as_json:
        told: dict[str, Any] = {"score": score, "dataset": request.dataset, "differ_in": differ}
        told["groups"] = [summary._asdict() for summary in summaries]
        told["pairs"] = [
            pair._asdict() | {"improvement": pair.improvement and pair.improvement._asdict()} for pair in pairs
        ]
        told["published"] = printed and printed._asdict()
        told["verdicts"] = [verdict._asdict() | {"seeds_needed": needed} for verdict, needed in verdicts]
        print(json.dumps(told))
        return
    _show(f"{score.upper()} on {request.dataset}, n = {request.n_samples}", summaries, pairs)
    if differ:
        print(f"the groups differ in: {', '.join(differ)}")
    for summary, (verdict, needed) in zip(summaries, verdicts, strict=False):
        plan = {None: "; 1000 seeds would not do", 0: ""}.get(needed, f"; {needed} more seeds may decide it")
        print(
            f"{summary.group}: {verdict.name}; {summary.mean:.3f} is {verdict.difference:+.3f} from the printed "
            f"{published:.3f}, 95 % interval {verdict.low:+.3f} to {verdict.high:+.3f}{plan}"
        )


def _show(title: str, summaries: list[Summary], pairs: list[Pair]) -> None:
    from rich.console import Console

    console = Console()
    console.print(_means(title, summaries))
    if not pairs:
        return
    console.print(_pairs(pairs))
    for note in dict.fromkeys(f"{pair.a} - {pair.b}: {pair.note}" for pair in pairs if pair.note):
        console.print(note, markup=False, soft_wrap=True)
    console.print(
        "p: exact sign-flip test over common seeds, Holm's correction; more seeds: for p < .05 at 80 % power",
        style="dim",
        soft_wrap=True,
    )


def _means(title: str, summaries: list[Summary]) -> Table:
    from rich.table import Table

    from gancluster.metrics.statistics import FOR_INTERVAL

    table = Table("group", "row", "seeds", "mean ± sd", "95 % interval", "not averaged", title=title)
    table.columns[0].overflow = "fold"
    for one in summaries:
        mean = "–" if one.mean is None else f"{one.mean:.3f}" + ("" if one.std is None else f" ± {one.std:.3f}")
        more = f"{FOR_INTERVAL - one.n} more seeds"
        interval = more if one.interval is None else f"{one.interval.low:.3f} to {one.interval.high:.3f}"
        left_out = {"FAILED": one.failed, "unfinished": one.unfinished}
        left = "; ".join(f"{why}: {', '.join(map(str, seeds))}" for why, seeds in left_out.items() if seeds)
        table.add_row(one.group, one.row, str(one.n), mean, interval, left)
    return table


def _pairs(pairs: list[Pair]) -> Table:
    from rich.table import Column, Table

    table = Table(Column("A - B", overflow="fold"), "common seeds", "difference", "p (Holm)", "P(A > B)", "more seeds")
    for pair in pairs:
        better = pair.improvement
        table.add_row(
            f"{pair.a} - {pair.b}",
            str(pair.n),
            "–" if pair.difference is None else f"{pair.difference:+.3f}",
            "–" if pair.p is None else f"{pair.p:.3f}",
            "–" if better is None else f"{better.value:.2f} ({better.low:.2f} to {better.high:.2f})",
            "–" if pair.difference is None else "> 1000" if pair.seeds_needed is None else str(pair.seeds_needed),
        )
    return table
