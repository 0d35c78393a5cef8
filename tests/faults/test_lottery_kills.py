"""Killed between writing and renaming of any file, the best of several starts ends with the same bytes."""

import signal
from pathlib import Path

import pytest
from games import outcome
from ledger import Ledger
from nursery import Nursery

from gancluster.runs.finding import every
from gancluster.runs.lottery import partitions
from gancluster.runs.run import Run

OPTIONS = "--starts 3 --save-every 0"


@pytest.fixture(scope="module")
def best_of_3(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("best")
    ending = nursery.train(root, OPTIONS)
    assert (ending.code, ending.err) == (0, "")
    (run,) = every(root)
    return run


def goes_on(nursery: Nursery, ledger: Ledger, best_of_3: Run, root: Path, at: int) -> bool:
    """Kill a run before renaming `at` and resume it: whether there were so many."""
    ending = nursery.train(root, OPTIONS, kill_at=at)
    assert ending.code in (0, -signal.SIGKILL), ending.err
    killed = ending.code != 0
    with ledger.tried("SIGKILL before the k-th renaming, several starts", killed):
        if killed and at > 1:
            assert "add --resume" in nursery.train(root, OPTIONS).err
        assert nursery.train(root, f"{OPTIONS} --resume").code == 0
        (run,) = every(root)
        assert outcome(run) == outcome(best_of_3)
        for number, clusters in partitions(best_of_3).items():
            assert (partitions(run)[number] == clusters).all()
    return killed


def test_a_kill_costs_nothing(nursery: Nursery, ledger: Ledger, best_of_3: Run, tmp_path: Path) -> None:
    assert goes_on(nursery, ledger, best_of_3, tmp_path / "20", 20)


@pytest.mark.slow
def test_no_kill_costs_anything(nursery: Nursery, ledger: Ledger, best_of_3: Run, tmp_path: Path) -> None:
    at = 1
    while goes_on(nursery, ledger, best_of_3, tmp_path / str(at), at):
        at += 1
    assert at > 40  # the starts' saves, their ranks, the choice and the files that are moved, and what comes after
