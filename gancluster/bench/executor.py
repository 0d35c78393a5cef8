"""Who carries jobs out: what an executor is, and what it tells of a job.

A job is a line of JSON, and so is all that is told of it; what comes out lies on the disk. `local.Processes` of this
machine can do that much, and the workers of a `cluster.Cluster`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

DEATHS = 3  # a job that has taken so many processes with it is given up
TICK = 0.2  # seconds between two looks at whether to stop


class News(BaseModel):
    """What happens to a job; the last of it is that it ended, was refused or stopped, or is given up.

    `ended`: its run says how. `reason`: why it failed or was refused, or what its process died of. `where`: as
    *game 3/5*.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    state: Literal["running", "ended", "refused", "stopped", "died", "given up"]
    reason: str = ""
    process: int = 0
    where: str = ""
    played: int = 0
    total: int = 0


class Executor(Protocol):
    """Carries out `jobs`, JSON by key, each to its last news; once `stop` is set, soon and with all of it saved."""

    def run(self, jobs: Mapping[str, str], stop: threading.Event) -> Iterator[News]: ...


class Deaths:
    """How many processes each job has taken with it."""

    def __init__(self) -> None:
        self.count = Counter[str]()

    def news(self, job: str, how: str) -> News:
        """Of a job whose process has died now: to be begun again, or given up; `how`: *of signal SIGKILL*, say."""
        self.count[job] += 1
        if self.count[job] < DEATHS:
            return News(job=job, state="died", reason=f"its process died {how}")
        return News(job=job, state="given up", reason=f"its process died {DEATHS} times, at last {how}")
