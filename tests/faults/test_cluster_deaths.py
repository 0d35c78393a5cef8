"""Workers of a Dask cluster killed by the system, however often: every cell comes to the bytes of a run left alone."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed.utils import get_mp_context
from games import TIMES
from here import Here
from orders import job, obey

from gancluster.bench import grid
from gancluster.bench.cells import Cell
from gancluster.bench.cluster import Cluster
from gancluster.bench.executor import DEATHS, Executor, News
from gancluster.bench.grid import Folders
from gancluster.bench.local import Processes

KILL_EVERY = 1.5  # seconds
METHODS: dict[str, dict[str, Any]] = {"infogan": {}, "ganem": {}, "clustergan": {"epochs": 1}, "kmeans": {}}
GRID = [
    Cell(method=method, dataset="digits", preset="default" if method == "kmeans" else "smoke", limit=240, seed=seed)
    .model_copy(update={"options": options})
    for seed in range(6)
    for method, options in METHODS.items()
]  # fmt: skip


@pytest.fixture
def warm() -> Iterator[None]:
    """Workers are forked from a process that has imported what they need, so that deaths are cheap to try."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context()
        multiprocessing.get_context("forkserver").set_forkserver_preload(["gancluster.bench.remote"])
        yield


class Killer:
    """Watches a grid and kills a worker at play, at most every so many seconds, unless its cell would be given up."""

    def __init__(self, every: float, most: int = 1000) -> None:
        self.every, self.most, self.last = every, most, 0.0
        self.deaths, self.seen = Counter[str](), set[int]()

    def __call__(self, news: News) -> None:
        if news.state == "died":
            self.deaths[news.job] += 1
        if news.process:
            self.seen.add(news.process)
        is_due = time.monotonic() - self.last >= self.every and self.deaths[news.job] < DEATHS - 1
        if news.played and is_due and self.deaths.total() < self.most and psutil.pid_exists(news.process):
            self.last = time.monotonic()
            os.kill(news.process, signal.SIGKILL)


def carried_out(cells: list[Cell], root: Path, by: Executor, watch: Any = lambda news: None) -> list[str]:
    folders = Folders(root, root / "data")
    outcomes = grid.carry_out(grid.look(cells, folders), folders, by, watch, save_every=0)
    return [outcome.status for outcome in outcomes]


def bytes_below(root: Path) -> dict[str, Any]:
    """All that must be the same in the runs, however they came about."""
    kept = ("checkpoint.safetensors", "embedding.npz", "measured.json", "measured.npz", "config.json")
    found: dict[str, Any] = {}
    for path in root.glob("*/*/*/*"):
        if path.name in kept:
            found[str(path.relative_to(root))] = path.read_bytes()
        if path.name == "result.json":
            result = json.loads(path.read_text())
            found[str(path.relative_to(root))] = {key: result[key] for key in result.keys() - TIMES}
    return found


def test_a_job_that_takes_three_workers_with_it_is_given_up_and_one_that_takes_one_is_not(
    tmp_path: Path, warm: None
) -> None:
    jobs = {what: job(what, what, tmp_path) for what in ("die", "die once", "do")}
    fatal = jobs["die"].model_copy(update={"runs_dir": tmp_path / "nowhere"})
    asked = {one.request.key: one.model_dump_json() for one in [fatal, jobs["die once"], jobs["do"]]}
    news, listening = list[News](), set[str]()
    for one in Cluster("local:2", obey).run(asked, threading.Event()):
        news.append(one)
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                listening |= {c.laddr.ip for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
            except psutil.NoSuchProcess:
                continue
    told = {what: [n for n in news if n.job == one.request.key and n.state != "running"] for what, one in jobs.items()}
    assert [one.state for one in told["die"]] == ["died", "died", "given up"]
    assert told["die"][-1].reason.startswith("its process died 3 times, at last at tcp://127.0.0.1:")
    deaths = [one.state for one in told["die once"]]  # one more where its new worker dies before it has begun
    assert deaths in (["died", "ended"], ["died", "died", "ended"])
    assert [one.state for one in told["do"]] == ["ended"]
    assert listening == {"127.0.0.1"}


def test_two_workers_one_of_them_killed_come_to_the_bytes_of_this_process(tmp_path: Path, warm: None) -> None:
    cells, killer = [cell for cell in GRID if cell.method == "infogan"][:3], Killer(0, most=1)
    assert carried_out(cells, tmp_path / "here", Here()) == ["finished"] * 3
    assert carried_out(cells, tmp_path / "there", Cluster("local:2"), killer) == ["finished"] * 3
    assert killer.deaths.total() >= 1
    assert len(killer.seen) >= 2
    assert bytes_below(tmp_path / "there") == bytes_below(tmp_path / "here")


@pytest.mark.slow
def test_four_workers_one_killed_every_few_seconds_lose_none_of_24_cells(tmp_path: Path, warm: None) -> None:
    killer = Killer(KILL_EVERY)
    assert carried_out(GRID, tmp_path / "serial", Processes(1)) == ["finished"] * 24
    assert carried_out(GRID, tmp_path / "cluster", Cluster("local:4"), killer) == ["finished"] * 24
    print(f"{killer.deaths.total()} workers killed at {len(killer.deaths)} cells")
    assert killer.deaths.total() >= 2  # more where the machine is slow
    found = bytes_below(tmp_path / "cluster")
    assert len([path for path in found if path.endswith("result.json")]) == 24
    assert found == bytes_below(tmp_path / "serial")


TABLE = """
title = "Interrupted"
datasets = ["digits"]
scores = ["acc", "nmi"]
seeds = 3

[[rows]]
method = "infogan"
"""


def bench(root: Path, by: str) -> subprocess.Popen[str]:
    """Begin the table in a session of its own, as a terminal does."""
    root.mkdir(exist_ok=True)
    (root / "table.toml").write_text(TABLE)
    line = f"bench table.toml --budget smoke --seeds 3 --save-every 60 --format csv {by}"
    command = [sys.executable, "-c", "from gancluster.cli.app import main; main()", *line.split()]
    own = {"start_new_session": True, "env": os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}}
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **own)


@pytest.mark.slow
def test_ctrl_c_reaches_all_processes_of_a_terminal_and_loses_nothing(tmp_path: Path) -> None:
    process, deadline = bench(tmp_path / "cluster", "--cluster local:2"), time.monotonic() + 120
    while not list(tmp_path.glob("cluster/runs/*/*/*/.lock")):  # at work
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("error: stopped with ")
    assert "Traceback" not in err
    assert len(list(tmp_path.glob("cluster/runs/*/*/*/checkpoint.safetensors"))) >= 1
    found = []
    for root, by in ((tmp_path / "cluster", "--cluster local:2"), (tmp_path / "serial", "")):
        again = bench(root, by)
        _, err = again.communicate(timeout=300)
        assert again.returncode == 0, err
        kept = bytes_below(root / "runs")
        found.append({path: kept[path] for path in kept if not path.endswith("config.json")})  # which has the command
    assert len(found[0]) == 15
    assert found[0] == found[1]
