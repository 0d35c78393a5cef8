"""Two processes at one run: the first goes on undisturbed, the second says in one line who it is and what to do."""

import json
import os
import platform
import signal
import threading
from pathlib import Path

import pytest
from games import outcome, placed, points
from ledger import Ledger
from nursery import Nursery
from test_random_kills import bench, scores

from gancluster.errors import RunError
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.training import train

pytestmark = pytest.mark.usefixtures("duels")


def held(nursery: Nursery, root: Path) -> tuple[int, Run]:
    """A process that stands still in the middle of training a run, once it has saved something."""
    child = nursery.start(root, "--save-every 0", kill_at=4, signal_at=signal.SIGSTOP)
    nursery.until_stopped(child)
    (run,) = every(root)
    return child, run


@pytest.mark.parametrize("option", ["", "--resume"])
def test_a_second_process_is_told_who_is_at_the_run_and_disturbs_nothing(
    nursery: Nursery, ledger: Ledger, untouched: Run, tmp_path: Path, option: str
) -> None:
    child, run = held(nursery, tmp_path)
    ending = nursery.train(tmp_path, option)
    who = f"process {child} on {platform.node()}"
    assert ending == (2, "", f"error: {run.folder} is being trained by {who}: wait for its end, or stop it\n")
    with ledger.tried("two processes at one run's folder"):
        os.kill(child, signal.SIGCONT)
        assert nursery.wait(child).code == 0
        assert outcome(run) == outcome(untouched)


def test_a_killed_process_holds_nothing(nursery: Nursery, ledger: Ledger, untouched: Run, tmp_path: Path) -> None:
    child, run = held(nursery, tmp_path)
    os.kill(child, signal.SIGKILL)
    assert nursery.wait(child).code == -signal.SIGKILL
    assert str(child) in (run.folder / ".lock").read_text()
    with ledger.tried("a lock left by a killed process"):
        assert nursery.train(tmp_path, "--resume").code == 0
        assert outcome(run) == outcome(untouched)


def test_two_tables_at_once_in_the_same_folders_come_to_the_same(
    nursery: Nursery, ledger: Ledger, tmp_path: Path
) -> None:
    with ledger.tried("two processes at one results' folder", 2):
        children = [nursery.begin(bench(tmp_path / "both")) for _ in range(2)]
        endings = [nursery.wait(child) for child in children]
        assert [ending.code for ending in endings] == [0, 0], endings
        assert scores(endings[0].out) == scores(endings[1].out)
        (written,) = (tmp_path / "both" / "results").iterdir()
        assert json.loads(written.read_text())
        assert len(every(tmp_path / "both" / "runs")) == 2


def test_whoever_is_overtaken_while_he_places_a_run_has_it_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = placed(tmp_path / "first", points(), "duel").request

    def another_process(descriptor: int) -> None:
        monkeypatch.undo()
        with Run.place(tmp_path / "second", request).alone():
            os.fsync(descriptor)

    monkeypatch.setattr("os.fsync", another_process)
    run = Run.place(tmp_path / "second", request)
    assert os.fsync is not another_process
    assert Run.open(run.folder).request == request


def test_whoever_waits_finds_the_run_finished(tmp_path: Path) -> None:
    run, steps = placed(tmp_path, points(), "duel"), list[int]()
    other = Run.open(run.folder)
    waiting = threading.Thread(
        target=train, args=(other, points()), kwargs={"watch": lambda moment: steps.append(1), "wait": True}
    )
    with run.alone():
        waiting.start()
        train(run, points())  # whoever is inside may enter again
    waiting.join(60)
    assert not waiting.is_alive()
    assert steps == []


def test_a_lock_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    (run.folder / ".lock").mkdir()
    with pytest.raises(RunError, match=r"^cannot write .*\.lock \(is a directory\); what was there is untouched"):
        train(run, points())


def test_a_holder_who_left_no_name_is_another_process(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    with run.alone():
        (run.folder / ".lock").write_bytes(b"\xff")
        with pytest.raises(RunError, match="is being trained by another process: wait"):
            train(Run.open(run.folder), points())
