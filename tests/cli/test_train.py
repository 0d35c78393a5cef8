"""`gancluster train`: what is printed where, what is never done twice, and how a stopped or failed run is spoken of."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import Ask, root_of
from games import outcome
from PIL import Image

from gancluster.cli import app, progress
from gancluster.engine.play import Moment
from gancluster.runs.finding import every
from gancluster.runs.run import Run

SMOKE = "train clustergan --preset smoke --limit 300"


@pytest.fixture
def duel(duels: None, undrawn: None, file: Path, tmp_path: Path) -> list[object]:
    """The words that train the game of two linear players."""
    return ["train duel --dataset", file, "--runs-dir", tmp_path / "runs"]


def stopping(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let somebody press Ctrl-C at a step."""
    call = progress.Display.__call__

    def pressed(self: progress.Display, moment: Moment) -> None:
        call(self, moment)
        if moment.played == at:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(progress.Display, "__call__", pressed)


def test_a_run_has_its_files_and_five_pictures(smoke: Run) -> None:
    pictures = ["clusters.png", "confusion.png", "embedding.png", "generated.png", "losses.png"]
    files = [".lock", "checkpoint.safetensors", "config.json", "embedding.npz", "log.csv", "result.json", "start.npz"]
    assert sorted(file.name for file in smoke.folder.iterdir()) == sorted(pictures + files)
    for name in pictures:
        with Image.open(smoke.folder / name) as picture:
            picture.load()
            assert min(picture.size) > 100


@pytest.mark.usefixtures("undrawn")
def test_the_table_shows_scores_and_where_the_run_lies(ask: Ask, smoke: Run) -> None:
    said = ask(SMOKE, "--runs-dir", root_of(smoke))
    result = smoke.result()
    scores = result["scores"]["kmeans"]
    assert said.code == 0
    assert "clustergan on digits, n = 300, K = 10" in said.out
    row = next(line for line in said.out.splitlines() if "clustergan+" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells[:5] == ["0", "clustergan+", *(f"{scores[key]:.3f}" for key in ("acc", "nmi", "ari"))]
    assert cells[5:] == [
        f"{scores['empty_clusters']:.0f}",
        f"{scores['largest_share']:.2f}",
        f"{result['seconds']:.0f}",
    ]
    assert f"+ marks what is not in the paper: {', '.join(result['extensions'])}" in said.out
    assert f"runs: {smoke.folder.parent}" in said.out


@pytest.mark.usefixtures("undrawn")
def test_a_repeated_command_trains_nothing(ask: Ask, smoke: Run) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in smoke.folder.glob("[!.]*")}
    said = ask(SMOKE, "--json --runs-dir", root_of(smoke))
    assert json.loads(said.out)["runs"][0] == {"run": str(smoke.folder), "seed": 0, **smoke.result()}
    assert said.err == ""
    assert {file.name: file.stat().st_mtime_ns for file in smoke.folder.glob("[!.]*")} == before
    assert len(every(root_of(smoke))) == 1


def test_json_holds_runs_and_the_mean_over_seeds(ask: Ask, duel: list[object]) -> None:
    said = ask(*duel, "--seed 3 --seeds 3 --json")
    told = json.loads(said.out)
    assert (said.code, said.err) == (0, "")
    assert (told["method"], told["dataset"]) == ("duel", "points.npz")
    assert [run["seed"] for run in told["runs"]] == [3, 4, 5]
    for run in told["runs"]:
        assert Run.open(Path(run["run"])).result() == {k: v for k, v in run.items() if k not in ("run", "seed")}
    for score in ("acc", "nmi", "ari", "cluster_majority"):
        values = [run["scores"]["side"][score] for run in told["runs"]]
        assert told["mean"][score] == pytest.approx(np.mean(values))
        assert told["std"][score] == pytest.approx(np.std(values, ddof=1))


def test_the_table_over_seeds_ends_with_mean_and_standard_deviation(ask: Ask, duel: list[object]) -> None:
    said = ask(*duel, "--seeds 2 --quiet")
    acc, nmi, ari = (
        [run.result()["scores"]["side"][score] for run in every(Path(str(duel[-1])))] for score in ("acc", "nmi", "ari")
    )
    wanted = ", ".join(
        f"{name} {np.mean(values):.3f} ± {abs(values[0] - values[1]) / np.sqrt(2):.3f}"
        for name, values in {"ACC": acc, "NMI": nmi, "ARI": ari}.items()
    )
    assert f"mean ± standard deviation over 2 seeds: {wanted}" in said.out
    assert (said.code, said.err) == (0, "")


def test_one_seed_has_no_deviation(ask: Ask, duel: list[object]) -> None:
    assert "±" not in ask(*duel).out
    assert json.loads(ask(*duel, "--json").out)["std"] == {}


def test_progress_is_plain_lines_where_there_is_no_terminal(ask: Ask, duel: list[object]) -> None:
    said = ask(*duel, "--seeds 2")
    lines = said.err.splitlines()
    assert len(lines) == 2  # the next of a run would come after a minute
    for seed, line in enumerate(lines):
        assert line.startswith(f"duel on points.npz, seed {seed}: duel 1/2, step 3 of 6: ")
        assert "seeker.adversarial " in line
    assert "\x1b" not in said.err


def test_a_terminal_shows_a_bar_that_leaves_nothing(
    ask: Ask, duel: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    said = ask(*duel)
    assert "duel 2/2" in said.err
    assert "6/6" in said.err
    assert said.err.endswith("\x1b[2K")  # the line is erased
    assert ask(*duel, "--quiet --seed 1").err == ""


def test_a_stopped_run_is_gone_on_with_only_when_told(
    ask: Ask, duel: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    straight = ask(*duel[:-1], tmp_path / "straight", "--quiet")
    with monkeypatch.context() as pressed:
        stopping(pressed, 4)
        said = ask(*duel, "--quiet")
    (run,) = every(tmp_path / "runs")
    stopped = f"stopped at step 4 of 6; all of it is saved in {run.folder}"
    assert (said.code, said.err) == (130, f"error: {stopped}; repeat the command with --resume to go on\n")
    before = {file.name: file.read_bytes() for file in run.folder.iterdir()}
    said = ask(*duel)
    refused = f"error: {run.folder} was stopped: add --resume to go on with it, or remove the folder\n"
    assert (said.code, said.out, said.err) == (2, "", refused)
    assert {file.name: file.read_bytes() for file in run.folder.iterdir()} == before
    assert ask(*duel, "--resume --quiet").code == straight.code == 0
    assert outcome(run) == outcome(every(tmp_path / "straight")[0])


def test_of_several_seeds_those_that_are_done_are_not_done_again(ask: Ask, duel: list[object], tmp_path: Path) -> None:
    ask(*duel, "--seed 1")
    (first,) = every(tmp_path / "runs")
    before = (first.folder / "result.json").stat().st_mtime_ns
    ask(*duel, "--seeds 3")
    assert sorted(run.request.seed for run in every(tmp_path / "runs")) == [0, 1, 2]
    assert (first.folder / "result.json").stat().st_mtime_ns == before


def test_a_failed_run_is_a_row_that_says_so_and_exits_with_1(ask: Ask, duel: list[object], tmp_path: Path) -> None:
    said = ask(*duel, "--fails-from 0.5 --epochs 4 --save-every 0")
    (run,) = every(tmp_path / "runs")
    assert said.code == 1
    assert "FAILED" in next(line for line in said.out.splitlines() if line.startswith("│"))
    reason = "the loss term 'adversarial' of the seeker became non-finite at step 7 (seed 0)"
    assert f"FAILED: {reason}; its last good checkpoint is in {run.folder}" in said.out
    assert run.checkpoint.exists()
    assert ask(*duel, "--fails-from 0.5 --epochs 4").code == 1


def test_a_failed_run_without_a_checkpoint_does_not_speak_of_one(ask: Ask, duel: list[object], tmp_path: Path) -> None:
    said = ask(*duel, "--fails-from 0")
    assert said.code == 1
    assert "FAILED: the loss term" in said.out
    assert "checkpoint" not in said.out
    assert not every(tmp_path / "runs")[0].checkpoint.exists()


def test_failed_seeds_are_never_averaged(ask: Ask, duel: list[object]) -> None:
    said = ask(*duel, "--seeds 3 --fails-for 1 --json")
    told = json.loads(said.out)
    assert said.code == 1
    assert [run["status"] for run in told["runs"]] == ["finished", "failed", "finished"]
    accs = [run["scores"]["side"]["acc"] for run in told["runs"] if run["status"] == "finished"]
    assert told["mean"]["acc"] == pytest.approx(np.mean(accs))
    table = ask(*duel, "--seeds 3 --fails-for 1").out
    assert f"over 2 seeds: ACC {np.mean(accs):.3f} ±" in table
    assert table.count("FAILED") == 2  # its row and its reason
    all_failed = ask(*duel, "--fails-for 0")
    assert "mean" not in all_failed.out
    assert json.loads(ask(*duel, "--fails-for 0 --json").out)["mean"] == {}


def test_a_run_without_labels_has_no_scores(ask: Ask, duels: None, undrawn: None, tmp_path: Path) -> None:
    said = ask("train duel --dataset swiss-roll --limit 50 --clusters 2 --runs-dir", tmp_path)
    assert said.code == 0
    row = next(line for line in said.out.splitlines() if line.startswith("│"))
    assert [cell.strip() for cell in row.strip("│ ").split("│")][2:5] == ["–", "–", "–"]


def test_the_runs_folder_may_come_from_the_environment(
    ask: Ask, duel: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GANCLUSTER_RUNS", str(tmp_path / "there"))
    assert ask(*duel[:2]).code == 0
    assert len(every(tmp_path / "there")) == 1


def test_a_run_remembers_the_command_that_repeats_it(
    duels: Any, undrawn: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "duel", "--dataset", str(file), "--runs-dir", str(tmp_path / "a b"), "--lr", "0.01", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["gancluster", *words])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 0
    (run,) = every(tmp_path / "a b")
    assert (
        run.request.command == f"gancluster train duel --dataset {file} --runs-dir '{tmp_path}/a b' --lr 0.01 --quiet"
    )
    assert run.request.source == str(file)
    assert run.request.options["lr"] == 0.01


@pytest.mark.usefixtures("undrawn")
def test_every_option_of_a_method_can_be_given(ask: Ask, tmp_path: Path) -> None:
    options = "--critic wgan-gp --pace none --no-consistency --form printed --clip 1.5 --warmup-epochs 0"
    options += " --consistency-with itself"
    said = ask(SMOKE, "--epochs 1", options, "--json --runs-dir", tmp_path)
    assert said.code == 0
    given = every(tmp_path)[0].request.options
    assert (given["critic"], given["pace"], given["consistency"], given["form"]) == (
        "wgan-gp",
        "none",
        False,
        "printed",
    )
    assert (given["clip"], given["consistency_with"], given["warmup_epochs"], given["epochs"]) == (1.5, "itself", 0, 1)


def test_several_seeds_are_trained_together_so_many_at_a_time(ask: Ask, duel: list[object]) -> None:
    said = ask(*duel, "--seeds 3 --together 2")
    titles = [line.split(":")[0] for line in said.err.splitlines()]
    assert titles == ["duel on points.npz, seeds 0 to 1", "duel on points.npz, seed 2"]
    alone = ask(*duel, "--seeds 3 --json")
    assert said.code == alone.code == 0
    assert "mean ± standard deviation over 3 seeds" in said.out


def test_an_engine_that_the_device_cannot_be_is_refused(ask: Ask, duel: list[object]) -> None:
    said = ask(*duel, "--engine captured")
    assert (said.code, said.out) == (2, "")
    assert (
        said.err
        == "error: --engine captured records a GPU's kernels for one seed: use --device cuda, or another engine\n"
    )
