"""Capsules: a finished table in one file, with all that its numbers follow from, for whoever has neither data nor GPU.

A safetensors file. Its header holds one JSON text: the table, the sheet made of it, and for each cell the request and
what became of it. Its tensors are the clusters of each run, the codes of its samples where the table is about
retrieval, and the labels of each data set, once. Nothing in it is compressed, named as a path, or run when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from gancluster import __version__, atomic
from gancluster.bench import measures
from gancluster.bench.cells import Outcome
from gancluster.bench.layout import Column, Row, Table
from gancluster.bench.measures import UNSEEN, UNSEEN_LABELS
from gancluster.bench.published import Figure
from gancluster.bench.sheets import Sheet
from gancluster.data.reading import reading
from gancluster.errors import DataError, RunError
from gancluster.hashing import HASHES
from gancluster.runs.run import Request, Run

KEY = "gancluster-capsule"  # of the header's one entry
LARGEST = 2**32  # bytes that are read

Arrays = dict[str, NDArray[Any]]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Layout(_Plain):
    """A table as JSON has it: a figure stands behind the row and the column it belongs to."""

    name: str
    paper: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    figures: tuple[tuple[str, str, Figure], ...]
    notes: tuple[str, ...]
    seeds: int | None
    first_seed: int = 0

    @classmethod
    def of(cls, table: Table) -> Layout:
        figures = tuple((*place, figure) for place, figure in table.figures.items())
        return cls(**vars(table) | {"figures": figures})

    def table(self) -> Table:
        return Table(**vars(self) | {"figures": {(row, column): figure for row, column, figure in self.figures}})


class Packed(_Plain):
    """A cell: what became of it, and where it is finished the request of its run, without the command's folders.

    `key`: what the run's arrays are called by: that of the request when it was packed.
    """

    outcome: Outcome
    request: Request | None = None
    key: str = ""


class Told(_Plain):
    """All of a capsule but its arrays."""

    format: Literal[1] = 1
    layout: Layout
    sheet: Sheet
    cells: tuple[Packed, ...]


@dataclass(frozen=True)
class Capsule:
    """`arrays`: of a run below its key, `<key>/clusters` and so on; of its samples below `samples_of`."""

    told: Told
    arrays: Arrays


def samples_of(request: Request) -> str:
    """What the labels of a run's samples are stored under: the same for every run on the same samples."""
    return f"{request.dataset}/{request.sha256}"


# Packing --------------------------------------------------------------------------------------------------------------


def pack(table: Table, sheet: Sheet, outcomes: Sequence[Outcome], runs_dir: Path, data_dir: Path) -> Capsule:
    """The table with all that its numbers follow from; reasons say DIR for `data_dir`, as the sheet does.

    Codes are packed where the table is about retrieval. What is measured of generated points stands in no table, and is
    left out.
    """
    searches = any("/" in column.score for column in table.columns)
    cells, arrays = list[Packed](), Arrays()
    for outcome in outcomes:
        outcome = outcome.model_copy(update={"reason": outcome.reason.replace(str(data_dir), "DIR")})
        if outcome.status != "finished":
            cells.append(Packed(outcome=outcome))
            continue
        run = Run.open(runs_dir / outcome.run)
        others = run.result().get("generated", {}).keys()
        scores = {name: v for name, v in outcome.scores.items() if name not in others and (searches or "/" not in name)}
        request = run.request.model_copy(update={"command": ""})
        outcome = outcome.model_copy(update={"scores": scores})
        cells.append(Packed(outcome=outcome, request=request, key=request.key))
        _add(arrays, run, searches)
    return Capsule(Told(layout=Layout.of(table), sheet=sheet, cells=tuple(cells)), arrays)


def _add(arrays: Arrays, run: Run, searches: bool) -> None:
    """Put a run's arrays with the others'; `RunError` where its samples have other labels than another run's had."""
    evidence = measures.evidence_of(run)
    stored = evidence if run.request.method in HASHES else run.arrays()
    clusters = [values for name, values in stored.items() if name.startswith("clusters/")]
    own = {name: v for name, v in evidence.items() if name == UNSEEN or (searches and name.startswith("codes/"))}
    own |= {"clusters": clusters[0]} if clusters else {}
    arrays |= {f"{run.request.key}/{name}": _compact(values) for name, values in own.items()}
    for name, values in {"labels": stored.get("labels"), UNSEEN_LABELS: evidence.get(UNSEEN_LABELS)}.items():
        if values is None:
            continue
        place = f"{samples_of(run.request)}/{name}"
        if not np.array_equal(arrays.setdefault(place, _compact(values)), values):
            raise RunError(f"the labels of {run.request.dataset} have changed since other runs: remove {run.folder}")


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """The same integers in as few octets as hold them."""
    least = np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
    return np.ascontiguousarray(values.astype(least))


# The file -------------------------------------------------------------------------------------------------------------


def write(path: Path, capsule: Capsule) -> None:
    """Write the capsule, whole or not at all."""
    text = capsule.told.model_dump_json()
    header = json.dumps({"sha256": _checksum(text, capsule.arrays), "told": text})
    atomic.write_bytes(path, safetensors.numpy.save(capsule.arrays, {KEY: header}))


def read(path: Path) -> Capsule:
    """The capsule in a file; `DataError` in one line for one that is missing, damaged, too large or something else."""
    with reading(path, "it is damaged, or no capsule: gancluster bench TABLE --capsule FILE makes one"):
        if not path.is_file():
            raise DataError(f"{path} does not exist or is no file: name a capsule")
        if (size := path.stat().st_size) > LARGEST:
            raise DataError(f"{path} has {size:,} bytes: no table takes more than {LARGEST:,}")
        with safetensors.safe_open(path, "numpy") as file:
            header = json.loads(file.metadata()[KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if header["sha256"] != _checksum(header["told"], arrays):
            raise ValueError("its checksum does not match")
    try:
        return Capsule(Told.model_validate_json(header["told"]), arrays)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "its beginning"
        advice = "verify it with the version that packed it"
        raise DataError(f"{path} is not as gancluster {__version__} packs tables (at {where}): {advice}") from error


def _checksum(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, values in sorted(arrays.items()):
        digest.update(f"{name}{values.dtype}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
