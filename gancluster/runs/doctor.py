"""A diagnosis of a game that collapsed: since which epoch, what shows it, and the commands that are worth a try."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from gancluster import critics
from gancluster.commands import typed
from gancluster.errors import UserError
from gancluster.methods.base import Method, Row
from gancluster.runs.monitors import COVERAGE, ENTROPY
from gancluster.runs.run import Request

CRITICS = ("wgan-gp", "sn-gan", "r1")  # that bound D's slope, the first that the game takes is advised
FACTORS = {"adversarial_weight": 0.1, "info_weight": 3.0, "class_weight": 3.0}  # by which a weight is changed
USUAL = {"split": "all", "limit": None, "features": None, "n_labels": 0, "seed": 0}
USUAL |= {"starts": 1, "rank_after": None}  # if not asked for


def diagnosis(method: Method, request: Request, rows: Sequence[Row], reason: str = "") -> dict[str, Any] | None:
    """None for a game that ended without a sign of a collapse, else what can be told of it.

    `phase`, `epoch`: the first of the unbroken rest of the log that shows signs. `signs`: those of the last epoch that
    was looked at, or `reason`, that of a game that failed. `commands`: each one change to the run that was.
    """
    looked = [(row, found) for row in rows if (found := signs(method, row)) or ENTROPY in row]
    ill = next((i for i in reversed(range(len(looked))) if not looked[i][1]), -1) + 1
    if ill == len(looked) and not reason:
        return None
    row = looked[ill][0] if ill < len(looked) else rows[-1] if rows else {"phase": method.phases()[0].name, "epoch": 1}
    told = [reason] if reason else looked[-1][1]
    return {"phase": row["phase"], "epoch": row["epoch"], "signs": told, "commands": commands(method, request)}


def signs(method: Method, row: Row) -> list[str]:
    """What an epoch's row shows of a collapse: the method's own symptoms, uneven clusters, codes that are not found."""
    k, found = method.task.n_clusters, method.symptoms(row)
    if k > 1 and float(row.get(ENTROPY, math.inf)) < math.log(k) / 2:
        evenly = math.exp(float(row[ENTROPY]))
        found.append(f"its {k} clusters are as uneven as {evenly:.1f} even ones would be")
    if float(row.get(COVERAGE, math.inf)) < 0.5:
        found.append(f"samples made of all {k} codes are found in {round(float(row[COVERAGE]) * k)} clusters")
    return found


def commands(method: Method, request: Request) -> list[str]:
    """The run's own command with one change each: another critic, another weight, more attempts."""
    config, changes = method.config, list[dict[str, Any]]()
    critic = getattr(config, "critic", None)
    if critic is not None and not critics.named(critic, by_noise=True).bounds:
        changes += [{"critic": name} for name in CRITICS if _takes(method, name)][:1]
    for option, factor in FACTORS.items():
        if weight := getattr(config, option, 0.0):
            changes.append({option: float(f"{weight * factor:.3g}")})
    changes.append({"starts": request.starts + 3} if request.starts > 1 else {"restarts": request.restarts + 3})
    return [command(method, request, change) for change in changes]


def _takes(method: Method, critic: str) -> bool:
    """Whether the game can be played with that critic: penalties and batch norm go ill together."""
    try:
        with torch.random.fork_rng(devices=[]):
            other = type(method)(method.config.model_copy(update={"critic": critic}), method.task)
            other.players()
    except UserError:
        return False
    return True


def command(method: Method, request: Request, change: dict[str, Any]) -> str:
    """The command line that makes the run, but for `change`."""
    preset = method.config_type(**method.presets(method.task)[request.preset].values).model_dump(mode="json")
    own = {name: value for name, value in request.options.items() if value != preset.get(name) and value is not None}
    asked = {name: value for name in USUAL if (value := getattr(request, name)) != USUAL[name]}
    asked = {"labels" if name == "n_labels" else name: value for name, value in asked.items()}
    line: dict[str, Any] = {"dataset": request.source, "clusters": request.n_clusters, "preset": request.preset}
    line |= asked | own | change
    return typed(["train", request.method], line)


def told(found: dict[str, Any]) -> list[str]:
    """A diagnosis in lines."""
    return [
        f"collapsed: {'; '.join(found['signs'])}; since {found['phase']}, epoch {found['epoch']}; worth a try:",
        *(f"  {line}" for line in found["commands"]),
    ]
