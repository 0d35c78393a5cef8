"""The doctor: which epoch a collapse began in, what shows it, and commands that can be carried out."""

import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from games import game, placed, points

from gancluster.cli.app import run as command
from gancluster.data.dataset import Dataset
from gancluster.engine.play import play
from gancluster.methods.base import Row
from gancluster.runs import doctor, monitors
from gancluster.runs.attempts import method_of
from gancluster.runs.monitors import COVERAGE, ENTROPY
from gancluster.runs.run import Run
from gancluster.runs.training import train


@pytest.fixture
def aae(tmp_path: Path, digits: Dataset) -> Run:
    """Placed and not played."""
    return placed(tmp_path, digits, "aae", critic="ns-gan", epochs=6)


def row(epoch: int, entropy: float, coverage: float = 1.0) -> Row:
    return {"phase": "adversarial", "epoch": epoch, ENTROPY: entropy, COVERAGE: coverage}


def diagnosed(run: Run, rows: list[Row], reason: str = "") -> Any:
    return doctor.diagnosis(method_of(run.request), run.request, rows, reason)


def test_entropy_is_that_of_the_sizes() -> None:
    assert monitors.entropy(np.repeat(np.arange(4), 5)) == pytest.approx(math.log(4))
    assert monitors.entropy(np.zeros(7, np.int64)) == 0
    assert monitors.entropy(np.array([0, 0, 0, 1])) == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))


def test_the_game_does_not_notice_that_it_is_looked_at() -> None:
    from gancluster.engine.game import Game

    def ends(looked: bool) -> tuple[list[float], Game]:
        one = game()
        for moment in play(one):
            if looked and moment.row is not None:
                assert 0 <= monitors.look(one)[ENTROPY] <= math.log(2) + 1e-9
        return [float(w.sum()) for tree in one.state.players.values() for w in tree.values()], one

    assert ends(True)[0] == ends(False)[0]


@pytest.mark.parametrize(
    ("entropies", "since"),
    [([2.3, 2.2, 0.3, 0.0], 3), ([0.2, 2.2, 2.3, 0.1], 4), ([0.0] * 4, 1), ([2.3, 0.1, 2.2], None), ([], None)],
)
def test_a_collapse_began_where_its_signs_came_to_stay(aae: Run, entropies: list[float], since: int | None) -> None:
    found = diagnosed(aae, [row(epoch, entropy) for epoch, entropy in enumerate(entropies, 1)])
    assert (found and found["epoch"]) == since


def test_epochs_that_were_not_looked_at_are_passed_over(aae: Run) -> None:
    rows = [row(1, 2.3), {"phase": "adversarial", "epoch": 2}, row(3, 0.1), {"phase": "adversarial", "epoch": 4}]
    assert diagnosed(aae, rows)["epoch"] == 3


def test_codes_that_are_not_found_are_a_sign(aae: Run) -> None:
    assert diagnosed(aae, [row(1, 2.3, 0.3)])["signs"] == ["samples made of all 10 codes are found in 3 clusters"]


def test_a_game_that_failed_is_diagnosed_with_its_reason(aae: Run) -> None:
    assert diagnosed(aae, [row(1, 2.3)], "a loss became non-finite")["signs"] == ["a loss became non-finite"]
    assert diagnosed(aae, [], "a loss became non-finite")["epoch"] == 1


def test_each_command_is_the_runs_own_but_for_one_thing(aae: Run) -> None:
    lines = diagnosed(aae, [row(1, 0.0)])["commands"]
    wanted = ["--critic wgan-gp", "--adversarial-weight 0.1", "--restarts 3"]
    assert [change in line for change, line in zip(wanted, lines, strict=True)] == [True] * 3
    for line in lines:
        words = shlex.split(line)
        assert words[:3] == ["gancluster", "train", "aae"]
        assert "--epochs 6" in line
        assert line.count("--critic") <= 1


def test_a_critic_that_bounds_the_slopes_already_is_not_replaced(tmp_path: Path, digits: Dataset) -> None:
    run = placed(tmp_path, digits, "aae", critic="wgan-gp", epochs=6)
    assert not [line for line in diagnosed(run, [row(1, 0.0)])["commands"] if "--critic sn-gan" in line]


@pytest.mark.usefixtures("duels")
def test_a_finished_run_is_diagnosed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A maker whose class is chance: all points on one side."""
    run = placed(tmp_path, points(), "duel")
    result = train(run, points())
    assert {ENTROPY, COVERAGE} <= set(run.log().columns)
    assert command(["doctor", str(run.folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("collapsed: " if result["diagnosis"] else f"{run.folder} shows no sign of a collapse")
