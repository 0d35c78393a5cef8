"""A run's folder: what was asked (config.json), what happened (log.csv, checkpoint), what came out (result.json, …).

`runs/<data set>/<method>/<preset>-s<seed>-<key>/`, where the key is a hash of all that can change what is trained: the
same request always has the same folder, so a finished run is never trained twice and a stopped one is found again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from gancluster import __version__, atomic
from gancluster.data import reading
from gancluster.errors import DataError, RunError
from gancluster.plain import all_plain

FORMAT = 1
NOT_IN_KEY = {"source", "features", "command", "drawn_by", "scored_by"}  # how it was asked, and what trains nothing
YOUNGER = {"starts": 1, "rank_after": None}  # fields that keys do not have where they say nothing new

Status = Literal["finished", "failed", "unfinished"]
Row = dict[str, float | int | str]
M = TypeVar("M", bound=BaseModel)


class Request(BaseModel):
    """Everything that a run was asked for, enough to repeat it; `source`: the data set's name or path.

    `features`: what stands in the place of its samples. `drawn_by`: the seed that drew a limited data set. `scored_by`:
    hash of the labels that its scores are of (None: of a run that does not tell); `labels_sha256`: that it learns from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    version: str = __version__
    method: str
    preset: str
    options: dict[str, Any]
    dataset: str
    source: str
    features: str | None = None
    split: str
    limit: int | None
    drawn_by: int = 0
    sha256: str
    labels_sha256: str | None = None
    scored_by: str | None = None
    n_labels: int = 0
    n_samples: int
    shape: tuple[int, ...]
    pixel_range: tuple[float, float]
    flips: bool
    n_clusters: int
    seed: int
    device: str
    precision: str
    threads: int
    engine: str = "plain"
    together: int = 1
    snapshots: int = 0
    restarts: int = 0
    starts: int = 1
    rank_after: int | None = None
    command: str = ""

    @property
    def key(self) -> str:
        """Hash of all that can change what is trained: equal keys, equal clusters (on one kind of processor)."""
        excluded = NOT_IN_KEY | {name for name, usual in YOUNGER.items() if getattr(self, name) == usual}
        return hashlib.sha256(self.model_dump_json(exclude=excluded).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Where the run lies within the runs' root."""
        dataset = re.sub(r"[^\w.-]+", "-", self.dataset).strip(".") or "data"
        return Path(dataset, self.method, f"{self.preset}-s{self.seed}-{self.key[:8]}")


class Outcome(BaseModel):
    """What every result tells, beside more; `row`, `sizes` and `scores` of one that is finished, `reason` of others."""

    status: Literal["finished", "failed"]
    reason: str = ""
    row: str = ""
    extensions: list[str] = []
    scores: dict[str, dict[str, float]] | None = None
    sizes: dict[str, list[int]] = {}
    warnings: list[str] = []
    restarts: list[dict[str, Any]] = []
    seconds: float


class Run:
    """One run's folder. `open` an existing one, `place` a new one."""

    def __init__(self, folder: Path, request: Request) -> None:
        self.folder, self.request = folder, request
        self.checkpoint = folder / "checkpoint.safetensors"
        self.starts_folder = folder / "starts"  # where several starts lie, a folder each, until all are ranked
        self._lock = FileLock(folder / ".lock")

    @classmethod
    def place(cls, root: Path, request: Request) -> Run:
        """The run of `request` below `root`: as it stands if it was begun before, else a new folder for it."""
        run = cls(root / request.folder, request)
        if (run.folder / "config.json").exists():
            found = cls.open(run.folder)
            if found.request.key != request.key:
                raise RunError(f"{run.folder} holds another run: remove it, or choose another --runs-dir")
            if found.request.scored_by not in (None, request.scored_by):
                raise RunError(f"{run.folder} was scored by other labels: remove it, or choose another --runs-dir")
            return found
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            atomic.write_text(run.folder / "config.json", request.model_dump_json(indent=2) + "\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RunError(f"cannot make the run folder {run.folder} ({reason}); choose another --runs-dir") from error
        except RunError:
            if not (run.folder / "config.json").exists():  # else who began the same run meanwhile swept our part away
                raise
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run in `folder`; `RunError` if there is none, or one of another version."""
        config = _json(folder / "config.json", f"{folder} is not a run: gancluster runs lists those there are")
        if config.get("format") != FORMAT:
            theirs, version = config.get("format"), config.get("version")
            raise RunError(f"{folder} has run format {theirs}, not {FORMAT}: open it with gancluster {version}")
        return cls(folder, _checked(Request, config, folder / "config.json"))

    @contextmanager
    def alone(self, wait: bool = False) -> Iterator[None]:
        """Nobody else is at work on the run meanwhile; `RunError` that says who is, unless we `wait` for them to go.

        The system lets go of what a killed process held, and what it left half-written is removed. May be entered
        again by whoever is inside.
        """
        path = self.folder / ".lock"
        try:
            self._lock.acquire(timeout=-1 if wait else 0)
        except Timeout as error:
            who = _holder(path)
            raise RunError(f"{self.folder} is being trained by {who}: wait for its end, or stop it") from error
        except OSError as error:
            raise RunError(atomic.refusal(path, error)) from error
        try:
            with suppress(OSError):
                path.write_text(f"process {os.getpid()} on {platform.node()}\n")
            atomic.sweep(self.folder)
            yield
        finally:
            self._lock.release()

    @property
    def status(self) -> Status:
        """A run is over when its result exists, which is written last."""
        return self.result()["status"] if (self.folder / "result.json").exists() else "unfinished"

    def result(self) -> dict[str, Any]:
        """What came out: `status`, `row`, `extensions`, `scores` and `sizes` by rule, `seconds`, `machine`.

        `warnings`: what looks like a collapse, without labels. `diagnosis`: as `doctor.diagnosis` has it, None for a
        run that is well. `restarts`: the attempts dropped before, as `dropped` has them. `snapshot_seconds`: what
        snapshots cost since the run was last resumed, where it took any. `start`, `gain`, `floor`, `floor_seconds`:
        what a run with labels and pre-training owes to it, as `starts.told` has them.
        `evaluation_seconds`: those of them that went into monitors, snapshots, the end's embedding, clusters and scores
        since the run was last resumed. `starts`, `starts_mean`: of what it is the best, as `lottery.told` has them.
        """
        path = self.folder / "result.json"
        content = _json(path, f"{self.folder} is not finished: repeat its command with --resume")
        _checked(Outcome, content, path)
        return content

    def finish(self, result: dict[str, Any]) -> None:
        atomic.write_text(self.folder / "result.json", json.dumps(result, indent=2) + "\n")

    def reopen(self) -> None:
        """Forget how the run ended, so that it can go on from its checkpoint."""
        (self.folder / "result.json").unlink(missing_ok=True)

    def log(self) -> pd.DataFrame:
        """One row an epoch: `phase`, `epoch`, `seconds` so far, and the mean of every loss term `player.term`."""
        path = self.folder / "log.csv"
        try:
            return pd.read_csv(path, engine="python")  # it reads floats exactly
        except (OSError, ValueError) as error:
            done = self.status != "unfinished"
            todo = "remove the folder and train again" if done else "repeat the run's command with --resume"
            raise RunError(f"{path} cannot be read ({error}): {todo}") from error

    def write_log(self, rows: list[Row]) -> None:
        atomic.write_text(self.folder / "log.csv", pd.DataFrame(rows).to_csv(index=False))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`embedding` `(n, m)`, `centres`, `labels` `(n,)` where the data have them, and `clusters/<rule>` `(n,)`."""
        path = self.folder / "embedding.npz"
        if not path.exists():
            reason = self.result().get("reason")
            missing = f"{path} is missing: remove the folder and train again"
            raise RunError(f"{self.folder} failed: {reason}" if reason else missing)
        if not self._fit(arrays := read_npz(path)):
            raise RunError(f"{path} is damaged (its arrays are not this run's): remove the folder and train again")
        return arrays

    def _fit(self, arrays: dict[str, NDArray[Any]]) -> bool:
        """Whether arrays are those of so many samples, and their clusters some of so many."""
        n, k = self.request.n_samples, self.request.n_clusters
        found = [values for name, values in arrays.items() if name.startswith("clusters/")]
        whole = [*found, *(arrays[name] for name in ("embedding", "labels") if name in arrays)]
        numbered = all(values.dtype.kind in "iu" and values.min() >= 0 and values.max() < k for values in found)
        there = {"embedding", "centres"} <= arrays.keys() and bool(found) and arrays["embedding"].ndim == 2
        return there and all(values.shape[:1] == (n,) for values in whole) and numbered

    def write_arrays(self, arrays: dict[str, Any]) -> None:
        atomic.write_npz(self.folder / "embedding.npz", arrays)

    def snapshots(self) -> dict[str, NDArray[Any]]:
        """Partitions kept on the way, a row each: `epoch`, `clusters` `(s, n)`, `silhouette`, `stability` `(s,)`."""
        path = self.folder / "snapshots.npz"
        if not self.request.snapshots:
            raise RunError(f"{self.folder} kept no partitions on the way: train with --snapshots 10, say")
        if not path.exists():
            raise RunError(f"{path} is missing: remove the folder and train again")
        return read_npz(path)

    def write_snapshots(self, arrays: dict[str, NDArray[Any]]) -> None:
        atomic.write_npz(self.folder / "snapshots.npz", arrays)

    def start(self) -> dict[str, NDArray[np.int64]]:
        """The clusters `(n,)` that pre-trained players made of all samples, by rule; none before, or without them."""
        path = self.folder / "start.npz"
        return read_npz(path) if path.exists() else {}

    def write_start(self, clusters: dict[str, NDArray[np.int64]]) -> None:
        atomic.write_npz(self.folder / "start.npz", clusters)

    def dropped(self) -> list[dict[str, Any]]:
        """Attempts given up after a collapse, in order: `attempt`, `phase`, `epoch`, `seconds` so far, `symptoms`."""
        return _records(self.folder / "restarts.json", "dropped", {"seconds"})

    def tried(self) -> list[dict[str, Any]]:
        """The starts ranked so far, in order: `seed`, `score`, `chosen`, where (`phase`, `epoch`), `seconds` so far."""
        return _records(self.folder / "starts.json", "tried", {"seed", "score", "chosen", "seconds"})

    @property
    def is_begun(self) -> bool:
        """Whether anything of it has been played."""
        return self.checkpoint.exists() or self.starts_folder.exists() or bool(self.dropped())

    def drop(self, attempt: dict[str, Any]) -> None:
        """Give up the attempt that the folder holds: all of it is removed, and on record.

        The checkpoint goes first: killed before the record is written, a run plays the same attempt again.
        """
        dropped = [*self.dropped(), attempt]
        for path in (self.checkpoint, *(self.folder / name for name in ("log.csv", "snapshots.npz", "start.npz"))):
            path.unlink(missing_ok=True)
        atomic.write_text(self.folder / "restarts.json", json.dumps({"dropped": dropped}, indent=2) + "\n")


def _holder(lock: Path) -> str:
    """Who wrote his name into `lock` when he took it."""
    with suppress(OSError, ValueError):
        return " ".join(lock.read_text().split()) or "another process"
    return "another process"


def _checked(model: type[M], content: dict[str, Any], path: Path) -> M:
    """The content of `path` as a `model`; `RunError` that says where it is none."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunError(f"{path} is damaged at '{where}': remove the folder, train again") from error


def _json(path: Path, missing: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RunError(missing) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({error}): remove the folder and train again") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged (not an object): remove the folder and train again")
    return {str(key): value for key, value in all_plain(content).items()}


def _records(path: Path, name: str, keys: set[str]) -> list[dict[str, Any]]:
    """The list called `name` in a file, of objects that have these keys; empty where there is no file."""
    found = _json(path, "").get(name) if path.exists() else []
    if not isinstance(found, list) or not all(isinstance(one, dict) and keys <= one.keys() for one in found):
        raise RunError(f"{path} is damaged (no list of {name}): remove the folder and train again")
    return found


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a run's file by name; `RunError` where it is damaged."""
    try:
        names = reading.names_in(path)
        return dict(zip(names, reading.arrays(path, *names), strict=True))
    except DataError as error:
        raise RunError(f"{path} is damaged ({error.__cause__ or error}): remove the folder and train again") from error
