"""A collapse is seen without labels, warned of, and played again where allowed: to the same bytes however stopped."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import games
import numpy as np
import pytest
from games import Duel, game, outcome, points, timeless
from numpy.typing import NDArray
from pydantic import Field

from gancluster import atomic, registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.play import Moment, play
from gancluster.engine.randomness import seed_of
from gancluster.engine.trained import settle
from gancluster.errors import Interrupted, RunError
from gancluster.methods import base
from gancluster.methods.base import EXAMPLES, Nets, Prediction
from gancluster.methods.clustergan import ClusterGAN
from gancluster.methods.ganem import GANEM
from gancluster.runs import collapse
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train

NEVER = 1e9


class Options(games.Options):
    """What the game below calls a collapse."""

    most: float = Field(NEVER, description="bound on the maker's loss in the second epoch")
    hollow: float = Field(NEVER, description="embeddings that reach beyond this are all in one cluster")


class Fickle(Duel):
    """The duel, which collapses as its options say."""

    name: ClassVar[str] = "fickle"
    config_type: ClassVar[type[base.Config]] = Options
    config: Options

    def symptoms(self, row: base.Row) -> list[str]:
        if row["epoch"] != 2 or float(row["maker.adversarial"]) <= self.config.most:
            return []
        return ["the maker loses; try more --restarts"]

    def assign(self, embedding: NDArray[np.float32], centres: NDArray[np.float32]) -> Prediction:
        found = super().assign(embedding, centres)
        return {"side": 0 * found["side"]} if embedding.max() > self.config.hollow else found


@pytest.fixture(scope="module", autouse=True)
def fickle() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_IN["methods"], "fickle", "test_restarts:Fickle")
        yield


def placed(root: Path, restarts: int = 0, seed: int = 0, dataset: Dataset | None = None, **options: Any) -> Run:
    asked = TrainOptions(dataset="points", seed=seed, restarts=restarts)
    return Run.place(root, plan("fickle", dataset or points(), asked, {"epochs": 3} | options)[0])


def measured(seed: int) -> tuple[float, float]:
    """The maker's loss in the second epoch, and how far the embedding reaches."""
    one = game(games.duel(epochs=3), seed=seed)
    rows = [moment.row for moment in play(one) if moment.row]
    return float(rows[1]["maker.adversarial"]), float(settle(one).embed(one.batches).max())


def found(which: int) -> tuple[int, float]:
    """A seed whose attempts 0 and 1 measure more than its attempt 2, and a bound between."""
    for seed in range(100):
        *first, third = (measured(seed_of(seed, attempt))[which] for attempt in range(3))
        if min(first) > third + 1e-3:
            return seed, (min(first) + third) / 2
    raise AssertionError("the duel does not depend on its seed")


@pytest.fixture(scope="module")
def losing() -> tuple[int, float]:
    return found(0)


@pytest.fixture(scope="module")
def hollow() -> tuple[int, float]:
    return found(1)


@pytest.fixture(scope="module")
def twice(fickle: None, tmp_path_factory: pytest.TempPathFactory, losing: tuple[int, float]) -> Run:
    """A run that collapsed twice, undisturbed; tests leave its folder as it is."""
    run = placed(tmp_path_factory.mktemp("twice"), 3, losing[0], most=losing[1])
    train(run, points())
    return run


# What is played ------------------------------------------------------------------------------------------------------


def test_seeds_of_attempts_differ_and_the_first_is_the_run_s_own() -> None:
    drawn = [seed_of(seed, attempt) for seed in range(50) for attempt in range(10)]
    assert len(set(drawn)) == 500
    assert [seed_of(seed, 0) for seed in (0, 7, 2**40)] == [0, 7, 2**40]
    assert all(0 <= seed < 2**32 for seed in drawn)


def test_without_a_collapse_restarts_change_nothing(tmp_path: Path) -> None:
    with_them, without = placed(tmp_path, 3), placed(tmp_path)
    assert timeless(train(with_them, points())) == timeless(train(without, points()))
    assert with_them.folder != without.folder
    assert outcome(with_them) == outcome(without)
    assert with_them.result()["restarts"] == with_them.result()["warnings"] == []


def test_after_collapses_a_run_is_that_of_the_later_attempt_s_seed(
    tmp_path: Path, losing: tuple[int, float], twice: Run
) -> None:
    alone = placed(tmp_path, seed=seed_of(losing[0], 2), most=losing[1])
    train(alone, points())
    there, wanted = outcome(twice), outcome(alone)
    assert {part for part in wanted if there[part] != wanted[part]} == {"result", "files"}
    assert set(there["files"]) - set(wanted["files"]) == {"restarts.json"}
    dropped = {"phase": "duel", "epoch": 2, "symptoms": ["the maker loses; try more --restarts"]}
    assert there["result"]["restarts"] == [{"attempt": 0, **dropped}, {"attempt": 1, **dropped}]
    assert there["result"] | {"restarts": []} == wanted["result"]
    seconds = [attempt["seconds"] for attempt in twice.dropped()] + twice.log()["seconds"].tolist()
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("restarts", [0, 1])
def test_when_no_restart_is_left_a_collapse_is_warned_of(
    tmp_path: Path, losing: tuple[int, float], restarts: int
) -> None:
    run = placed(tmp_path, restarts, losing[0], most=losing[1])
    result = train(run, points())
    assert result["status"] == "finished"
    assert len(result["restarts"]) == restarts
    assert result["warnings"] == ["duel, epoch 2: the maker loses; try more --restarts"]


def test_a_cluster_that_is_empty_at_the_end_is_a_collapse(tmp_path: Path, hollow: tuple[int, float]) -> None:
    run = placed(tmp_path, 2, hollow[0], hollow=hollow[1])
    result = train(run, points())
    text = "1 of 2 clusters are empty; try more --restarts"
    assert [(d["attempt"], d["epoch"], d["symptoms"]) for d in result["restarts"]] == [(0, 3, [text]), (1, 3, [text])]
    assert (min(result["sizes"]["side"]), result["warnings"]) == (12, [])
    tired = train(placed(tmp_path, 1, hollow[0], hollow=hollow[1]), points())
    assert (tired["sizes"], tired["warnings"]) == ({"side": [24, 0]}, [text])


def test_no_label_is_seen_by_who_decides(tmp_path: Path, hollow: tuple[int, float]) -> None:
    one = points()
    assert one.labels is not None
    other = Dataset("points", one.inputs, one.labels[::-1].copy(), 2)
    runs = [placed(tmp_path / str(i), 2, hollow[0], d, hollow=hollow[1]) for i, d in enumerate((one, other))]
    for run, dataset in zip(runs, (one, other), strict=True):
        train(run, dataset)
    first, second = (run.result() for run in runs)
    assert first["scores"] != second["scores"]
    assert timeless(first) | {"scores": 0} == timeless(second) | {"scores": 0}
    assert runs[0].checkpoint.read_bytes() == runs[1].checkpoint.read_bytes()


def test_labels_that_were_revealed_stay_those_of_the_run_s_seed(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    knows_labels = GANEM.knows_labels

    def watched(self: GANEM, nets: Nets, batches: Batches) -> bool:
        seen.append(batches.known.tolist())
        return knows_labels(self, nets, batches)

    monkeypatch.setattr(GANEM, "knows_labels", watched)
    monkeypatch.setattr(GANEM, "symptoms", lambda self, row: ["always"])
    asked = TrainOptions(dataset="digits", preset="smoke", labels=20, restarts=1, seed=3)
    run = Run.place(tmp_path, plan("ganem", digits, asked, {"iterations": 1, "label_epochs": 1})[0])
    assert len(train(run, digits)["restarts"]) == 1
    assert len(seen) > 2
    assert all(known == digits.reveal(20, 3)[0].tolist() for known in seen)


def test_a_run_that_fails_after_a_restart_has_it_on_record(tmp_path: Path, losing: tuple[int, float]) -> None:
    run = placed(tmp_path, 1, losing[0], most=losing[1], fails_from=0.8)
    result = train(run, points())
    assert (result["status"], len(result["restarts"])) == ("failed", 1)
    assert result["warnings"] == ["duel, epoch 2: the maker loses; try more --restarts"]


# How it is stopped ---------------------------------------------------------------------------------------------------


class PulledPlug(Exception):
    pass


def disturbed(at: int, disturb: Callable[[], None]) -> Callable[[Moment], None]:
    """Watch a training, and disturb it at the step that is the `at`-th of all attempts together."""
    steps = 0

    def watch(moment: Moment) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            disturb()

    return watch


def pull() -> None:
    raise PulledPlug


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


STEPS = 6 + 6 + 9  # two attempts of two epochs, and one of three


@pytest.mark.parametrize("save_every", [0, 1000])
@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_ended_by_an_error_at_any_step_of_any_attempt_it_comes_to_the_same_bytes(
    tmp_path: Path, losing: tuple[int, float], twice: Run, at: int, save_every: float
) -> None:
    run = placed(tmp_path, 3, losing[0], most=losing[1])
    with pytest.raises(PulledPlug):
        train(run, points(), disturbed(at, pull), save_every)
    assert len(run.dropped()) == min((at - 1) // 6, 2)
    train(Run.open(run.folder), points())
    assert outcome(run) == outcome(twice)


def test_asked_to_stop_after_every_step_it_comes_to_the_same_bytes(
    tmp_path: Path, losing: tuple[int, float], twice: Run
) -> None:
    run, stops = placed(tmp_path, 3, losing[0], most=losing[1]), 0
    while run.status == "unfinished":
        with pytest.raises(Interrupted):
            train(run, points(), disturbed(1, ask), save_every=1000)
        run, stops = Run.open(run.folder), stops + 1
        if stops == STEPS - 2:  # a step that shows a collapse is not the last that is played
            train(run, points())
    assert outcome(run) == outcome(twice)


@pytest.mark.parametrize("at", [1, 2])
def test_ended_before_the_collapse_is_on_record_the_attempt_is_played_again(
    tmp_path: Path, losing: tuple[int, float], twice: Run, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    write, records = atomic.write_text, 0

    def pulled(path: Path, content: str) -> None:
        nonlocal records
        records += path.name == "restarts.json"
        if path.name == "restarts.json" and records == at:
            raise PulledPlug
        write(path, content)

    run = placed(tmp_path, 3, losing[0], most=losing[1])
    monkeypatch.setattr(atomic, "write_text", pulled)
    with pytest.raises(PulledPlug):
        train(run, points(), save_every=0)
    assert not run.checkpoint.exists()
    assert len(run.dropped()) == at - 1
    train(run, points())
    assert outcome(run) == outcome(twice)


def test_with_the_record_lost_it_is_refused(tmp_path: Path, losing: tuple[int, float]) -> None:
    """The control: the checkpoint's seed says which attempt it is of, so that another one's is never gone on with."""
    run = placed(tmp_path, 3, losing[0], most=losing[1])
    with pytest.raises(Interrupted):
        train(run, points(), disturbed(8, ask))
    (run.folder / "restarts.json").unlink()
    with pytest.raises(RunError, match=f"was saved with seed {seed_of(losing[0], 1)}, not {losing[0]}"):
        train(run, points())


def test_with_another_record_it_comes_to_other_bytes(tmp_path: Path, losing: tuple[int, float], twice: Run) -> None:
    run = placed(tmp_path, 3, losing[0], most=losing[1])
    for attempt in range(3):
        run.drop({"attempt": attempt, "phase": "duel", "epoch": 2, "seconds": 0.0, "symptoms": []})
    train(run, points())
    assert run.checkpoint.read_bytes() != twice.checkpoint.read_bytes()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"dropped": 3}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    run = placed(tmp_path, 1)
    (run.folder / "restarts.json").write_text(content)
    with pytest.raises(RunError, match=r"restarts\.json is damaged .*: remove the folder and train again"):
        train(run, points())


# What is seen --------------------------------------------------------------------------------------------------------


def ganem(kind: str = "grey images") -> GANEM:
    task = EXAMPLES[kind]
    return GANEM(GANEM.config_type(**GANEM.presets(task)["default"].values), task)


def row(phase: str, loss: float) -> base.Row:
    return {"phase": phase, "epoch": 1, "seconds": 1.0, "encoder.classes": loss}


def test_gan_em_s_symptom_is_an_e_net_at_chance_from_the_fifth_e_step_on() -> None:
    text = "E's loss 2.25 is near log 10 = 2.30: G ignores its class; try more --restarts, or a larger --lr-generator"
    assert ganem().symptoms(row("E-step 5", 2.25)) == ganem().symptoms(row("E-step 100", 2.25)) == [text]
    others: list[base.Row] = [{"phase": "M-step 7", "epoch": 1}, {"phase": "warm-up", "encoder.instances": 2.3}]
    assert [ganem().symptoms(one) for one in (row("E-step 4", 2.25), row("E-step 5", 2.0), *others)] == [[]] * 4
    assert ganem("vectors").symptoms(row("E-step 5", 1.3)) != []  # log 4 = 1.39


def test_a_gan_em_that_cannot_learn_shows_it_and_is_begun_anew(tmp_path: Path, digits: Dataset) -> None:
    asked = TrainOptions(dataset="digits", preset="smoke", restarts=1)
    run = Run.place(tmp_path, plan("ganem", digits, asked, {"iterations": 6, "lr_generator": 1e-12})[0])
    result = train(run, digits)
    (dropped,) = result["restarts"]
    assert (dropped["phase"], "G ignores its class" in dropped["symptoms"][0]) == ("E-step 5", True)
    assert result["warnings"][0].startswith("E-step 5, epoch 1: E's loss ")
    assert "(1 later epoch shows symptoms too)" in result["warnings"][0]


def test_clustergan_has_no_symptoms_in_its_log(straight: Run) -> None:
    method = ClusterGAN(ClusterGAN.config_type(), EXAMPLES["small images"])
    assert collapse.seen_in_log(method, straight.log().to_dict("records")) == []
    assert straight.result()["warnings"] == collapse.empty(straight.result()["sizes"]["kmeans"])


@pytest.mark.parametrize(
    ("sizes", "texts"),
    [
        ([5, 5, 5, 5], []),
        ([5, 0, 5, 0], ["2 of 4 clusters are empty; try more --restarts"]),
        ([1, 19], []),  # of two clusters one always has half
        ([1, 13, 3, 3], ["cluster 1 holds 65% of the samples; try another --seed"]),
        ([13, 4, 3], []),
        ([14, 3, 3], ["cluster 0 holds 70% of the samples; try another --seed"]),
    ],
)
def test_sizes_show_what_is_empty_and_what_is_lopsided(sizes: list[int], texts: list[str]) -> None:
    assert collapse.empty(sizes) + collapse.lopsided(sizes) == texts
