"""The way of the data: data set → batches → turns played → log and checkpoint → embedding → clusters → scores."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gancluster import atomic, metrics, registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset, Known, Split
from gancluster.engine import checkpoint, device
from gancluster.engine.device import Precision
from gancluster.engine.play import Game, Moment, assert_finite, check_batches, play
from gancluster.engine.trained import Trained, reopen, settle
from gancluster.errors import DataError, Diverged, Interrupted, UserError
from gancluster.methods.base import Config, Method, Task
from gancluster.runs import Request, Row, Run

Watch = Callable[[Moment], None]
M = TypeVar("M", bound=BaseModel)


class TrainOptions(BaseModel):
    """What may be asked of a training, whatever the method; the command line's options are made from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field("digits", description="a name (gancluster data list), an .npz file or a folder of images")
    data_dir: Path | None = Field(
        None, description="where data sets lie (default: $GANCLUSTER_DATA, or a cache folder)"
    )
    split: Split = Field("all", description="the papers cluster train and test images together: all")
    limit: int | None = Field(None, description="use so many samples, drawn by the seed")
    clusters: int | None = Field(None, description="number of clusters (default: the data set's number of classes)")
    preset: str = Field("default", description="named settings (gancluster methods METHOD); options change them")
    labels: int = Field(0, ge=0, description="semi-supervised: learn from so many labels, drawn by the seed")
    seed: int = Field(0, ge=0, description="first seed; the same seed gives the same bytes on a CPU")
    seeds: int = Field(1, ge=1, description="number of seeds, one run each; prints mean ± standard deviation")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Precision = Field("float32", description="arithmetic of the networks")
    threads: int = Field(1, ge=1, description="CPU threads; small networks gain nothing from more than one")


def task_of(dataset: Dataset, clusters: int | None) -> Task:
    """What the method is told of `dataset`; `DataError` where the number of clusters is unknown or makes no sense."""
    n_clusters = dataset.n_classes if clusters is None else clusters
    if n_clusters is None:
        raise DataError(f"{dataset.name} has no labels to count classes by: say how many clusters with --clusters K")
    if not 2 <= n_clusters <= len(dataset):
        raise DataError(
            f"{len(dataset)} samples cannot be {n_clusters} clusters: let --clusters be 2 to {len(dataset)}"
        )
    return Task(dataset.shape, n_clusters, len(dataset), dataset.pixel_range, dataset.flips)


def configure(method: type[Method], task: Task, preset: str, given: dict[str, Any]) -> Config:
    """The method's options: its preset's, then those given; `UserError` for what does not exist or is out of range."""
    presets = method.presets(task)
    if preset not in presets:
        raise UserError(registry.unknown("preset", preset, presets, f"gancluster methods {method.name}"))
    return validated(method.config_type, presets[preset].values | given)


def validated(model: type[M], values: dict[str, Any]) -> M:
    """`model` of `values`; `UserError` in the words of the command line for one that is unknown or out of range."""
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0] if first["loc"] else "").replace("_", "-")
        raise UserError(f"{option} {first['input']}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def plan(name: str, dataset: Dataset, options: TrainOptions, given: dict[str, Any], command: str = "") -> list[Request]:
    """One complete request a seed for training method `name` on `dataset`."""
    method: type[Method] = registry.find("methods", name)
    task = task_of(dataset, options.clusters)._replace(n_labels=options.labels)
    revealed = _revealed(method, dataset, task, options)
    config = configure(method, task, options.preset, given)
    check_batches(method(config, task).phases(), len(dataset), task.n_labels)
    common = Request(
        method=name,
        preset=options.preset,
        options=config.model_dump(mode="json"),
        dataset=dataset.name,
        source=options.dataset,
        sha256=dataset.sha256,
        labels_sha256=revealed,
        device=str(device.pick(options.device)),
        command=command,
        **task._asdict(),
        **options.model_dump(include={"split", "limit", "seed", "precision", "threads"}),
    )
    return [common.model_copy(update={"seed": options.seed + i}) for i in range(options.seeds)]


def _revealed(method: type[Method], dataset: Dataset, task: Task, options: TrainOptions) -> str | None:
    """Hash of the labels that a semi-supervised run may draw from; `UserError` where it cannot be one."""
    if not options.labels:
        return None
    if not method.semi_supervised:
        raise UserError(f"{method.name} learns without labels: leave out --labels")
    if task.n_clusters != dataset.n_classes:
        raise UserError(f"with --labels a cluster is a class: let --clusters be {dataset.n_classes}, or leave it out")
    dataset.reveal(options.labels, options.seed)
    assert dataset.labels is not None
    return hashlib.sha256(dataset.labels.tobytes()).hexdigest()


def train(run: Run, dataset: Dataset, watch: Watch = lambda moment: None, save_every: float = 20.0) -> dict[str, Any]:
    """Train `run` on `dataset`, from its checkpoint if it has one, and return its result; at once if it is finished.

    Saves every `save_every` seconds and at the end. Raises `Interrupted`, all saved, after SIGINT or SIGTERM. A loss
    that is not finite ends the run as failed: no later checkpoint replaces the last good one.
    """
    atomic.sweep(run.folder)
    if run.status != "unfinished":
        return run.result()
    device.use_threads(run.request.threads)
    game = Game(
        method_of(run.request),
        Batches(dataset.unlabelled(), run.request.device, _known(dataset, run.request)),
        run.request.seed,
        bfloat16=run.request.precision == "bfloat16",
    )
    rows = _restore(run, game)
    started = time.monotonic() - float(rows[-1]["seconds"] if rows else 0.0)
    try:
        with _stop_signals() as stop:
            _play_and_save(run, game, rows, started, watch, save_every, stop)
            result = _conclude(run, dataset, game)
    except Diverged as error:
        if rows:
            run.write_log(rows)
        result = {"status": "failed", "reason": str(error)}
    result |= {"seconds": round(time.monotonic() - started, 1), "machine": device.machine(game.device)}
    run.finish(result)
    return result


def trained(run: Run) -> Trained:
    """The players of a finished run."""
    run.arrays()  # says what to do where the run is not finished
    return reopen(method_of(run.request), run.checkpoint, device.pick("cpu"))


def assign(run: Run, dataset: Dataset) -> NDArray[np.int64]:
    """Clusters `(n,)` of new samples by a finished run's players and centres, by the paper's rule."""
    request, centres = run.request, run.arrays()["centres"]
    if dataset.shape != request.shape:
        raise DataError(f"{dataset.name} has samples of shape {dataset.shape}; this run was trained on {request.shape}")
    players = trained(run)
    embedding = players.embed(Batches(replace(dataset, pixel_range=request.pixel_range)))
    return next(iter(players.method.assign(embedding, centres).values()))


def method_of(request: Request) -> Method:
    """The method that `request` asks for, as it was configured."""
    method: type[Method] = registry.find("methods", request.method)
    config = method.config_type(**request.options)
    return method(config, Task(*(getattr(request, field) for field in Task._fields)))


def _known(dataset: Dataset, request: Request) -> Known | None:
    return dataset.reveal(request.n_labels, request.seed) if request.n_labels else None


def _restore(run: Run, game: Game) -> list[Row]:
    """Put the run's checkpoint, if any, into `game`; the log's rows up to there (the log is always written first)."""
    if not run.checkpoint.exists():
        return []
    checkpoint.load(game, run.checkpoint)
    if not game.state.rows:
        return []
    log = run.log().head(game.state.rows)
    return [{str(key): value for key, value in row.items() if value == value} for row in log.to_dict("records")]


def _play_and_save(
    run: Run, game: Game, rows: list[Row], started: float, watch: Watch, save_every: float, stop: threading.Event
) -> None:
    saved = time.monotonic()
    for moment in play(game):
        now = time.monotonic()
        if moment.row is not None:
            phase, epoch, *terms = moment.row.items()
            rows.append(dict([phase, epoch, ("seconds", round(now - started, 2)), *terms]))
        watch(moment)
        if stop.is_set() or game.is_over or now - saved >= save_every:
            _save(run, game, rows)
            saved = now
        if stop.is_set():
            raise Interrupted(f"stopped at step {moment.played} of {moment.total}; all of it is saved in {run.folder}")


def _save(run: Run, game: Game, rows: list[Row]) -> None:
    assert_finite(game)
    if rows:
        run.write_log(rows)
    checkpoint.save(game, run.checkpoint)


def _conclude(run: Run, dataset: Dataset, game: Game) -> dict[str, Any]:
    """Embed and cluster all samples, write it down, and score it where there are labels."""
    players = settle(game)
    checkpoint.save(game, run.checkpoint)
    embedding = players.embed(game.batches)
    centres = game.method.centres(embedding, game.seed)
    clusters = game.method.assign(embedding, centres)
    labels = dataset.labels if dataset.labels is not None and (dataset.labels >= 0).any() else None
    named = {f"clusters/{rule}": found for rule, found in clusters.items()}
    run.write_arrays(
        {"embedding": embedding, "centres": centres} | named | ({} if labels is None else {"labels": labels})
    )
    extensions, n_clusters = game.method.extensions(), run.request.n_clusters
    return {
        "status": "finished",
        "row": game.method.name + ("+" if extensions else ""),
        "extensions": extensions,
        "scores": None
        if labels is None
        else {rule: metrics.scores(labels, found, n_clusters) for rule, found in clusters.items()},
        "sizes": {rule: np.bincount(found, minlength=n_clusters).tolist() for rule, found in clusters.items()},
    }


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets, so that training stops between steps; the second acts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread may listen
        return

    def ask(number: int, frame: object) -> None:
        asked.set()
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
