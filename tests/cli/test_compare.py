"""`gancluster compare`: groups of runs over common seeds, printed means, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import Ask

from gancluster.metrics import statistics
from gancluster.runs.finding import every
from gancluster.runs.run import Run

A, B = "points.npz/duel/default", "points.npz/duel/paper"
Tell = Callable[..., dict[str, Any]]


@pytest.fixture
def train(ask: Ask, duels: None, undrawn: None, file: Path, tmp_path: Path) -> Callable[..., None]:
    """Train the game of two linear players below `runs`."""

    def trained(*words: object) -> None:
        ask("train duel --dataset", file, "--quiet --runs-dir", tmp_path / "runs", *words)

    return trained


@pytest.fixture
def two(train: Callable[..., None]) -> None:
    """Seven seeds of one preset, and six of another with another learning rate."""
    train("--seeds 7")
    train("--seeds 6 --preset paper --lr 0.9")


@pytest.fixture
def tell(ask: Ask, tmp_path: Path) -> Tell:
    """The JSON object that a comparison prints."""

    def told(*words: object) -> dict[str, Any]:
        said = ask("compare", *words, "--json --runs-dir", tmp_path / "runs")
        assert (said.code, said.err) == (0, "")
        return json.loads(said.out)

    return told


def accs(root: Path, preset: str, score: str = "acc") -> dict[int, float]:
    runs = [run for run in every(root) if run.request.preset == preset and run.status == "finished"]
    return {run.request.seed: run.result()["scores"]["side"][score] for run in sorted(runs, key=seed_of)}


def seed_of(run: Run) -> int:
    return run.request.seed


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("score", ["acc", "nmi"])
def test_groups_are_summed_up_and_paired_over_common_seeds(tell: Tell, tmp_path: Path, score: str) -> None:
    told = tell(A, B, "--score", score)
    first, second = (accs(tmp_path / "runs", preset, score) for preset in ("default", "paper"))
    for group, scores, n in zip(told["groups"], (first, second), (7, 6), strict=True):
        values = list(scores.values())
        assert (group["n"], group["failed"], group["unfinished"]) == (n, [], [])
        assert (group["mean"], group["std"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
        assert group["interval"] == pytest.approx(statistics.mean_interval(values))
    (pair,) = told["pairs"]
    a, b = (np.array([scores[seed] for seed in range(6)]) for scores in (first, second))
    assert (pair["a"], pair["b"], pair["n"], pair["note"]) == (A, B, 6, "")
    assert pair["difference"] == pytest.approx((a - b).mean())
    assert pair["p"] == statistics.paired_test(a, b).p
    improvement = statistics.probability_of_improvement(list(first.values()), list(second.values()))
    assert pair["improvement"] == pytest.approx(improvement._asdict())
    assert pair["seeds_needed"] == statistics.seeds_needed(a - b)


@pytest.mark.usefixtures("two")
def test_the_table_says_the_same(ask: Ask, tell: Tell, tmp_path: Path) -> None:
    told, said = tell(A, B), ask("compare", A, B, "--runs-dir", tmp_path / "runs")
    assert (said.code, said.err) == (0, "")
    assert "ACC on points.npz, n = 24" in said.out
    assert told["differ_in"] == ["lr", "preset"]
    assert "the groups differ in: lr, preset\n" in said.out
    group, pair = told["groups"][0], told["pairs"][0]
    assert f"{group['mean']:.3f} ± {group['std']:.3f}" in said.out
    assert f"{group['interval'][0]:.3f} to {group['interval'][1]:.3f}" in said.out
    row = next(line for line in said.out.splitlines() if f"{A} - {B}" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells[1:4] == ["6", f"{pair['difference']:+.3f}", f"{pair['p']:.3f}"]


@pytest.mark.usefixtures("two")
def test_a_run_stands_for_all_seeds_of_its_request(tell: Tell, tmp_path: Path) -> None:
    one = next(run for run in every(tmp_path / "runs") if run.request.preset == "paper" and run.request.seed == 3)
    for name in (one.folder, one.folder.name, f"points.npz/duel/{one.folder.name}"):
        told = tell(A, name)
        assert [group["n"] for group in told["groups"]] == [7, 6]


def test_three_groups_are_corrected_for_three_tests(
    train: Callable[..., None], two: None, tell: Tell, tmp_path: Path
) -> None:
    train("--seeds 6 --preset smoke --lr 0.3")
    told = tell(A, B, "points.npz/duel/smoke")
    scores = [accs(tmp_path / "runs", preset) for preset in ("default", "paper", "smoke")]
    tables = [np.array([found[seed] for seed in range(6)]) for found in scores]
    raw = [statistics.paired_test(tables[i], tables[j]).p for i, j in ((0, 1), (0, 2), (1, 2))]
    assert [pair["p"] for pair in told["pairs"]] == pytest.approx(statistics.holm(raw))


def test_failed_seeds_are_shown_and_never_averaged(
    train: Callable[..., None], ask: Ask, tell: Tell, tmp_path: Path
) -> None:
    train("--seeds 3 --fails-for 1")
    train("--seeds 3 --preset paper")
    told = tell(A, B)
    first, (pair,) = told["groups"][0], told["pairs"]
    assert (first["n"], first["failed"], first["interval"]) == (2, [1], None)
    assert first["mean"] == pytest.approx(np.mean(list(accs(tmp_path / "runs", "default").values())))
    assert (pair["n"], pair["p"]) == (2, None)
    assert pair["note"] == "a paired test takes 6 seeds, here are 2: train 4 more"
    said = ask("compare", A, B, "--runs-dir", tmp_path / "runs").out
    assert "FAILED: 1" in said
    assert "3 more seeds" in said
    assert pair["note"] in said


def test_a_group_without_a_finished_seed_has_no_mean(train: Callable[..., None], two: None, tell: Tell) -> None:
    train("--seeds 1 --preset smoke --fails-for 0")
    told = tell(A, "points.npz/duel/smoke")
    assert (told["groups"][1]["mean"], told["groups"][1]["failed"]) == (None, [0])
    assert told["pairs"][0]["difference"] is None
    assert told["pairs"][0]["note"].startswith("0 common seeds do not make pairs")


@pytest.mark.usefixtures("two")
def test_a_printed_mean_gets_a_verdict(ask: Ask, tell: Tell, tmp_path: Path) -> None:
    values = list(accs(tmp_path / "runs", "default").values())
    for mean, std in ((0.1, None), (0.99, 0.2), (0.5, 0.0)):
        spread = [] if std is None else ["--published-std", std]
        told = tell(A, "--published", mean, *spread, "--margin 0.02 --published-runs 4")
        printed = statistics.Published(mean, std, 4)
        expected = statistics.verdict(values, printed, 0.02)._asdict()
        assert told["verdicts"] == [expected | {"seeds_needed": statistics.seeds_needed(values, printed, 0.02)}]
        assert told["published"] == printed._asdict()
    said = ask("compare", A, "--published 0.1 --runs-dir", tmp_path / "runs").out
    assert f"{A}: above; {np.mean(values):.3f} is {np.mean(values) - 0.1:+.3f} from the printed 0.100" in said


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (A, "one group compares with nothing: name another, or give a printed mean with --published"),
        (f"{A} points.npz/duel/deft", "did you mean points.npz/duel/default"),
        (f"{A} {B} --score ac", "there is no score 'ac'; did you mean acc"),
        (f"{A} --published .9 --margin -1", "cannot be judged"),
        (f"{A} --published .9 --published-runs 0", "a printed mean of 0 runs"),
        (f"{A} --published 97", "--published 97 is no fraction: write 97 % as .97"),
    ],
)
def test_what_does_not_compare_is_refused(ask: Ask, tmp_path: Path, words: str, says: str) -> None:
    said = ask("compare", words, "--runs-dir", tmp_path / "runs")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err


def test_groups_of_different_data_are_refused(train: Callable[..., None], two: None, ask: Ask, tmp_path: Path) -> None:
    train("--limit 20 --preset smoke --seeds 2")
    said = ask("compare", A, "points.npz/duel/smoke --runs-dir", tmp_path / "runs")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "24 samples, sha256 " in said.err
    assert said.err.endswith(": compare on the same data\n")


def test_a_path_with_runs_of_two_requests_is_refused_and_its_runs_named(
    train: Callable[..., None], two: None, ask: Ask, tell: Tell, tmp_path: Path
) -> None:
    train("--seeds 2 --lr 0.3 --epochs 3")
    said = ask("compare", A, B, "--runs-dir", tmp_path / "runs")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert f"error: {A} holds 2 requests (they differ in epochs, lr): name a run of the one you mean" in said.err
    names = [word for word in said.err.split() if word.startswith("default-s")]
    assert sorted(group["n"] for group in tell(*names)["groups"]) == [2, 7]


def test_runs_without_labels_are_refused(ask: Ask, duels: None, undrawn: None, tmp_path: Path) -> None:
    ask("train duel --dataset swiss-roll --limit 50 --clusters 2 --quiet --runs-dir", tmp_path)
    said = ask("compare swiss-roll/duel/default --published 0.9 --runs-dir", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: swiss-roll has no labels, so ")
