"""`gancluster eval`: the scores of a finished run, as the metrics and scikit-learn give them."""

import json
from pathlib import Path

import numpy as np
import pytest
from asking import Ask, root_of
from games import placed, points
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from gancluster import metrics
from gancluster.data import catalogue
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.training import assign

ALL = [
    *("acc", "nmi", "nmi_arithmetic", "nmi_max", "ari", "cluster_majority", "class_majority"),
    *("empty_clusters", "largest_share", "n"),
]


def rows(table: str) -> dict[str, list[str]]:
    """A printed table's rows of cells by their first cell."""
    lines = [line[1:-1].split("│") for line in table.splitlines() if line.startswith("│")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_json_scores_are_those_of_the_metrics_and_of_scikit_learn(ask: Ask, smoke: Run) -> None:
    said = ask("eval --json --runs-dir", root_of(smoke))
    told, arrays = json.loads(said.out), smoke.arrays()
    assert (said.code, said.err, told["run"]) == (0, "", str(smoke.folder))
    assert set(told["scores"]) == {"kmeans", "block"}
    for rule, scores in told["scores"].items():
        labels, clusters = arrays["labels"], arrays[f"clusters/{rule}"]
        assert scores == metrics.scores(labels, clusters, 10)
        for name, mean in {"nmi": "geometric", "nmi_arithmetic": "arithmetic", "nmi_max": "max"}.items():
            assert scores[name] == pytest.approx(
                normalized_mutual_info_score(labels, clusters, average_method=mean), abs=1e-12
            )
        assert scores["ari"] == pytest.approx(adjusted_rand_score(labels, clusters), abs=1e-12)
    assert told["scores"] == smoke.result()["scores"]


def test_the_table_has_a_column_a_rule_and_what_each_score_compares_with(ask: Ask, smoke: Run) -> None:
    said = ask("eval --runs-dir", root_of(smoke))
    found, wanted = rows(said.out), smoke.result()["scores"]
    assert f"{smoke.folder} (clustergan+)" in said.out
    for name in ALL[:7]:
        values = [f"{wanted[rule][name]:.4f}" for rule in ("kmeans", "block")]
        assert found[name] == [*values, metrics.COMPARABLE.get(name, "")]
    assert found["n"][:2] == ["300", "300"]


def test_the_confusion_matrix_counts_every_sample_and_matches_on_its_diagonal(ask: Ask, smoke: Run) -> None:
    found = rows(ask("eval --runs-dir", root_of(smoke)).out)
    table = [[0 if cell == "·" else int(cell) for cell in found[str(row)]] for row in range(10)]
    assert sum(map(sum, table)) == 300
    matched = sum(table[row][row] for row in range(10))
    assert matched / 300 == pytest.approx(smoke.result()["scores"]["kmeans"]["acc"])


def test_classes_keep_their_numbers_where_some_do_not_occur(ask: Ask, tmp_path: Path) -> None:
    ask("train kmeans --limit 12 --clusters 3 --runs-dir", str(tmp_path))
    (run,) = every(tmp_path)
    classes = {str(label) for label in np.unique(run.arrays()["labels"])}
    assert classes != {str(row) for row in range(len(classes))}
    assert {name for name in rows(ask("eval --runs-dir", str(tmp_path)).out) if name.isdigit()} == classes


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", ALL),
        ("--hungarian", ALL[:5]),
        ("--majority", ALL[5:7]),
        ("--hungarian --majority", ALL[:7]),
    ],
)
def test_scores_can_be_chosen(ask: Ask, smoke: Run, options: str, names: list[str]) -> None:
    told = json.loads(ask("eval --json", options, "--runs-dir", root_of(smoke)).out)
    assert list(told["scores"]["kmeans"]) == names
    shown = rows(ask("eval", options, "--runs-dir", root_of(smoke)).out)
    assert [name for name in ALL if name in shown] == names


def test_a_run_is_named_by_its_folder_its_name_or_a_beginning(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    for name in (smoke.folder, smoke.folder.name, smoke.folder.name[:9], smoke.request.key[:10]):
        assert json.loads(ask("eval", name, "--json --runs-dir", root_of(smoke)).out)["run"] == str(smoke.folder)
    assert json.loads(ask("eval", smoke.folder, "--json --runs-dir", tmp_path).out)["run"] == str(smoke.folder)


@pytest.mark.usefixtures("undrawn")
def test_another_split_is_scored_by_the_clusters_that_its_samples_are_assigned(
    ask: Ask, data_dir: Path, tmp_path: Path
) -> None:
    made = ask(
        "train clustergan --preset smoke --dataset usps-9298 --split train --limit 300 --quiet",
        "--runs-dir", tmp_path, "--data-dir", data_dir,
    )  # fmt: skip
    said = ask("eval --json --split test --runs-dir", tmp_path, "--data-dir", data_dir)
    told, (run,), test = json.loads(said.out), every(tmp_path), catalogue.load("usps-9298", data_dir, "test")
    assert (made.code, said.code, told["trained_on"], told["split"]) == (0, 0, "train", "test")
    assert told["scores"] == {"kmeans": metrics.scores(test.labels, assign(run, test), 10)}
    assert told["scores"]["kmeans"]["n"] == 2007
    shown = ask("eval --split test --hungarian --runs-dir", tmp_path, "--data-dir", data_dir).out
    assert "trained on split train, scored on test" in shown
    assert rows(shown)["acc"][0] == f"{told['scores']['kmeans']['acc']:.4f}"


def test_all_of_a_data_set_is_scored_where_a_run_was_trained_on_a_part(ask: Ask, straight: Run, tmp_path: Path) -> None:
    told = json.loads(ask("eval --json --split all", straight.folder).out)["scores"]["kmeans"]
    digits = catalogue.load("digits", tmp_path)
    assert told == metrics.scores(digits.labels, assign(straight, digits), 10)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--split test", "digits has no published train and test parts: ask for split 'all'"),
        ("--split half", "--split"),
        ("--split test --codes codes.npz", "--codes codes.npz is scored without a run"),
    ],
)
def test_a_split_that_cannot_be_scored_is_refused(ask: Ask, smoke: Run, options: str, says: str) -> None:
    said = ask("eval", smoke.folder, options)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err


@pytest.mark.usefixtures("duels", "undrawn")
def test_a_split_without_labels_is_not_scored(ask: Ask, tmp_path: Path) -> None:
    ask("train duel --dataset swiss-roll --limit 50 --clusters 2 --quiet --runs-dir", tmp_path)
    said = ask("eval --split all --runs-dir", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: swiss-roll has no labels, so its split all cannot be scored")


@pytest.mark.usefixtures("duels", "undrawn")
def test_a_run_without_labels_is_not_scored(ask: Ask, tmp_path: Path) -> None:
    ask("train duel --dataset swiss-roll --limit 50 --clusters 2 --quiet --runs-dir", tmp_path)
    said = ask("eval --runs-dir", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: swiss-roll has no labels, so ")
    assert said.err.count("\n") == 1


@pytest.mark.usefixtures("duels")
def test_a_run_that_is_not_finished_is_not_scored(ask: Ask, tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    said = ask("eval", run.folder)
    wanted = f"error: {run.folder} is not finished: repeat its command with --resume\n"
    assert (said.code, said.out, said.err) == (2, "", wanted)


@pytest.mark.usefixtures("duels", "undrawn")
def test_a_run_that_failed_is_not_scored(ask: Ask, file: Path, tmp_path: Path) -> None:
    ask("train duel --fails-for 0 --dataset", file, "--runs-dir", tmp_path / "runs")
    said = ask("eval default --runs-dir", tmp_path / "runs")
    assert (said.code, said.out) == (2, "")
    assert "failed" in said.err
    assert "non-finite at step 1" in said.err
    assert said.err.count("\n") == 1
