"""Opening data files: whatever is wrong with one becomes one line that names it and says what to do."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster.errors import DataError, UserError

DAMAGED = "it is damaged or of another kind: replace it by a sound copy"
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # some of Pillow's others run a program
ROOM = 2**30  # bytes that any file may unpack to,
RATIO = 200  # and how many times its size where that is more


@contextmanager
def reading(path: Path, advice: str = DAMAGED) -> Iterator[None]:
    """Turn whatever a decoder raises on `path` into a `DataError` that ends with `advice`.

    Decoders of damaged files raise anything (EOFError, zlib.error, SyntaxError, struct.error, KeyError …), so all of
    `Exception` is caught: keep nothing but decoding inside.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, PermissionError):
            advice = "change its permissions"
        elif "allow_pickle" in str(error):
            advice = "pickled objects are never loaded: save plain arrays (names by .astype(str))"
        raise DataError(f"cannot read {path} ({reason(error)}): {advice}") from error


def reason(error: BaseException) -> str:
    """What kind an exception is of, and the first line it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def all_of(*names: str) -> Callable[[Path], list[Path]]:
    """A `Source.files` for files that are all needed."""

    def files(data_dir: Path) -> list[Path]:
        paths = [data_dir / name for name in names]
        return paths if all(map(os.path.exists, paths)) else []

    return files


def first_of(*names: str) -> Callable[[Path], list[Path]]:
    """A `Source.files` for files of which one is enough: the first that is there."""
    return lambda data_dir: [data_dir / name for name in names if os.path.exists(data_dir / name)][:1]


def names_in(path: Path, advice: str = DAMAGED) -> list[str]:
    """Names of the arrays in an .npz."""
    with reading(path, advice), _archive(path) as stored:
        return list(stored.files)


def arrays(path: Path, *names: str, advice: str = DAMAGED) -> tuple[NDArray[Any], ...]:
    """The arrays called `names` in an .npz; no other is read."""
    with reading(path, advice), _archive(path) as stored:
        _require(path, names, list(stored.files))
        return tuple(np.asarray(stored[name]) for name in names)


def matlab(path: Path, *names: str) -> tuple[NDArray[Any], ...]:
    """The matrices called `names` in a MATLAB file (up to version 7), sparse ones filled up."""
    from scipy.io import loadmat, whosmat
    from scipy.sparse import issparse

    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # scipy only warns of variables that it could not make out
        sizes = [8 * math.prod(shape) for name, shape, _ in whosmat(path) if name in names]
        _refuse_bomb(path, sum(sizes))
        stored = loadmat(path, variable_names=names)
        _require(path, names, [name for name in stored if not name.startswith("__")])
        return tuple(stored[name].toarray() if issparse(stored[name]) else stored[name] for name in names)


def picture(path: Path, advice: str = DAMAGED) -> NDArray[np.uint8]:
    """An image file as levels 0 … 255: `(h, w)` if it is grey, `(h, w, 3)` if coloured; transparency is dropped."""
    from PIL import Image

    with reading(path, advice), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as image:
            if image.mode.startswith("I;16"):
                return np.rint(np.asarray(image, dtype=np.float32) / 257).astype(np.uint8)
            if image.mode in ("I", "F"):
                raise DataError(f"{path} has 32 bits a pixel: save it with 8 or 16")
            return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"))


@contextmanager
def _archive(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    stored = np.load(path, allow_pickle=False)
    if not isinstance(stored, np.lib.npyio.NpzFile) or stored.zip is None:
        raise DataError(f"{path} is a single array, not an .npz archive: save it by numpy.savez(path, inputs=…)")
    with stored:
        sizes = [member.file_size for member in stored.zip.infolist()]
        _refuse_bomb(path, sum(sizes))
        yield stored


def _refuse_bomb(path: Path, unpacked: int) -> None:
    """`DataError` where a file would unpack to far more bytes than it has."""
    packed = os.path.getsize(path)
    if unpacked > max(ROOM, RATIO * packed):
        grows = f"its {packed:,} bytes would unpack to {unpacked:,}"
        raise DataError(f"{path} is refused, for {grows}: if that is meant, save it unpacked (numpy.savez)")


def _require(path: Path, names: tuple[str, ...], there: list[str]) -> None:
    for name in names:
        if name not in there:
            raise DataError(f"{path} has no '{name}' (it has: {', '.join(there) or 'nothing'}); {DAMAGED}")
