"""Finding runs: all that lie below a folder, or the one of a name."""

from __future__ import annotations

import os
from pathlib import Path

from gancluster.errors import RunError
from gancluster.runs.run import Run


def every(root: Path, damaged: list[RunError] | None = None) -> list[Run]:
    """All runs below `root`, the newest first; what is wrong with those that cannot be opened goes to `damaged`."""
    found = []
    for config in root.glob("*/*/*/config.json"):
        try:
            run = Run.open(config.parent)
            run.status  # noqa: B018 - raises where the result is damaged
            found.append((_newest(config.parent), run))
        except RunError as error:
            if damaged is not None:
                damaged.append(error)
    return [run for _, run in sorted(found, key=lambda pair: pair[0], reverse=True)]


def find(root: Path, which: str | None) -> Run:
    """The run called `which`: a folder, or a run's name or its beginning; the newest finished one without a name."""
    if which is not None and os.path.isdir(which):
        return Run.open(Path(which))
    runs = every(root)
    if which is None:
        runs = [run for run in runs if run.status == "finished"][:1]
        if not runs:
            raise RunError(f"there is no finished run in {root}: gancluster train clustergan makes one")
        return runs[0]
    matching = [run for run in runs if run.folder.name.startswith(which) or run.request.key.startswith(which)]
    if not matching:
        for config in root.glob("*/*/*/config.json"):
            if config.parent.name.startswith(which):
                Run.open(config.parent).result()  # says what is wrong with it
    if len(matching) != 1:
        count = "no run" if not matching else f"{len(matching)} runs"
        raise RunError(f"{count} in {root} called '{which}': gancluster runs lists them")
    return matching[0]


def _newest(folder: Path) -> float:
    """When a file of `folder` was last written; the lock and what is half-written, which may vanish, are not asked."""
    return max(file.stat().st_mtime for file in folder.iterdir() if not file.name.startswith("."))
