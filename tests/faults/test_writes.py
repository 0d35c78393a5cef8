"""The k-th write fails, for every k: one line and exit code 2, what was there is whole, and room lets the run go on."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from games import outcome, placed, points
from ledger import Ledger

from gancluster import atomic
from gancluster.cli.app import run as command
from gancluster.errors import RunError
from gancluster.report import pictures
from gancluster.runs.finding import every, find
from gancluster.runs.run import Run
from gancluster.runs.training import train

pytestmark = pytest.mark.usefixtures("duels")

FAULTS = {
    "disk full": ("fsync", errno.ENOSPC),
    "permission denied": ("replace", errno.EACCES),
    "file system read-only": ("open", errno.EROFS),
    "torn write": ("write", errno.EIO),
}


class Disk:
    """Counts the files written, and lets the `at`-th fail in the given call; a write breaks off halfway."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, call: str, code: int) -> None:
        self.at, self.call, self.code, self.count = at, call, code, 0
        self.replace, self.fsync = os.replace, os.fsync
        patch.setattr(atomic, "open", self.open, raising=False)
        patch.setattr(atomic.os, "fsync", self.failing("fsync", os.fsync))
        patch.setattr(atomic.os, "replace", self.failing("replace", os.replace))

    def fail(self, call: str) -> None:
        if call == self.call and self.count == self.at:
            raise OSError(self.code, os.strerror(self.code))

    def failing(self, call: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def tried(*arguments: Any) -> Any:
            self.fail(call)
            return real(*arguments)

        return tried

    def open(self, path: Path, mode: str) -> Any:
        self.count += 1
        self.fail("open")
        file = open(path, mode, buffering=0)  # noqa: SIM115 - whoever asked closes it
        if self.call == "write" and self.count == self.at:
            file.write(b"torn")
            file.close()
            self.fail("write")
        return file


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Trains a duel from a file, saving after every step, and draws nothing."""
    import numpy as np

    drawn = points()
    np.savez(tmp_path / "points.npz", inputs=drawn.inputs, labels=drawn.labels)
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    return f"train duel --dataset {tmp_path / 'points.npz'} --save-every 0 --quiet --resume --runs-dir "


def held(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("fault", FAULTS)
def test_whichever_write_fails_nothing_is_lost(
    ledger: Ledger, line: str, tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command((line + str(tmp_path / "straight")).split()) == 0
    (straight,) = every(tmp_path / "straight")
    capsys.readouterr()
    at, code = 0, 2
    while code:
        at, root = at + 1, tmp_path / str(at + 1)
        with ledger.tried(f"the k-th write fails, for every k: {fault}"):
            with pytest.MonkeyPatch.context() as patch:
                disk = Disk(patch, at, *FAULTS[fault])
                code = command((line + str(root)).split())
            said = capsys.readouterr().err
            if code == 0:
                assert disk.count < at
                break
            assert code == 2
            assert said.startswith("error: cannot write ")
            assert said.count("\n") == 1
            before = held(root)
            assert not [path for path in before if path.endswith(".part")]
            for run in every(root):
                assert run.status == "unfinished"
            assert command((line + str(root)).split()) == 0
            assert outcome(every(root)[0]) == outcome(straight)
    assert at > 14


@pytest.mark.parametrize("call", ["mkdir", "open"])
def test_a_file_system_that_can_only_be_read_is_named(
    ledger: Ledger, line: str, tmp_path: Path, call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be made there; what is there is scored and listed."""
    assert command((line + str(tmp_path / "runs")).split()) == 0
    (run,) = every(tmp_path / "runs")
    before = held(tmp_path)

    def refused(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with ledger.tried("a file system that can only be read"), pytest.MonkeyPatch.context() as patch:
        if call == "mkdir":
            patch.setattr(Path, "mkdir", refused)
        else:
            patch.setattr(atomic, "open", refused, raising=False)
        capsys.readouterr()
        assert command((line + f"{tmp_path / 'other'} --seed 1").split()) == 2
        assert "(read-only file system)" in capsys.readouterr().err
        assert command(["eval", str(run.folder)]) == 0
        assert command(["runs", "--runs-dir", str(tmp_path / "runs")]) == 0
    assert held(tmp_path) == before


def test_a_finished_run_that_cannot_be_locked_is_still_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = placed(tmp_path, points(), "duel")
    result = train(run, points())

    def refused(self: Run, wait: bool = False) -> None:
        raise RunError("read-only")

    monkeypatch.setattr(Run, "alone", refused)
    assert train(Run.open(run.folder), points()) == result


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_changes_neither_bytes_nor_seconds(
    ledger: Ledger, tmp_path: Path, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, run = placed(tmp_path / "a", points(), "duel"), placed(tmp_path / "b", points(), "duel")
    train(straight, points())
    with ledger.tried("the clock jumps back or ahead while a run trains"):
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + jump * (run.folder / "log.csv").exists())
        result = train(run, points(), save_every=0)
        assert outcome(run) == outcome(straight)
        assert 0 <= result["seconds"] < 60
        assert (run.log()["seconds"] >= 0).all()


def test_files_from_the_future_are_the_newest_and_harm_nothing(ledger: Ledger, tmp_path: Path) -> None:
    runs = [placed(tmp_path, points(), "duel", seed) for seed in range(3)]
    for run, when in zip(runs, (4e9, 0, 1e9), strict=True):
        train(run, points())
        for file in run.folder.iterdir():
            os.utime(file, (when, when))
    with ledger.tried("the clock jumps back or ahead while a run trains"):
        assert [run.request.seed for run in every(tmp_path)] == [0, 2, 1]
        assert find(tmp_path, None).request.seed == 0
