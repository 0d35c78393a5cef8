"""`gancluster eval --select`: every rule's row, the badge of the one that sees labels; and what `train` warns of."""

import json
from pathlib import Path

import numpy as np
import pytest
from asking import Ask, root_of
from games import Duel, points

from gancluster import registry
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.selection import choices

TRAIN = "train duel --preset smoke --epochs 4 --quiet"
BADGE = "selected with labels"


@pytest.fixture
def kept(ask: Ask, duels: None, undrawn: None, file: Path, tmp_path: Path) -> Run:
    """A run with three snapshots."""
    assert ask(TRAIN, "--snapshots 3 --dataset", file, "--runs-dir", tmp_path / "runs").code == 0
    return every(tmp_path / "runs")[0]


@pytest.mark.parametrize(
    ("select", "rule"), [("last", "last epoch"), ("internal", "best silhouette"), ("oracle", "or")]
)
def test_the_table_has_every_rule_and_marks_the_one_asked_for(ask: Ask, kept: Run, select: str, rule: str) -> None:
    said = ask("eval --select", select, "--runs-dir", root_of(kept))
    rows = [line.split("│")[1:-1] for line in said.out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert (said.code, said.err) == (0, "")
    assert [row[1] for row in cells] == [choice.rule for choice in choices(kept)]
    for row, choice in zip(cells, choices(kept), strict=True):
        assert choice.scores is not None
        assert row[2:4] == [str(choice.epoch), "duel"]
        assert row[5:8] == [f"{choice.scores[key]:.4f}" for key in ("acc", "nmi", "ari")]
    assert [row[1].startswith(rule) for row in cells] == [row[0] == "→" for row in cells]
    assert [row[8] for row in cells] == [""] * (len(cells) - 1) + [BADGE]


def test_json_says_what_was_selected_with_labels(ask: Ask, kept: Run) -> None:
    for select, with_labels in {"last": False, "internal": False, "oracle": True}.items():
        told = json.loads(ask("eval --json --select", select, "--runs-dir", root_of(kept)).out)
        assert told["run"] == str(kept.folder)
        assert told["selected_with_labels"] is told["selected"]["selected_with_labels"] is with_labels
        assert told["choices"] == [choice._asdict() for choice in choices(kept)]
        assert [c["selected_with_labels"] for c in told["choices"]] == [False] * (len(told["choices"]) - 1) + [True]


def test_what_cannot_be_selected_is_one_line(ask: Ask, duels: None, undrawn: None, file: Path, tmp_path: Path) -> None:
    ask(TRAIN, "--dataset", file, "--runs-dir", tmp_path / "runs")
    folder = every(tmp_path / "runs")[0].folder
    said = ask("eval --select last --runs-dir", tmp_path / "runs")
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: {folder} kept no partitions on the way: train with --snapshots 10, say\n"
    said = ask("eval --select best --runs-dir", tmp_path / "runs")
    assert said.err.startswith("error: there is no rule 'best'; ")
    for other in ("--hungarian", "--majority", "--split test"):
        said = ask("eval --select last", other, "--runs-dir", tmp_path / "runs")
        assert said.err.startswith("error: --select shows ACC, NMI and ARI of kept partitions: leave out --")
    said = ask("eval --select last --retrieval --runs-dir", tmp_path / "runs")
    assert said.err.startswith("error: --select is about clusters, not codes")


def test_without_labels_there_are_dashes(ask: Ask, duels: None, undrawn: None, tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", inputs=points().inputs)
    train = (TRAIN, "--snapshots 2 --clusters 2 --dataset", tmp_path / "bare.npz", "--runs-dir", tmp_path / "runs")
    assert ask(*train).code == 0
    said = ask("eval --select internal --runs-dir", tmp_path / "runs")
    assert (said.code, BADGE in said.out) == (0, False)
    assert "–" in said.out


class Hopeless(Duel):
    """A duel that always looks collapsed."""

    def symptoms(self, row: dict[str, float | int | str]) -> list[str]:
        return ["nobody wins [really]; try more --restarts"] if row["epoch"] == 2 else []


@pytest.mark.usefixtures("undrawn")
def test_train_says_what_it_dropped_and_warns(
    ask: Ask, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILT_IN["methods"], "hopeless", "test_select:Hopeless")
    line = ("train hopeless --epochs 3 --restarts 1 --seed 4 --quiet --dataset", file, "--runs-dir", tmp_path / "runs")
    said = ask(*line)
    text = "nobody wins [really]; try more --restarts"
    assert said.code == 0
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert f"seed 4: attempt 0 dropped at duel, epoch 2: {text}" in lines
    assert f"warning: seed 4: duel, epoch 2: {text}" in lines
    (told,) = json.loads(ask(*line, "--json").out)["runs"]
    assert told["warnings"] == [f"duel, epoch 2: {text}"]
    assert [dropped["attempt"] for dropped in told["restarts"]] == [0]


@pytest.mark.usefixtures("undrawn", "duels")
def test_a_run_stopped_right_after_a_restart_is_not_gone_on_with_unasked(ask: Ask, file: Path, tmp_path: Path) -> None:
    line = (TRAIN, "--restarts 1 --dataset", file, "--runs-dir", tmp_path / "runs")
    ask(*line)
    (run,) = every(tmp_path / "runs")
    (run.folder / "result.json").unlink()
    run.drop({"attempt": 0, "phase": "duel", "epoch": 1, "seconds": 1.0, "symptoms": []})
    assert not run.checkpoint.exists()
    said = ask(*line)
    assert said.code == 2
    assert "was stopped: add --resume to go on with it" in said.err
    assert ask(*line, "--resume").code == 0
    assert len(run.result()["restarts"]) == 1
