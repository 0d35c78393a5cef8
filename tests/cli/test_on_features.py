"""Runs on features: trained on those of a file, asked about others, and never about what they were not trained on."""

from pathlib import Path

import numpy as np
import pytest
from asking import Ask

from gancluster.data import features
from gancluster.data.features import Network
from gancluster.runs.finding import every
from gancluster.runs.run import Run

QUICK = "--preset smoke --limit 200 --quiet --runs-dir"


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Features of all digits: their pixels in twos."""
    from gancluster.data import catalogue

    path = tmp_path / "flat.npz"
    np.savez(path, features=catalogue.load("digits", tmp_path).inputs.reshape(1797, 32, 2).mean(2))
    return path


@pytest.fixture
def trained(ask: Ask, undrawn: None, flat: Path, tmp_path: Path) -> Run:
    said = ask("train ae-kmeans --dataset digits --features", flat, QUICK, tmp_path / "runs")
    assert (said.code, said.err) == (0, "")
    (run,) = every(tmp_path / "runs")
    return run


def test_a_run_says_whose_features_it_was_trained_on_and_its_key_follows_their_values(
    ask: Ask, trained: Run, flat: Path, tmp_path: Path
) -> None:
    request = trained.request
    assert (request.dataset, request.source, request.features, request.shape) == (
        "digits-flat",
        "digits",
        str(flat),
        (32,),
    )
    assert trained.arrays()["labels"].shape == (200,)
    np.savez(flat, features=np.random.default_rng(0).random((1797, 32)))
    assert ask("train ae-kmeans --dataset digits --features", flat, QUICK, tmp_path / "runs").code == 0
    assert len({run.request.key for run in every(tmp_path / "runs")}) == 2


def test_its_own_samples_are_embedded_and_features_of_others_are_assigned(
    ask: Ask, trained: Run, flat: Path, tmp_path: Path
) -> None:
    said = ask("embed", trained.folder, "-o", tmp_path / "own.npz", "--no-picture")
    assert (said.code, said.out.startswith("200 samples")) == (0, True)
    assert ask("predict", trained.folder, flat, "-o", tmp_path / "all.csv").code == 0
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1798


def test_pixels_are_no_features(ask: Ask, trained: Run, flat: Path, tmp_path: Path) -> None:
    said = ask("predict", trained.folder, "digits", "-o", tmp_path / "none.csv")
    assert said.code == 2
    assert f"was trained on features from {flat}" in said.err


def test_a_network_makes_features_of_new_images_too(
    ask: Ask, undrawn: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Halved(Network):
        def files(self, data_dir: Path) -> list[Path]:
            return [data_dir]

        def features(self, images: np.ndarray, data_dir: Path) -> np.ndarray:
            return images.reshape(len(images), -1, 2).mean(2, dtype=np.float32)

    monkeypatch.setitem(features.NETWORKS, "halved", Halved("halved", "halved-0.pth"))
    place = f"--data-dir {tmp_path}"
    assert ask("train ae-kmeans --dataset digits --features halved", place, QUICK, tmp_path / "runs").code == 0
    (run,) = every(tmp_path / "runs")
    assert ask("predict", run.folder, "digits", "-o", tmp_path / "all.csv", place).code == 0
    assert ask("embed", run.folder, "-o", tmp_path / "f.npz", "--dataset digits --no-picture", place).code == 0
    assert ask("eval", run.folder, "--split all", place).code == 0
