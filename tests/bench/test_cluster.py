"""Jobs at the workers of a Dask cluster, here threads of this process; workers that die are in tests/faults."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import LocalCluster
from games import points
from here import Here
from orders import WENT, job, obey

from gancluster.bench import cluster, grid, remote, worker
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.cluster import Cluster
from gancluster.bench.executor import News
from gancluster.bench.grid import Folders
from gancluster.bench.worker import Job
from gancluster.errors import RunError, UserError
from gancluster.runs.run import Run


@contextmanager
def scheduler(folder: Path, **options: Any) -> Iterator[LocalCluster]:
    """A scheduler and a worker."""
    common = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": "127.0.0.1:0", "silence_logs": 60}
    given = {"n_workers": 1, "threads_per_worker": 1, "local_directory": str(folder)} | options
    with LocalCluster(processes=False, **(common | given)) as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scheduler(tmp_path_factory.mktemp("workers")) as started:
        yield started.scheduler_address


@pytest.fixture(autouse=True)
def beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    worker.load.cache_clear()
    WENT.clear()


def lines(*jobs: Job) -> dict[str, str]:
    return {one.request.key: one.model_dump_json() for one in jobs}


def told(news: list[News], one: Job) -> list[tuple[str, str]]:
    return [(each.state, each.reason) for each in news if each.job == one.request.key]


def test_every_job_is_carried_out_once_and_told_of_to_its_end(address: str, tmp_path: Path) -> None:
    jobs = [job(f"job {i}", "refuse" if i == 2 else "do", tmp_path / "runs") for i in range(5)]
    news = list(Cluster(address, obey).run(lines(*jobs), threading.Event()))
    assert [told(news, one) for one in jobs] == [
        [("running", ""), ("refused" if i == 2 else "ended", "")] for i in range(5)
    ]
    assert list((tmp_path / "runs").iterdir()) == []  # no mark stays behind


def test_no_jobs_need_no_scheduler() -> None:
    assert list(Cluster("tcp://127.0.0.1:9").run({}, threading.Event())) == []


def test_what_a_worker_cannot_do_is_refused_with_the_reason_and_the_others_go_on(address: str, tmp_path: Path) -> None:
    wrong, right = job("a", "raise", tmp_path), job("b", "do", tmp_path)
    old = job("c", "do", tmp_path, version="0.0.1")
    news = list(Cluster(address, obey).run(lines(wrong, right, old), threading.Event()))
    assert told(news, wrong)[-1] == ("refused", "ValueError: first line")
    assert told(news, right)[-1] == ("ended", "")
    assert told(news, old)[-1] == ("refused", "its worker has gancluster 0.1.0, not 0.0.1: install the same")


def test_asked_to_stop_what_runs_stops_and_what_waits_is_not_begun(address: str, tmp_path: Path) -> None:
    first, second, stop, news = job("a", "wait", tmp_path), job("b", "do", tmp_path), threading.Event(), list[News]()
    for one in Cluster(address, obey).run(lines(first, second), stop):
        news.append(one)
        if one.where == "waits":
            stop.set()
    assert told(news, first)[-1] == ("stopped", "")
    assert told(news, second) == []


def test_a_job_that_nobody_asks_for_any_more_stops(address: str, tmp_path: Path) -> None:
    running = Cluster(address, obey).run(lines(job("a", "wait", tmp_path)), threading.Event())
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert WENT.wait(20)


def test_a_job_for_a_gpu_goes_where_there_is_one_or_is_refused(address: str, tmp_path: Path) -> None:
    asked = lines(job("a", "do", tmp_path, device="cuda"))
    with pytest.raises(UserError, match="offers a GPU: start some by dask worker --resources GPU=1"):
        list(Cluster(address, obey).run(asked, threading.Event()))
    assert not list(tmp_path.glob("**/.gancluster-*"))
    with scheduler(tmp_path, n_workers=2, resources={"GPU": 1}) as started:
        news = list(Cluster(started.scheduler_address, obey).run(asked, threading.Event()))
    assert [one.state for one in news] == ["running", "ended"]


def test_nobody_who_answers_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with pytest.raises(UserError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9 ") as caught:
        list(Cluster("tcp://127.0.0.1:9").run(lines(job("a", "do", tmp_path)), threading.Event()))
    assert "\n" not in str(caught.value)


def test_a_scheduler_that_goes_is_told_of(tmp_path: Path) -> None:
    with scheduler(tmp_path) as started:
        running = Cluster(started.scheduler_address, obey).run(lines(job("a", "wait", tmp_path)), threading.Event())
        next(running)
    with pytest.raises(UserError, match="the Dask scheduler is gone; repeat the command to go on"):
        list(running)


@pytest.mark.parametrize("address", ["local", "local:0", "local:two", "10.0.0.7:8786", "tcp://"])
def test_what_is_no_address_is_refused_before_anything_is_run(address: str) -> None:
    with pytest.raises(UserError, match="is no cluster: say local:4, or a scheduler's tcp://HOST:8786"):
        Cluster(address)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "gancluster.bench.cluster")
    with pytest.raises(UserError, match=r'pip install "gancluster\[cluster\]"'):
        __import__("gancluster.bench.cluster")


def test_tls_is_what_dask_s_own_configuration_says(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=here"
    subprocess.run(make.split(), check=True, capture_output=True)
    with dask.config.set({"distributed.comm.tls.ca-file": "cert.pem", "distributed.comm.tls.min-version": 1.2}):
        both = {"cert": "cert.pem", "key": "key.pem"}
        ends = {f"distributed.comm.tls.{end}": both for end in ("scheduler", "worker", "client")}
        with dask.config.set(ends), scheduler(tmp_path, protocol="tls://") as started:
            one = job("a", "do", tmp_path)
            news = list(Cluster(started.scheduler_address, obey).run(lines(one), threading.Event()))
            assert started.scheduler_address.startswith("tls://")
            assert told(news, one)[-1] == ("ended", "")
        with pytest.raises(UserError, match=r"no Dask scheduler at tls://127\.0\.0\.1:9 "):
            list(Cluster("tls://127.0.0.1:9").run(lines(one), threading.Event()))


# Runs: among the asker's, or on the worker's own machine --------------------------------------------------------------


@pytest.fixture
def duel(tmp_path: Path, duels: None) -> Callable[[int], Cell]:
    """Makes cells of the duel on 24 points of a file, which is named as one does in its folder."""
    np.savez(tmp_path / "points.npz", inputs=points().inputs, labels=points().labels)
    return lambda seed: Cell(method="duel", dataset="points.npz", seed=seed)


def kept(root: Path) -> dict[str, bytes]:
    """All that must be the same in the runs, however they came about."""
    names = ("checkpoint.safetensors", "embedding.npz", "measured.json", "config.json")
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*/*/*") if path.name in names}


def carried_out(cells: list[Cell], runs: str, by: Any, watch: Any = lambda news: None) -> list[Outcome]:
    folders = Folders(Path(runs), Path("data"))
    return grid.carry_out(grid.look(cells, folders), folders, by, watch, save_every=0)


def test_runs_lie_where_they_would_without_a_cluster(address: str, duel: Callable[[int], Cell]) -> None:
    cells = [duel(seed) for seed in range(2)]
    wanted, found = carried_out(cells, "here", Here()), carried_out(cells, "there", Cluster(address))
    assert [one.model_copy(update={"seconds": 0}) for one in found] == [
        one.model_copy(update={"seconds": 0}) for one in wanted
    ]
    assert kept(Path("there")) == kept(Path("here"))
    assert len(kept(Path("there"))) == 8


def test_a_worker_that_does_not_see_the_runs_sends_them_whole(
    tmp_path: Path, duel: Callable[[int], Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out([duel(0)], "here", Here())
    monkeypatch.setattr(remote, "sees", lambda *_: False)
    with scheduler(tmp_path / "far") as started:
        (outcome,) = carried_out([duel(0)], "there", Cluster(started.scheduler_address))
    assert outcome.status == "finished"
    assert kept(Path("there")) == kept(Path("here"))
    assert list(tmp_path.glob("far/**/checkpoint.safetensors")) == []


def test_stopped_far_away_a_run_comes_back_and_goes_on_from_there(
    tmp_path: Path, duel: Callable[[int], Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out([duel(0)], "here", Here())
    monkeypatch.setattr(remote, "sees", lambda *_: False)
    monkeypatch.setattr(worker, "EVERY", 0)
    train, steps = worker.train, list[int]()

    def at_the_second_step(run: Run, dataset: Any, watch: Any, *rest: Any, stop: threading.Event) -> Any:
        def watching(moment: Any) -> None:
            watch(moment)
            steps.append(moment.played)
            if len(steps) == 2:
                stop.set()

        return train(run, dataset, watching, *rest, stop=stop)

    monkeypatch.setattr(worker, "train", at_the_second_step)
    with scheduler(tmp_path / "far") as started:
        assert carried_out([duel(0)], "there", Cluster(started.scheduler_address))[0].status == "waiting"
        assert len(list(Path("there").glob("*/*/*/checkpoint.safetensors"))) == 1
        assert carried_out([duel(0)], "there", Cluster(started.scheduler_address))[0].status == "finished"
    assert steps == [1, 2, 3, 4, 5, 6]
    assert kept(Path("there")) == kept(Path("here"))


def test_what_comes_back_stays_in_the_run_s_folder(tmp_path: Path) -> None:
    run = job("a", "do", tmp_path / "runs").place()
    remote.unpack({"starts/0/log.csv": b"1", "result.json": b"2"}, run)
    assert remote.pack(run).keys() == {"config.json", "starts/0/log.csv", "result.json"}
    for name in ("../../../outside", str(tmp_path / "outside")):
        with pytest.raises(RunError, match="which lies outside of"):
            remote.unpack({name: b"3"}, run)
    assert not list(tmp_path.rglob("outside"))
