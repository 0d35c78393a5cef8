"""A user's own table: rows, data sets and scores from a TOML file, with figures to hold them against if it has any."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gancluster import registry
from gancluster.bench.cells import Cell
from gancluster.bench.layout import Column, Row, Table, lacking, require_data_set
from gancluster.bench.published import Figure
from gancluster.data.features import network
from gancluster.data.splits import Split
from gancluster.errors import UserError
from gancluster.hashing import HASHES

Score = Literal[
    "acc", "nmi", "nmi_arithmetic", "nmi_max", "ari", "cluster_majority", "class_majority", "error", "mAP/32", "mAP/64"
]


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnRow(_Given):
    """`published`: figures by data set and score, as they are to be shown: `0.950`, or `0.950 ± 0.010` of 5 runs.

    `method`: or a shallow hash. With `labels` and the split `train` the score `error` is that on the test split.
    """

    method: str
    title: str = ""
    preset: str = "default"
    options: dict[str, Any] = {}
    clusters: int | None = Field(None, ge=2)
    labels: int = Field(0, ge=0)
    split: Split = "all"
    starts: int = Field(1, ge=1)
    published: dict[str, dict[Score, str | float]] = {}


class OwnTable(_Given):
    """What the file may hold, some of it by a data set's name.

    `features`: what stands in the place of its samples; `limits`: how many of them are drawn, by seed 0.
    """

    title: str
    datasets: list[str] = Field(min_length=1)
    features: dict[str, str] = {}
    limits: dict[str, Annotated[int, Field(ge=1)]] = {}
    scores: list[Score] = Field(["acc", "nmi"], min_length=1)
    seeds: int | None = Field(None, ge=1)
    first_seed: int = Field(0, ge=0)
    rows: list[OwnRow] = Field(min_length=1)


def read(path: Path) -> Table:
    """The table in a TOML file; `UserError` in one line for one that is missing, malformed, or asks for what is not."""
    try:
        given = OwnTable(**tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({(error.strerror or str(error)).lower()}): give a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML ({error}): docs/bench.md shows a table of one's own") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}, {where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    return _table(path, given)


def _table(path: Path, given: OwnTable) -> Table:
    for dataset in given.datasets:
        require_data_set(dataset)
    for features in given.features.values():
        network(features)
    for key in ("features", "limits"):
        if others := set(getattr(given, key)) - set(given.datasets):
            raise UserError(f"{path}, {key}.{min(others)}: the table has no such data set: add it, or leave it out")
    columns = tuple(_column(given, dataset, score) for dataset in given.datasets for score in given.scores)
    rows, figures = list[Row](), dict[tuple[str, str], Figure]()
    for i, row in enumerate(given.rows):
        cell = row.model_dump(exclude={"title", "published"}, exclude_none=True)
        starts = [f"best of {row.starts} starts"] if row.starts > 1 else []
        options = [f"{name} {value}" for name, value in row.options.items()]
        title = row.title or ", ".join([row.method, *options, *starts])
        if title in {other.title for other in rows}:
            raise UserError(f"{path}, rows.{i}: there is a row '{title}' already: give this one another title")
        rows.append(Row(title, cell))
        _check(f"{path}, rows.{i}", rows[-1], given.datasets[0])
        for dataset, score, value in ((d, s, v) for d, scores in row.published.items() for s, v in scores.items()):
            key = _column(given, dataset, score).key
            if key not in {column.key for column in columns}:
                raise UserError(f"{path}, rows.{i}.published: the table has no column {key}: add it, or leave it out")
            figures[title, key] = _figure(
                f"{path}, rows.{i}.published.{dataset}.{score}", given, key, title, str(value)
            )
    notes = [
        f"{dataset}: features by {by} in the place of its samples, which figures on samples do not compare with"
        for dataset, by in given.features.items()
    ]
    notes += [f"{dataset}: {n:,} of its samples, drawn by seed 0" for dataset, n in given.limits.items()]
    return Table(path.stem, "", given.title, tuple(rows), columns, figures, tuple(notes), given.seeds, given.first_seed)


def _column(given: OwnTable, dataset: str, score: str) -> Column:
    cell = {"dataset": dataset, "features": given.features.get(dataset), "limit": given.limits.get(dataset)}
    metric = score.upper() if len(score) == 3 else score
    return Column(dataset, metric, score, cell, decimals=4 if score == "error" else 3)


def _check(where: str, row: Row, dataset: str) -> None:
    """`UserError` for a method or an option that there is not."""
    cell = Cell(dataset=dataset, **row.cell or {})
    advice = "leave it out"
    if cell.method not in HASHES:
        registry.find("methods", cell.method)
        advice = f"gancluster methods {cell.method} lists its options"
    if why := lacking(cell):
        raise UserError(f"{where}: {why}: {advice}")


def _figure(where: str, given: OwnTable, key: str, title: str, text: str) -> Figure:
    """A figure as it was written, `0.95` or `0.95 ± 0.01`; `UserError` for what is neither, or no fraction."""
    value, _, std = (part.strip() for part in text.partition("±"))
    try:
        is_fraction = abs(float(value)) <= 1 and 0 <= float(std or 0) <= 1
    except ValueError as error:
        raise UserError(f"{where}: '{text}' is no number, or mean ± deviation: write it as \"0.950\"") from error
    if not is_fraction:
        raise UserError(f"{where}: '{text}' is no fraction: write 95.0 % as \"0.950\"")
    dataset, _, metric = key.rpartition(" ")
    return Figure("", given.title, dataset, title, metric, "", value, std, "fraction", "given in the table's file")
