"""Attempts at a run: a game played from where it was left, saved on the way, begun anew after a collapse, concluded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from pydantic import ValidationError

from gancluster import registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine import checkpoint, device
from gancluster.engine.game import Game
from gancluster.engine.play import Moment, assert_finite
from gancluster.engine.randomness import seed_of
from gancluster.engine.trained import Trained, settle
from gancluster.engine.ways import Way, play_by
from gancluster.errors import Diverged, Interrupted, RunError, UserError
from gancluster.methods.base import Fit, Method, Prediction, Task
from gancluster.metrics import toys
from gancluster.runs import collapse, doctor, monitors, starts, threads
from gancluster.runs import snapshots as partitions
from gancluster.runs.collapse import Collapsed
from gancluster.runs.outcomes import put_down
from gancluster.runs.run import Request, Row, Run
from gancluster.runs.snapshots import Snapshot

Watch = Callable[[Moment], None]


@dataclass
class Attempt:
    """A run's game, and what is kept beside its state: the log's `rows` and the `snapshots` of its epochs so far.

    `start`: the clusters that pre-trained players made, by rule; none before that. `started`: when the run would have
    begun if it had never been stopped. `looking`: seconds that went into snapshots since it was last resumed.
    `judging`: those that went into all looks at the players since then, snapshots and the end's scores included.
    `chosen`: how it is played since then, where that was left to us.
    """

    run: Run
    game: Game
    rows: list[Row]
    snapshots: list[Snapshot]
    start: Prediction
    started: float
    looking: float = 0.0
    judging: float = 0.0
    chosen: list[str] = field(default_factory=list)

    @property
    def is_last(self) -> bool:
        """Whether a collapse would have to be lived with."""
        return len(self.run.dropped()) >= self.run.request.restarts

    def end_epoch(self, row: Row) -> None:
        """Put down the epoch's row, with the seconds so far."""
        phase, epoch, *terms = row.items()
        self.rows.append(dict([phase, epoch, ("seconds", round(time.monotonic() - self.started, 2)), *terms]))

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """What is done inside is no training."""
        began = time.monotonic()
        yield
        self.judging += time.monotonic() - began

    def drop(self, collapsed: Collapsed) -> None:
        """Give this attempt up."""
        where = {unit: self.rows[-1][unit] for unit in ("phase", "epoch", "seconds")}
        self.run.drop({"attempt": len(self.run.dropped()), **where, "symptoms": collapsed.symptoms})

    def save(self) -> None:
        """Write log and snapshots, then the checkpoint, which says how much of them counts."""
        assert_finite(self.game)
        if self.rows:
            self.run.write_log(self.rows)
        self.save_snapshots()
        checkpoint.save(self.game, self.run.checkpoint)

    def save_snapshots(self) -> None:
        if self.run.request.snapshots:
            self.run.write_snapshots(partitions.packed(self.snapshots, len(self.game.batches)))


def configured(request: Request) -> Method | Fit:
    """The method that `request` asks for, as it was configured; `RunError` where it has no such options."""
    method: type[Method] | type[Fit] = registry.find("methods", request.method)
    try:
        config = method.config_type(**request.options)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunError(f"the run's config.json has no sound option '{where}' of {method.name}: train again") from error
    return method(config, Task(*(getattr(request, field) for field in Task._fields)))


def method_of(request: Request) -> Method:
    """The game that `request` asks for; `UserError` where its method is none."""
    method = configured(request)
    if isinstance(method, Fit):
        raise UserError(
            f"{request.method} has no networks to embed, to sample or to code with: "
            "what it made of its samples is in the run's embedding.npz"
        )
    return method


def carry_out(run: Run, dataset: Dataset, watch: Watch, save_every: float, stop: threading.Event) -> dict[str, Any]:
    """Attempt after attempt, until one shows no collapse or no restart is left: the result of that one."""
    request, batches = run.request, batches_of(run.request, dataset)
    while True:
        attempt = begin(run, batches)
        try:
            play([attempt], watch, save_every, stop)
            with attempt.evaluation():
                result = _conclude(attempt, dataset)
        except Collapsed as collapsed:
            attempt.drop(collapsed)
            continue
        except Diverged as error:
            if attempt.rows:
                run.write_log(attempt.rows)
            warnings = collapse.seen_in_log(attempt.game.method, attempt.rows)
            result = {"status": "failed", "reason": str(error), "warnings": warnings}
        result["diagnosis"] = doctor.diagnosis(attempt.game.method, request, attempt.rows, result.get("reason", ""))
        if request.snapshots:
            result["snapshot_seconds"] = round(attempt.looking, 2)
        if attempt.chosen:
            result["engine"] = attempt.chosen
        cost = {
            "seconds": round(time.monotonic() - attempt.started, 1),
            "evaluation_seconds": round(attempt.judging, 2),
        }
        return result | {"restarts": run.dropped()} | cost | {"machine": device.machine(attempt.game.device)}


def advance(runs: Sequence[Run], dataset: Dataset, watch: Watch, save_every: float, stop: threading.Event) -> None:
    """Play runs that differ in their seeds alone as one program, as far as all go alike, and save each.

    What befalls a single one, a collapse or a loss that is not finite, it meets again when it goes on alone.
    """
    shared = batches_of(runs[0].request, dataset)
    attempts = [begin(run, batches_of(run.request, dataset) if run.request.n_labels else shared) for run in runs]
    with suppress(Collapsed, Diverged):
        play(attempts, watch, save_every, stop)
        for attempt in attempts:
            attempt.save()


def batches_of(request: Request, dataset: Dataset) -> Batches:
    """The samples on the run's device, without labels but those that it may know."""
    known = dataset.reveal(request.n_labels, request.seed) if request.n_labels else None
    return Batches(dataset.unlabelled(), request.device, known)


def begin(run: Run, batches: Batches) -> Attempt:
    """The attempt that follows those dropped, or the best of several starts, as the run's checkpoint has it if it does.

    Log and snapshots count up to the checkpoint's epoch: they are always written first.
    """
    dropped, tried, request, rows, snapshots = run.dropped(), run.tried(), run.request, list[Row](), list[Snapshot]()
    seed = next((int(one["seed"]) for one in tried if one["chosen"]), seed_of(request.seed, len(dropped)))
    game = Game(method_of(request), batches, seed, bfloat16=request.precision == "bfloat16")
    if run.checkpoint.exists():
        checkpoint.load(game, run.checkpoint)
        if game.state.rows:
            log = run.log().head(game.state.rows).to_dict("records")
            rows = [{str(key): value for key, value in row.items() if value == value} for row in log]
        if request.snapshots:
            snapshots = [s for s in partitions.unpacked(run.snapshots()) if s.epoch <= game.state.rows]
    before = max((float(past[-1]["seconds"]) for past in (rows, tried, dropped) if past), default=0.0)
    return Attempt(run, game, rows, snapshots, run.start(), time.monotonic() - before)


def play(
    attempts: Sequence[Attempt],
    watch: Watch,
    save_every: float,
    stop: threading.Event,
    until: Callable[[Attempt], bool] = lambda attempt: False,
) -> None:
    """Play to the end, or to an epoch's end that is as far as one of them is to go, and save.

    Raises `Interrupted`, all saved, once asked to stop, and `Collapsed`, nothing saved.
    """
    one, saved = attempts[0], time.monotonic()
    games, way = [attempt.game for attempt in attempts], cast(Way, one.run.request.engine)
    threads.settle([attempt.run for attempt in attempts], games, one.chosen.append)
    for moments in play_by(way, games, one.chosen.append):
        for attempt, moment in zip(attempts, moments, strict=True):
            if moment.row is not None:
                with attempt.evaluation():
                    seen = monitors.look(attempt.game) if monitors.are_due(attempt.game, moment.row) else {}
                attempt.end_epoch(moment.row | seen)
        watch(moments[0])
        for attempt, moment in zip(attempts, moments, strict=True):
            if moment.row is not None:
                with attempt.evaluation():
                    _look(attempt, moment.row)
        stopping = stop.is_set()  # asked once: what is not saved cannot be stopped
        is_there = one.game.is_over or (moments[0].row is not None and any(map(until, attempts)))
        if stopping or is_there or time.monotonic() - saved >= save_every:
            for attempt in attempts:
                attempt.save()
            saved = time.monotonic()
        if stopping:
            where = f"step {moments[0].played} of {moments[0].total}"
            raise Interrupted(f"stopped at {where}; all of it is saved in {one.run.folder}")
        if is_there:
            break


def _look(attempt: Attempt, row: Row) -> None:
    """Look at the players at an epoch's end: for a collapse, as a start, for a snapshot."""
    if not attempt.is_last and (symptoms := attempt.game.method.symptoms(row)):
        raise Collapsed(symptoms)
    _note_start(attempt)
    _take_snapshot(attempt)


def _note_start(attempt: Attempt) -> None:
    """Keep the clusters of players that have just been pre-trained, in the run's folder, before anything is saved."""
    if not attempt.start and starts.is_here(attempt.game):
        attempt.start = starts.look(attempt.game)
        attempt.run.write_start(attempt.start)


def _take_snapshot(attempt: Attempt) -> None:
    """Keep the partition of this epoch where one is due; that of the end is the run's own."""
    game, kept = attempt.game, attempt.snapshots
    if game.is_over or len(kept) >= partitions.due(game, attempt.run.request.snapshots):
        return
    started = time.monotonic()
    kept.append(partitions.look(game, kept))
    attempt.looking += time.monotonic() - started


def _conclude(attempt: Attempt, dataset: Dataset) -> dict[str, Any]:
    """Embed and cluster all samples, write it down, and score it where there are labels."""
    run, game, n_clusters = attempt.run, attempt.game, attempt.run.request.n_clusters
    players = settle(game)
    checkpoint.save(game, run.checkpoint)
    embedding = players.embed(game.batches)
    centres = game.method.centres(embedding, game.seed)
    clusters = game.method.assign(embedding, centres)
    own = np.bincount(next(iter(clusters.values())), minlength=n_clusters).tolist()
    if not attempt.is_last and (symptoms := collapse.empty(own)):
        raise Collapsed(symptoms)
    if run.request.snapshots:
        earlier = [snapshot for snapshot in attempt.snapshots if snapshot.epoch < game.state.rows]
        last = partitions.judged(game, embedding, next(iter(clusters.values())), earlier)
        attempt.snapshots = [*earlier, last]
        attempt.save_snapshots()
    arrays = {"embedding": embedding, "centres": centres}
    result = put_down(run, dataset, clusters, arrays, game.method.extensions())
    return {
        **result,
        **starts.told(attempt.start, dataset, result, run.request),
        **_of_generated(players, dataset, game.seed),
        "warnings": collapse.seen_in_log(game.method, attempt.rows) + collapse.empty(own) + collapse.lopsided(own),
    }


def _of_generated(players: Trained, dataset: Dataset, seed: int) -> dict[str, Any]:
    """What generated points of the plane are worth, as `generated`; nothing for other data, or without a generator.

    As many of every cluster; `w1_of_real`: what as many real points are from the same ones.
    """
    k = players.method.task.n_clusters
    per_cluster = min(1000, len(dataset) // 2) // k
    if dataset.shape != (2,) or not per_cluster or (samples := players.generate(per_cluster, seed)) is None:
        return {}
    points = samples.reshape(-1, 2)
    real, more = toys.drawn(np.asarray(dataset.inputs), len(points), seed)
    found: dict[str, float] = {"w1": toys.exact_w1(points, real), "w1_of_real": toys.exact_w1(more, real)}
    if dataset.modes is not None:
        centres, deviation = dataset.modes
        found |= {"modes": len(centres), "modes_covered": toys.modes_covered(points, centres, deviation)}
        found["high_quality_share"] = toys.high_quality_share(points, centres, deviation)
    return {"generated": found}
