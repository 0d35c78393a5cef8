"""The way of the data: data set → batches → turns played → log and checkpoint → embedding → clusters → scores."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gancluster import registry
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset, distinct
from gancluster.data.features import extracted, network
from gancluster.data.splits import Split
from gancluster.engine import device
from gancluster.engine.device import Precision
from gancluster.engine.game import check_batches
from gancluster.engine.trained import Trained, reopen
from gancluster.engine.ways import Way, refuse
from gancluster.errors import DataError, UserError
from gancluster.methods.base import Config, Fit, Method, Task
from gancluster.runs import fits, lottery
from gancluster.runs.attempts import Watch, advance, carry_out, configured, method_of
from gancluster.runs.run import Request, Run

KEPT = {"features", "split", "limit", "seed", "precision", "threads", "engine", "together", "snapshots", "restarts"}
KEPT |= {"starts", "rank_after"}
SEEDS = 2**32  # that there are: NumPy takes no other

M = TypeVar("M", bound=BaseModel)


class TrainOptions(BaseModel):
    """What may be asked of a training, whatever the method; the command line's options are made from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field("digits", description="a name (gancluster data list), an .npz file or a folder of images")
    data_dir: Path | None = Field(
        None, description="where data sets lie (default: $GANCLUSTER_DATA, or a cache folder)"
    )
    features: str | None = Field(
        None, description="cluster features of the samples: resnet50, which makes them of images, or an .npz of them"
    )
    split: Split = Field("all", description="the papers cluster train and test images together: all")
    limit: int | None = Field(None, description="use so many samples, drawn by the seed")
    clusters: int | None = Field(None, description="number of clusters (default: the data set's number of classes)")
    preset: str = Field("default", description="named settings (gancluster methods METHOD); options change them")
    labels: int = Field(0, ge=0, description="semi-supervised: learn from so many labels, drawn by the seed")
    seed: int = Field(0, ge=0, lt=SEEDS, description="first seed; the same seed gives the same bytes on a CPU")
    seeds: int = Field(1, ge=1, description="number of seeds, one run each; prints mean ± standard deviation")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Precision = Field("float32", description="arithmetic of the networks")
    threads: int = Field(1, ge=0, description="CPU threads; 0: as many as are fastest, found by measuring")
    engine: Way = Field(
        "plain",
        description="plain: the same bytes each time; auto: the fastest, found by measuring; parallel: under torchrun",
    )
    together: int = Field(1, ge=1, description="so many seeds are played as one program: faster for small networks")
    snapshots: int = Field(
        0, ge=0, description="partitions kept on the way, evenly spaced over the epochs, for gancluster eval --select"
    )
    restarts: int = Field(
        0, ge=0, description="begin again, with other random numbers, after a collapse; at most so many times"
    )
    starts: int = Field(
        1, ge=1, description="so many short starts, of which the best by the method's own loss, without labels, goes on"
    )
    rank_after: int | None = Field(
        None, ge=1, description="epochs of the game after which starts are ranked (default: a quarter of it)"
    )


def task_of(dataset: Dataset, clusters: int | None) -> Task:
    """What the method is told of `dataset`; `DataError` where the number of clusters is unknown or makes no sense."""
    n_clusters = dataset.n_classes if clusters is None else clusters
    if n_clusters is None:
        raise DataError(f"{dataset.name} has no labels to count classes by: say how many clusters with --clusters K")
    if not 1 <= n_clusters <= len(dataset):
        raise DataError(
            f"{len(dataset)} samples cannot be {n_clusters} clusters: let --clusters be 1 to {len(dataset)}"
        )
    if (different := distinct(dataset.inputs, n_clusters)) < n_clusters:
        raise DataError(
            f"{dataset.name} has {different} different samples, too few for {n_clusters} clusters: lower --clusters"
        )
    return Task(dataset.shape, n_clusters, len(dataset), dataset.pixel_range, dataset.flips)


def configure(method: type[Method] | type[Fit], task: Task, preset: str, given: dict[str, Any]) -> Config:
    """The method's options: its preset's, then those given; `UserError` for what does not exist or is out of range.

    Where a preset's batch is larger than the data, it has as many samples as there are, a multiple of the clusters.
    """
    presets = method.presets(task)
    if preset not in presets:
        raise UserError(registry.unknown("preset", preset, presets, f"gancluster methods {method.name}"))
    config = validated(method.config_type, presets[preset].values | given)
    batches = {name: size for name, size in config if name.endswith("batch_size") and name not in given}
    most = task.n_samples // task.n_clusters * task.n_clusters
    return config.model_copy(update={name: most for name, size in batches.items() if size > task.n_samples})


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
    method: type[Method] | type[Fit] = registry.find("methods", name)
    if options.seed + options.seeds > SEEDS:
        last = SEEDS - options.seeds
        raise UserError(f"--seed {options.seed} leaves no room for {options.seeds} seeds: let it be {last} or less")
    task = task_of(dataset, options.clusters)._replace(n_labels=options.labels)
    _check_labels(method, dataset, task, options)
    config = configure(method, task, options.preset, given)
    made = method(config, task)
    if isinstance(made, Fit):
        _refuse_play(made, options)
    else:
        check_batches(made.phases(), len(dataset))
        lottery.refuse(made, options.starts, options.rank_after, options.restarts)
        refuse(options.engine, str(device.pick(options.device)), options.together, options.threads)
    common = Request(
        method=name,
        preset=options.preset,
        options=config.model_dump(mode="json"),
        dataset=dataset.name,
        source=options.dataset,
        sha256=dataset.sha256,
        labels_sha256=dataset.labels_sha256 if options.labels else None,
        scored_by=dataset.labels_sha256,
        device=str(device.pick("cpu" if isinstance(made, Fit) else options.device)),
        drawn_by=options.seed,
        command=command,
        **task._asdict(),
        **options.model_dump(include=KEPT),
    )
    return [common.model_copy(update={"seed": options.seed + i}) for i in range(options.seeds)]


def _refuse_play(method: Fit, options: TrainOptions) -> None:
    """`UserError` for options that only a game can meet."""
    if not options.threads:
        raise UserError(f"{method.name} has no steps to measure: give --threads 1, say")
    usual = {"snapshots": 0, "restarts": 0, "precision": "float32", "engine": "plain", "together": 1, "starts": 1}
    for option, value in options.model_dump(include={*usual, "device", "rank_after"}).items():
        if value not in (usual.get(option), "auto", "cpu"):
            asked = f"--{option.replace('_', '-')} {value}"
            raise UserError(f"{method.name} is fitted in one go, by the processor: leave out {asked}")


def _check_labels(method: type[Method] | type[Fit], dataset: Dataset, task: Task, options: TrainOptions) -> None:
    """`UserError` where the run is to be semi-supervised and cannot be."""
    if not options.labels:
        return
    if not method.semi_supervised:
        raise UserError(f"{method.name} learns without labels: leave out --labels")
    dataset.reveal(options.labels, options.seed)
    if task.n_clusters != dataset.n_classes:
        raise UserError(f"with --labels a cluster is a class: let --clusters be {dataset.n_classes}, or leave it out")


def train(
    run: Run,
    dataset: Dataset,
    watch: Watch = lambda moment: None,
    save_every: float = 20.0,
    wait: bool = False,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Train `run` on `dataset`, from its checkpoint if it has one, and return its result; at once if it is finished.

    Saves every `save_every` seconds and at the end. Raises `Interrupted`, all saved, after SIGINT or SIGTERM, or once
    `stop` is set. A loss that is not finite ends the run as failed: no later checkpoint replaces the last good one. A
    method without a game has no checkpoint: interrupted, it begins again. One process at a time trains a run:
    `RunError`, or `wait`.
    """
    if run.status != "unfinished":
        return run.result()
    with run.alone(wait):
        if run.status != "unfinished":  # whoever was at it before has finished it
            return run.result()
        run.finish(result := _carried_out(run, dataset, watch, save_every, stop))
    return result


def train_together(runs: Sequence[Run], dataset: Dataset, watch: Watch, save_every: float = 20.0) -> None:
    """Bring unfinished runs, which differ in their seeds alone, as far as they can be played as one program.

    `train` then ends each. Raises as `train` does.
    """
    with ExitStack() as inside:
        for run in runs:
            inside.enter_context(run.alone())
        going = [run for run in runs if run.status == "unfinished"]
        if len(going) > 1 and not isinstance(configured(going[0].request), Fit):
            device.use_threads(going[0].request.threads)
            with stop_signals(None) as asked:
                for run in going:
                    lottery.draw(run, dataset, watch, save_every, asked)
                advance(going, dataset, watch, save_every, asked)


def _carried_out(
    run: Run, dataset: Dataset, watch: Watch, save_every: float, stop: threading.Event | None
) -> dict[str, Any]:
    """The result of a run, by a fit or a game, before it is written."""
    device.use_threads(run.request.threads)
    method = configured(run.request)
    if isinstance(method, Fit):
        return fits.carry_out(run, method, dataset)
    with stop_signals(stop) as asked:
        lottery.draw(run, dataset, watch, save_every, asked)
        return carry_out(run, dataset, watch, save_every, asked) | lottery.told(run, dataset)


def trained(run: Run) -> Trained:
    """The players of a finished run."""
    run.arrays()  # says what to do where the run is not finished
    return reopen(method_of(run.request), run.checkpoint, device.pick("cpu"))


def own_samples(run: Run, folder: Path) -> Dataset:
    """The samples, from the data sets' `folder`, that a run was trained on; `DataError` where they are others now."""
    request = run.request
    split, drawn_by = cast(Split, request.split), request.drawn_by
    samples = catalogue.load(request.source, folder, split, request.limit, drawn_by, request.features)
    if samples.sha256 != request.sha256:
        todo = "put those back, or name others (gancluster embed --dataset)"
        raise DataError(f"{request.source} gives other samples than {run.folder.name} had: {todo}")
    return samples


def new_samples(run: Run, name: str, folder: Path, split: Split = "all") -> Dataset:
    """Other samples for a finished run, from the data sets' `folder`: features where it was trained on features.

    A network that made them makes these of images too; else the data set called `name` must hold them.
    """
    samples, features = catalogue.to_predict(name, folder, split), run.request.features
    by = None if features is None else network(features)
    if by is not None and samples.is_images:
        return extracted(samples, by, folder)
    if by is None and features is not None and name == run.request.source:
        raise DataError(f"{run.folder.name} was trained on features from {features}: give others' as an .npz, inputs=…")
    return samples


def assign(run: Run, dataset: Dataset) -> NDArray[np.int64]:
    """Clusters `(n,)` of new samples by a finished run's players and centres, by the paper's rule.

    `UserError` where a method without a game has no centres.
    """
    request, centres = run.request, run.arrays()["centres"]
    if dataset.shape != request.shape:
        raise DataError(f"{dataset.name} has samples of shape {dataset.shape}; this run was trained on {request.shape}")
    batches = Batches(replace(dataset, pixel_range=request.pixel_range))
    if isinstance(configured(request), Fit):
        return fits.assign(run, batches)
    players = trained(run)
    embedding = players.embed(batches)
    return next(iter(players.method.assign(embedding, centres).values()))


@contextmanager
def stop_signals(asked: threading.Event | None = None) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets, so that training stops between steps; the second acts at once."""
    asked = asked or threading.Event()
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
