"""One HTML page that needs nothing else: no network, no file beside it; readable on a phone, in the dark and on paper.

A page is a list of sections, plain data that anything may make: tables that sort and filter, bars, pictures, points of
a plane that tell what they are, confusion matrices, notes, commands, and folds that hold sections. Everything that came
from outside is escaped, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gancluster import atomic
from gancluster.report.bars import Panel
from gancluster.report.style import PALETTE, colour

THUMBNAIL = 32  # pixels of the side of a sample under the pointer, at least


class Cell(NamedTuple):
    """A table's cell: what is read, by which number it sorts (a text sorts as itself), and what is to be noticed.

    `more`: a second line, small.
    """

    text: str
    order: float | None = None
    kind: str = ""  # "good", "bad" and "quiet" have a look of their own
    more: str = ""


class Table(NamedTuple):
    """Rows under column names; sorted by a click on a name, filtered by a text where they are many."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


class Picture(NamedTuple):
    """A PNG file, and what is to be seen in it."""

    title: str
    path: Path
    text: str


class Points(NamedTuple):
    """Points `(m, 2)` with cluster and, where known, class `(m,)`; `sprites`: uint8 `(m, c, h, w)`, shown on hovering.

    `numbers` `(m,)`: which samples they are.
    """

    title: str
    points: NDArray[np.floating[Any]]
    numbers: NDArray[np.integer[Any]]
    clusters: NDArray[np.integer[Any]]
    classes: Sequence[str] | None
    sprites: NDArray[np.uint8] | None
    note: str = ""


class Confusion(NamedTuple):
    """Counts `(classes, clusters)` with a name a row and a column; `matched`: the pairs that count as right."""

    title: str
    table: NDArray[np.integer[Any]]
    rows: Sequence[str]
    columns: Sequence[str]
    matched: Sequence[tuple[int, int]]


class Bars(NamedTuple):
    """A panel a column of a table, a bar a row; rows of the `floor` are grey, those without a number are left out."""

    title: str
    rows: Sequence[str]
    panels: Sequence[Panel]
    floor: Sequence[bool]
    note: str = ""


class Notes(NamedTuple):
    """What has to be said, a line each."""

    title: str
    lines: Sequence[str]


class Commands(NamedTuple):
    """Command lines that make again what the page shows."""

    title: str
    lines: Sequence[str]


class Fold(NamedTuple):
    """Sections that show when they are asked for."""

    title: str
    sections: Sequence[Section]
    note: str = ""


Section = Table | Picture | Points | Confusion | Bars | Notes | Commands | Fold


def write(path: Path, title: str, subtitle: str, sections: Sequence[Section]) -> None:
    """Write the page, whole or not at all."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gancluster", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    sprites = {id(points.sprites): points.sprites for points in _points(sections) if points.sprites is not None}
    sheets = {number: _sheet(images) for number, images in zip(range(len(sprites)), sprites.values(), strict=True)}
    numbers = dict(zip(sprites, sheets, strict=True))
    environment.filters |= {"png": _png_of_file, "share": _share, "drawn": lambda points: _drawn(points, numbers)}
    environment.tests |= {made.__name__.lower(): _is(made) for made in Section.__args__}
    template = environment.get_template("page.html.jinja")
    atomic.write_text(path, template.render(title=title, subtitle=subtitle, sections=sections, sheets=sheets))


def _points(sections: Sequence[Section]) -> Iterator[Points]:
    """All that show samples under the pointer, folded or not."""
    for section in sections:
        if isinstance(section, Points):
            yield section
        elif isinstance(section, Fold):
            yield from _points(section.sections)


def _is(made: type) -> Any:
    return lambda section: isinstance(section, made)


def _share(value: float, panel: Panel) -> str:
    """Where a value lies on its panel's axis, which begins at 0."""
    return f"{100 * min(max(value / panel.most, 0), 1):.2f}%"


def _png_of_file(path: Path) -> str:
    return _data_url(path.read_bytes())


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _drawn(points: Points, numbers: dict[int, int]) -> dict[str, Any]:
    """What the page's script needs: places in the unit square (y down), texts, colours, which sheet of sprites.

    Points with the same sprites share a sheet; `numbers`: of each, by the sprites' identity.
    """
    low, high = points.points.min(0), points.points.max(0)
    places = (points.points - low) / np.maximum(high - low, 1e-12).max()
    places[:, 1] = places[:, 1].max() - places[:, 1]
    return {
        "places": places.round(4).tolist(),
        "height": float(places[:, 1].max()),
        "numbers": points.numbers.tolist(),
        "clusters": points.clusters.tolist(),
        "palette": [colour(k) for k in range(len(PALETTE))],
        "classes": list(points.classes) if points.classes is not None else None,
        "sheet": None if points.sprites is None else numbers[id(points.sprites)],
    }


def _sheet(sprites: NDArray[np.uint8]) -> dict[str, Any]:
    """All sprites in one PNG, as many in a row as rows, nearly: its address, and how they lie in it."""
    m, channels, h, w = sprites.shape
    across = int(np.ceil(np.sqrt(m)))
    down = -(-m // across)
    padded = np.zeros((across * down, channels, h, w), np.uint8)
    padded[:m] = sprites
    sheet = (
        padded.reshape(down, across, channels, h, w).transpose(0, 3, 1, 4, 2).reshape(down * h, across * w, channels)
    )
    png = io.BytesIO()
    Image.fromarray(sheet if channels == 3 else sheet.mean(2).round().astype(np.uint8)).save(png, "PNG", optimize=True)
    scale = max(1, round(3 * THUMBNAIL / max(h, w)))
    return {"png": _data_url(png.getvalue()), "across": across, "down": down, "side": [w, h], "scale": scale}
