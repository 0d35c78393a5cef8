"""Methods without a game on the command line: their runs are like any other's, and what needs a game is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from asking import Ask

from gancluster import registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.methods import base
from gancluster.methods.base import Embedding, Fit, Fitted
from gancluster.runs import fits
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train

SMALL = "--limit 300 --preset smoke --quiet"
THERE = [".lock", "clusters.png", "config.json", "confusion.png", "embedding.npz", "embedding.png", "result.json"]


class Options(base.Config):
    """What happens to the fit below."""

    does: str = "end"


class Halves(Fit):
    """Two clusters by a coin, which may not be thrown to the end."""

    name: ClassVar[str] = "halves"
    paper: ClassVar[str] = "none"
    config_type: ClassVar[type[base.Config]] = Options

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        match self.config.does:
            case "fail":
                raise np.linalg.LinAlgError("the matrix\nis singular")
            case "stop":
                raise KeyboardInterrupt
            case "lump":
                return Fitted(np.zeros(len(samples), np.int64), samples)
        return Fitted(torch.randint(2, (len(samples),)).numpy(), samples)

    def extensions(self) -> list[str]:
        return ["the coin"]


@pytest.fixture(autouse=True)
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN["methods"], "halves", f"{__name__}:Halves")


@pytest.fixture
def words(undrawn: None, file: Path, tmp_path: Path) -> list[object]:
    """The words that train it."""
    return ["train halves --dataset", file, "--runs-dir", tmp_path / "runs"]


@pytest.mark.parametrize("method", ["kmeans", "pca-kmeans"])
def test_a_run_is_trained_scored_listed_compared_and_places_new_samples(
    method: str, ask: Ask, undrawn: None, tmp_path: Path
) -> None:
    runs = ["--runs-dir", tmp_path]
    said = ask(f"train {method} {SMALL} --seeds 2", *runs)
    assert (said.code, said.err) == (0, "")
    run = every(tmp_path)[-1]
    assert (run.request.device, run.result()["row"], run.result()["extensions"]) == ("cpu", method, [])
    told = json.loads(ask("eval --json", run.folder, *runs).out)
    assert told["scores"] == run.result()["scores"]
    assert told["scores"][method]["acc"] > 0.5
    assert [row["method"] for row in json.loads(ask("runs --json", *runs).out)] == [method] * 2
    assert ask(f"compare digits/{method}/smoke --published .5", *runs).code == 0
    np.savez(tmp_path / "new.npz", inputs=digits_of(run)[:20])
    assert ask("predict", run.folder, tmp_path / "new.npz", "-o", tmp_path / "new.csv").code == 0
    found = np.loadtxt(tmp_path / "new.csv", delimiter=",", skiprows=1, dtype=int)[:, 1]
    assert found.tolist() == run.arrays()[f"clusters/{method}"][:20].tolist()


def test_its_pictures_are_those_that_need_no_network(ask: Ask, tmp_path: Path) -> None:
    assert ask(f"train kmeans {SMALL} --runs-dir", tmp_path).code == 0
    (run,) = every(tmp_path)
    assert sorted(file.name for file in run.folder.iterdir()) == THERE


def digits_of(run: Run) -> Any:
    """The images that a run was made of."""
    from gancluster.data import catalogue

    return catalogue.load("digits", Path(), limit=run.request.limit, seed=run.request.drawn_by).inputs


def test_equal_seeds_give_equal_bytes_and_labels_change_nothing_but_scores(tmp_path: Path, digits: Dataset) -> None:
    assert digits.labels is not None
    request = plan("gmm", digits, TrainOptions(preset="smoke"), {})[0]
    scrambled = replace(digits, labels=np.random.default_rng(0).permutation(digits.labels))
    runs = [Run.place(tmp_path / str(i), request) for i in range(3)]
    for run, dataset in zip(runs, (digits, digits, scrambled), strict=True):
        train(run, dataset)
    first, again, other = ((run.folder / "embedding.npz").read_bytes() for run in runs)
    assert first == again != other
    one, two = runs[0].arrays(), runs[2].arrays()
    assert [name for name in one if not np.array_equal(one[name], two[name])] == ["labels"]
    assert runs[2].result()["scores"]["gmm"]["acc"] < runs[0].result()["scores"]["gmm"]["acc"]


def test_a_fit_is_given_samples_as_batches_scale_them(digits: Dataset) -> None:
    samples = fits.flat(Batches(replace(digits, pixel_range=(-1.0, 1.0))))
    assert samples.shape == (240, 64)
    np.testing.assert_allclose(samples, digits.inputs.reshape(240, 64) / 127.5 - 1, atol=1e-6)


def test_the_global_random_state_is_the_seed_s_and_is_put_back(words: list[object], ask: Ask, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    assert ask(*words, "--seeds 2").code == 0
    assert torch.equal(before, torch.random.get_rng_state())
    second, first = (run.arrays()["clusters/halves"] for run in every(tmp_path / "runs"))
    torch.manual_seed(0)
    assert first.tolist() == torch.randint(2, (len(first),)).tolist() != second.tolist()
    assert {run.result()["row"] for run in every(tmp_path / "runs")} == {"halves+"}


def test_what_fails_says_why(words: list[object], ask: Ask, tmp_path: Path) -> None:
    said = ask(*words, "--does fail --json")
    assert said.code == 1
    (told,) = json.loads(said.out)["runs"]
    assert (told["status"], told["reason"]) == ("failed", "LinAlgError: the matrix")
    assert "LinAlgError: the matrix; its request is in" in ask(*words, "--does fail").out


def test_a_lump_and_the_clusters_that_it_leaves_empty_are_warned_of(words: list[object], ask: Ask) -> None:
    (told,) = json.loads(ask(*words, "--does lump --clusters 3 --json").out)["runs"]
    lump = "cluster 0 holds 100% of the samples; try another --seed"
    assert told["warnings"] == ["2 of 3 clusters are empty; try another --seed", lump]


def test_what_was_stopped_begins_again(words: list[object], ask: Ask, tmp_path: Path) -> None:
    said = ask(*words, "--does stop")
    assert said.code == 130
    assert said.err.startswith("error: stopped: halves keeps nothing on the way, and begins again; repeat the command")
    (run,) = every(tmp_path / "runs")
    assert run.status == "unfinished"
    assert ask(*words, "--does stop").code == 130
    assert sorted(file.name for file in run.folder.iterdir()) == [".lock", "config.json"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--snapshots 3", "halves is fitted in one go, by the processor: leave out --snapshots 3"),
        ("--restarts 1", "leave out --restarts 1"),
        ("--precision bfloat16", "leave out --precision bfloat16"),
        ("--device cuda", "leave out --device cuda"),
        ("--labels 10", "halves learns without labels: leave out --labels"),
    ],
)
def test_what_only_a_game_can_do_is_not_begun(line: str, says: str, words: list[object], ask: Ask) -> None:
    said = ask(*words, line)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sample RUN", "halves has no networks to embed, to sample or to code with"),
        ("embed RUN -o FILE", "halves has no networks"),
        ("eval RUN --retrieval", "halves has no networks"),
        ("eval RUN --select last", "kept no partitions on the way"),
        ("predict RUN DATA -o FILE", "halves clusters the samples that it is given and no others"),
    ],
)
def test_what_needs_a_game_is_refused(
    line: str, says: str, words: list[object], ask: Ask, file: Path, tmp_path: Path
) -> None:
    assert ask(*words).code == 0
    (run,) = every(tmp_path / "runs")
    places = {"RUN": run.folder, "DATA": file, "FILE": tmp_path / "made"}
    said = ask(*(places.get(word, word) for word in line.split()))
    assert said.code == 2
    assert says in said.err or "vectors, not images" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "made").exists()


def test_the_doctor_says_that_there_is_no_game_to_collapse(ask: Ask, tmp_path: Path) -> None:
    ask("train kmeans --limit 100 --runs-dir", tmp_path)
    said = ask("doctor --runs-dir", tmp_path)
    assert (said.code, said.err) == (2, "error: kmeans plays no game that could collapse: name another run\n")
