"""What `gancluster train` prints of several seeds: the interval of their mean, or the seeds it still takes."""

import json
from pathlib import Path

import pytest
from asking import Ask

from gancluster.metrics.statistics import mean_interval
from gancluster.runs.finding import every


@pytest.fixture
def duel(duels: None, undrawn: None, file: Path, tmp_path: Path) -> list[object]:
    """The words that train the game of two linear players."""
    return ["train duel --quiet --dataset", file, "--runs-dir", tmp_path / "runs"]


def test_from_five_seeds_on_the_mean_has_an_interval(ask: Ask, duel: list[object]) -> None:
    said, told = ask(*duel, "--seeds 5").out, json.loads(ask(*duel, "--seeds 5 --json").out)
    runs = every(Path(str(duel[-1])))
    shown = []
    for key in ("acc", "nmi", "ari"):
        low, high = mean_interval([run.result()["scores"]["side"][key] for run in runs])
        assert told["interval"][key] == pytest.approx([low, high])
        shown.append(f"{key.upper()} {low:.3f} to {high:.3f}")
    assert f"95 % interval of the mean: {', '.join(shown)}\n" in said


@pytest.mark.parametrize(
    ("options", "needed"),
    [("--seeds 2", "3 more seeds"), ("--seeds 4", "1 more seed"), ("--seeds 5 --fails-for 1", "1 more seed")],
)
def test_with_fewer_it_says_how_many_more_are_needed(ask: Ask, duel: list[object], options: str, needed: str) -> None:
    assert f"95 % interval of the mean: {needed} needed\n" in ask(*duel, options).out
    assert json.loads(ask(*duel, options, "--json").out)["interval"] == {}


def test_one_seed_has_no_interval(ask: Ask, duel: list[object]) -> None:
    assert "95 %" not in ask(*duel).out
