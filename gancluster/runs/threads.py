"""With how many CPU threads a run's game computes: as many as were asked for, or the fastest number, measured once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import torch

from gancluster import atomic
from gancluster.engine import device
from gancluster.engine.game import Game
from gancluster.engine.slopes import plain, stacked
from gancluster.engine.ways import Tell, rehearsed, the_fastest
from gancluster.errors import RunError
from gancluster.runs.run import Run

MEASURED = 0  # asked for: as many as are fastest


def settle(runs: Sequence[Run], games: Sequence[Game], tell: Tell) -> None:
    """Let this process compute with the threads of the runs' request; of those measured, each run keeps the number.

    So it goes on with as many after an interruption, on whatever machine.
    """
    threads = runs[0].request.threads
    if threads == MEASURED:
        threads = kept(runs[0], tell) or fastest(games, tell)
        for run in runs:
            atomic.write_text(run.folder / "threads.json", json.dumps({"threads": threads}) + "\n")
    device.use_threads(threads)


def kept(run: Run, tell: Tell) -> int | None:
    """The number that was found when the run was first played, which is told; None before that."""
    path = run.folder / "threads.json"
    if not path.exists():
        return None
    try:
        threads = int(json.loads(path.read_text())["threads"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({error}): remove it") from error
    if not 1 <= threads <= 2**10:
        raise RunError(f"{path} is damaged ({threads} threads): remove it")
    tell(f"threads: {threads}, as found when the run began")
    return threads


def fastest(games: Sequence[Game], tell: Tell) -> int:
    """Of 1, 2, 4, … and all cores the number by which a step's slopes take the shortest, computed plainly; told.

    Programs are compiled for a number of threads, so this is settled before them. One where a GPU computes.
    """
    if games[0].is_over or games[0].device.type == "cuda":
        return 1
    slopes, seconds = plain if len(games) == 1 else stacked, dict[str, float]()
    for threads in counts(os.cpu_count() or 1):
        torch.set_num_threads(threads)
        seconds[str(threads)] = rehearsed(games, slopes)
    return int(the_fastest("threads", seconds, tell))


def counts(cores: int) -> list[int]:
    """1, 2, 4, … below `cores`, and `cores`."""
    return [2**i for i in range(cores.bit_length()) if 2**i < cores] + [cores]
