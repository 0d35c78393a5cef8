"""What the commands tell of a run that is the best of several starts, never passing it off as a single one."""

import json
from pathlib import Path

import games
import pytest
from asking import Ask

from gancluster.runs.finding import every

TRAIN = "train duel --epochs 4 --quiet --dataset"


@pytest.fixture
def places(duels: None, undrawn: None, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Where the duel, whose starts the maker's loss ranks here, finds its points and leaves its runs."""
    monkeypatch.setattr(games.Duel, "ranked_by", "maker.adversarial")
    return [file, "--runs-dir", tmp_path / "runs"]


def test_the_result_says_of_what_it_is_the_best(ask: Ask, places: list[object], tmp_path: Path) -> None:
    said = ask(TRAIN, *places, "--starts 3")
    assert (said.code, said.err) == (0, "")
    (run,) = every(tmp_path / "runs")
    line = next(line for line in said.out.splitlines() if "ranked best without labels" in line)
    mean = run.result()["starts_mean"]["acc"]
    assert line.startswith("seed 0: start ")
    assert line.endswith(f"mean of all starts {mean:.3f}")
    assert "duel, best of 3 starts" in said.out
    told = json.loads(ask(TRAIN, *places, "--starts 3 --json").out)["runs"][0]
    assert (len(told["starts"]), told["starts_mean"]["acc"]) == (3, mean)
    assert line.removeprefix("seed 0: ") in ask("eval --runs-dir", places[-1]).out
    assert "duel, best of 3 starts" in ask("runs --runs-dir", places[-1]).out


def test_a_page_has_a_table_of_the_starts(ask: Ask, places: list[object], tmp_path: Path) -> None:
    ask(TRAIN, *places, "--starts 3")
    path = Path(ask("report --data-dir", tmp_path, "--runs-dir", places[-1]).out.strip())
    page = path.read_text()
    assert "duel, best of 3 starts on points.npz" in page
    assert page.count("trained on") == 1
    assert all(str(one["seed"]) in page for one in every(tmp_path / "runs")[0].tried())


def test_single_starts_and_best_ones_are_no_group(ask: Ask, places: list[object]) -> None:
    for options in ("--seeds 2", "--seeds 2 --starts 2"):
        assert ask(TRAIN, *places, options).code == 0
    said = ask("compare points.npz/duel/default --published .9 --runs-dir", places[-1])
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "holds 2 requests (they differ in starts)" in said.err


@pytest.mark.parametrize(
    "options", ["--starts 2 --restarts 1", "--rank-after 3", "--starts 0", "--starts 2 --rank-after 0"]
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    ask: Ask, places: list[object], tmp_path: Path, options: str
) -> None:
    said = ask(TRAIN, *places, options)
    assert (said.code, said.out) == (2, "")
    assert not (tmp_path / "runs").exists()
