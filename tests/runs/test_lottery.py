"""The best of several starts: chosen without labels, to the bytes of its own seed, however the run was stopped."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import games
import numpy as np
import pytest
from games import Duel, outcome, points

from gancluster import metrics, registry
from gancluster.data.dataset import Dataset
from gancluster.engine.play import Moment
from gancluster.engine.randomness import Purpose, seed_of
from gancluster.errors import Interrupted, RunError, UserError
from gancluster.methods import base
from gancluster.methods.base import Modules, Phase, Turn
from gancluster.optim import Adam, Linear
from gancluster.runs import doctor, lottery
from gancluster.runs.attempts import batches_of, begin, method_of
from gancluster.runs.run import NOT_IN_KEY, Run
from gancluster.runs.training import TrainOptions, plan, train, train_together

COLUMN = "maker.adversarial"
OTHERS = {"result", "files"}  # parts of an outcome in which several starts differ from one


class Options(games.Options):
    """What breaks the game below on purpose."""

    fails_besides: int = -1  # the only seed whose weights are not NaN


class Drawn(Duel):
    """A duel before which the seeker is trained alone; starts are ranked by the maker's loss."""

    name: ClassVar[str] = "drawn"
    config_type: ClassVar[type[base.Config]] = Options
    config: Options
    ranked_by = COLUMN

    def enter(self, phase: str, players: Modules, batches: Any, seed: int) -> None:
        super().enter(phase, players, batches, seed)
        if self.config.fails_besides not in (-1, seed):
            players["maker"].get_parameter("bias").fill_(np.nan)

    def phases(self) -> list[Phase]:
        alone = [[Turn("seeker", self.seeker_loss)]]
        return [Phase("before", 2, 8, alone, Adam(Linear(0.1, 0.1)), pretrains=True), *super().phases()]


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_IN["methods"], "drawn", "test_lottery:Drawn")
        patch.setitem(registry.BUILT_IN["methods"], "duel", "games:Duel")
        yield


def placed(root: Path, starts: int = 4, dataset: Dataset | None = None, epochs: int = 8, **asked: Any) -> Run:
    options = {name: asked.pop(name) for name in list(asked) if name in Options.model_fields}
    train_options = TrainOptions(dataset="points", starts=starts, **asked)
    return Run.place(root, plan("drawn", dataset or points(), train_options, {"epochs": epochs} | options)[0])


@pytest.fixture(scope="module")
def best_of_4(registered: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing disturbed; tests leave its folder as it is."""
    run = placed(tmp_path_factory.mktemp("best"))
    train(run, points())
    return run


# What is played ------------------------------------------------------------------------------------------------------


def test_the_lowest_score_at_the_place_is_trained_on_to_the_bytes_of_its_seed(tmp_path: Path, best_of_4: Run) -> None:
    tried = best_of_4.tried()
    assert [one["seed"] for one in tried] == [seed_of(0, i, Purpose.START) for i in range(4)]
    alone = [placed(tmp_path, 1, seed=one["seed"]) for one in tried]
    for run in alone:
        train(run, points())
    there = [run.log()[COLUMN][3] for run in alone]  # two epochs before the duel, and two of its eight
    assert [one["score"] for one in tried] == there
    assert [(one["phase"], one["epoch"]) for one in tried] == [("duel", 2)] * 4
    number = int(np.argmin(there))
    assert [one["chosen"] for one in tried] == [i == number for i in range(4)]
    ours, theirs = outcome(best_of_4), outcome(alone[number])
    assert {part for part in theirs if ours[part] != theirs[part]} == OTHERS
    assert set(ours["files"]) - set(theirs["files"]) == {"starts.json", "starts.npz"}
    assert ours["result"]["scores"] == theirs["result"]["scores"]
    seconds = [one["seconds"] for one in tried]
    assert seconds == sorted(seconds)
    assert best_of_4.result()["seconds"] + 0.1 >= seconds[-1]


def test_seeds_of_starts_and_of_attempts_differ() -> None:
    drawn = {
        seed_of(seed, i, what) for seed in range(20) for i in range(9) for what in (Purpose.START, Purpose.ATTEMPT)
    }
    assert len(drawn) == 20 * 17  # start 0 and attempt 0 have the run's own


@pytest.mark.parametrize(("epochs", "asked", "place"), [(8, None, 2), (3, None, 1), (8, 5, 5), (3, 9, 3)])
def test_starts_are_ranked_a_quarter_through_the_game_or_where_asked(
    tmp_path: Path, epochs: int, asked: int | None, place: int
) -> None:
    run = placed(tmp_path, 2, epochs=epochs, rank_after=asked)
    assert train(run, points())["status"] == "finished"
    assert [(one["phase"], one["epoch"]) for one in run.tried()] == [("duel", place)] * 2
    assert len(run.log()) == 2 + epochs


def test_one_start_is_what_it_always_was(tmp_path: Path) -> None:
    """Its key is that of a request from before there were several."""
    run = placed(tmp_path, 1)
    content = run.request.model_dump_json(exclude=NOT_IN_KEY | {"starts", "rank_after"})
    assert run.request.key == hashlib.sha256(content.encode()).hexdigest()
    others = [placed(tmp_path, starts, rank_after=epochs) for starts, epochs in ((5, None), (5, 1), (6, 1))]
    assert len({one.request.key for one in [run, *others]}) == 4
    assert not {"starts", "starts_mean"} & train(run, points()).keys()
    assert not [path for path in run.folder.iterdir() if path.name.startswith("starts")]


def test_no_label_reaches_the_choice(tmp_path: Path, best_of_4: Run) -> None:
    dataset = points()
    assert dataset.labels is not None
    for labels in (1 - dataset.labels, np.roll(dataset.labels, 5), None):
        other = replace(dataset, labels=labels)
        run = placed(tmp_path / str(labels), dataset=other, clusters=2)
        train(run, other)
        assert [one["score"] for one in run.tried()] == [one["score"] for one in best_of_4.tried()]
        assert run.checkpoint.read_bytes() == best_of_4.checkpoint.read_bytes()


def test_labels_that_a_run_may_know_are_those_of_its_seed(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drawn, "semi_supervised", True)
        runs = [placed(tmp_path, starts, labels=6) for starts in (1, 3)]
        known = [batches_of(run.request, points()).known.tolist() for run in runs]
        seen = begin(lottery._start(runs[1], 2), batches_of(runs[1].request, points())).game.batches.known.tolist()
    assert known[0] == known[1] == seen


def test_starts_together_come_to_the_same_choice(tmp_path: Path, best_of_4: Run) -> None:
    run, seen = placed(tmp_path, together=3), list[Moment]()
    train(run, points(), seen.append)
    for one, other in zip(run.tried(), best_of_4.tried(), strict=True):
        assert one["score"] == pytest.approx(other["score"], rel=1e-3)
        assert one["chosen"] == other["chosen"]
    names = dict.fromkeys(moment.phase.partition(",")[0] for moment in seen)
    assert list(names) == ["starts 1 to 3 of 4", "start 4 of 4", "duel"]


def test_seeds_of_several_starts_each_go_on_together(tmp_path: Path) -> None:
    asked = TrainOptions(dataset="points", seeds=2, together=2, starts=2)
    runs = [Run.place(tmp_path, request) for request in plan("drawn", points(), asked, {"epochs": 4})]
    seen = list[str]()
    train_together(runs, points(), lambda moment: seen.append(moment.phase))
    assert list(dict.fromkeys(seen)) == ["starts 1 to 2 of 2, before", "starts 1 to 2 of 2, duel", "duel"]
    assert [train(run, points())["status"] for run in runs] == ["finished"] * 2


def test_snapshots_of_the_chosen_start_are_kept(tmp_path: Path, best_of_4: Run) -> None:
    run = placed(tmp_path, snapshots=5)
    train(run, points())
    assert run.snapshots()["epoch"].tolist() == [2, 4, 6, 8, 10]
    assert run.checkpoint.read_bytes() == best_of_4.checkpoint.read_bytes()


# What fails ----------------------------------------------------------------------------------------------------------


def test_a_start_that_fails_ranks_last(tmp_path: Path, best_of_4: Run) -> None:
    (chosen,) = (one["seed"] for one in best_of_4.tried() if one["chosen"])
    run = placed(tmp_path, fails_for=chosen)
    result = train(run, points())
    assert result["status"] == "finished"
    (failed,) = (one for one in result["starts"] if one["score"] is None)
    assert (failed["seed"], failed["chosen"]) == (chosen, False)
    assert "a weight of the maker" in failed["failed"] or "the loss term" in failed["failed"]
    left = [one["scores"]["acc"] for one in result["starts"] if one["score"] is not None]
    assert result["starts_mean"]["acc"] == pytest.approx(np.mean(left))


def test_where_all_starts_fail_the_run_does(tmp_path: Path) -> None:
    result = train(placed(tmp_path, fails_besides=10**12), points())
    assert result["status"] == "failed"
    assert [one["chosen"] for one in result["starts"]] == [True, False, False, False]
    assert lottery.in_a_line(result).startswith("no start could be ranked: ")


@pytest.mark.parametrize("options", [{"save_every": 0.0}, {"save_every": 1e9}])
@pytest.mark.parametrize("at", range(1, 67, 5))
def test_stopped_at_any_step_it_comes_to_the_same_bytes(
    tmp_path: Path, best_of_4: Run, at: int, options: dict[str, float]
) -> None:
    count = 0

    def stopping(moment: Moment) -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGINT)

    run = placed(tmp_path)
    with pytest.raises(Interrupted):
        train(run, points(), stopping, **options)
    assert run.is_begun
    train(run, points())
    assert outcome(run) == outcome(best_of_4)
    assert lottery.partitions(run).keys() == lottery.partitions(best_of_4).keys()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"tried": 3}', '{"tried": [3]}', '{"tried": [{"seed": 1}]}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    run = placed(tmp_path, 2)
    (run.folder / "starts.json").write_text(content)
    with pytest.raises(RunError, match=r"starts\.json is damaged .*: remove the folder and train again"):
        train(run, points())


@pytest.mark.parametrize(
    ("method", "asked", "options", "text"),
    [
        ("duel", {"starts": 2}, {}, "duel, as it is configured, has no loss that ranks starts without labels"),
        ("clustergan", {"starts": 2}, {"consistency": False}, "clustergan, as it is configured, has no loss"),
        ("drawn", {"starts": 2, "restarts": 1}, {}, "leave out one"),
        ("drawn", {"rank_after": 2}, {}, "--rank-after 2 is where several starts are ranked: add --starts"),
        ("kmeans", {"starts": 2}, {}, "kmeans is fitted in one go, by the processor: leave out --starts 2"),
        ("kmeans", {"rank_after": 2}, {}, "leave out --rank-after 2"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    digits: Dataset, method: str, asked: dict[str, int], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(UserError, match=text) as refused:
        plan(method, digits, TrainOptions(dataset="digits", **asked), options)
    assert "\n" not in str(refused.value)


# What is told --------------------------------------------------------------------------------------------------------


def test_a_result_tells_every_start_and_their_plain_mean(best_of_4: Run) -> None:
    result, kept, labels = best_of_4.result(), lottery.partitions(best_of_4), points().labels
    assert labels is not None
    assert result["row"] == "drawn, best of 4 starts"
    scores = [metrics.scores(labels, kept[str(i)], 2) for i in range(4)]
    assert [one["scores"] for one in result["starts"]] == scores
    assert result["starts_mean"]["nmi"] == pytest.approx(np.mean([one["nmi"] for one in scores]))
    line = lottery.in_a_line(result)
    assert "of 4, ranked best without labels at duel, epoch 2" in line
    assert line.endswith(f"mean of all starts {result['starts_mean']['acc']:.3f}")


def test_without_labels_there_are_scores_of_the_method_alone(tmp_path: Path) -> None:
    unknown = replace(points(), labels=None)
    run = placed(tmp_path, 2, unknown, clusters=2)
    result = train(run, unknown)
    assert "starts_mean" not in result
    assert all("scores" not in one for one in result["starts"])
    assert "ACC" not in lottery.in_a_line(result)


def test_a_diagnosis_advises_more_starts(tmp_path: Path) -> None:
    run = placed(tmp_path, 3, rank_after=2)
    (line,) = doctor.commands(method_of(run.request), run.request)
    assert {"--starts 6", "--rank-after 2"} <= {f"--{part.strip()}" for part in line.split("--")}


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("clustergan", {}),
        ("clustergan-latent", {"consistency_weight": 1.0}),
        ("ganem", {"consistency_weight": 1.0}),
        ("infogan", {"consistency_weight": 1.0}),
        ("catgan", {"consistency_weight": 1.0}),
    ],
)
def test_the_column_that_ranks_is_in_the_log(
    tmp_path: Path, digits: Dataset, method: str, options: dict[str, Any]
) -> None:
    asked = TrainOptions(dataset="digits", preset="smoke", starts=2)
    run = Run.place(tmp_path, plan(method, digits, asked, options)[0])
    assert train(run, digits)["status"] == "finished"
    first, second = (one["score"] for one in run.tried())
    assert np.isfinite([first, second]).all()
    assert first != second
