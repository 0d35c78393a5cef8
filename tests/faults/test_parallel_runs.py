"""A run of two processes, as `torchrun` starts them: stopped and resumed it ends as one left alone; one speaks."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from games import outcome

from gancluster.runs.finding import every

ARGUMENTS = "--preset smoke --limit 240 --epochs 30 --engine parallel --save-every 1000 --runs-dir"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(runs_dir: Path, *more: str) -> subprocess.Popen[str]:
    line = [*TORCHRUN, "-m", "gancluster", "train", "catgan", *ARGUMENTS.split(), str(runs_dir), *more]
    return subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said_after(process: subprocess.Popen[str]) -> list[str]:
    """What `gancluster`, not `torchrun`, says of how it ended."""
    return [line for line in process.communicate()[1].splitlines() if line.startswith("error")]


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    alone = start(tmp_path / "alone")
    out, _ = alone.communicate()
    assert (alone.returncode, out.count("catgan on digits")) == (0, 1)
    (wanted,) = every(tmp_path / "alone")

    stopped = start(tmp_path / "stopped")
    assert stopped.stderr is not None
    assert next(line for line in stopped.stderr if line.startswith("catgan on digits, seed 0"))
    stopped.send_signal(signal.SIGTERM)
    (error,) = said_after(stopped)
    assert "all of it is saved" in error
    (run,) = every(tmp_path / "stopped")
    assert (run.status, run.checkpoint.exists()) == ("unfinished", True)

    refused = start(tmp_path / "stopped")
    (error,) = said_after(refused)
    assert "add --resume" in error

    resumed = start(tmp_path / "stopped", "--resume")
    assert said_after(resumed) == []
    assert resumed.returncode == 0
    assert outcome(run) == outcome(wanted)
