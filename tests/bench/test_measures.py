"""What tables measure beside a run's scores: retrieval, and errors on samples that it has not seen."""

from pathlib import Path

import numpy as np
import pytest
from games import placed, points

from gancluster import metrics
from gancluster.bench import grid, hashes, measures
from gancluster.bench.cells import Cell
from gancluster.data import catalogue, features
from gancluster.data.dataset import Dataset
from gancluster.errors import DataError, RunError
from gancluster.runs.attempts import method_of
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, assign, new_samples, plan, train


@pytest.fixture
def finished(digits: Dataset, tmp_path: Path) -> Run:
    """A run to be measured."""
    run = placed(tmp_path, digits, "infogan", epochs=1)
    train(run, digits)
    return run


def test_retrieval_is_scored_as_expected_over_ties_for_each_length_of_code(finished: Run, tmp_path: Path) -> None:
    assert not measures.are_there(finished)
    measures.take(finished, tmp_path)
    arrays, found = finished.arrays(), measures.of(finished)
    for bits in (32, 64):
        codes = method_of(finished.request).binary_codes(arrays["embedding"], arrays["centres"], bits)
        scores = metrics.retrieval_scores(codes, arrays["labels"], queries=24, seed=0, k=100)["scores"]
        assert found[f"mAP/{bits}"] == scores["mAP"]["expected"]
    assert found.keys() == {"mAP/32", "mAP/64"}  # there are only 216 items to search in


def test_1000_queries_and_items_where_there_are_as_many() -> None:
    labels = np.arange(10_000) % 10
    codes = np.random.default_rng(0).random((10_000, 8)) < (1 + labels[:, None]) / 12
    wanted = metrics.retrieval_scores(codes, labels, queries=1000, seed=3, k=1000)["scores"]
    assert measures.searched(codes, labels, 3) == {f"{name}/8": row["expected"] for name, row in wanted.items()}


def test_nothing_is_searched_among_fewer_than_ten_samples() -> None:
    codes = np.eye(9, dtype=bool)
    assert measures.searched(codes, np.arange(9) % 2, seed=0) == {}


def test_what_was_measured_is_not_measured_again(finished: Run, tmp_path: Path) -> None:
    measures.put_down(finished, {"mAP/32": 2.0}, {})
    measures.take(finished, tmp_path)
    assert measures.of(finished) == {"mAP/32": 2.0}


@pytest.mark.parametrize("content", ["{", "3"])
def test_damaged_measures_are_said(finished: Run, content: str) -> None:
    (finished.folder / "measured.json").write_text(content)
    with pytest.raises(RunError, match=r"is damaged .*: remove it and repeat the command"):
        measures.of(finished)


def test_a_semi_supervised_run_of_the_training_samples_is_scored_on_the_test_samples(
    tmp_path: Path, data_dir: Path
) -> None:
    dataset = catalogue.load("mnist", data_dir, "train", limit=300)
    options = TrainOptions(dataset="mnist", preset="smoke", labels=20, split="train", limit=300)
    run = Run.place(tmp_path, plan("ganem", dataset, options, {"iterations": 1, "label_error": 0.9})[0])
    train(run, dataset)
    measures.take(run, data_dir)
    test, found = catalogue.load("mnist", data_dir, "test"), measures.of(run)
    assert found["error"] == metrics.error(test.labels, assign(run, test))
    assert found["n"] == 10_000


class Halved(features.Network):
    """Pixels, two and two."""

    def files(self, data_dir: Path) -> list[Path]:
        return [data_dir]

    def features(self, images: np.ndarray, data_dir: Path) -> np.ndarray:
        return images.reshape(len(images), -1, 2).mean(2, dtype=np.float32)


@pytest.mark.parametrize("made", ["by a network", "ready"])
def test_a_run_on_features_is_scored_on_those_of_the_test_samples_where_a_network_makes_them(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    monkeypatch.setitem(features.NETWORKS, "halved", Halved("halved", "halved-0.pth"))
    (tmp_path / "MNIST").symlink_to(data_dir / "MNIST")  # features are kept beside the data
    by = "halved" if made == "by a network" else str(tmp_path / "ready.npz")
    np.savez(tmp_path / "ready.npz", features=np.random.default_rng(0).random((60_000, 4)))
    dataset = catalogue.load("mnist", tmp_path, "train", limit=300, features=by)
    options = TrainOptions(dataset="mnist", preset="smoke", labels=20, split="train", limit=300, features=by)
    run = Run.place(tmp_path / "runs", plan("catgan", dataset, options, {"epochs": 1})[0])
    train(run, dataset)
    measures.take(run, tmp_path)
    if made == "ready":
        cell = Cell(method="catgan", dataset="mnist")
        found = grid._outcome(cell, run, tmp_path / "runs").scores
        assert found.keys() == {"mAP/32", "mAP/64"}  # no error of samples that it has learnt from
    else:
        test = new_samples(run, "mnist", tmp_path, "test")
        assert (test.shape, measures.of(run)["n"]) == ((392,), 10_000)
        assert measures.of(run)["error"] == metrics.error(test.labels, assign(run, test))


def test_a_run_without_labels_has_nothing_to_measure(tmp_path: Path, digits: Dataset) -> None:
    run = placed(tmp_path, Dataset("bare", digits.inputs, None, 10))
    clusters = {"clusters/posterior": np.zeros(240, np.int64)}
    run.write_arrays(
        {"embedding": np.zeros((240, 20), np.float32), "centres": np.zeros((10, 20), np.float32)} | clusters
    )
    measures.take(run, tmp_path)
    assert measures.of(run) == {}


# Shallow hashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "lengths"), [("lsh", (32, 64)), ("pcah", (32,))])  # digits vary along 61 axes
def test_a_hash_has_the_scores_of_every_length_that_can_be_had(
    tmp_path: Path, name: str, lengths: tuple[int, ...]
) -> None:
    digits = catalogue.load("digits", tmp_path)
    run = Run.place(tmp_path, hashes.request(Cell(method=name, dataset="digits", seed=1), digits, ""))
    hashes.carry_out(run, digits)
    wanted = {f"{score}/{bits}" for score in ("precision@1000", "mAP", "mAP@1000") for bits in lengths}
    assert measures.of(run).keys() == wanted
    assert run.status == "finished"
    before = (run.folder / "result.json").stat().st_mtime_ns
    hashes.carry_out(run, digits)
    assert (run.folder / "result.json").stat().st_mtime_ns == before


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_hash_killed_before_its_result_is_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = catalogue.load("digits", tmp_path)
    run = Run.place(tmp_path, hashes.request(Cell(method="lsh", dataset="digits"), digits, ""))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            hashes.carry_out(run, digits)
    assert run.status == "unfinished"
    hashes.carry_out(run, digits)
    assert run.status == "finished"


def test_a_hash_that_can_have_no_length_is_refused_and_so_is_one_without_labels(tmp_path: Path) -> None:
    cell = Cell(method="itq", dataset="points")
    run = Run.place(tmp_path, hashes.request(cell, points(100), ""))
    with pytest.raises(DataError, match="32 bits need 32 axes, but the samples vary along 2 only"):
        hashes.carry_out(run, points(100))
    assert run.status == "unfinished"
    with pytest.raises(DataError, match="points has no labels, so nothing says what a search should find: add labels"):
        hashes.request(cell, points(100).unlabelled(), "")
