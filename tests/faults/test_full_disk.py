"""A disk that is full, as the kernel says it (EFBIG): one line, nothing lost, and room lets the run go on."""

import os
import signal
import time
from pathlib import Path

import pytest
from games import outcome
from nursery import Nursery

from gancluster.engine import checkpoint
from gancluster.runs.finding import every
from gancluster.runs.run import Run


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("after", "limit", "name"),
    [
        (4, 10_000, "checkpoint.safetensors"),
        (15, 100, "log.csv"),
        (22, 10_000, "embedding.npz"),
        pytest.param(14, 10_000, "checkpoint.safetensors", marks=pytest.mark.slow),
        pytest.param(23, 100, "result.json", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_ends_a_run_in_one_line_and_loses_nothing(
    nursery: Nursery, untouched: Run, tmp_path: Path, after: int, limit: int, name: str
) -> None:
    """Saving every step, the renamings are: config; checkpoint of step 1; log and checkpoint of steps 2 to 10, and on
    the way the start; checkpoint, embedding and result. Within an epoch the log is written with what it has.
    """
    root, copy = tmp_path / "runs", tmp_path / "copy"
    folder = root / untouched.request.folder
    ending = nursery.train(root, "--save-every 0", full_after=after, limit=limit, copy=str(copy), of=str(folder))
    advice = "what was there is untouched: make room, or choose another place"
    assert ending == (2, "", f"error: cannot write {folder / name} (file too large); {advice}\n")
    assert contents(folder) == contents(copy)
    checkpoint.read(folder / "checkpoint.safetensors", "clustergan")
    assert Run.open(folder).status == "unfinished"
    assert nursery.train(root, "--resume --save-every 0").code == 0
    assert outcome(Run.open(folder)) == outcome(untouched)


def test_a_disk_that_is_full_from_the_start_holds_no_run(nursery: Nursery, tmp_path: Path) -> None:
    ending = nursery.train(tmp_path / "runs", full_after=0, limit=100)
    assert ending.code == 2
    assert ending.err.startswith("error: cannot write ")
    assert ending.err.count("\n") == 1
    assert every(tmp_path / "runs") == []
    assert [path for path in (tmp_path / "runs").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_asked_to_stop_saves_and_says_how_to_go_on(
    nursery: Nursery, untouched: Run, tmp_path: Path, number: signal.Signals
) -> None:
    child = nursery.start(tmp_path, "--save-every 0")
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("checkpoint.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(child, number)
    ending = nursery.wait(child)
    assert (ending.code, ending.out) == (130, "")
    assert ending.err.startswith("error: stopped at step ")
    assert ending.err.endswith("; repeat the command with --resume to go on\n")
    assert ending.err.count("\n") == 1
    assert nursery.train(tmp_path, "--resume").code == 0
    assert outcome(every(tmp_path)[0]) == outcome(untouched)
