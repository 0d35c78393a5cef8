"""Partitions on the way change nothing, and rules that see no label stand beside the one that does."""

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from games import FAST, duel, game, outcome, points
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, silhouette_score

from gancluster import metrics
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import Moment, play
from gancluster.engine.trained import settle
from gancluster.errors import DataError, Interrupted, RunError, UserError
from gancluster.runs import snapshots
from gancluster.runs.run import Run
from gancluster.runs.selection import choices, pick
from gancluster.runs.training import TrainOptions, plan, train

pytestmark = pytest.mark.usefixtures("duels")
N = 24


def placed(
    root: Path, kept: int, dataset: Dataset | None = None, method: str = "duel", labels: int = 0, **options: Any
) -> Run:
    asked = TrainOptions(dataset="digits", preset="smoke", snapshots=kept, labels=labels)
    return Run.place(root, plan(method, dataset or points(), asked, options)[0])


def trained(root: Path, kept: int, dataset: Dataset | None = None, method: str = "duel", **options: Any) -> Run:
    run = placed(root, kept, dataset, method, **options)
    train(run, dataset or points())
    return run


def content(run: Run) -> dict[str, Any]:
    return outcome(run) | {"snapshots": (run.folder / "snapshots.npz").read_bytes()}


# What is kept ---------------------------------------------------------------------------------------------------------

GAMES = [
    ("duel", {"epochs": 5}),
    ("clustergan", FAST),
    (
        "ganem",
        {"encoder_norm": "batch", "consistency_weight": 1.0, "warmup_epochs": 1, "warmup_batch_size": 80, "labels": 20},
    ),
]


@pytest.mark.parametrize(("method", "options"), GAMES)
def test_a_run_is_the_same_with_and_without(
    tmp_path: Path, digits: Dataset, method: str, options: dict[str, Any]
) -> None:
    dataset = points() if method == "duel" else digits
    looked, straight = (trained(tmp_path, kept, dataset, method, **options) for kept in (100, 0))
    there, wanted = outcome(looked), outcome(straight)
    assert {part for part in wanted if there[part] != wanted[part]} == {"files"}
    assert set(there["files"]) - set(wanted["files"]) == {"snapshots.npz"}
    assert looked.snapshots()["epoch"].tolist() == list(range(1, len(looked.log()) + 1))
    assert 0 <= looked.result()["snapshot_seconds"] <= looked.result()["seconds"] + 0.1


def weights_touched(one: Game) -> None:
    one.state.players["seeker"]["bias"].add_(1e-6)


def noise_shifted(one: Game) -> None:
    one.state.played += 1


@pytest.mark.parametrize("touch", [weights_touched, noise_shifted])
def test_a_look_that_touched_the_game_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, touch: Callable[[Game], None]
) -> None:
    """The control of the test above."""
    look = snapshots.look

    def touching(one: Game, before: list[snapshots.Snapshot]) -> snapshots.Snapshot:
        touch(one)
        return look(one, before)

    monkeypatch.setattr(snapshots, "look", touching)
    looked, straight = (trained(tmp_path, kept, epochs=5) for kept in (3, 0))
    assert looked.checkpoint.read_bytes() != straight.checkpoint.read_bytes()


@pytest.mark.parametrize(
    ("kept", "epochs"), [(1, [10]), (2, [5, 10]), (3, [4, 7, 10]), (5, [2, 4, 6, 8, 10]), (10, range(1, 11))]
)
def test_they_are_evenly_spaced_and_the_last_is_the_end(tmp_path: Path, kept: int, epochs: list[int]) -> None:
    run = trained(tmp_path, kept, epochs=10)
    assert run.snapshots()["epoch"].tolist() == list(epochs)
    assert run.snapshots()["clusters"].shape == (kept, N)


def test_phases_that_end_early_cost_no_snapshot_but_the_end_s(tmp_path: Path, digits: Dataset) -> None:
    """The plan has 20 epochs of labels after every E-step; with an error of .99 allowed none is played."""
    run = trained(tmp_path, 4, digits, "ganem", labels=20, label_error=0.99, iterations=4)
    assert run.log()["phase"].tolist() == [f"{step}-step {t}" for t in range(1, 5) for step in "ME"]
    epochs = run.snapshots()["epoch"].tolist()
    assert (epochs[-1], len(epochs)) == (8, 4)


def test_the_last_is_the_run_s_own_partition(tmp_path: Path, digits: Dataset) -> None:
    run = trained(tmp_path, 2, digits, "clustergan", **FAST)
    kept = run.snapshots()
    np.testing.assert_array_equal(kept["clusters"][-1], run.arrays()["clusters/kmeans"])
    assert kept["clusters"].dtype == np.uint8


def test_each_is_what_the_players_of_its_epoch_make(tmp_path: Path) -> None:
    kept, one = trained(tmp_path, 5, epochs=5).snapshots(), game(duel(epochs=5))
    for moment in play(one):
        if moment.row is not None and not one.is_over:
            i = moment.epoch - 1
            embedding = settle(one).embed(one.batches)
            clusters = one.method.assign(embedding, one.method.centres(embedding, 0))["side"]
            np.testing.assert_array_equal(kept["clusters"][i], clusters)
            assert kept["silhouette"][i] == pytest.approx(silhouette_score(embedding, clusters), abs=1e-6)
    agreements = [adjusted_rand_score(a, b) for a, b in zip(kept["clusters"], kept["clusters"][1:], strict=False)]
    assert kept["stability"][1:].tolist() == pytest.approx(agreements)
    assert math.isnan(kept["stability"][0])


def test_large_data_are_judged_by_samples_drawn_and_partitioned_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = trained(tmp_path / "all", 3, epochs=3)
    monkeypatch.setattr(snapshots, "JUDGED", 10)
    monkeypatch.setattr(snapshots, "LEARNT", 15)
    few, again = trained(tmp_path / "few", 3, epochs=3), trained(tmp_path / "again", 3, epochs=3)
    assert content(few) == content(again)
    assert few.snapshots()["clusters"].shape == (3, N)
    assert (few.snapshots()["silhouette"] != every.snapshots()["silhouette"]).all()
    np.testing.assert_array_equal(few.arrays()["embedding"], every.arrays()["embedding"])


# How it is stopped ----------------------------------------------------------------------------------------------------


class PulledPlug(Exception):
    pass


def at_step(at: int, disturb: Callable[[], None]) -> Callable[[Moment], None]:
    def watch(moment: Moment) -> None:
        if moment.played == at:
            disturb()

    return watch


def pull() -> None:
    raise PulledPlug


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("disturb", "error"), [(pull, PulledPlug), (ask, Interrupted)])
@pytest.mark.parametrize("at", range(1, 13))
def test_stopped_at_any_step_it_comes_to_the_same_bytes(
    tmp_path: Path, at: int, disturb: Callable[[], None], error: type[Exception]
) -> None:
    wanted, run = trained(tmp_path / "straight", 3, epochs=4), placed(tmp_path / "stopped", 3, epochs=4)
    with pytest.raises(error):
        train(run, points(), at_step(at, disturb), save_every=0)
    train(Run.open(run.folder), points())
    assert content(run) == content(wanted)


def test_stopped_while_it_concludes_it_comes_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, run = trained(tmp_path / "straight", 3, epochs=4), placed(tmp_path / "stopped", 3, epochs=4)
    for method in ("write_snapshots", "write_arrays", "finish"):
        with monkeypatch.context() as patch:
            patch.setattr(Run, method, lambda *_: pull())
            with pytest.raises(PulledPlug):
                train(run, points())
    train(run, points())
    assert content(run) == content(wanted)


def test_snapshots_may_be_ahead_of_the_checkpoint(tmp_path: Path) -> None:
    """They are written first, as the log is: the checkpoint says how many count."""
    wanted, run = trained(tmp_path / "straight", 4, epochs=4), placed(tmp_path / "stopped", 4, epochs=4)
    with pytest.raises(Interrupted):
        train(run, points(), at_step(7, ask))
    assert len(run.snapshots()["epoch"]) == 2
    (run.folder / "snapshots.npz").write_bytes((wanted.folder / "snapshots.npz").read_bytes())
    train(run, points())
    assert content(run) == content(wanted)


def test_snapshots_that_were_lost_are_missed_and_changed_ones_seen(tmp_path: Path) -> None:
    wanted, run = trained(tmp_path / "straight", 4, epochs=4), placed(tmp_path / "stopped", 4, epochs=4)
    with pytest.raises(Interrupted):
        train(run, points(), at_step(7, ask))
    kept = run.snapshots()
    (run.folder / "snapshots.npz").unlink()
    with pytest.raises(RunError, match=r"snapshots\.npz is missing: remove the folder and train again"):
        train(run, points())
    run.write_snapshots(kept | {"clusters": 1 - kept["clusters"]})  # the control: its bytes count
    train(run, points())
    assert content(run)["snapshots"] != content(wanted)["snapshots"]


# What is chosen -------------------------------------------------------------------------------------------------------


def told(root: Path, **changes: list[float]) -> Run:
    """A run of four epochs whose snapshots' criteria are as said: epochs 2 and 3 are right, 1 and 4 are not."""
    run = trained(root, 4, epochs=4)
    labels = points().labels
    assert labels is not None
    wrong = np.arange(N) % 2
    kept = {"clusters": np.array([wrong, labels, 1 - labels, wrong], np.uint8), "epoch": np.arange(1, 5)}
    values = {"silhouette": [0.1, 0.3, math.nan, 0.2], "stability": [math.nan, -0.5, -0.1, -0.1]} | changes
    run.write_snapshots(kept | {name: np.array(value) for name, value in values.items()})
    return run


def test_every_rule_picks_what_it_should(tmp_path: Path) -> None:
    run = told(tmp_path)
    found, losses = {choice.rule: choice for choice in choices(run)}, run.log()["seeker.adversarial"]
    lowest = int(losses.argmin()) + 1
    assert {rule: choice.epoch for rule, choice in found.items()} == {
        "last epoch": 4,
        "best silhouette": 2,
        "best stability": 4,  # of equals the latest
        "lowest seeker.adversarial": lowest,
        "oracle (best ACC)": 3,
    }
    assert [choice.value for choice in found.values()] == [4, 0.3, -0.1, losses.min(), 1.0]
    assert [choice.selected_with_labels for choice in found.values()] == [False] * 4 + [True]
    assert {choice.phase for choice in found.values()} == {"duel"}
    clusters, labels = run.snapshots()["clusters"], run.arrays()["labels"]
    for choice in found.values():
        assert choice.scores == metrics.scores(labels, clusters[choice.epoch - 1], 2)
    assert {rule: pick(run, rule).rule for rule in ("last", "internal", "oracle")} == {
        "last": "last epoch",
        "internal": "best silhouette",
        "oracle": "oracle (best ACC)",
    }


def test_the_last_epoch_s_scores_are_the_run_s(tmp_path: Path, digits: Dataset) -> None:
    run = trained(tmp_path, 2, digits, "clustergan", **FAST)
    assert pick(run, "last").scores == run.result()["scores"]["kmeans"]
    assert pick(run, "oracle").scores is not None
    names = [choice.rule for choice in choices(run)]
    assert "lowest clusterer.inconsistency" in names
    assert "lowest clusterer.adversarial" in names


def test_only_the_oracle_depends_on_labels(tmp_path: Path, digits: Dataset) -> None:
    assert digits.labels is not None
    scrambled = replace(digits, labels=np.random.default_rng(1).permutation(digits.labels))
    one, other = (
        trained(tmp_path / str(i), 3, dataset, "clustergan", **FAST) for i, dataset in enumerate((digits, scrambled))
    )
    assert content(one)["snapshots"] == content(other)["snapshots"]
    for first, second in zip(choices(one), choices(other), strict=True):
        assert first.scores != second.scores
        if not first.selected_with_labels:
            assert first._replace(scores=None) == second._replace(scores=None)
    assert choices(one)[-1].value > choices(other)[-1].value + 0.05


def test_a_loss_that_an_epoch_has_not_is_the_last_one_there_was(tmp_path: Path, digits: Dataset) -> None:
    run = trained(tmp_path, 4, digits, "ganem", iterations=2, consistency_weight=1.0)
    log = run.log()
    assert log["encoder.consistency"].isna().tolist() == [True, False, True, False]
    (choice,) = (choice for choice in choices(run) if choice.rule == "lowest encoder.consistency")
    second, fourth = log["encoder.consistency"].dropna()
    assert (choice.epoch, choice.value) == ((3, second) if second < fourth else (4, fourth))


def test_without_labels_the_rules_pick_and_nothing_is_scored(tmp_path: Path) -> None:
    run = trained(tmp_path, 3, Dataset("points", points().inputs, None, 2))
    assert [choice.scores for choice in choices(run)] == [None] * 4
    with pytest.raises(DataError, match="has no labels for an oracle to see: --select last, or internal"):
        pick(run, "oracle")


def test_partitions_of_one_cluster_cannot_be_judged(tmp_path: Path) -> None:
    run = told(tmp_path, silhouette=[math.nan] * 4)
    assert "best silhouette" not in [choice.rule for choice in choices(run)]
    with pytest.raises(DataError, match="is a single cluster: there is nothing to choose by"):
        pick(run, "internal")


def test_what_cannot_be_selected_is_refused(tmp_path: Path) -> None:
    without = trained(tmp_path, 0)
    with pytest.raises(RunError, match=r"kept no partitions on the way: train with --snapshots 10, say$"):
        choices(without)
    with pytest.raises(UserError, match="there is no rule 'orakel'; did you mean oracle"):
        pick(without, "orakel")
    with pytest.raises(RunError, match="is not finished"):
        choices(placed(tmp_path, 3))


def test_a_packed_snapshot_is_the_one_that_was_packed() -> None:
    clusters: NDArray[Any] = np.arange(5, dtype=np.uint16)
    one = snapshots.Snapshot(3, clusters, 0.25, -0.5)
    (again,) = snapshots.unpacked(snapshots.packed([one], 5))
    assert (again.epoch, again.silhouette, again.stability) == (3, 0.25, -0.5)
    np.testing.assert_array_equal(again.clusters, clusters)
    assert snapshots.unpacked(snapshots.packed([], 5)) == []
