"""Killed between the writing and the renaming of any file: nothing half-written is read, and the bytes are the same."""

import signal
from pathlib import Path

import pytest
from games import outcome
from ledger import Ledger
from nursery import Nursery

from gancluster.engine import checkpoint
from gancluster.runs.finding import every
from gancluster.runs.run import Run


def assert_whole(root: Path) -> None:
    """Whatever lies in the folder can be read; what was being written is still called otherwise."""
    for run in every(root):
        if run.checkpoint.exists():
            checkpoint.read(run.checkpoint, "clustergan")
        if (run.folder / "log.csv").exists():
            run.log()
        if (run.folder / "embedding.npz").exists():
            run.arrays()
        assert run.status in ("unfinished", "finished")
    assert len(list(root.glob("*/*/*/config.json"))) == len(every(root))


@pytest.mark.slow
def test_killed_between_writing_and_renaming_of_any_file_it_ends_with_the_same_bytes(
    nursery: Nursery, ledger: Ledger, untouched: Run, tmp_path: Path
) -> None:
    """`config.json`, every log and checkpoint, the embedding and the result: each renaming is the last that happens."""
    at, ending = 0, None
    while ending is None or ending.code != 0:
        at += 1
        root = tmp_path / str(at)
        ending = nursery.train(root, "--save-every 0", kill_at=at)
        assert ending.code in (0, -signal.SIGKILL)
        assert_whole(root)
        (folder,) = root.glob("*/*/*")
        left = [file.name for file in folder.iterdir() if file.name.endswith(".part")]
        assert len(left) == (ending.code != 0)
        with ledger.tried("SIGKILL before the k-th renaming, for every k", ending.code != 0):
            assert ending.code == 0 or nursery.train(root, "--resume --save-every 0").code == 0
            assert outcome(Run.open(folder)) == outcome(untouched)
    assert at > 20  # steps, and what comes after them


@pytest.mark.slow
def test_killed_while_it_draws_it_draws_again(nursery: Nursery, untouched: Run, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert nursery.train(one, draw=True).code == 0
    wanted = {file.name: file.read_bytes() for file in every(one)[0].folder.glob("*.png")}
    assert len(wanted) >= 5
    without = 7  # renamings before the first picture: config, start, log, checkpoint, checkpoint, embedding, result
    assert nursery.train(two, draw=True, kill_at=without + 2).code == -signal.SIGKILL
    assert every(two)[0].status == "finished"
    assert len(list(every(two)[0].folder.glob("*.png"))) == 1
    assert nursery.train(two, draw=True).code == 0
    assert {file.name: file.read_bytes() for file in every(two)[0].folder.glob("*.png")} == wanted
    assert outcome(every(two)[0]) == outcome(untouched)
