"""`gancluster bench` killed by the system at any moment, however often: the table is the same to the last digit."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

KILLS = 5
TABLE = """
title = "Kills"
datasets = ["digits"]
scores = ["acc", "nmi", "ari"]
seeds = 2

[[rows]]
method = "infogan"

[[rows]]
method = "ganem"

[[rows]]
method = "clustergan"
options = { epochs = 1 }
"""


def bench(root: Path) -> subprocess.Popen[str]:
    """Begin the table in a process of its own, which saves after every step."""
    root.mkdir(exist_ok=True)
    (root / "kills.toml").write_text(TABLE)
    line = "bench kills.toml --budget smoke --jobs 2 --save-every 0 --format csv"
    return subprocess.Popen(
        [sys.executable, "-c", "from gancluster.cli.app import main; main()", *line.split()],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )


def scores(root: Path) -> list[dict[str, str]]:
    """The table, but for what it took."""
    process = bench(root)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(out.splitlines())]


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in /proc")
def test_killed_at_random_moments_a_table_is_the_same_to_the_last_digit(tmp_path: Path) -> None:
    rng, kills, lap = np.random.default_rng(7), 0, 0
    started = time.monotonic()
    wanted = scores(tmp_path / "untouched")
    usual = time.monotonic() - started
    assert [float(row["n"]) for row in wanted] == [2] * 9
    while kills < KILLS:
        root, lap = tmp_path / str(lap), lap + 1
        for _ in range(3):
            process = bench(root)
            time.sleep(rng.uniform(0.2, 0.9) * usual)
            workers = workers_of(process) if process.poll() is None else []
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode in (0, -signal.SIGKILL)
            kills += bool(workers)
            deadline = time.monotonic() + 30
            while any(map(is_alive, workers)):
                assert time.monotonic() < deadline, "a process goes on with work that nobody asks for any more"
                time.sleep(0.05)
        assert scores(root) == wanted
