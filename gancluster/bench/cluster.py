"""A Dask cluster that carries jobs out: that of the scheduler at `tcp://…`, or `local:N` processes begun for it.

A job travels as its line of JSON, and the worker imports what it names. No more jobs are handed over than there are
workers, one each. Dask gives the job of a worker that died to the next; here is counted how often that happened.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import torch

from gancluster.bench import worker
from gancluster.bench.executor import TICK, Deaths, News
from gancluster.bench.worker import Job
from gancluster.errors import UserError
from gancluster.runs.run import Run

try:
    import dask
    from distributed import Client, Future, KilledWorker, Nanny, Scheduler, SpecCluster

    from gancluster.bench import remote
except ImportError as error:
    raise UserError('--cluster is carried out by Dask, which is not here: pip install "gancluster[cluster]"') from error

PATIENCE = 10  # seconds for a scheduler to answer
LOOPBACK = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
NEVER_LOST = {"distributed.deploy.lost-worker-timeout": "1000 days"}  # or one that dies twice is not begun again
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # Ctrl-C is for whoever asks, who passes it on

Inbox = Queue[Callable[[], Iterator[News]]]


class Cluster:
    """The workers of the Dask scheduler at `address`; `local:N` is one of our own, with N processes.

    `work`: what a worker does of a job. `UserError` for an address that is none, and, by `run`, where nobody answers.
    """

    def __init__(self, address: str, work: remote.Work = worker.carry_out) -> None:
        if not re.fullmatch(r"local:[1-9]\d*|\w+://.+", address):
            raise UserError(f"--cluster {address} is no cluster: say local:4, or a scheduler's tcp://HOST:8786")
        self.address, self.work = address, work

    def run(self, jobs: Mapping[str, str], stop: threading.Event) -> Iterator[News]:
        if not jobs:
            return
        with _connected(self.address) as client, _Table(client, self.work, jobs) as table:
            yield from table.news(stop)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """A client of the scheduler; whatever was begun for it is ended."""
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        try:
            own = stack.enter_context(_local(int(address[6:]))) if address.startswith("local:") else None
            client = Client(own or address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"no Dask scheduler at {address} ({reason}): start one, or use local:4") from error
        yield stack.enter_context(client)


@contextmanager
def _local(n: int) -> Iterator[SpecCluster]:
    """A scheduler and `n` processes of this machine, replaced when they die; they take turns in the GPUs there are."""
    options = LOOPBACK | {"nthreads": 1, "memory_limit": 0, "resources": {"GPU": 1}, "preload": [DEAF]}
    options |= {"silence_logs": logging.CRITICAL}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    gpus = visible.split(",")
    workers = {
        i: {"cls": Nanny, "options": options | {"env": {"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]}}} for i in range(n)
    }
    scheduler = {"cls": Scheduler, "options": LOOPBACK}
    with dask.config.set(NEVER_LOST), SpecCluster(workers, scheduler, silence_logs=logging.CRITICAL) as cluster:
        yield cluster


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask says nothing meanwhile: what a user must know is told as news."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado.application")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Table:
    """Jobs at the workers of a cluster: `futures` of those handed over, and the worker's address where one is at work.

    All that happens comes through `inbox`, from Dask's threads to ours.
    """

    def __init__(self, client: Client, work: remote.Work, jobs: Mapping[str, str]) -> None:
        self.client, self.work, self.texts = client, work, jobs
        self.jobs = {key: Job.model_validate_json(text) for key, text in jobs.items()}
        name = f"gancluster-{secrets.token_hex(8)}"
        self.asker = remote.Asker(name, f".{name}", os.getcwd())
        self.marks = {Path(job.runs_dir, self.asker.mark) for job in self.jobs.values()}
        self.waiting, self.deaths, self.inbox = deque(jobs), Deaths(), Inbox()
        self.futures: dict[str, Future[Any]] = {}
        self.at_work: dict[str, str] = {}
        self.workers, self.told_to_stop = set[str](), set[str]()

    def __enter__(self) -> _Table:
        self._require_gpu()
        for mark in self.marks:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        self.client.subscribe_topic(self.asker.name, lambda event: self.inbox.put(partial(self._heard, **event[1])))
        self.client.subscribe_topic("all", lambda event: self.inbox.put(partial(self._changed, event[1])))
        self.workers |= set(self.client.nthreads())
        return self

    def __exit__(self, *_: object) -> None:
        for mark in self.marks:
            mark.unlink(missing_ok=True)
        if self.client.status == "running":
            self.client.unsubscribe_topic("all")

    def news(self, stop: threading.Event) -> Iterator[News]:
        """Of every job, to its last."""
        while self.waiting or self.futures:
            if stop.is_set():
                yield from self._stop()
            while self.waiting and len(self.futures) < len(self.workers):
                self._hand_over(self.waiting.popleft())
            try:
                happened = self.inbox.get(timeout=TICK)
            except Empty:
                if self.client.status != "running":
                    raise UserError("the Dask scheduler is gone; repeat the command to go on: all is saved") from None
            else:
                yield from happened()

    def _require_gpu(self) -> None:
        """`UserError` where jobs want a GPU and no worker has one; without any worker, one that has may still come."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        if workers and not any("GPU" in w["resources"] for w in workers) and any(map(_wanted, self.jobs.values())):
            raise UserError("no worker of the cluster offers a GPU: start some by dask worker --resources GPU=1")

    def _hand_over(self, key: str) -> None:
        """Ask for a job, with what there is of its run for a worker that cannot see it."""
        job = self.jobs[key]
        begun = Run(worker.root_of(job.request, job.runs_dir) / job.request.folder, job.request)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            future = self.client.submit(
                remote.carry_out,
                self.work,
                self.texts[key],
                self.asker,
                remote.pack(begun) if begun.checkpoint.exists() else {},
                pure=False,
                resources=_wanted(job),
            )
        self.futures[key] = future
        future.add_done_callback(lambda done: self.inbox.put(partial(self._done, key, done)))

    def _stop(self) -> Iterator[News]:
        """Let whoever is at work come to an end; the others have not begun."""
        self.waiting.clear()
        for key in self.futures.keys() - self.at_work.keys():
            self.futures.pop(key).cancel()
            yield News(job=key, state="stopped")
        if new := set(self.at_work.values()) - self.told_to_stop:
            self.told_to_stop |= new
            self.client.run(remote.stop, self.asker.name, workers=list(new), on_error="ignore")

    # What happens ----------------------------------------------------------------------------------------------------

    def _heard(self, worker: str, news: str) -> Iterator[News]:
        """A worker speaks of its job; it may have been overtaken by the job's end."""
        told = News.model_validate_json(news)
        if told.job in self.futures:
            self.at_work[told.job] = worker
            yield told

    def _changed(self, event: dict[str, Any]) -> Iterator[News]:
        """A worker comes or goes; one that goes unexpectedly has died, and Dask begins its job again."""
        if event["action"] == "add-worker":
            self.workers.add(event["worker"])
        if event["action"] == "remove-worker":
            self.workers.discard(event["worker"])
            for key in [key for key, place in self.at_work.items() if place == event["worker"]]:
                del self.at_work[key]
                if not event["expected"]:
                    yield (news := self.deaths.news(key, f"at {event['worker']}"))
                    if news.state == "given up":
                        self.futures.pop(key).cancel()

    def _done(self, key: str, future: Future[Any]) -> Iterator[News]:
        """A job's task has come to its end, unless nobody waits for it any more."""
        if self.futures.get(key) is not future or self.client.status != "running":
            return
        del self.futures[key]
        address = self.at_work.pop(key, None)
        error = future.exception()
        if isinstance(error, KilledWorker):  # several workers died before any of them could say that it had begun
            yield (news := self.deaths.news(key, f"at {error.last_worker.address}"))
            if news.state == "died":
                self.waiting.appendleft(key)
        elif error is not None:
            yield News(job=key, state="refused", reason=f"{type(error).__name__}: {error}".splitlines()[0])
        else:
            yield self._brought(key, address, *future.result())

    def _brought(self, key: str, address: str | None, last: str, parcel: remote.Parcel) -> News:
        """The last news of a job, after its run has been put among ours and may go at the worker's `address`."""
        try:
            if parcel:
                run = self.jobs[key].place()
                with run.alone(wait=True):
                    remote.unpack(parcel, run)
                if address is not None:
                    self.client.run(remote.forget, self.texts[key], workers=[address], on_error="ignore")
        except UserError as error:
            return News(job=key, state="refused", reason=str(error))
        return News.model_validate_json(last)


def _wanted(job: Job) -> dict[str, float] | None:
    """What a worker must have for a job."""
    return {"GPU": 1} if job.request.device.startswith("cuda") else None
