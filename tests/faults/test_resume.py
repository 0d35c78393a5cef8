"""A run that was stopped, by an error or a signal, at any step, ends with the bytes of one that never was."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from games import outcome, placed

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine import checkpoint
from gancluster.engine.game import Game
from gancluster.engine.play import Moment
from gancluster.errors import Interrupted, RunError
from gancluster.methods.clustergan import ClusterGAN, Config
from gancluster.runs.run import Run
from gancluster.runs.training import task_of, train

STEPS = 12  # 2 of the warm-up, 2 of self-training, then 2 epochs of 4


class PulledPlug(Exception):
    pass


def pulling(at: int) -> Callable[[Moment], None]:
    """Watch a training, and end it before step `at` can be saved."""

    def watch(moment: Moment) -> None:
        if moment.played == at:
            raise PulledPlug

    return watch


def asking(at: int, number: signal.Signals) -> Callable[[Moment], None]:
    """Watch a training, and ask it to stop at step `at`, as Ctrl-C does."""

    def watch(moment: Moment) -> None:
        if moment.played == at:
            os.kill(os.getpid(), number)

    return watch


def stopped(root: Path, digits: Dataset, at: int) -> Run:
    run = placed(root, digits)
    with pytest.raises(Interrupted):
        train(run, digits, asking(at, signal.SIGTERM))
    return run


@pytest.mark.parametrize("at", [1, 2, 3, 4, 9, STEPS])
def test_ended_by_an_error_and_resumed_it_comes_to_the_same_bytes(
    tmp_path: Path, straight: Run, digits: Dataset, at: int
) -> None:
    run = placed(tmp_path, digits)
    with pytest.raises(PulledPlug):
        train(run, digits, pulling(at), save_every=0)
    assert run.checkpoint.exists() == (at > 1)
    assert run.status == "unfinished"
    steps: list[int] = []
    train(run, digits, lambda moment: steps.append(moment.played))
    assert steps == list(range(at, STEPS + 1))
    assert outcome(run) == outcome(straight)


def test_ended_before_anything_was_saved_it_begins_anew(tmp_path: Path, straight: Run, digits: Dataset) -> None:
    run = placed(tmp_path, digits)
    with pytest.raises(PulledPlug):
        train(run, digits, pulling(5), save_every=1000)
    assert sorted(file.name for file in run.folder.iterdir()) == [".lock", "config.json", "start.npz"]
    train(run, digits)
    assert outcome(run) == outcome(straight)


def test_asked_to_stop_after_every_step_it_comes_to_the_same_bytes(
    tmp_path: Path, straight: Run, digits: Dataset
) -> None:
    run = placed(tmp_path, digits)
    for at in range(1, STEPS + 1):
        number = (signal.SIGINT, signal.SIGTERM)[at % 2]
        with pytest.raises(Interrupted) as caught:
            train(run, digits, asking(at, number), save_every=1000)
        assert str(caught.value) == f"stopped at step {at} of {STEPS}; all of it is saved in {run.folder}"
        run = Run.open(run.folder)
    assert run.status == "unfinished"
    train(run, digits)
    assert outcome(run) == outcome(straight)


def test_stopped_while_it_concludes_it_comes_to_the_same_bytes(
    tmp_path: Path, straight: Run, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal is heard between steps only: after the last one the run is over before it could stop."""
    run, arrays = placed(tmp_path, digits), Run.write_arrays

    def pulled(*_: object) -> None:
        raise PulledPlug

    monkeypatch.setattr(Run, "write_arrays", pulled)
    with pytest.raises(PulledPlug):
        train(run, digits)
    monkeypatch.setattr(Run, "write_arrays", arrays)
    monkeypatch.setattr(Run, "finish", pulled)
    with pytest.raises(PulledPlug):
        train(run, digits)
    monkeypatch.undo()
    assert run.status == "unfinished"
    train(run, digits)
    assert outcome(run) == outcome(straight)


TOLD: dict[str, Any] = {"labels": 20, "label_error": 0.5, "width": 0.125}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> tuple[Run, list[Moment]]:
    """GAN-EM's phases are labelled, counted, frozen, and end early: a run that nothing disturbed, and its steps."""
    run, moments = placed(tmp_path_factory.mktemp("told"), digits, "ganem", **TOLD), list[Moment]()
    train(run, digits, moments.append, save_every=1000)
    return run, moments


def test_a_run_of_phases_that_end_early_logs_every_epoch_it_played(told: tuple[Run, list[Moment]]) -> None:
    run, moments = told
    rows = [(moment.phase, moment.epoch) for moment in moments if moment.row is not None]
    log = run.log()
    assert list(zip(log["phase"], log["epoch"], strict=True)) == rows
    assert rows[0] == ("labels 0", 1)
    assert rows[-1] == ("E-step 2", 1)  # after it the labels are still known: that phase is over at once
    assert moments[-1].played < moments[-1].total


def test_a_run_of_phases_that_end_early_comes_to_the_same_bytes_from_any_step(
    tmp_path: Path, told: tuple[Run, list[Moment]], digits: Dataset
) -> None:
    straight, moments = told
    run = placed(tmp_path, digits, "ganem", **TOLD)
    for at in range(1, len(moments)):
        with pytest.raises(Interrupted):
            train(run, digits, asking(at, signal.SIGTERM), save_every=1000)
    train(run, digits)
    assert outcome(run) == outcome(straight)


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_ended_by_an_error_about_an_early_end_it_comes_to_the_same_bytes(
    tmp_path: Path, told: tuple[Run, list[Moment]], digits: Dataset, shift: int
) -> None:
    """The checkpoint is that of the step before: the labelled phase's last epoch, its end, and the step after."""
    straight, moments = told
    end = max(moment.played for moment in moments if moment.phase == "labels 0")
    run = placed(tmp_path, digits, "ganem", **TOLD)
    with pytest.raises(PulledPlug):
        train(run, digits, pulling(end + shift), save_every=0)
    train(run, digits)
    assert outcome(run) == outcome(straight)


def test_a_second_signal_acts_at_once(tmp_path: Path, digits: Dataset) -> None:
    def watch(moment: Moment) -> None:
        listening = signal.getsignal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        while signal.getsignal(signal.SIGINT) is listening:  # two at the same time would be heard as one
            pass
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in a shell's background
    try:
        with pytest.raises(KeyboardInterrupt):
            train(placed(tmp_path, digits), digits, watch)
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_log_may_be_an_epoch_ahead_of_the_checkpoint(tmp_path: Path, straight: Run, digits: Dataset) -> None:
    """It is written first: killed between the two, the checkpoint says how much of it counts."""
    run = stopped(tmp_path, digits, 7)
    ahead = (straight.folder / "log.csv").read_text()
    assert len(ahead.splitlines()) > len((run.folder / "log.csv").read_text().splitlines())
    (run.folder / "log.csv").write_text(ahead)
    train(run, digits)
    assert outcome(run) == outcome(straight)


def test_a_log_that_was_lost_is_missed(tmp_path: Path, digits: Dataset) -> None:
    run = stopped(tmp_path, digits, 7)
    (run.folder / "log.csv").unlink()
    with pytest.raises(RunError, match=r"log\.csv cannot be read"):
        train(run, digits)


def memory_lost(game: Game) -> None:
    game.state.memories["clusterer"]["square"] = {
        name: torch.zeros_like(value) for name, value in game.state.memories["clusterer"]["square"].items()
    }


def bias_correction_lost(game: Game) -> None:
    torch._foreach_zero_(list(game.state.memories["generator"]["steps"].values()))


def average_lost(game: Game) -> None:
    game.state.averages["clusterer"] = {k: v.clone() for k, v in game.state.players["clusterer"].items()}


def step_shifted(game: Game) -> None:
    game.state.step -= 1


def noise_shifted(game: Game) -> None:
    game.state.played += 1


def one_bit_of_a_weight_lost(game: Game) -> None:
    weight = next(iter(game.state.players["discriminator"].values())).view(-1)
    weight[:1].view(torch.int32).bitwise_xor_(1)


def pending_losses_lost(game: Game) -> None:
    game.state.pending = {name: values[:-1] for name, values in game.state.pending.items() if len(values) > 1}


LOST = [
    *(memory_lost, bias_correction_lost, average_lost, step_shifted, noise_shifted, one_bit_of_a_weight_lost),
    pending_losses_lost,
]


@pytest.mark.parametrize("lose", LOST)
def test_with_a_part_of_the_state_lost_it_does_not(
    tmp_path: Path, straight: Run, digits: Dataset, lose: Callable[[Game], None]
) -> None:
    """The control: were any of it left out of a checkpoint, the tests above would see it."""
    run = stopped(tmp_path, digits, 10)
    method = ClusterGAN(Config(**run.request.options), task_of(digits, None))
    game = Game(method, Batches(digits.unlabelled()), run.request.seed)
    checkpoint.load(game, run.checkpoint)
    lose(game)
    checkpoint.save(game, run.checkpoint)
    train(run, digits)
    there, wanted = outcome(run), outcome(straight)
    parts = ["log"] if lose is pending_losses_lost else ["checkpoint", "embedding"]
    assert [part for part in parts if there[part] == wanted[part]] == []
