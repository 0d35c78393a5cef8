"""`gancluster sample` and `gancluster predict`: what a finished run makes, and of what it has never seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asking import Ask, root_of
from games import placed, points
from PIL import Image

from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.training import train


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_samples_are_drawn_one_row_a_cluster(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    said = ask("sample --runs-dir", root_of(smoke), "-n 2 -o", few)
    assert (said.code, said.out, said.err) == (0, f"{few}\n", "")
    assert ask("sample", smoke.folder.name, "--per-cluster 6 --output", many, "--runs-dir", root_of(smoke)).code == 0
    height, width = pixels(few).shape[:2]
    assert pixels(many).shape[0] == height
    assert pixels(many).shape[1] > width
    assert height > 10 * 40  # ten rows
    assert len(np.unique(pixels(few))) > 20


def test_samples_follow_their_seed(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        ask("sample --runs-dir", root_of(smoke), "-n 2 --seed", seed, "-o", tmp_path / f"{name}.png")
    one, same, other = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert one == same
    assert one != other


@pytest.mark.usefixtures("undrawn")
def test_without_a_name_samples_lie_in_the_run(ask: Ask, straight: Run, digits: Dataset, tmp_path: Path) -> None:
    run = Run.place(tmp_path, straight.request)
    train(run, digits)
    said = ask("sample -n 1 --seed 7 --runs-dir", tmp_path)
    assert said.out == f"{run.folder / 'samples-seed7.png'}\n"
    assert min(pixels(run.folder / "samples-seed7.png").shape[:2]) > 40
    assert ask("sample -n 1 --seed 7 --runs-dir", tmp_path).code == 0  # its own file may be drawn again


@pytest.mark.parametrize("verb", ["sample RUN", "predict RUN digits"])
def test_what_exists_is_not_overwritten(ask: Ask, smoke: Run, tmp_path: Path, verb: str) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    said = ask(verb.replace("RUN", smoke.folder.name), "-o", there, "--runs-dir", root_of(smoke))
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: {there} exists and is not overwritten: choose another -o\n"
    assert there.read_text() == "mine"


@pytest.mark.usefixtures("duels")
def test_runs_that_make_no_images_are_not_sampled(ask: Ask, tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    train(run, points())
    said = ask("sample --runs-dir", tmp_path)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert f"error: {run.folder} is about vectors, not images" in said.err


def test_a_run_without_a_generator_is_not_sampled(ask: Ask, digits: Dataset, tmp_path: Path) -> None:
    run = placed(tmp_path, digits, gan=False, epochs=1, warmup_epochs=0)
    train(run, digits)
    said = ask("sample --runs-dir", tmp_path)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "was trained without a generator" in said.err
    assert not list(run.folder.glob("*.png"))


def saved(path: Path, samples: Dataset) -> Path:
    np.savez(path, inputs=samples.inputs)
    return path


def test_samples_that_a_run_was_trained_on_are_predicted_as_it_found_them(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    samples = catalogue.load("digits", tmp_path, limit=300)
    out = tmp_path / "labels.csv"
    said = ask(
        "predict", smoke.folder.name, saved(tmp_path / "a.npz", samples), "-o", out, "--runs-dir", root_of(smoke)
    )
    table, wanted = pd.read_csv(out), smoke.arrays()["clusters/kmeans"]
    assert (said.code, said.err) == (0, "")
    assert said.out == f"300 samples in {len(set(wanted))} clusters: {out}\n"
    assert list(table.columns) == ["index", "cluster"]
    assert table["index"].tolist() == list(range(300))
    assert table["cluster"].tolist() == wanted.tolist()


def test_a_data_set_s_name_and_a_single_sample_are_predicted_too(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    samples = catalogue.load("digits", tmp_path, limit=300).take(np.array([11]))
    one, whole = tmp_path / "one.csv", tmp_path / "whole.csv"
    words = ["--runs-dir", root_of(smoke)]
    assert ask("predict", smoke.folder, saved(tmp_path / "a.npz", samples), "-o", one, *words).code == 0
    assert pd.read_csv(one)["cluster"].tolist() == [smoke.arrays()["clusters/kmeans"][11]]
    assert ask("predict", smoke.folder, "digits -o", whole, *words).code == 0
    assert len(pd.read_csv(whole)) == 1797


def test_a_folder_of_images_is_predicted_in_the_order_of_its_names(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    samples = catalogue.load("digits", tmp_path, limit=300)
    folder = tmp_path / "images"
    folder.mkdir()
    for place in range(12):
        Image.fromarray(samples.inputs[place, 0]).save(folder / f"{place:02}.png")
    assert ask("predict", smoke.folder, folder, "-o", tmp_path / "out.csv").code == 0
    wanted = smoke.arrays()["clusters/kmeans"][:12]
    assert pd.read_csv(tmp_path / "out.csv")["cluster"].tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((3, 1, 28, 28), np.uint8), "has samples of shape (1, 28, 28); this run was trained on (1, 8, 8)"),
        (np.eye(3, 64, dtype=np.float32), "has samples of shape (64,); this run was trained on (1, 8, 8)"),
        (None, "does not exist"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    ask: Ask, smoke: Run, tmp_path: Path, samples: np.ndarray | None, says: str
) -> None:
    if samples is not None:
        np.savez(tmp_path / "a.npz", inputs=samples)
    said = ask("predict", smoke.folder, tmp_path / "a.npz", "-o", tmp_path / "out.csv")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err
    assert not (tmp_path / "out.csv").exists()


def test_a_prediction_for_a_folder_that_is_not_there_says_so(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    said = ask("predict", smoke.folder, "digits -o", tmp_path / "none" / "out.csv")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith(f"error: there is no folder {tmp_path / 'none'}: make it, or choose another -o")


@pytest.mark.parametrize("verb", ["sample RUN", "predict RUN digits -o OUT", "eval RUN"])
def test_damaged_runs_are_refused_by_every_verb(
    ask: Ask, straight: Run, digits: Dataset, tmp_path: Path, verb: str
) -> None:
    run = Run.place(tmp_path, straight.request)
    for name in ("checkpoint.safetensors", "embedding.npz", "log.csv", "result.json"):
        (run.folder / name).write_bytes((straight.folder / name).read_bytes())
    content = run.checkpoint.read_bytes()
    damaged = "embedding.npz" if verb.startswith("eval") else "checkpoint.safetensors"
    for length in (0, 1000, len(content) // 2):
        (run.folder / damaged).write_bytes(content[:length])
        before = sorted(tmp_path.rglob("*"))
        line = verb.replace("RUN", every(tmp_path)[0].folder.name).replace("OUT", str(tmp_path / "out.csv"))
        said = ask(line, "--runs-dir", tmp_path)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert f"{run.folder / damaged} is damaged (" in said.err
        assert sorted(tmp_path.rglob("*")) == before
