"""From a data set to a result: what is refused before anything is written, what is recorded, and how a run fails."""

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import Duel, duel, outcome, placed, points
from safetensors.torch import load_file

from gancluster import metrics
from gancluster.data.dataset import Dataset
from gancluster.engine.checkpoint import read
from gancluster.engine.play import Moment
from gancluster.errors import DataError, UnknownName, UserError
from gancluster.methods.clustergan import ClusterGAN
from gancluster.runs.attempts import method_of
from gancluster.runs.run import Request, Run
from gancluster.runs.training import TrainOptions, assign, configure, plan, task_of, train, trained

pytestmark = pytest.mark.usefixtures("duels")


def unlabelled(n: int = 24) -> Dataset:
    return Dataset("points", points(n).inputs, None, None)


# What is asked --------------------------------------------------------------------------------------------------------


def test_a_method_is_told_of_the_data_all_but_the_labels(digits: Dataset) -> None:
    assert task_of(digits, None) == ((1, 8, 8), 10, 240, (0.0, 1.0), False, 0)
    assert task_of(digits, 7).n_clusters == 7
    assert [task_of(unlabelled(), clusters).n_clusters for clusters in (1, 24)] == [1, 24]


@pytest.mark.parametrize(
    ("clusters", "says"),
    [
        (None, "points has no labels to count classes by: say how many clusters with --clusters K"),
        (0, "24 samples cannot be 0 clusters: let --clusters be 1 to 24"),
        (-3, "24 samples cannot be -3 clusters: let --clusters be 1 to 24"),
        (25, "24 samples cannot be 25 clusters: let --clusters be 1 to 24"),
    ],
)
def test_a_number_of_clusters_that_makes_no_sense_is_refused(clusters: int | None, says: str) -> None:
    with pytest.raises(DataError) as caught:
        task_of(unlabelled(), clusters)
    assert str(caught.value) == says


def test_more_clusters_than_different_samples_are_refused() -> None:
    twice = points().take(np.arange(24) // 8)
    assert task_of(twice, 3).n_clusters == 3
    with pytest.raises(DataError) as caught:
        task_of(twice, 4)
    assert str(caught.value) == "points has 3 different samples, too few for 4 clusters: lower --clusters"


def test_zero_clusters_are_not_taken_for_none_given() -> None:
    with pytest.raises(DataError, match="cannot be 0 clusters"):
        task_of(points(), 0)


def test_a_preset_s_options_are_changed_by_those_given(digits: Dataset) -> None:
    task = task_of(digits, None)
    preset = ClusterGAN.presets(task)["smoke"].values
    given = {"epochs": 9, "critic": "gan"}
    config = configure(ClusterGAN, task, "smoke", given).model_dump()
    assert {name: config[name] for name in preset | given} == preset | given


@pytest.mark.parametrize(
    ("preset", "given", "says"),
    [
        ("papr", {}, "there is no preset 'papr'; did you mean paper? (all: gancluster methods clustergan)"),
        ("smoke", {"epochs": 0}, "--epochs 0: input should be greater than or equal to 1"),
        ("smoke", {"lr": "fast"}, "--lr fast: input should be a valid number"),
        ("smoke", {"pace": "slow"}, "--pace slow: input should be 'balanced', 'plain' or 'none'"),
        ("smoke", {"lr_warmup": -1.0}, "--lr-warmup -1.0: input should be greater than 0"),
        ("smoke", {"lr": float("nan")}, "--lr nan: input should be "),
        ("smoke", {"lr": float("inf")}, "--lr inf: input should be "),
        ("smoke", {"epoch": 3}, "--epoch 3: extra inputs are not permitted"),
    ],
)
def test_presets_and_options_that_do_not_exist_or_are_out_of_range_are_refused(
    digits: Dataset, preset: str, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        configure(ClusterGAN, task_of(digits, None), preset, given)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_one_request_a_seed_and_each_complete() -> None:
    options = TrainOptions(dataset="points", seed=3, seeds=3, threads=2, limit=24)
    requests = plan("duel", points(), options, {"lr": 0.5}, "gancluster train duel")
    assert [request.seed for request in requests] == [3, 4, 5]
    assert len({request.key for request in requests}) == 3
    first = requests[0].model_dump()
    assert first["options"] == duel(lr=0.5).config.model_dump()
    wanted = {"method": "duel", "preset": "default", "dataset": "points", "split": "all", "limit": 24, "threads": 2}
    wanted |= {
        "n_samples": 24,
        "shape": (2,),
        "n_clusters": 2,
        "precision": "float32",
        "command": "gancluster train duel",
    }
    assert {name: first[name] for name in wanted} == wanted
    assert first["sha256"] == points().sha256
    assert first["device"] in ("cpu", "cuda")
    assert [request.model_copy(update={"seed": 3}) for request in requests] == requests[:1] * 3


def told(dataset: Dataset, labels: int) -> Request:
    """A request for GAN-EM, told so many labels."""
    return plan("ganem", dataset, TrainOptions(dataset="digits", preset="smoke", labels=labels), {})[0]


def test_how_many_labels_are_told_and_which_there_are_make_another_run(digits: Dataset) -> None:
    assert digits.labels is not None
    other = replace(digits, labels=(digits.labels + 1) % 10)
    few, more, shifted, without = told(digits, 20), told(digits, 30), told(other, 20), told(digits, 0)
    assert (few.n_labels, more.n_labels, without.n_labels, without.labels_sha256) == (20, 30, 0, None)
    assert few.labels_sha256 == more.labels_sha256 != shifted.labels_sha256
    assert few.key == told(digits, 20).key
    assert len({request.key for request in (few, more, shifted, without)}) == 4
    assert told(other, 0).key == without.key  # nothing is told of them
    assert (method_of(few).task.n_labels, method_of(without).task.n_labels) == (20, 0)


def test_planning_refuses_what_could_not_be_played() -> None:
    with pytest.raises(UnknownName, match="there is no method 'duell'; did you mean duel"):
        plan("duell", points(), TrainOptions(), {})
    with pytest.raises(DataError, match="takes batches of 25, but there are 24 samples"):
        plan("duel", points(), TrainOptions(), {"batch_size": 25})


# What comes out -------------------------------------------------------------------------------------------------------


def test_a_finished_run_has_clusters_scores_sizes_and_a_log(straight: Run, digits: Dataset) -> None:
    result, arrays = straight.result(), straight.arrays()
    assert result["status"] == "finished"
    assert result["row"] == "clustergan+"
    assert result["seconds"] > 0
    assert 0 < result["evaluation_seconds"] <= result["seconds"]
    assert torch.__version__ in result["machine"]
    np.testing.assert_array_equal(arrays["labels"], digits.labels)
    assert arrays["embedding"].shape == (240, straight.request.options["code_size"])
    for rule in ("kmeans", "block"):
        clusters = arrays[f"clusters/{rule}"]
        assert (clusters.shape, clusters.dtype) == ((240,), np.int64)
        assert result["scores"][rule] == pytest.approx(metrics.scores(arrays["labels"], clusters, 10))
        assert result["sizes"][rule] == np.bincount(clusters, minlength=10).tolist()
    log = straight.log()
    assert list(log.columns[:3]) == ["phase", "epoch", "seconds"]
    assert list(zip(log["phase"], log["epoch"], strict=True)) == [
        ("warm-up", 1),
        ("self-training 1", 1),
        ("adversarial", 1),
        ("adversarial", 2),
    ]
    assert (np.diff(log["seconds"]) >= 0).all()


def test_the_same_request_gives_the_same_bytes_and_another_seed_other_ones(
    tmp_path: Path, straight: Run, digits: Dataset
) -> None:
    torch.manual_seed(123)
    again, other = placed(tmp_path, digits), placed(tmp_path, digits, seed=1)
    train(again, digits)
    train(other, digits)
    assert outcome(again) == outcome(straight)
    assert [
        part for part in ("checkpoint", "embedding", "log") if outcome(other)[part] == outcome(straight)[part]
    ] == []


def test_without_labels_a_run_is_clustered_and_not_scored(tmp_path: Path) -> None:
    options = TrainOptions(dataset="points", clusters=2)
    run = Run.place(tmp_path, plan("duel", unlabelled(), options, {})[0])
    result = train(run, unlabelled())
    assert result["scores"] is None
    assert sum(result["sizes"]["side"]) == 24
    assert "labels" not in run.arrays()


def test_labels_that_are_all_unknown_are_none(tmp_path: Path) -> None:
    unknown = Dataset("points", points().inputs, np.full(24, -1), 2)
    run = Run.place(tmp_path, plan("duel", unknown, TrainOptions(dataset="points"), {})[0])
    assert train(run, unknown)["scores"] is None
    assert "labels" not in run.arrays()


def test_samples_without_a_label_are_clustered_and_left_out_of_scores(tmp_path: Path) -> None:
    some = points().labels
    assert some is not None
    partly = Dataset("points", points().inputs, np.where(np.arange(24) < 10, -1, some), 2)
    run = Run.place(tmp_path, plan("duel", partly, TrainOptions(dataset="points"), {})[0])
    result = train(run, partly)
    assert (result["scores"]["side"]["n"], sum(result["sizes"]["side"])) == (14, 24)


def test_a_finished_run_is_not_trained_again(straight: Run, digits: Dataset) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in straight.folder.iterdir()}
    steps: list[Moment] = []
    assert train(straight, digits, steps.append) == straight.result()
    assert steps == []
    assert {file.name: file.stat().st_mtime_ns for file in straight.folder.iterdir()} == before


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    (run.folder / ".checkpoint.safetensors.0a1b2c3d.part").write_bytes(b"half")
    train(run, points())
    names = [".lock", "checkpoint.safetensors", "config.json", "embedding.npz", "log.csv", "result.json"]
    assert sorted(file.name for file in run.folder.iterdir()) == names


def test_checkpoints_are_as_far_apart_as_asked(tmp_path: Path) -> None:
    for save_every, wanted in ((0.0, [1, 2, 3, 4, 5]), (1000.0, [])):
        run, saved = placed(tmp_path / str(save_every), points(), "duel"), list[int]()

        def watch(moment: Moment, run: Run = run, saved: list[int] = saved) -> None:
            if run.checkpoint.exists():
                saved.append(read(run.checkpoint, "duel")[0]["clock"]["played"])

        train(run, points(), watch, save_every)
        assert saved == wanted
        assert read(run.checkpoint, "duel")[0]["clock"]["played"] == 6


def test_in_bfloat16_a_run_stays_finite_and_its_weights_single(tmp_path: Path, straight: Run, digits: Dataset) -> None:
    asked = TrainOptions(dataset="digits", preset="smoke", precision="bfloat16")
    options = {name: straight.request.options[name] for name in ("epochs", "batch_size", "code_size")}
    run = Run.place(tmp_path, plan("clustergan", digits, asked, options | {"warmup_batch_size": 120})[0])
    assert train(run, digits)["status"] == "finished"
    assert np.isfinite(run.log().select_dtypes("number").dropna(axis=1)).all(axis=None)
    tensors, singles = load_file(run.checkpoint), load_file(straight.checkpoint)
    weights = {name: value for name, value in tensors.items() if name.startswith("players/")}
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert not any(torch.equal(value, singles[name]) for name, value in weights.items() if value.ndim > 1)


def test_training_takes_the_threads_asked_for_and_gives_signals_back(tmp_path: Path) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    before, seen = torch.get_num_threads(), set[int]()
    run = Run.place(tmp_path, plan("duel", points(), TrainOptions(threads=2), {})[0])
    train(run, points(), lambda _: seen.add(torch.get_num_threads()))
    torch.set_num_threads(before)
    assert seen == {2}
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_run_can_be_trained_beside_the_main_thread(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel")
    thread = threading.Thread(target=train, args=(run, points()))
    thread.start()
    thread.join()
    assert run.status == "finished"


# How it fails ---------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_fails_the_run_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel", seed=5, epochs=4, fails_from=0.5)
    result = train(run, points(), save_every=0)
    assert result["status"] == run.status == "failed"
    assert result["reason"] == "the loss term 'adversarial' of the seeker became non-finite at step 7 (seed 5)"
    assert "scores" not in result
    head, tensors = read(run.checkpoint, "duel")
    assert head["clock"]["played"] == 6
    assert all(torch.isfinite(value).all() for value in tensors.values())
    assert not (run.folder / "embedding.npz").exists()
    assert len(run.log()) == 2
    assert json.loads((run.folder / "result.json").read_text()) == result


def test_a_failed_run_keeps_its_log_though_no_checkpoint_was_due(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel", epochs=4, fails_from=0.5)
    assert train(run, points(), save_every=1000)["status"] == "failed"
    assert run.log()["epoch"].tolist() == [1, 2]


def test_a_failed_run_is_not_tried_again(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel", fails_for=0)
    first = train(run, points())
    assert first["reason"] == "the loss term 'adversarial' of the seeker became non-finite at step 1 (seed 0)"
    steps: list[Moment] = []
    assert train(run, points(), steps.append) == first
    assert steps == []


def test_a_learning_rate_far_too_high_ends_as_failed(tmp_path: Path, digits: Dataset) -> None:
    run = placed(tmp_path, digits, lr=1e30, lr_end=1e30, warmup_epochs=0)
    result = train(run, digits, save_every=0)
    assert result["status"] == "failed"
    assert "became non-finite at step " in result["reason"]


def test_stopping_a_run_that_has_gone_wrong_does_not_save_it(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel", epochs=4, fails_from=0.5)

    def watch(moment: Moment) -> None:
        if moment.played == 8:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(run, points(), watch, save_every=1000)["status"] == "failed"
    assert not run.checkpoint.exists()


# New samples ----------------------------------------------------------------------------------------------------------


def test_a_run_s_own_samples_are_assigned_to_its_clusters(straight: Run, digits: Dataset) -> None:
    np.testing.assert_array_equal(assign(straight, digits), straight.arrays()["clusters/kmeans"])
    some = np.array([5, 200, 17])
    np.testing.assert_array_equal(assign(straight, digits.take(some)), straight.arrays()["clusters/kmeans"][some])


def test_new_samples_are_scaled_as_the_run_s_were(straight: Run, digits: Dataset) -> None:
    other = Dataset("elsewhere", digits.inputs, None, None, pixel_range=(-1.0, 1.0))
    np.testing.assert_array_equal(assign(straight, other), straight.arrays()["clusters/kmeans"])


def test_samples_of_another_shape_are_refused(straight: Run) -> None:
    with pytest.raises(DataError, match=r"points has samples of shape \(2,\); this run was trained on \(1, 8, 8\)"):
        assign(straight, points())


def test_players_of_a_run_that_is_not_finished_are_not_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not finished: repeat its command with --resume"):
        trained(placed(tmp_path, points(), "duel"))


def test_a_run_knows_its_method_by_name_alone(tmp_path: Path) -> None:
    run = placed(tmp_path, points(), "duel", lr=0.2)
    train(run, points())
    again = trained(Run.open(run.folder))
    assert isinstance(again.method, Duel)
    assert again.method.config == duel(lr=0.2).config
