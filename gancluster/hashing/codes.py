"""What goes into a hash, and the file that its codes go to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster import atomic
from gancluster.data.dataset import Dataset
from gancluster.hashing.base import Codes


def flattened(dataset: Dataset) -> NDArray[np.float32]:
    """A data set's samples as vectors `(n, d)`: pixels in [0, 1], row by row; vectors as they are."""
    rows = dataset.inputs.reshape(len(dataset), -1).astype(np.float32)
    return rows / np.float32(255) if dataset.is_images else rows


def save(path: Path, codes: Codes, labels: NDArray[Any] | None) -> None:
    """Write an .npz of `codes` `(n, bits)`, uint8 0 and 1, and `labels` `(n,)`, int64, where they are known."""
    arrays = {"codes": codes.astype(np.uint8)} | ({} if labels is None else {"labels": labels.astype(np.int64)})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    atomic.write_bytes(path, buffer.getvalue())
