"""A job on a worker of a Dask cluster: where its run lies there, how one hears of it, and how it is stopped.

The worker looks whether it sees the asker's runs. If it does, the run lies among them, like any other. If it does not,
the run lies in a folder of the worker's machine until it comes back whole, and begins with what the asker had of it.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from distributed import Worker, get_worker
from distributed.core import Status

from gancluster import __version__, atomic
from gancluster.bench.executor import News
from gancluster.bench.worker import Job, Tell
from gancluster.data import catalogue
from gancluster.errors import RunError
from gancluster.runs.run import Run

Work = Callable[[Job, Tell, threading.Event], News]
Parcel = dict[str, bytes]  # the files of a run's folder

_one_at_a_time = threading.Lock()  # however many threads a worker has: libraries keep their settings by process
_stopped = set[str]()  # whose jobs should stop


@dataclass(frozen=True)
class Asker:
    """Who asks for a job: `name` is the topic that its news go to, `mark` a file among its runs, `folder` its own."""

    name: str
    mark: str
    folder: str


def carry_out(work: Work, text: str, asker: Asker, parcel: Parcel) -> tuple[str, Parcel]:
    """The last news of the job, and its run's files where the asker cannot see them."""
    job, worker, stop = Job.model_validate_json(text), get_worker(), threading.Event()
    key = worker.get_current_task()
    if job.request.version != __version__:
        reason = f"its worker has gancluster {__version__}, not {job.request.version}: install the same"
        return News(job=job.request.key, state="refused", reason=reason).model_dump_json(), {}

    def tell(news: News) -> None:
        told = news.model_copy(update={"process": os.getpid()}).model_dump_json()
        worker.log_event(asker.name, {"worker": worker.address, "news": told})
        if asker.name in _stopped or not _is_wanted(worker, key):
            stop.set()

    with _one_at_a_time:
        if not sees(job, asker):
            return _away_from_home(work, _at_home(job, worker), tell, stop, parcel)
        with chdir(asker.folder):  # which relative paths start from
            return work(job, tell, stop).model_dump_json(), {}


def sees(job: Job, asker: Asker) -> bool:
    """Whether the asker's runs are seen from here, in the same place."""
    return Path(asker.folder, job.runs_dir, asker.mark).exists()


def stop(name: str) -> None:
    """Let every job here that `name` asked for stop, saved."""
    _stopped.add(name)


def pack(run: Run) -> Parcel:
    """The run as it stands: its files, by their path within it."""
    files = (path for path in run.folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(run.folder).as_posix(): path.read_bytes() for path in files}


def unpack(parcel: Parcel, run: Run) -> None:
    """Write the files into the run's folder, the result last: a run is over when that is there."""
    for name in sorted(parcel, key="result.json".__eq__):
        path = run.folder.resolve() / name
        if not path.resolve().is_relative_to(run.folder.resolve()):
            raise RunError(f"a worker sent {name}, which lies outside of {run.folder}: see who is in the cluster")
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, parcel[name])


def forget(text: str, dask_worker: Worker) -> None:
    """Remove the run of a job from the worker's machine: the asker has it."""
    shutil.rmtree(_at_home(Job.model_validate_json(text), dask_worker).place().folder)


def _is_wanted(worker: Worker, key: object) -> bool:
    """Whether anybody waits for the task that is being executed: asker, scheduler or worker may be going."""
    task = worker.state.tasks.get(key)  # type: ignore[call-overload]
    is_open = worker.status not in (Status.closing, Status.closed)
    return is_open and task is not None and task.state == "executing"


def _at_home(job: Job, worker: Worker) -> Job:
    """The job with this machine's folders: runs beside Dask's scratch space, which outlives a worker that dies."""
    runs_dir = Path(worker.local_directory).parent / "gancluster-runs"
    runs_dir.mkdir(parents=True, exist_ok=True)
    data_dir = job.data_dir if job.data_dir.is_dir() else catalogue.data_folder()
    return job.model_copy(update={"runs_dir": runs_dir, "data_dir": data_dir})


def _away_from_home(work: Work, job: Job, tell: Tell, stop: threading.Event, parcel: Parcel) -> tuple[str, Parcel]:
    """The last news of a job, and all of its run, which stays until the asker has it."""
    run = job.place()
    if not run.checkpoint.exists():
        unpack(parcel, run)
    return work(job, tell, stop).model_dump_json(), pack(run)
