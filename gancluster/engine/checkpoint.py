"""A game's whole state in one safetensors file: every tensor by its path, the clock and a checksum in its header.

One file, because two could disagree when a run is killed between them. No pickle: loading runs no code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from gancluster import atomic
from gancluster.engine.game import Game, State
from gancluster.errors import RunError

FORMAT = 2
PENDING = "pending/"
CLOCK = ("phase", "epoch", "step", "played", "rows")


def save(game: Game, path: Path) -> None:
    """Write the state of `game` to `path`, whole or not at all."""
    state = game.state
    tensors = dict(_leaves(state))
    head = {
        "format": FORMAT,
        "method": game.method.name,
        "seed": game.seed,
        "clock": {unit: getattr(state, unit) for unit in CLOCK},
        "noted": state.noted,
    }
    head["sha256"] = _checksum(head, tensors)
    # One metadata entry: the order of several would differ from save to save, and equal states must be equal bytes.
    atomic.write_bytes(path, safetensors.torch.save(tensors, {"gancluster": json.dumps(head, sort_keys=True)}))


def load(game: Game, path: Path) -> None:
    """Put the state saved at `path` into `game`; `RunError` if it is damaged, or another version's or method's."""
    head, tensors = read(path, game.method.name)
    if head["seed"] != game.seed:
        raise RunError(f"{path} was saved with seed {head['seed']}, not {game.seed}: use the run it belongs to")
    state = game.state
    for unit in CLOCK:
        setattr(state, unit, head["clock"][unit])
    game.fresh_memories()
    state.pending, state.noted = {}, head["noted"]
    wanted = dict(_leaves(state))
    state.pending = {
        name.removeprefix(PENDING): list(tensors.pop(name).to(game.device).unbind())
        for name in sorted(tensors)
        if name.startswith(PENDING)
    }
    fill(wanted, tensors, path)


def read(path: Path, method: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a checkpoint of `method`, checked against its checksum; `RunError` as for `load`."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            head = json.loads(file.metadata()["gancluster"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if head["format"] == FORMAT and head.pop("sha256") != _checksum(head, tensors):
            raise ValueError("its checksum does not match")
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"the checkpoint {path} is damaged ({error}): remove its folder and train again") from error
    for what, mine in {"format": FORMAT, "method": method}.items():
        if head[what] != mine:
            raise RunError(f"{path} was saved with {what} {head[what]!r}, not {mine!r}: use the version that saved it")
    return head, tensors


def fill(wanted: dict[str, Tensor], tensors: dict[str, Tensor], path: Path) -> None:
    """Copy each saved tensor into the one of the same name; `RunError` where names or shapes differ."""
    if {n: v.shape for n, v in wanted.items()} != {n: v.shape for n, v in tensors.items()}:
        raise RunError(f"{path} holds other networks than this version makes: use the version that saved it")
    for name, value in wanted.items():
        value.copy_(tensors[name])


def _leaves(state: State) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the state with its path, such as `players/clusterer/top.weight`."""
    trees = {"players": state.players, "buffers": state.buffers, "averages": state.averages, "memories": state.memories}
    yield from _walk("", trees)
    for name, values in state.pending.items():
        yield PENDING + name, torch.stack(values)


def _walk(prefix: str, tree: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for name, branch in tree.items():
        if isinstance(branch, Tensor):
            yield prefix + name, branch
        else:
            yield from _walk(f"{prefix}{name}/", branch)


def _checksum(head: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        flat = tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8)  # numpy has no bfloat16
        digest.update(flat.numpy().tobytes())
    return digest.hexdigest()
