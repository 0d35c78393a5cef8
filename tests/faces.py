"""A small CelebA made by hand, in the layout of the real one: for tests of what reads it."""

from pathlib import Path

import numpy as np
import pytest
import torchvision
from numpy.typing import NDArray
from PIL import Image

from gancluster.data.celeba import ATTRIBUTES


def attributes(n: int, seed: int = 0) -> NDArray[np.bool_]:
    """Which of the 40 attributes `(n, 40)` each of n faces has, one in three."""
    return np.random.default_rng(seed).random((n, len(ATTRIBUTES))) < 1 / 3


def levels(n: int) -> NDArray[np.int64]:
    """The grey `(n,)` of each face: image i is the only one with level `levels(n)[i]`, give or take JPEG's error."""
    return np.linspace(0, 250, n).astype(int)


def put_faces(data_dir: Path, has: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Faces of one grey in the middle square and black around it; the last two are test images. Their folder.

    torchvision does not ask for the lists' sums while `monkeypatch` holds.
    """
    n, folder = len(has), data_dir / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(1, n + 1)]
    for name, level in zip(names, levels(n), strict=True):
        pixels = np.zeros((218, 178, 3), dtype=np.uint8)
        pixels[20:198] = level
        Image.fromarray(pixels).save(folder / "img_align_celeba" / name, quality=100)
    signs = [" ".join("1" if value else "-1" for value in row) for row in has]
    _put_list(folder / "list_attr_celeba.txt", names, signs, [str(n), " ".join(ATTRIBUTES) + " "])
    _put_list(folder / "list_eval_partition.txt", names, ["0"] * (n - 3) + ["1", "2", "2"], [])
    _put_list(folder / "identity_CelebA.txt", names, ["1"] * n, [])
    for other in ("list_bbox_celeba.txt", "list_landmarks_align_celeba.txt"):
        _put_list(folder / other, names, ["1"] * n, [str(n), "a"])
    cls = torchvision.datasets.CelebA
    monkeypatch.setattr(cls, "file_list", [(key, None, name) for key, _, name in cls.file_list])
    return folder


def _put_list(path: Path, names: list[str], values: list[str], heads: list[str]) -> None:
    path.write_text("\n".join([*heads, *(f"{name} {value}" for name, value in zip(names, values, strict=True))]))
