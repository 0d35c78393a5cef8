"""Looking at pictures: what colours they hold, and where a piece of them is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gancluster.report.style import colour


def pixels(path: Path) -> NDArray[np.uint8]:
    """A whole PNG as `(h, w, 3)`."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def where(piece: NDArray[np.uint8], picture: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Every (y, x) at which `piece` `(h, w, 3)` stands in `picture`, exactly."""
    h, w = piece.shape[:2]
    corners = (picture[: len(picture) - h + 1, : picture.shape[1] - w + 1] == piece[0, 0]).all(2)
    found = np.argwhere(corners).tolist()
    return [(y, x) for y, x in found if (picture[y : y + h, x : x + w] == piece).all()]


def dots(group: int, picture: NDArray[np.uint8]) -> int:
    """How many pixels have the colour of a cluster's dots on white (they let 30 % through), or of a key in a legend."""
    solid = np.array([*bytes.fromhex(colour(group)[1:])])
    near = [np.abs(picture.astype(int) - shade).max(2) <= 1 for shade in (solid, 0.7 * solid + 0.3 * 255)]
    return int((near[0] | near[1]).sum())
