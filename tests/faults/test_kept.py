"""Killed between writing and renaming of any file, a run that keeps partitions ends with the same bytes."""

import signal
from pathlib import Path

import pytest
from games import outcome
from nursery import Nursery

from gancluster.runs.finding import every
from gancluster.runs.run import Run

OPTIONS = "--snapshots 3 --save-every 0"


@pytest.mark.slow
def test_a_kill_at_any_renaming_costs_no_snapshot(nursery: Nursery, tmp_path: Path) -> None:
    assert nursery.train(tmp_path / "straight", OPTIONS).code == 0
    (straight,) = every(tmp_path / "straight")
    at, code = 0, -1
    while code != 0:
        at += 1
        code = nursery.train(tmp_path / str(at), OPTIONS, kill_at=at).code
        assert code in (0, -signal.SIGKILL)
        (folder,) = (tmp_path / str(at)).glob("*/*/*")
        if code != 0:
            assert nursery.train(tmp_path / str(at), f"{OPTIONS} --resume").code == 0
        run = Run.open(folder)
        assert outcome(run) == outcome(straight)
        assert (run.folder / "snapshots.npz").read_bytes() == (straight.folder / "snapshots.npz").read_bytes()
    assert at > 30
