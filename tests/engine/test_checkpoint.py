"""A checkpoint brings back all of a game or nothing: damaged in a byte, cut short, or another's, it is refused."""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from games import Duel, duel, game, points, weights
from torch import Tensor

from gancluster.engine import checkpoint
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.errors import RunError
from gancluster.methods.base import Task

STEPS = 4  # of 6, 3 an epoch: one step into the second epoch


def stopped(seed: int = 0, steps: int = STEPS, method: Duel | None = None) -> Game:
    """A game that has been played for some steps; by default it is in the middle of an epoch."""
    one = game(method or duel(rare_term=True), seed=seed)
    for moment in play(one):
        if moment.played == steps:
            break
    return one


def everything(one: Game) -> dict[str, Any]:
    """All of a game's state, in plain values."""

    def plain(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.tolist()
        if isinstance(value, dict):
            return {key: plain(branch) for key, branch in value.items()}
        return [plain(branch) for branch in value] if isinstance(value, list) else value

    return {key: plain(value) for key, value in vars(one.state).items()}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(stopped(), path)
    return path


def refused(path: Path, one: Game | None = None) -> str:
    """What `load` says of a checkpoint that it refuses, having changed no weight of the game."""
    one = one or game(duel(rare_term=True))
    before = weights(one)
    with pytest.raises(RunError) as caught:
        checkpoint.load(one, path)
    assert all(torch.equal(value, before[name]) for name, value in weights(one).items())
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def forged(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> None:
    """Change head or tensors of a checkpoint as somebody would who knows how the checksum is made."""
    with safetensors.safe_open(path, "pt") as file:
        head = json.loads(file.metadata()["gancluster"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    change(head, tensors)
    del head["sha256"]
    head["sha256"] = checkpoint._checksum(head, tensors)
    path.write_bytes(safetensors.torch.save(tensors, {"gancluster": json.dumps(head, sort_keys=True)}))


@pytest.mark.parametrize("steps", range(1, 7))
def test_saved_and_loaded_a_game_is_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(Duel, "rates", {"maker": 0.2})
    before, after = stopped(steps=steps), game(duel(rare_term=True))
    checkpoint.save(before, tmp_path / "c")
    checkpoint.load(after, tmp_path / "c")
    assert everything(after) == everything(before)
    assert (steps % 3 != 0) == bool(before.state.pending)
    list(play(before))
    list(play(after))
    assert everything(after) == everything(before)


def test_losses_in_bfloat16_are_kept_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    before, after = stopped(), game(duel(rare_term=True))
    before.state.pending = {name: [v.bfloat16() for v in some] for name, some in before.state.pending.items()}
    checkpoint.save(before, tmp_path / "c")
    checkpoint.load(after, tmp_path / "c")
    assert everything(after) == everything(before)


def test_equal_states_are_equal_bytes(tmp_path: Path) -> None:
    one = stopped()
    checkpoint.save(one, tmp_path / "a")
    checkpoint.save(one, tmp_path / "b")
    checkpoint.save(stopped(), tmp_path / "c")
    other = game(duel(rare_term=True))
    checkpoint.load(other, tmp_path / "a")
    checkpoint.save(other, tmp_path / "d")
    checkpoint.save(stopped(steps=5), tmp_path / "e")
    contents = [(tmp_path / name).read_bytes() for name in "abcde"]
    assert contents[1:4] == contents[:1] * 3
    assert contents[4] != contents[0]


def test_a_cut_checkpoint_is_refused_at_every_length(saved: Path) -> None:
    content, one = saved.read_bytes(), game(duel(rare_term=True))
    for length in reversed(range(len(content))):
        os.truncate(saved, length)
        assert "damaged" in refused(saved, one)
    saved.write_bytes(content + b"\0")
    assert "damaged" in refused(saved)


def test_a_flipped_bit_anywhere_is_refused_or_makes_no_difference(saved: Path) -> None:
    """No difference: what is blank before and after."""
    content, rng, harmless = saved.read_bytes(), np.random.default_rng(0), 0
    wanted, one = everything(stopped()), game(duel(rare_term=True))
    with open(saved, "r+b", buffering=0) as file:
        for place, byte in enumerate(content):
            bit = 1 << int(rng.integers(8))
            os.pwrite(file.fileno(), bytes([byte ^ bit]), place)
            with suppress(RunError):
                checkpoint.load(one, saved)
                harmless += 1
                assert everything(one) == wanted, f"bit {bit} of byte {place} went through"
            os.pwrite(file.fileno(), bytes([byte]), place)
    assert harmless < 10


@pytest.mark.parametrize(
    ("what", "value", "says"),
    [
        ("format", 3, "format 3, not 2"),
        ("method", "other", "method 'other', not 'duel'"),
        ("seed", 9, "seed 9, not 0"),
    ],
)
def test_another_version_s_method_s_or_seed_s_checkpoint_is_refused(
    saved: Path, what: str, value: object, says: str
) -> None:
    forged(saved, lambda head, tensors: head.update({what: value}))
    assert says in refused(saved)


def test_a_changed_clock_does_not_pass_the_checksum(saved: Path) -> None:
    content = saved.read_bytes()
    moved = content.replace(b'\\"played\\": 4', b'\\"played\\": 3')
    assert moved != content
    saved.write_bytes(moved)
    assert "checksum" in refused(saved)


def without_one(head: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    del tensors["players/maker/bias"]


def with_one_more(head: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["players/other/bias"] = torch.zeros(2)


def with_another_shape(head: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    tensors["memories/maker/mean/weight"] = torch.zeros(4, 1)


@pytest.mark.parametrize("change", [without_one, with_one_more, with_another_shape])
def test_a_checkpoint_of_other_networks_is_refused(
    saved: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]
) -> None:
    forged(saved, change)
    assert "other networks" in refused(saved)


def test_a_game_of_another_shape_refuses_the_checkpoint(saved: Path) -> None:
    class Wider(Duel):
        def players(self) -> dict[str, torch.nn.Module]:
            return super().players() | {"maker": torch.nn.Linear(2, 2, bias=False)}

    wider = Wider(duel().config, Task((2,), 2, 24))
    wider.layout = lambda: Duel.phases(duel())
    assert "other networks" in refused(saved, game(wider))


@pytest.mark.parametrize("content", [b"", b"\x80\x04]\x94.", b"{}", b"\0" * 100])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    assert "damaged" in refused(path)
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))  # sound, but without our head
    assert "damaged" in refused(path)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    assert "damaged" in refused(tmp_path / "none")


def test_the_package_neither_reads_nor_writes_pickles() -> None:
    files = list(Path(checkpoint.__file__).parents[1].rglob("*.py"))
    assert len(files) > 30
    pickles = r"import c?pickle|from pickle|joblib|allow_pickle *= *True|(?<!safetensors\.)torch\.(load|save)\("
    assert [str(path) for path in files if re.search(pickles, path.read_text())] == []


def test_a_checkpoint_needs_no_game_of_the_same_data(saved: Path) -> None:
    """What matters is the state: the data set is the run's to check."""
    other = game(duel(rare_term=True), points(48))
    checkpoint.load(other, saved)
    assert everything(other) == everything(stopped())
