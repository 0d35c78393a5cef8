"""The grid: what cells ask becomes runs; finished ones are taken as they are, the others go to an executor.

A run's key is a hash of all that can change what is trained. So a cell whose run is finished is never carried out
again, one that was stopped goes on from its checkpoint, and one that failed stays failed until somebody asks for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gancluster import registry
from gancluster.bench import hashes, measures
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.executor import Executor, News
from gancluster.bench.worker import DRAWN_BY, Job, give_up, root_of
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.data.splits import Split
from gancluster.engine.ways import Way
from gancluster.errors import DataMissing, RunError, UserError
from gancluster.hashing import HASHES
from gancluster.methods.base import Method
from gancluster.runs.run import Request, Run
from gancluster.runs.training import TrainOptions, plan, stop_signals

Watch = Callable[[News], None]


@dataclass(frozen=True)
class Folders:
    """Where runs and data sets lie."""

    runs: Path
    data: Path


@dataclass(frozen=True)
class Planned:
    """A cell, the run that it asks for, None where it can ask for none, and how that stands."""

    request: Request | None
    outcome: Outcome

    @property
    def key(self) -> str:
        return "" if self.request is None else self.request.key

    @property
    def has_failed(self) -> bool:
        return self.outcome.status == "failed"


def look(cells: Sequence[Cell], folders: Folders, command: str = "", engine: Way = "plain") -> list[Planned]:
    """How each cell stands, in their order, where games are played by `engine`; nothing is run, nothing written."""
    found: dict[int, Planned] = {}
    for place, asked in _asked(cells, folders.data, command, engine):
        if isinstance(asked, Request):
            found[place] = Planned(asked, _as_it_stands(cells[place], asked, folders.runs))
        else:
            status = "no data" if isinstance(asked, DataMissing) else "failed"
            found[place] = Planned(None, Outcome(cell=cells[place], status=status, reason=str(asked)))
    return [found[place] for place in range(len(cells))]


def as_run(planned: Sequence[Planned], folders: Folders) -> list[Outcome]:
    """What has become of every cell, nothing being run; runs that are finished and were not measured yet, are."""
    for one in planned:
        if one.request is None or one.outcome.status != "waiting" or one.request.method in HASHES:
            continue
        with contextlib.suppress(UserError):  # it is waiting, then
            run = Run.open(root_of(one.request, folders.runs) / one.request.folder)
            if run.request.key == one.key and run.status == "finished":
                measures.take(run, folders.data)
    return [_after(one, True, {}, folders.runs) for one in planned]


def carry_out(
    planned: Sequence[Planned],
    folders: Folders,
    executor: Executor,
    watch: Watch = lambda news: None,
    retry_failed: bool = False,
    save_every: float = 20.0,
) -> list[Outcome]:
    """Run what is waiting, and with `retry_failed` what failed, and return what became of every cell, in their order.

    Cells that ask for the same run share it. SIGINT and SIGTERM stop the grid, all saved; what was not finished is
    still waiting then.
    """
    jobs, refused = dict[str, Job](), dict[str, str]()
    for one in planned:
        if one.request is not None and (one.outcome.status == "waiting" or (retry_failed and one.has_failed)):
            job = Job(request=one.request, runs_dir=folders.runs, data_dir=folders.data, save_every=save_every)
            jobs[one.key] = job
            if one.has_failed:
                with contextlib.suppress(RunError):  # whoever carries the job out will say so
                    job.place().reopen()
    with stop_signals() as stop:
        for news in executor.run({key: job.model_dump_json() for key, job in jobs.items()}, stop):
            if news.state == "given up":
                give_up(jobs[news.job].place(), news.reason)
            if news.state == "refused":
                refused[news.job] = news.reason
            watch(news)
    return [_after(one, one.key in jobs, refused, folders.runs) for one in planned]


def _after(one: Planned, was_due: bool, refused: dict[str, str], root: Path) -> Outcome:
    """What became of a cell after all that was due has been carried out."""
    if one.key in refused:
        return one.outcome.model_copy(update={"status": "failed", "reason": refused[one.key]})
    if one.request is None or not was_due:
        return one.outcome
    return _as_it_stands(one.outcome.cell, one.request, root)


def _asked(
    cells: Sequence[Cell], data_dir: Path, command: str, engine: Way
) -> Iterator[tuple[int, Request | UserError]]:
    """The request of each cell, by its place, or why there can be none; one data set after the other is loaded."""
    by_data: dict[tuple[str, Split, int | None, str | None], list[int]] = {}
    for place, cell in enumerate(cells):
        by_data.setdefault((cell.dataset, cell.split, cell.limit, cell.features), []).append(place)
    for (source, split, limit, features), places in by_data.items():
        try:
            dataset = catalogue.load(source, data_dir, split, limit, DRAWN_BY, features)
        except UserError as error:
            yield from ((place, error) for place in places)
            continue
        for place in places:
            try:
                yield place, _request(cells[place], dataset, command, engine)
            except UserError as error:
                yield place, error


def _request(cell: Cell, dataset: Dataset, command: str, engine: Way) -> Request:
    """The run that a cell asks for; `UserError` where that cannot be."""
    if cell.method in HASHES:
        return hashes.request(cell, dataset, command)
    is_game = issubclass(registry.find("methods", cell.method), Method)
    played = {"engine": engine} if is_game else {}
    options = TrainOptions(**cell.model_dump(exclude={"method", "options"}), **played)
    (request,) = plan(cell.method, dataset, options, cell.options, command)
    return request.model_copy(update={"drawn_by": DRAWN_BY})


def _as_it_stands(cell: Cell, request: Request, root: Path) -> Outcome:
    """What the run of a cell has come to."""
    own_root = root_of(request, root)
    waiting = Outcome(cell=cell, status="waiting")
    if not (own_root / request.folder / "config.json").exists():
        return waiting
    try:
        run = Run.place(own_root, request)
        if run.status == "unfinished":
            return waiting
        if run.status == "finished" and not measures.are_there(run):
            return waiting.model_copy(update={"run": str(run.folder.relative_to(root))})
        return _outcome(cell, run, root)
    except RunError as error:
        return Outcome(cell=cell, status="failed", reason=str(error))


def _outcome(cell: Cell, run: Run, root: Path) -> Outcome:
    """What came out of a run that is over: the scores of the paper's rule, and what a table measures beside them."""
    result = run.result()
    told = {"cell": cell, "seconds": result["seconds"], "machine": result["machine"]}
    told |= {"starts_mean": result.get("starts_mean", {})}
    folder = run.folder.relative_to(root)
    if run.status == "failed":
        return Outcome(status="failed", reason=result["reason"], row=run.request.method, **told)
    rules = result["scores"] or {"": {}}
    own = {} if measures.is_of_unseen(run.request) else next(iter(rules.values()))
    scores = own | result.get("generated", {}) | measures.of(run)
    return Outcome(status="finished", row=result["row"], scores=scores, run=str(folder), **told)
