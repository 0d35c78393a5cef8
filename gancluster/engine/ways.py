"""Which way slopes are computed: as asked for, or the fastest that is found by measuring (*auto*).

Nothing is played to find out: slopes are pure, so each way is rehearsed on the batch that comes next, and forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import Literal

import torch
import torch.distributed as dist

from gancluster.engine.game import Game
from gancluster.engine.parallel import parallel
from gancluster.engine.play import Moment, in_step, play_together, rehearse
from gancluster.engine.slopes import Slopes, captured, compiled, plain, stacked
from gancluster.errors import UserError

Way = Literal["plain", "compiled", "captured", "auto", "parallel"]
Tell = Callable[[str], None]

ALONE: dict[str, Slopes] = {"plain": plain, "compiled": compiled, "captured": captured}
TOGETHER: dict[str, Slopes] = {"plain": stacked, "compiled": partial(stacked, compile_it=True)}
PAYS = 300.0  # seconds of plain play left from which on a minute of compiling may be won back
TRIALS = 3


def refuse(way: Way, device: str, together: int, threads: int) -> None:
    """`UserError` for a way that `device` cannot go; no `threads`: they are to be measured."""
    if way == "captured" and (torch.device(device).type != "cuda" or together > 1):
        raise UserError("--engine captured records a GPU's kernels for one seed: use --device cuda, or another engine")
    if way == "parallel" and not dist.is_initialized():
        how = "torchrun --nproc-per-node 2 -m gancluster …"
        raise UserError(f"--engine parallel is played by several processes: start them with {how}")
    if way == "parallel" and not threads:
        raise UserError("--engine parallel computes with equal threads in every process: give --threads 1, say")
    if way == "parallel" and (together > 1 or torch.device(device).index is not None):
        raise UserError("--engine parallel has one seed at a time, and a GPU each: leave out --together and cuda:N")


def play_by(way: Way, games: Sequence[Game], tell: Tell) -> Iterator[list[Moment]]:
    """As `play_together`, by the way asked for, or by the fastest of each phase, which is told."""
    ways = ALONE if len(games) == 1 else TOGETHER
    while not games[0].is_over and in_step(games):
        phase = games[0].state.phase
        slopes = fastest(games, tell) if way == "auto" else parallel(tell) if way == "parallel" else ways[way]
        if way in ("compiled", "captured") and (trouble := failing(games, slopes)):
            raise UserError(f"this game cannot be {way} here: use --engine plain ({trouble})")
        for moments in play_together(games, slopes):
            yield moments
            if games[0].state.phase != phase:
                break


def fastest(games: Sequence[Game], tell: Tell) -> Slopes:
    """The fastest way to play from here on, as rehearsed; what cannot be compiled is played plainly, and told so."""
    one, alone = games[0], len(games) == 1
    phase, on_gpu = one.phases[one.state.phase].name, one.device.type == "cuda"
    ways: dict[str, Slopes] = {"plain": plain} if alone else {"plain": plain, "stacked": stacked}
    seconds = {way: rehearsed(games, slopes) for way, slopes in ways.items()}
    if (one.total - one.state.played) * min(seconds.values()) > PAYS:
        for way in ["compiled", *["captured"] * (alone and on_gpu)]:
            slopes = (ALONE if alone else TOGETHER)[way]
            if trouble := failing(games, slopes):
                tell(f"{phase}: not {way} ({trouble})")
            else:
                ways[way], seconds[way] = slopes, rehearsed(games, slopes)
    return ways[the_fastest(phase, seconds, tell)]


def the_fastest(title: str, seconds: dict[str, float], tell: Tell) -> str:
    """The name of the shortest of rehearsals' `seconds`, told with all of them."""
    best = min(seconds, key=lambda name: seconds[name])
    tell(f"{title}: {best}, " + ", ".join(f"{name} {1000 * taken:.1f} ms a step" for name, taken in seconds.items()))
    return best


def rehearsed(games: Sequence[Game], slopes: Slopes, now: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that a step's slopes take: median of `TRIALS` after one that does not count."""
    device, taken = games[0].device, []
    for _ in range(TRIALS + 1):
        started = now()
        rehearse(games, slopes)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(now() - started)
    return median(taken[1:]) / len(games[0].phases[games[0].state.phase].rounds)


def failing(games: Sequence[Game], slopes: Slopes) -> str:
    """Why a step's slopes cannot be computed in this way, in a line; nothing where they can."""
    try:
        rehearse(games, slopes)
    except Exception as error:  # a compiler may fail in any manner
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""
