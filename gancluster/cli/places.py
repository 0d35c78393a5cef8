"""Where a command may write, checked before it computes anything: nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

from gancluster.errors import RunError


def check_free(path: Path, option: str) -> None:
    """`RunError` for a file that is there already, or whose folder is not."""
    if path.exists():
        raise RunError(f"{path} exists and is not overwritten: choose another {option}")
    if not path.parent.is_dir():
        raise RunError(f"there is no folder {path.parent}: make it, or choose another {option}")


def make(folder: Path | None, option: str) -> None:
    """Make a folder that is written to; `RunError` where that cannot be."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RunError(f"cannot make the folder {folder} ({reason}): choose another {option}") from error
