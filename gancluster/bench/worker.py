"""A job: a cell's run from where it stands to its end, and what is measured of it beside its scores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gancluster.bench import hashes, measures
from gancluster.bench.executor import News
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.data.splits import Split
from gancluster.engine import device
from gancluster.engine.play import Moment
from gancluster.errors import DataError, Interrupted, UserError
from gancluster.hashing import HASHES
from gancluster.runs.run import Request, Run
from gancluster.runs.training import train

EVERY = 0.5  # seconds between news of a job that is running
DRAWN_BY = 0  # the seed that draws a limited number of samples: the same ones for every run of a table

Tell = Callable[[News], None]


class Job(BaseModel):
    """A run to be carried out, and the folders that it needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: Request
    runs_dir: Path
    data_dir: Path
    save_every: float

    def place(self) -> Run:
        """The job's run, begun or not."""
        return Run.place(root_of(self.request, self.runs_dir), self.request)


def root_of(request: Request, runs_dir: Path) -> Path:
    """Below which folder a run lies; hashes, which cluster nothing, stand apart from what `gancluster runs` lists."""
    return runs_dir / ".hashes" if request.method in HASHES else runs_dir


def carry_out(job: Job, tell: Tell, stop: threading.Event | None = None) -> News:
    """Train the job's run, from its checkpoint if it has one, until `stop` is set; the last news of it."""
    key = job.request.key
    try:
        run = job.place()
        with run.alone(wait=True):
            return _finished(run, job, tell, stop)
    except Interrupted as error:
        return News(job=key, state="stopped", reason=str(error))
    except UserError as error:
        return News(job=key, state="refused", reason=str(error))


def _finished(run: Run, job: Job, tell: Tell, stop: threading.Event | None) -> News:
    """The last news of a job after all of it has been done."""
    key = job.request.key
    tell(News(job=key, state="running"))
    try:
        dataset = _dataset(job)
        if job.request.method in HASHES:
            hashes.carry_out(run, dataset)
        elif train(run, dataset, _telling(key, tell), job.save_every, stop=stop)["status"] == "finished":
            measures.take(run, job.data_dir)
    except (Interrupted, UserError):
        raise
    except Exception as error:  # a method, or what it is built on, may raise anything
        give_up(run, f"{type(error).__name__}: {error}".splitlines()[0])
    return News(job=key, state="ended", reason=run.result().get("reason", ""))


def give_up(run: Run, reason: str) -> None:
    """Put down that `run` failed, for a reason that it could not put down itself."""
    machine = device.machine(device.pick("cpu" if run.request.device == "cpu" else "auto"))
    how = {"status": "failed", "reason": reason, "warnings": [], "restarts": run.dropped()}
    run.finish(how | {"seconds": 0.0, "machine": machine})


def _telling(key: str, tell: Tell) -> Callable[[Moment], None]:
    """Passes a game's moments on, a few a second."""
    due = 0.0

    def watch(moment: Moment) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + EVERY
            where = f"{moment.phase} {moment.epoch}/{moment.epochs}"
            tell(News(job=key, state="running", where=where, played=moment.played, total=moment.total))

    return watch


def _dataset(job: Job) -> Dataset:
    """The samples that the run was planned for; `DataError` if they are others now."""
    request = job.request
    dataset = load(request.source, job.data_dir, request.split, request.limit, request.features)
    if dataset.sha256 != request.sha256:
        raise DataError(f"{request.source} has changed since the table was begun: repeat the command")
    return dataset


@lru_cache(maxsize=1)
def load(source: str, data_dir: Path, split: Split, limit: int | None, features: str | None = None) -> Dataset:
    """The data set of a cell, kept for the next one."""
    return catalogue.load(source, data_dir, split, limit, DRAWN_BY, features)
