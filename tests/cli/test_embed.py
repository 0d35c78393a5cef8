"""`gancluster embed`: the features of a run's own and of other samples, their picture, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from asking import Ask, root_of
from games import points
from numpy.typing import NDArray
from PIL import Image

from gancluster.data import catalogue
from gancluster.report import figures
from gancluster.report.planes import of_features
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.training import trained


@pytest.fixture
def of_points(ask: Ask, duels: None, undrawn: None, file: Path, tmp_path: Path) -> Run:
    """A quick run on the points of `file`."""
    assert ask("train duel --quiet --dataset", file, "--runs-dir", tmp_path / "runs").code == 0
    (made,) = every(tmp_path / "runs")
    return made


def stored(path: Path) -> dict[str, NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_a_run_s_own_samples_are_embedded_and_drawn_by_t_sne(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    out, arrays = tmp_path / "made.npz", smoke.arrays()
    said = ask("embed", smoke.folder.name, "-o", out, "--runs-dir", root_of(smoke))
    assert (said.code, said.err) == (0, "")
    assert said.out == f"300 samples, 100 features: {out}\n{tmp_path / 'made.png'}\n"
    written = stored(out)
    assert {name: values.dtype for name, values in written.items()} == {
        "features": np.float32,
        "clusters": np.int64,
        "labels": np.int64,
    }
    np.testing.assert_allclose(written["features"], arrays["embedding"], atol=1e-5)  # what ClusterGAN's features are
    assert written["clusters"].tolist() == arrays["clusters/kmeans"].tolist()
    assert written["labels"].tolist() == arrays["labels"].tolist()
    with Image.open(tmp_path / "made.png") as image:
        assert image.format == "PNG"


def test_gan_em_s_bottleneck_is_what_its_last_layer_is_given(ask: Ask, undrawn: None, tmp_path: Path) -> None:
    words = "train ganem --preset smoke --limit 200 --seed 1 --bottleneck 2 --device cpu --quiet --runs-dir"
    assert ask(words, tmp_path / "runs").code == 0
    (run,) = every(tmp_path / "runs")
    out, picture = tmp_path / "two.npz", tmp_path / "plane.png"
    said = ask("embed", run.folder, "-o", out, "--picture", picture)
    assert (said.code, said.out) == (0, f"200 samples, 2 features: {out}\n{picture}\n")
    written, top = stored(out), trained(run).modules["encoder"].top
    logits = top(torch.from_numpy(written["features"])).detach()
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), run.arrays()["embedding"], atol=1e-5)
    assert written["clusters"].tolist() == logits.argmax(1).tolist()
    as_they_are = of_features(written["features"])
    assert np.array_equal(as_they_are.points, written["features"])
    figures.embedding_plane(
        as_they_are, written["clusters"], tmp_path / "b.png", written["labels"], tuple("0123456789")
    )
    assert picture.read_bytes() == (tmp_path / "b.png").read_bytes()


def test_other_samples_are_embedded_as_among_the_run_s_own(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    one, out = catalogue.load("digits", tmp_path, limit=300).take(np.array([11])), tmp_path / "out.npz"
    np.savez(tmp_path / "one.npz", inputs=one.inputs)
    said = ask("embed", smoke.folder, "--dataset", tmp_path / "one.npz", "-o", out)
    assert (said.code, said.err) == (0, "")
    written = stored(out)
    assert set(written) == {"features", "clusters"}
    np.testing.assert_allclose(written["features"][0], smoke.arrays()["embedding"][11], atol=1e-5)
    assert (tmp_path / "out.png").exists()


def test_without_a_picture_there_is_only_the_file(ask: Ask, of_points: Run, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    said = ask("embed", of_points.folder, "--no-picture -o", tmp_path / "made" / "a.npz")
    assert said.out.count("\n") == 1
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a.npz"]


@pytest.mark.parametrize("there", ["a.npz", "a.png"])
def test_neither_file_is_overwritten_nor_the_other_written(
    ask: Ask, of_points: Run, tmp_path: Path, there: str
) -> None:
    (tmp_path / there).write_text("mine")
    said = ask("embed", of_points.folder, "-o", tmp_path / "a.npz")
    assert (said.code, said.out) == (2, "")
    option = "-o" if there == "a.npz" else "--picture"
    assert said.err == f"error: {tmp_path / there} exists and is not overwritten: choose another {option}\n"
    assert [path.read_text() for path in tmp_path.glob("a.*")] == ["mine"]


def test_samples_that_have_changed_since_are_refused(ask: Ask, of_points: Run, file: Path, tmp_path: Path) -> None:
    np.savez(file, inputs=points().inputs + 1, labels=points().labels)
    said = ask("embed", of_points.folder, "-o", tmp_path / "a.npz")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert f"{file} gives other samples than {of_points.folder.name} had: put those back, or name others" in said.err
    file.unlink()
    assert f"{file} does not exist" in ask("embed", of_points.folder, "-o", tmp_path / "a.npz").err
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.usefixtures("duels", "undrawn")
def test_every_seed_of_a_limited_training_finds_its_samples_again(ask: Ask, file: Path, tmp_path: Path) -> None:
    words = ["--dataset", file, "--runs-dir", tmp_path / "runs"]
    assert ask("train duel --quiet --limit 16 --seed 3 --seeds 2", *words).code == 0
    for run in every(tmp_path / "runs"):
        assert run.request.drawn_by == 3
        assert ask("embed", run.folder, "-o", tmp_path / f"{run.request.seed}.npz").code == 0
        said = ask("report", run.folder, "-o", tmp_path / f"{run.request.seed}.html")
        assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("-o a.png", "a.png cannot be the .npz and its picture: let -o end in .npz"),
        ("-o a.npz --picture b.png --no-picture", "--picture and --no-picture contradict each other: leave one out"),
        ("-o a.npz --dataset digits", "digits has samples of shape (1, 8, 8); this run was trained on (2,)"),
        ("-o a.npz --dataset digts", "there is no data set 'digts'; did you mean digits"),
        ("-o none/a.npz", "there is no folder none: make it, or choose another -o"),
        ("", "Missing option '--output'"),
    ],
)
def test_what_cannot_be_embedded_is_refused_in_one_line(
    ask: Ask, of_points: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    said = ask("embed", of_points.folder, line)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_that_is_not_finished_is_not_embedded(ask: Ask, of_points: Run, tmp_path: Path) -> None:
    run = Run.place(tmp_path / "other", of_points.request)
    said = ask("embed", run.folder, "-o", tmp_path / "a.npz")
    assert (said.code, said.err) == (2, f"error: {run.folder} is not finished: repeat its command with --resume\n")
