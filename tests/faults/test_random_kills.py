"""SIGKILL at random moments of train, eval and bench, again and again: what comes out is the same to the last byte."""

import csv
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from games import outcome
from ledger import Ledger
from nursery import Nursery
from test_kills import assert_whole

from gancluster.runs.finding import every
from gancluster.runs.run import Run

TABLE = """
title = "Kills"
datasets = ["digits"]
scores = ["acc", "nmi", "ari"]
seeds = 1

[[rows]]
method = "kmeans"

[[rows]]
method = "clustergan"
options = { epochs = 1 }
"""


def many(number: int) -> list[object]:
    """A few kills in the default tier, and so many in the slow one."""
    return [4, pytest.param(number, marks=pytest.mark.slow)]


def moments(kills: int, usual: float) -> Iterator[float]:
    """When a process that usually takes so many seconds is killed, drawn anew each time."""
    rng = np.random.default_rng(kills)
    while True:
        yield rng.uniform(0.01, usual)


@pytest.mark.parametrize("kills", many(110))
def test_a_training_killed_at_random_moments_ends_with_the_same_bytes(
    nursery: Nursery, ledger: Ledger, untouched: Run, tmp_path: Path, kills: int
) -> None:
    began = time.monotonic()
    assert nursery.train(tmp_path / "timed", "--save-every 0").code == 0
    when, done, lap = moments(kills, time.monotonic() - began), 0, 0
    while done < kills:
        root, killed, lap = tmp_path / str(lap), 0, lap + 1
        while killed < 4 and nursery.train(root, "--resume --save-every 0", kill_after=next(when)).code:
            killed += 1
            assert_whole(root)
        with ledger.tried("SIGKILL at a random moment of train", killed):
            assert nursery.train(root, "--resume --save-every 0").code == 0
            (run,) = every(root)
            assert outcome(run) == outcome(untouched)
        done += killed


@pytest.mark.parametrize("kills", many(40))
def test_scoring_killed_at_random_moments_changes_nothing(
    nursery: Nursery, ledger: Ledger, untouched: Run, kills: int
) -> None:
    line = f"eval {untouched.folder} --json"
    before, began = {path.name: path.read_bytes() for path in untouched.folder.iterdir()}, time.monotonic()
    wanted = nursery.ask(line)
    assert wanted.code == 0
    when, done = moments(kills, time.monotonic() - began), 0
    while done < kills:
        done += nursery.ask(line, kill_after=next(when)).code == -signal.SIGKILL
    with ledger.tried("SIGKILL at a random moment of eval", done):
        assert nursery.ask(line) == wanted
        assert {path.name: path.read_bytes() for path in untouched.folder.iterdir()} == before


def bench(root: Path) -> str:
    root.mkdir(exist_ok=True)
    (root / "kills.toml").write_text(TABLE)
    places = f"--runs-dir {root / 'runs'} --results-dir {root / 'results'}"
    return f"bench {root / 'kills.toml'} --budget smoke --save-every 0 --format csv {places}"


def scores(text: str) -> list[dict[str, str]]:
    """A table in CSV, but for what it took."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(text.splitlines())]


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_table_killed_at_random_moments_is_the_same_to_the_last_digit(
    nursery: Nursery, ledger: Ledger, tmp_path: Path, kills: int
) -> None:
    began = time.monotonic()
    wanted = nursery.ask(bench(tmp_path / "untouched"))
    assert wanted.code == 0, wanted.err
    assert len(scores(wanted.out)) == 6
    when, done, lap = moments(kills, (time.monotonic() - began) / 4), 0, 0
    while done < kills:
        root, killed, lap = tmp_path / str(lap), 0, lap + 1
        while killed < min(kills, 8) and nursery.ask(bench(root), kill_after=next(when)).code:
            killed += 1
        with ledger.tried("SIGKILL at a random moment of bench", killed):
            ending = nursery.ask(bench(root))
            assert scores(ending.out) == scores(wanted.out)
        done += killed
