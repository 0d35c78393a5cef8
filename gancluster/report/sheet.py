"""Sheets of images: a row a cluster, every image at whole pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gancluster.report.style import DPI, SOFT, colour, picture

SIDE = 48  # pixels that small images are enlarged to; large ones are pooled to twice that (nearly: by whole numbers)
GAP, WIDE_GAP, MARGIN, SWATCH, LETTER, HEAD = 2, 20, 12, 12, 11, 24

Images = NDArray[np.uint8]


class Block(NamedTuple):
    """Images that stand together under a title: for each row, uint8 `(n, c, h, w)` with n up to `columns`."""

    title: str
    columns: int
    rows: Sequence[Images]


def sheet(path: Path, blocks: Sequence[Block], names: Sequence[str], notes: Sequence[str]) -> None:
    """Blocks side by side; each row has its cluster's colour and name before it and a note behind it.

    A row without an image in the first block says 'empty'. One name and one note a row.
    """
    tiles = [[_tiles(row) for row in block.rows] for block in blocks]
    high, wide = tiles[0][0].shape[1:3]
    left = 2 * MARGIN + SWATCH + LETTER * max(map(len, names)) + GAP
    top = MARGIN + (HEAD if any(block.title for block in blocks) else 0)
    steps = [max(b.columns * (wide + GAP) - GAP, LETTER * len(b.title)) + WIDE_GAP for b in blocks]
    starts = [left + sum(steps[:b]) for b in range(len(blocks) + 1)]
    width = starts[-1] - WIDE_GAP + MARGIN + LETTER * max(map(len, notes))
    height = top + len(names) * (high + 3 * GAP) - 3 * GAP + MARGIN
    with picture(path, (width + 0.01) / DPI, (height + 0.01) / DPI) as figure:
        for block, start in zip(blocks, starts, strict=False):
            _write(figure, start, top - MARGIN, block.title, color=SOFT)
        for r, (name, note) in enumerate(zip(names, notes, strict=True)):
            y = top + r * (high + 3 * GAP)
            middle = y + high // 2 + 5
            swatch = np.full((SWATCH, SWATCH, 3), _rgb(colour(r)), np.uint8)
            _place(figure, swatch, MARGIN, y + (high - SWATCH) // 2)
            _write(figure, 2 * MARGIN + SWATCH - 4, middle, name)
            _write(figure, starts[-1] - WIDE_GAP + MARGIN, middle, note, color=SOFT)
            for block_tiles, start in zip(tiles, starts, strict=False):
                for i, tile in enumerate(block_tiles[r]):
                    _place(figure, tile, start + i * (wide + GAP), y)
            if not len(tiles[0][r]):
                _write(figure, left, middle, "empty", color=SOFT, style="italic")


def _tiles(images: Images) -> Images:
    """Images `(n, c, h, w)` as they are drawn, `(n, height, width, 3)`; other than 3 channels show as their mean."""
    side = max(images.shape[2:])
    down, up = max(1, round(side / (2 * SIDE))), max(1, round(SIDE / side))
    if down > 1:
        images = _pooled(images, down)
    if images.shape[1] != 3:
        images = images.mean(1, keepdims=True).round().astype(np.uint8).repeat(3, 1)
    return images.repeat(up, 2).repeat(up, 3).transpose(0, 2, 3, 1)


def _pooled(images: Images, by: int) -> Images:
    """Means over squares of `by` x `by` pixels; an incomplete last row or column falls away."""
    n, c, h, w = (*images.shape[:2], images.shape[2] // by, images.shape[3] // by)
    squares = images[:, :, : h * by, : w * by].reshape(n, c, h, by, w, by)
    return np.asarray(squares.mean((3, 5)).round(), np.uint8)


def _rgb(hexadecimal: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(hexadecimal[1:]))


def _place(figure: Figure, image: Images, x: int, y: int) -> None:
    """Put an image `(h, w, 3)` with its upper left corner at pixel (x, y) from the upper left."""
    below = round(figure.bbox.height) - y - len(image)
    figure.figimage(image, x, below, origin="upper")


def _write(figure: Figure, x: int, y: int, text: str, **look: Any) -> None:
    figure.text(x / figure.bbox.width, 1 - y / figure.bbox.height, text, **look)
