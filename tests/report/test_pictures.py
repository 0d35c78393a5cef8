"""The pictures of whole runs: which are drawn for which data, into the run's own folder, from its files alone."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from games import placed, points
from seeing import pixels

from gancluster.data.dataset import Dataset
from gancluster.errors import RunError
from gancluster.report import pictures
from gancluster.runs.run import Run
from gancluster.runs.training import train

EVERY = {"generated.png", "clusters.png", "embedding.png", "losses.png"}


def drawn(run: Run, dataset: Dataset) -> set[str]:
    """Names of the pictures that `draw` leaves, each of them whole."""
    pictures.draw(run, dataset)
    found = list(run.folder.glob("*.png"))
    assert all(pixels(path).size > 10_000 for path in found)
    return {path.name for path in found}


def test_a_run_on_labelled_images_has_all_pictures_and_the_same_ones_again(
    straight: Run, digits: Dataset, tmp_path: Path
) -> None:
    runs = [Run.open(shutil.copytree(straight.folder, tmp_path / name)) for name in ("one", "other")]
    assert [drawn(run, digits) for run in runs] == [EVERY | {"confusion.png"}] * 2
    for path in runs[0].folder.glob("*.png"):
        assert path.read_bytes() == (runs[1].folder / path.name).read_bytes()


def test_a_run_without_labels_has_no_table_and_the_same_generated_images_without_names(
    straight: Run, digits: Dataset, tmp_path: Path
) -> None:
    run = Run.open(shutil.copytree(straight.folder, tmp_path / "run"))
    arrays = run.arrays()
    run.write_arrays({name: values for name, values in arrays.items() if name != "labels"})
    assert drawn(run, digits.unlabelled()) == EVERY


def test_points_of_the_plane_have_one_picture_of_real_and_generated_ones(duels: None, tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    train(run, points())
    assert drawn(run, points()) == EVERY - {"generated.png"} | {"confusion.png"}


def test_other_vectors_have_a_picture_of_their_means(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = Dataset("words", rng.random((240, 40), dtype=np.float32), rng.integers(0, 4, 240), 4)
    run = placed(tmp_path, words)
    train(run, words)
    assert drawn(run, words) == EVERY - {"generated.png"} | {"confusion.png"}


def test_a_failed_run_has_none(duels: None, tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel", fails_from=0.5)
    assert train(run, points())["status"] == "failed"
    assert drawn(run, points()) == set()


def test_fresh_samples_are_drawn_where_there_is_a_generator_of_images(
    straight: Run, duels: None, tmp_path: Path, digits: Dataset
) -> None:
    pictures.draw_samples(straight, 3, 1, tmp_path / "a.png")
    pictures.draw_samples(straight, 3, 2, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    run = placed(tmp_path, points(), "duel")
    train(run, points())
    with pytest.raises(RunError, match="vectors, not images"):
        pictures.draw_samples(run, 3, 1, tmp_path / "c.png")
    blind = placed(tmp_path, replace(digits, name="blind"), gan=False)
    train(blind, digits)
    with pytest.raises(RunError, match="without a generator"):
        pictures.draw_samples(blind, 3, 1, tmp_path / "c.png")
