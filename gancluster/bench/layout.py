"""A table as data: its rows, its columns, the figures printed where they cross, and the cells that measure the same.

A cell's outcome must hold the scores that its columns name: those of `metrics.scores`, taken on the test split where a
run has labels and the split `train`; and, where a column is about retrieval, `mAP/32` and the like: a score of
`metrics.retrieval_scores` as expected over ties, and the bits. Table 3 asks for shallow hashes in the place of methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from gancluster import registry
from gancluster.bench.budgets import SEEDS, Budget, reduced
from gancluster.bench.cells import Cell
from gancluster.bench.published import Figure
from gancluster.data import catalogue
from gancluster.data.celeba import ATTRIBUTES
from gancluster.errors import UserError
from gancluster.hashing import HASHES

PART = "a part of the table: only those rows and data sets that were asked for"
EVERY_ATTRIBUTE = "celeba:*"  # stands for 40 cells, whose mean is the score


@dataclass(frozen=True)
class Row:
    """A system, as it is called in print; `cell`: how it is run here (fields of `Cell`), None where it is not.

    `scores`: scores that stand for a column's, where this row is counted otherwise. `only_labels`: it learns nothing
    without labels. `floor`: a row of ours, that any method has to beat.
    """

    title: str
    cell: Mapping[str, Any] | None = None
    scores: Mapping[str, str] | None = None
    only_labels: bool = False
    floor: bool = False
    note: str = ""

    @property
    def method(self) -> str:
        return str((self.cell or {}).get("method", ""))


@dataclass(frozen=True)
class Column:
    """A metric on a data set, both as printed; `cell`: what it adds to a row's cell.

    `score`: a key of an outcome's scores, or `1 - key`; "" where nothing here measures it. `only_printed`: it is
    measured only where a figure is printed.
    """

    dataset: str
    metric: str
    score: str
    cell: Mapping[str, Any]
    unit: Literal["fraction", "percent", "count"] = "fraction"
    decimals: int = 3
    only_printed: bool = False

    @property
    def key(self) -> str:
        return f"{self.dataset} {self.metric}"

    @property
    def scale(self) -> int:
        return 100 if self.unit == "percent" else 1

    def value(self, scores: Mapping[str, float], row: Row) -> float | None:
        """The row's score in the unit of print; None where it was not scored, for want of labels say."""
        score = (row.scores or {}).get(self.score, self.score)
        found = scores.get(score.removeprefix("1 - "))
        if found is None:
            return None
        return self.scale * (1 - found if score.startswith("1 - ") else found)


@dataclass(frozen=True)
class Table:
    """`figures`: what is printed, by title of row and key of column. `paper`: "" for a table that no paper has.

    `seeds`: runs of a cell, from `first_seed` on, where the budget does not say.
    """

    name: str
    paper: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    figures: Mapping[tuple[str, str], Figure]
    notes: tuple[str, ...] = ()
    seeds: int | None = None
    first_seed: int = 0

    @property
    def by_rows(self) -> bool:
        """Whether each row has a data set of its own."""
        return any("dataset" not in column.cell for column in self.columns)

    def figure(self, row: Row, column: Column) -> Figure | None:
        return self.figures.get((row.title, column.key))

    def asked(self, row: Row, column: Column) -> tuple[Cell, ...]:
        """The cells whose mean score stands here, at seed 0; none where nothing is to be run."""
        if not row.method or not column.score or (column.only_printed and self.figure(row, column) is None):
            return ()
        fields = {**column.cell, **(row.cell or {})}
        if row.only_labels and not fields.get("labels"):
            return ()
        names = [f"celeba:{a}" for a in ATTRIBUTES] if fields["dataset"] == EVERY_ATTRIBUTE else [fields["dataset"]]
        return tuple(Cell(**fields | {"dataset": name}) for name in names)

    def enough(self, budget: Budget) -> int:
        """Seeds that make it whole: as many as the budget has, or the table asks for, whichever are fewer."""
        return min(self.seeds or SEEDS[budget], SEEDS[budget])

    def cells(self, budget: Budget = "full", seeds: int | None = None) -> list[Cell]:
        """What is to be run, each cell once, seed by seed: interrupted, a table holds all rows of fewer seeds."""
        places = product(self.rows, self.columns)
        once = {cell.model_dump_json(): cell for place in places for cell in self.asked(*place) if not lacking(cell)}
        found = [reduced(cell, budget) for cell in once.values()]
        every = range(seeds or self.seeds or SEEDS[budget])
        return [cell.model_copy(update={"seed": self.first_seed + i}) for i in every for cell in found]

    def narrowed(self, methods: Sequence[str] = (), datasets: Sequence[str] = ()) -> Table:
        """Only those rows and columns; a method or a data set that the table does not have is added to it."""
        if not methods and not datasets:
            return self
        rows = tuple(row for name in methods for row in self._rows(name)) if methods else self.rows
        table = replace(self, rows=_once(rows), notes=(PART, *self.notes))
        if not datasets:
            return table
        if self.by_rows:
            named = tuple(row for row in table.rows if _is(datasets, row.title, (row.cell or {}).get("dataset")))
            return _filled(replace(table, rows=named), datasets)
        columns = tuple(column for name in datasets for column in self._columns(name))
        return _filled(replace(table, columns=_once(columns)), datasets)

    def with_critics(self, critics: Sequence[str]) -> Table:
        """Rows with one of those adversarial objectives; a row of a method that takes any is asked with each of them.

        Rows of methods that take none stay as they are.
        """
        for critic in critics:
            registry.find("critics", critic.partition(":")[0])
        return replace(self, rows=tuple(found for row in self.rows for found in _with_critics(row, critics)))

    def _rows(self, name: str) -> Iterator[Row]:
        named = [row for row in self.rows if _is([name], row.title, row.method)]
        if not named and name not in registry.origins("methods"):
            known = {row.method or row.title for row in self.rows} | set(registry.origins("methods"))
            raise UserError(registry.unknown("method", name, known, "gancluster methods"))
        if not named and self.by_rows:
            raise UserError(f"{self.name} has a data set a row, and none for {name}: leave {name} out")
        yield from named or [Row(name, {"method": name})]

    def _columns(self, name: str) -> Iterator[Column]:
        named = [column for column in self.columns if _is([name], column.dataset, column.cell["dataset"])]
        yield from named
        if not named:
            require_data_set(name)
            first = [c for c in self.columns if c.dataset == self.columns[0].dataset and not c.only_printed]
            yield from (replace(c, dataset=name, cell={**c.cell, "dataset": name}) for c in first)


def lacking(cell: Cell) -> str:
    """Why a cell cannot be run, whatever the data: "" where it can."""
    if cell.method in HASHES:
        given = [*cell.options, *(["labels"] if cell.labels else [])]
        return f"{cell.method} has no {', '.join(given)}" if given else ""
    if cell.method not in registry.origins("methods"):
        return f"there is no method {cell.method} here"
    if not cell.labels and not cell.options:
        return ""
    method = registry.find("methods", cell.method)
    if cell.labels and not method.semi_supervised:
        return f"{cell.method} learns without labels"
    unknown = cell.options.keys() - method.config_type.model_fields.keys()
    return f"{cell.method} has no {', '.join(sorted(unknown))}" if unknown else ""


def require_data_set(name: str) -> None:
    """`UnknownName` for what is neither a data set's name nor a path, `UserError` for a path where nothing is."""
    if not catalogue.is_path(name):
        registry.find("datasets", name.partition(":")[0])
    elif not Path(name).expanduser().exists():
        raise UserError(f"there is no file or folder {name}: name an .npz file or a folder of images that is here")


def _with_critics(row: Row, critics: Sequence[str]) -> Iterator[Row]:
    cell, given = row.cell or {}, (row.cell or {}).get("options", {})
    if row.method not in registry.origins("methods"):
        yield row
    elif "critic" in given:
        yield from [row] if given["critic"] in critics else []
    elif "critic" not in registry.find("methods", row.method).config_type.model_fields:
        yield row
    else:
        for critic in critics:
            yield replace(row, title=f"{row.title}, {critic}", cell={**cell, "options": {**given, "critic": critic}})


def _is(names: Iterable[str], *known: str | None) -> bool:
    return not {name.lower() for name in names}.isdisjoint(name.lower() for name in known if name)


def _once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(item for i, item in enumerate(items) if item not in items[:i])


def _filled(table: Table, datasets: Sequence[str]) -> Table:
    if not table.rows or not table.columns:
        raise UserError(f"{table.name} has nothing on {', '.join(datasets)}: leave out --datasets to see what it has")
    return table
