"""No label reaches a method: what is trained does not depend on labels, and nothing that it can reach holds any.

A semi-supervised run is told some, and these alone.
"""

import gc
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from games import outcome, placed

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine import play
from gancluster.engine.game import Game
from gancluster.methods.clustergan import ClusterGAN, Config
from gancluster.runs.attempts import method_of
from gancluster.runs.run import Run
from gancluster.runs.training import task_of, train


def retrained(root: Path, straight: Run, dataset: Dataset) -> Run:
    """The straight run's request, carried out on `dataset`."""
    run = Run.place(root, straight.request)
    train(run, dataset)
    return run


def test_scrambled_labels_change_no_byte_but_the_scores(tmp_path: Path, straight: Run, digits: Dataset) -> None:
    assert digits.labels is not None
    scrambled = replace(digits, labels=np.random.default_rng(0).permutation(digits.labels))
    run = retrained(tmp_path, straight, scrambled)
    there, wanted = outcome(run), outcome(straight)
    assert (there["checkpoint"], there["log"]) == (wanted["checkpoint"], wanted["log"])
    arrays, others = run.arrays(), straight.arrays()
    assert [name for name in arrays if not np.array_equal(arrays[name], others[name])] == ["labels"]
    assert run.result()["scores"]["kmeans"]["acc"] < straight.result()["scores"]["kmeans"]["acc"]


def test_without_labels_the_same_is_trained(tmp_path: Path, straight: Run, digits: Dataset) -> None:
    run = retrained(tmp_path, straight, replace(digits, labels=None, n_classes=None))
    assert run.checkpoint.read_bytes() == straight.checkpoint.read_bytes()
    arrays, others = run.arrays(), straight.arrays()
    assert set(others) - set(arrays) == {"labels"}
    assert all(np.array_equal(values, others[name]) for name, values in arrays.items())


def reachable(root: object) -> Iterator[object]:
    """Every object that `root` leads to, except through modules, classes and the globals of functions."""
    passed_over = (types.ModuleType, type, types.FrameType)
    seen, found = {id(root)}, [root]
    while found:
        one = found.pop()
        yield one
        inner = gc.get_referents(one)
        if isinstance(one, types.FunctionType):
            inner = [*(one.__defaults__ or ()), *(cell.cell_contents for cell in one.__closure__ or ())]
        if isinstance(one, np.ndarray) and one.base is not None:
            inner.append(one.base)
        for other in inner:
            if id(other) not in seen and not isinstance(other, passed_over):
                seen.add(id(other))
                found.append(other)


def holding(root: object, labels: np.ndarray[Any, Any]) -> list[object]:
    """What `root` leads to that equals the labels: arrays, tensors (none on `meta`: no data), or sequences of them."""
    wanted = labels.tolist()
    found: list[object] = []
    for one in reachable(root):
        if isinstance(one, torch.Tensor) and one.is_meta:
            continue
        if isinstance(one, torch.Tensor | np.ndarray) and tuple(one.shape) == labels.shape:
            found += [one] if one.tolist() == wanted else []
        elif isinstance(one, list | tuple | bytes) and len(one) == len(labels):
            found += [one] if list(one) == wanted else []
    return found


def test_neither_batches_nor_a_game_lead_to_labels(digits: Dataset, straight: Run) -> None:
    """A game as it is handed over while a run is trained, with its method, in the middle of playing."""
    assert digits.labels is not None
    method = ClusterGAN(Config(**straight.request.options), task_of(digits, None))
    game = Game(method, Batches(digits.unlabelled()), 0)
    moments = play.play(game)
    next(moments)
    assert len(list(reachable(game))) > 500
    assert any(one is game.batches.stored for one in reachable(game))
    assert holding(game, digits.labels) == []
    assert holding(Batches(digits), digits.labels) == []
    assert holding(digits.unlabelled(), digits.labels) == []


def test_the_search_would_find_labels(digits: Dataset) -> None:
    """The control: hidden in a closure, an attribute, a tensor or a list, they are found."""
    labels = digits.labels
    assert labels is not None
    tensor = torch.from_numpy(labels.copy())
    hidden: list[object] = [
        *(digits, {"deep": [{"er": tensor}]}, lambda: tensor, types.SimpleNamespace(a=tuple(labels.tolist()))),
        labels.astype(np.uint8).tobytes(),
    ]
    assert [bool(holding(one, labels)) for one in hidden] == [True] * len(hidden)


def handed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """All that games are made of from now on."""
    seen: list[object] = []
    init = Game.__init__

    def noted(self: Game, *arguments: Any, **named: Any) -> None:
        seen.extend(arguments)
        init(self, *arguments, **named)

    monkeypatch.setattr(Game, "__init__", noted)
    return seen


def test_what_trains_is_handed_no_labels(
    tmp_path: Path, straight: Run, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`train` itself hands on the view without labels, whatever a method would make of them."""
    seen = handed(monkeypatch)
    retrained(tmp_path, straight, digits)
    assert digits.labels is not None
    assert len(seen) == 3
    assert holding(seen, digits.labels) == []


@pytest.mark.parametrize("field", ["labels", "label_names"])
def test_the_view_without_labels_shares_the_samples_and_lacks(digits: Dataset, field: str) -> None:
    view = digits.unlabelled()
    assert getattr(digits, field) is not None
    assert getattr(view, field) is None
    assert view.inputs is digits.inputs
    assert view.sha256 == digits.sha256


# The labels that a semi-supervised run is told ------------------------------------------------------------------------

TOLD: dict[str, Any] = {"labels": 20, "width": 0.125}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Run:
    """A run of GAN-EM that is told 20 labels; tests leave its folder as it is."""
    run = placed(tmp_path_factory.mktemp("told"), digits, "ganem", **TOLD)
    train(run, digits)
    return run


def told_game(told: Run, digits: Dataset) -> Game:
    """Its game, in the middle of its second phase."""
    known = digits.reveal(20, told.request.seed)
    game = Game(method_of(told.request), Batches(digits.unlabelled(), known=known), told.request.seed)
    next(moment for moment in play.play(game) if moment.phase == "M-step 1")
    return game


def one_value_a_sample(root: object, n: int) -> list[object]:
    """Arrays, tensors and plain sequences of `n` numbers that `root` leads to: what labels would have to be."""
    arrays = torch.Tensor | np.ndarray
    sizes = [(one, one.shape.numel() if isinstance(one, torch.Tensor) else one.size) for one in found_in(root, arrays)]
    sizes += [(one, len(one)) for one in found_in(root, list | tuple | bytes) if all(isinstance(x, int) for x in one)]
    return [one for one, size in sizes if size == n]


def found_in(root: object, kind: Any) -> list[Any]:
    return [one for one in reachable(root) if isinstance(one, kind)]


def test_a_game_leads_to_the_labels_it_is_told_and_to_no_others(told: Run, digits: Dataset) -> None:
    game, known = told_game(told, digits), digits.reveal(20, told.request.seed)
    assert digits.labels is not None
    assert any(one is game.batches.labels for one in holding(game, known.labels))
    assert any(one is game.batches.known for one in holding(game, known.samples))
    assert holding(game, digits.labels) == []
    assert one_value_a_sample(game, len(digits)) == []
    for one in found_in(game, torch.Tensor):
        assert not np.may_share_memory(one.detach().numpy(), digits.labels)
    assert len(game.batches.labels.untyped_storage()) == 20 * 8  # no view of a longer vector


def test_the_search_would_find_a_value_a_sample(digits: Dataset) -> None:
    labels = digits.labels
    assert labels is not None
    hidden = (labels, torch.from_numpy(-labels), labels.tolist(), labels.astype(np.uint8).tobytes(), labels[:, None])
    assert all(one_value_a_sample({"a": [one]}, 240) for one in hidden)
    assert one_value_a_sample(digits.reveal(20, 0), 240) == []


def test_what_trains_is_handed_the_chosen_labels_only(
    tmp_path: Path, told: Run, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = handed(monkeypatch)
    retrained(tmp_path, told, digits)
    known = digits.reveal(20, told.request.seed)
    assert digits.labels is not None
    assert len(holding(seen, known.labels)) == 1
    assert holding(seen, digits.labels) == []
    assert one_value_a_sample(seen, len(digits)) == []


def test_labels_that_were_not_chosen_change_no_byte_but_the_scores(
    tmp_path: Path, told: Run, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = digits.reveal(20, told.request.seed)
    assert digits.labels is not None
    others = np.setdiff1d(np.arange(len(digits)), known.samples)
    scrambled, unknown = digits.labels.copy(), np.full(len(digits), -1)
    scrambled[others] = np.random.default_rng(0).permutation(scrambled[others])
    unknown[known.samples] = known.labels
    without = retrained(tmp_path / "unknown", told, replace(digits, labels=unknown))
    monkeypatch.setattr(Dataset, "reveal", lambda *_: known)
    other = retrained(tmp_path / "scrambled", told, replace(digits, labels=scrambled))
    for run in (without, other):
        assert (outcome(run)["checkpoint"], outcome(run)["log"]) == (outcome(told)["checkpoint"], outcome(told)["log"])
        arrays, wanted = run.arrays(), told.arrays()
        assert [name for name in arrays if not np.array_equal(arrays[name], wanted[name])] == ["labels"]
        assert run.result()["scores"] != told.result()["scores"]


def test_every_chosen_label_changes_the_weights(
    tmp_path: Path, told: Run, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: those labels do reach the losses."""
    known = digits.reveal(20, told.request.seed)
    for place in (0, 7, 19):
        labels = known.labels.copy()
        labels[place] = (labels[place] + 1) % 10
        monkeypatch.setattr(Dataset, "reveal", lambda *_, labels=labels: known._replace(labels=labels))
        run = retrained(tmp_path / str(place), told, digits)
        assert run.checkpoint.read_bytes() != told.checkpoint.read_bytes()
