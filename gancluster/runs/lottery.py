"""Starts of a run: short games with random numbers of their own, of which the best is trained on alone.

What shares a cluster is mostly decided early, by chance. So `--starts N` plays N games up to one place and ranks them
there by a loss of the method's own (`Method.ranked_by`); the run goes on with the lowest, and no label is looked at.
Until all are ranked each start lies in a folder of its own, as a run does.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster import atomic, metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.randomness import Purpose, seed_of
from gancluster.errors import Diverged, UserError
from gancluster.methods.base import Method
from gancluster.runs import starts
from gancluster.runs.attempts import Attempt, Watch, batches_of, begin, play
from gancluster.runs.run import Run, read_npz

SHARE = 4  # the place is a quarter of the way through the game that has a score, if nothing else is asked
ADOPTED = ("threads.json", "log.csv", "snapshots.npz", "start.npz", "checkpoint.safetensors")


def refuse(method: Method, starts: int, rank_after: int | None, restarts: int) -> None:
    """`UserError` for what cannot be asked of starts."""
    if starts == 1 and rank_after is not None:
        raise UserError(f"--rank-after {rank_after} is where several starts are ranked: add --starts 5, say")
    if starts > 1 and restarts:
        raise UserError("--starts keeps the best of several starts, --restarts begins a single one anew: leave out one")
    if starts > 1 and method.ranked_by is None:
        lacking = f"{method.name}, as it is configured, has no loss that ranks starts without labels"
        raise UserError(f"{lacking}: leave out --starts {starts}")


def draw(run: Run, dataset: Dataset, watch: Watch, save_every: float, stop: threading.Event) -> None:
    """Play and rank the starts of `run` that are not ranked yet, and leave the best as the run's own game.

    Raises `Interrupted`, all saved, once asked to stop. A start whose losses are not finite ranks last.
    """
    wanted, together, tried = run.request.starts, run.request.together, run.tried()
    if wanted == 1:
        return
    if len(tried) < wanted:
        batches = batches_of(run.request, dataset)
        while len(tried) < wanted:
            numbers = range(len(tried), wanted)[:together]
            if len(numbers) > 1:
                _play_together(run, numbers, batches, watch, save_every, stop)
            tried = [*tried, *[_ranked(run, number, batches, watch, save_every, stop) for number in numbers]]
            _put_down(run, tried)
    if not any(one["chosen"] for one in tried):
        tried[best(tried)]["chosen"] = True
        _put_down(run, tried)
    _adopt(run, [one["chosen"] for one in tried].index(True))


def best(tried: Sequence[dict[str, Any]]) -> int:
    """Which start has the lowest score, of equals the first; the first one where none has any."""
    return int(np.argmin([np.inf if one["score"] is None else one["score"] for one in tried]))


def is_there(attempt: Attempt) -> bool:
    """Whether a start is where it is ranked: at the end of an epoch that has a score, or of the game.

    The first that is so many epochs on from where scores began, as the request says, else a quarter of those planned.
    """
    game, rows, wanted = attempt.game, attempt.rows, attempt.run.request.rank_after
    scored = [i for i, row in enumerate(rows) if game.method.ranked_by in row]
    if game.is_over or not scored:
        return game.is_over
    phase = [phase.name for phase in game.phases].index(str(rows[scored[0]]["phase"]))
    wanted = wanted or max(sum(phase.epochs for phase in game.phases[phase:]) // SHARE, 1)
    return scored[-1] == len(rows) - 1 >= scored[0] + wanted - 1


def told(run: Run, dataset: Dataset) -> dict[str, Any]:
    """What to add to a result: nothing for a single start.

    `starts`: of each the `seed`, `score`, whether it was `chosen`, the place, and where there are labels its `scores`
    there. `starts_mean`: the plain mean of these.
    """
    if run.request.starts == 1:
        return {}
    labels, k, clusters = dataset.labels, run.request.n_clusters, partitions(run)
    found = [{name: value for name, value in one.items() if name != "seconds"} for one in run.tried()]
    if labels is None or not (labels >= 0).any():
        return {"starts": found}
    for number, partition in clusters.items():
        found[int(number)]["scores"] = metrics.scores(labels, partition, k, run.request.n_labels > 0)
    scored = [one["scores"] for one in found if "scores" in one]
    mean = {name: float(np.mean([scores[name] for scores in scored])) for name in (scored or [{}])[0]}
    return {"starts": found, "starts_mean": mean}


def in_a_line(result: dict[str, Any]) -> str:
    """Which of several starts a result is of, and what all of them were like where they were ranked."""
    number = [start["chosen"] for start in result["starts"]].index(True)
    best, name = result["starts"][number], f"start {number + 1} of {len(result['starts'])}"
    if best["score"] is None:
        return f"no start could be ranked: {best['failed']}"
    where = f"{name}, ranked best without labels at {best['phase']}, epoch {best['epoch']} (score {best['score']:.3g})"
    if "scores" not in best:
        return where
    return f"{where}: ACC {best['scores']['acc']:.3f} there, mean of all starts {result['starts_mean']['acc']:.3f}"


def partitions(run: Run) -> dict[str, NDArray[np.int64]]:
    """The clusters `(n,)` that each start made where it was ranked, by its number."""
    path = run.folder / "starts.npz"
    return read_npz(path) if path.exists() else {}


# Their games ----------------------------------------------------------------------------------------------------------


def _start(run: Run, number: int) -> Run:
    """Start `number` as a run of its own, below the folder of `run`; start 0 has the run's own seed."""
    seed = seed_of(run.request.seed, number, Purpose.START)
    start = Run(run.starts_folder / str(number), run.request.model_copy(update={"seed": seed, "starts": 1}))
    start.folder.mkdir(parents=True, exist_ok=True)
    return start


def _begin(run: Run, number: int, batches: Batches) -> Attempt:
    """Start `number` as it stands, by the run's clock: that goes through all starts."""
    start = _start(run, number)
    atomic.sweep(start.folder)
    attempt = begin(start, batches)
    spent = [float(past[-1]["seconds"]) for past in (run.tried(), attempt.rows) if past]
    attempt.started = time.monotonic() - max(spent, default=0.0)
    return attempt


def _play_together(
    run: Run, numbers: Sequence[int], batches: Batches, watch: Watch, save_every: float, stop: threading.Event
) -> None:
    """Bring starts as far as they can be played as one program; what befalls one it meets again alone."""
    attempts = [_begin(run, number, batches) for number in numbers]
    name = f"starts {numbers[0] + 1} to {numbers[-1] + 1} of {run.request.starts}"
    if not any(map(is_there, attempts)):
        with suppress(Diverged):
            play(attempts, _named(watch, name), save_every, stop, is_there)


def _ranked(
    run: Run, number: int, batches: Batches, watch: Watch, save_every: float, stop: threading.Event
) -> dict[str, Any]:
    """Play start `number` up to its place and keep its partition: what `Run.tried` tells of it."""
    attempt, name = _begin(run, number, batches), f"start {number + 1} of {run.request.starts}"
    found: dict[str, Any] = {"seed": attempt.game.seed, "score": None, "chosen": False}
    try:
        if not is_there(attempt):
            play([attempt], _named(watch, name), save_every, stop, is_there)
        column = attempt.game.method.ranked_by
        row = next((row for row in reversed(attempt.rows) if column in row), attempt.rows[-1])
        found |= {"score": row.get(str(column)), "phase": row["phase"], "epoch": row["epoch"]}
        clusters = next(iter(starts.look(attempt.game).values()))
        atomic.write_npz(run.folder / "starts.npz", partitions(run) | {str(number): clusters})
    except Diverged as error:
        found["failed"] = str(error)
    return found | {"seconds": round(time.monotonic() - attempt.started, 2)}


def _named(watch: Watch, name: str) -> Watch:
    return lambda moment: watch(moment._replace(phase=f"{name}, {moment.phase}"))


def _put_down(run: Run, tried: Sequence[dict[str, Any]]) -> None:
    atomic.write_text(run.folder / "starts.json", json.dumps({"tried": tried}, indent=2) + "\n")


def _adopt(run: Run, number: int) -> None:
    """Make the files of start `number` the run's own, the checkpoint last, and forget the others."""
    for name in ADOPTED:
        atomic.move(run.starts_folder / str(number) / name, run.folder / name)
    shutil.rmtree(run.starts_folder, ignore_errors=True)
