"""Jobs carried out by processes: each once, whatever dies on the way; the processes here are scripts of a few lines."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from gancluster.bench import grid
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.executor import News
from gancluster.bench.grid import Folders
from gancluster.bench.local import WORKER, Processes

SCRIPT = """
import json, os, signal, sys, time

def tell(job, state, **more):
    print(json.dumps({"job": job, "state": state, **more}), flush=True)

for line in sys.stdin:
    job, what = json.loads(line)
    tell(job, "running")
    if what == "die":
        os._exit(9)
    if what == "die once" and not os.path.exists(job):
        open(job, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "complain":
        sys.exit("first line\\nlast words")
    if what == "wait":
        signal.signal(signal.SIGTERM, lambda *_: tell(job, "stopped") or os._exit(0))
        tell(job, "running", where="waits")
        signal.pause()
    tell(job, "refused" if what == "refuse" else "ended")
"""


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    monkeypatch.chdir(tmp_path)
    return Processes(2, [sys.executable, "-S", "-c", SCRIPT])


def jobs(**what: str) -> dict[str, str]:
    return {job: json.dumps([job, what[job]]) for job in what}


def last(news: list[News]) -> dict[str, News]:
    return {one.job: one for one in news}


def test_every_job_is_carried_out_once_by_few_processes(processes: Processes) -> None:
    news = list(processes.run(jobs(a="do", b="refuse", c="do", d="do", e="do"), threading.Event()))
    states = Counter((one.job, one.state) for one in news)
    assert states == Counter([(job, "running") for job in "abcde"] + [(job, "ended") for job in "acde"]) + Counter(
        [("b", "refused")]
    )
    assert len({one.process for one in news}) == 2
    assert os.getpid() not in {one.process for one in news}


def test_no_jobs_are_no_processes(processes: Processes) -> None:
    processes.command = ["/no/such/program"]
    assert list(processes.run({}, threading.Event())) == []


def test_a_job_whose_process_dies_is_begun_again_and_the_others_do_not_notice(processes: Processes) -> None:
    news = list(processes.run(jobs(a="do", b="die once", c="do"), threading.Event()))
    assert [one.state for one in news if one.job == "b"] == ["running", "died", "running", "ended"]
    assert [one.state for one in news if one.job == "c"] == ["running", "ended"]
    assert next(one.reason for one in news if one.state == "died") == "its process died of signal SIGKILL"


def test_a_job_that_has_taken_three_processes_with_it_is_given_up(processes: Processes) -> None:
    found = last(list(processes.run(jobs(a="die", b="complain", c="do"), threading.Event())))
    assert (found["a"].state, found["b"].state, found["c"].state) == ("given up", "given up", "ended")
    assert found["a"].reason == "its process died 3 times, at last of exit code 9"
    assert found["b"].reason == "its process died 3 times, at last of exit code 1: last words"


def test_a_program_that_cannot_begin_is_no_endless_loop() -> None:
    found = list(Processes(1, [sys.executable, "-c", "import nosuch"]).run(jobs(a="do"), threading.Event()))
    assert [one.state for one in found] == ["died", "died", "given up"]
    assert found[-1].reason.endswith("exit code 1: ModuleNotFoundError: No module named 'nosuch'")


def test_asked_to_stop_what_runs_stops_and_what_waits_is_not_begun(processes: Processes) -> None:
    stop, news = threading.Event(), list[News]()
    for one in processes.run(jobs(a="wait", b="wait", c="do"), stop):
        news.append(one)
        if sum(one.where == "waits" for one in news) == 2:
            stop.set()
    assert {job: one.state for job, one in last(news).items()} == {"a": "stopped", "b": "stopped"}


def test_a_process_that_cannot_say_so_is_stopped_too(processes: Processes) -> None:
    """Asked while it begins, it dies of the signal."""
    processes.command = [sys.executable, "-c", "import signal; signal.pause()"]
    stop = threading.Event()
    stop.set()
    assert [one.state for one in processes.run(jobs(a="do"), stop)] == ["stopped"]


def test_whoever_looks_away_leaves_no_process_behind(processes: Processes) -> None:
    running = processes.run(jobs(a="wait"), threading.Event())
    process = next(running).process
    running.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_process_that_nobody_speaks_to_any_more_ends_before_it_has_imported_what_it_needs() -> None:
    with subprocess.Popen([*WORKER[:1], "-X", "importtime", *WORKER[1:]], stdin=-1, stdout=-1, stderr=-1) as process:
        _, errors = process.communicate()
    assert process.returncode == 0
    assert b"torch.nn" not in errors


# The processes that there really are ----------------------------------------------------------------------------------

CELLS = [Cell(method="infogan", dataset="digits", preset="smoke", limit=240, seed=seed) for seed in range(3)]


def told(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """All that must not depend on who carried a cell out."""
    return [outcome.model_dump(exclude={"seconds", "run"}) for outcome in outcomes]


@pytest.fixture(scope="module")
def one_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("one")


@pytest.fixture(scope="module")
def by_one(one_root: Path) -> list[Outcome]:
    """What becomes of the cells where nothing happens to them."""
    folders = Folders(one_root, one_root)
    return grid.carry_out(grid.look(CELLS, folders), folders, Processes(1))


def bytes_below(root: Path) -> dict[str, bytes]:
    """All that must be the same in the runs, however they came about."""
    kept = ("checkpoint.safetensors", "embedding.npz", "measured.json")
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*/*/*") if path.name in kept}


@pytest.mark.slow
def test_two_processes_one_of_them_killed_come_to_the_bytes_of_one(
    tmp_path: Path, by_one: list[Outcome], one_root: Path
) -> None:
    folders, news = Folders(tmp_path / "runs", tmp_path), list[News]()

    def kill(one: News) -> None:
        if one.played and not any(one.state == "died" for one in news):
            os.kill(one.process, signal.SIGKILL)
        news.append(one)

    outcomes = grid.carry_out(grid.look(CELLS, folders), folders, Processes(2), kill, save_every=0)
    assert sum(one.state == "died" for one in news) >= 1
    assert len({one.process for one in news if one.played}) >= 2
    assert told(outcomes) == told(by_one)
    assert bytes_below(tmp_path / "runs") == bytes_below(one_root)


@pytest.mark.slow
def test_a_signal_stops_the_grid_with_all_saved_and_a_second_call_goes_on(
    tmp_path: Path, by_one: list[Outcome]
) -> None:
    folders, first, second = Folders(tmp_path / "runs", tmp_path), list[News](), list[News]()

    def ask(one: News) -> None:
        first.append(one)
        if one.played and not any(one.state == "stopped" for one in first):
            os.kill(os.getpid(), signal.SIGTERM)

    outcomes = grid.carry_out(grid.look(CELLS[:2], folders), folders, Processes(1), ask)
    assert [outcome.status for outcome in outcomes] == ["waiting", "waiting"]
    assert first[-1].state == "stopped"
    assert len(list(folders.runs.glob("*/*/*/checkpoint.safetensors"))) == 1
    outcomes = grid.carry_out(grid.look(CELLS[:2], folders), folders, Processes(1), second.append)
    assert next(one.played for one in second if one.played) > 1
    assert told(outcomes) == told(by_one[:2])
