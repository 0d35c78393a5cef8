"""Processes of this machine that carry jobs out, supervised, so that one that dies costs its job only a new start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, Queue

from gancluster.bench.executor import TICK, Deaths, News

WORKER = (sys.executable, "-P", "-m", "gancluster.bench.process")
ENVIRONMENT = {"PYTHONUTF8": "1"} | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

Inbox = Queue[tuple["_Worker", str | None]]


class Processes:
    """At most `n` processes of this machine, begun by `command`, each at one job after the other."""

    def __init__(self, n: int, command: Sequence[str] = WORKER) -> None:
        self.n, self.command = n, command

    def run(self, jobs: Mapping[str, str], stop: threading.Event) -> Iterator[News]:
        waiting, deaths, inbox = deque(jobs), Deaths(), Inbox()
        workers: list[_Worker] = []
        try:
            while waiting or workers:
                while waiting and len(workers) < self.n:
                    workers.append(_Worker(self.command, inbox))
                    workers[-1].take(job := waiting.popleft(), jobs[job])
                news = _next_news(inbox, workers, deaths, stop)
                if stop.is_set():
                    waiting.clear()
                if news is None:
                    continue
                yield news
                if news.state == "died":
                    waiting.appendleft(news.job)
                for worker in [w for w in workers if w.job is None]:
                    if waiting and not worker.is_dead:
                        worker.take(job := waiting.popleft(), jobs[job])
                    else:
                        workers.remove(worker)
                        worker.dismiss()
        finally:
            for worker in workers:
                worker.process.kill()
                worker.dismiss()


class _Worker:
    """A process that carries out jobs; every line that it says, and at last its death as None, goes to `inbox`."""

    def __init__(self, command: Sequence[str], inbox: Inbox) -> None:
        self.job: str | None = None
        self.is_dead = self.is_asked_to_stop = False
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by dismiss
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            encoding="utf-8",
            env=os.environ | ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is for whoever supervises, who passes it on once
        )
        self.listener = threading.Thread(target=self._listen, args=(inbox,), daemon=True)
        self.listener.start()

    def _listen(self, inbox: Inbox) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            inbox.put((self, line))
        inbox.put((self, None))

    def take(self, job: str, text: str) -> None:
        """Begin a job; a process that has died meanwhile is heard of as of any other death."""
        assert self.process.stdin is not None
        self.job = job
        with contextlib.suppress(OSError):
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()

    def ask_to_stop(self) -> None:
        if not self.is_asked_to_stop:
            self.is_asked_to_stop = True
            self.process.terminate()

    def dismiss(self) -> None:
        """End the process, which goes once it has nobody to listen to, and let go of its files."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()
        self.listener.join()
        self.process.stdout.close()
        self.errors.close()

    def cause_of_death(self) -> str:
        """The signal that killed it or its exit code, and the last line that it wrote to its errors."""
        code = self.process.wait()
        what = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return what + (f": {lines[-1]}" if lines else "")


def _next_news(inbox: Inbox, workers: list[_Worker], deaths: Deaths, stop: threading.Event) -> News | None:
    """What is heard next, or None if nothing was heard for a moment; passes on that all should stop."""
    if stop.is_set():
        for worker in workers:
            worker.ask_to_stop()
    try:
        worker, line = inbox.get(timeout=TICK)
    except Empty:
        return None
    if line is None:
        return _death(worker, deaths)
    news = News.model_validate_json(line).model_copy(update={"process": worker.process.pid})
    if news.state != "running":
        worker.job = None
    return news


def _death(worker: _Worker, deaths: Deaths) -> News | None:
    worker.is_dead, job, worker.job = True, worker.job, None
    if job is None:
        return None
    how = worker.cause_of_death()
    if worker.is_asked_to_stop:  # before it had begun to play, so that nothing had to be saved
        return News(job=job, state="stopped")
    return deaths.news(job, f"of {how}")
