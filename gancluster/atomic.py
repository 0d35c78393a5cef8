"""Every file is whole or absent: written beside its place under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gancluster.errors import RunError

SUFFIX = ".part"


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, replacing what was there; `RunError` where the folder or the disk does not let it.

    Whoever reads `path` at any moment, or after the process or the machine died at any moment, finds the old file or
    the new one, never a part of one. The temporary file lies in the same folder, so the renaming cannot cross disks.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}{SUFFIX}"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise RunError(refusal(path, error)) from error


def refusal(path: Path, error: OSError) -> str:
    """The one line that says why `path` cannot be written, and what to do."""
    reason = (error.strerror or str(error)).lower()
    return f"cannot write {path} ({reason}); what was there is untouched: make room, or choose another place"


def write_text(path: Path, content: str) -> None:
    """`write_bytes` of text in UTF-8."""
    write_bytes(path, content.encode())


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """`write_bytes` of arrays by name, to be read by `numpy.load`."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def move(path: Path, place: Path) -> None:
    """Put the file at `path` at `place` on the same disk, replacing what was there; nothing where there is none."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, place)
        _sync_folder(place.parent)


def sweep(folder: Path) -> None:
    """Remove the temporary files that a killed process left in `folder`; nobody else may be writing there."""
    for left in folder.glob(f".*{SUFFIX}"):
        left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a renaming last through a power cut, where folders can be synchronised (not on Windows or some networks)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
