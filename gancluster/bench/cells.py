"""Cells: one run asked of a table, and what became of it; both travel and rest as plain JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gancluster.data.splits import Split

Status = Literal["finished", "failed", "no data", "waiting"]


class Cell(BaseModel):
    """One run asked of a table; `options`: the method's own, critic included; `features`: as `TrainOptions` has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    dataset: str
    preset: str = "default"
    options: dict[str, Any] = {}
    seed: int = 0
    clusters: int | None = None
    limit: int | None = None
    split: Split = "all"
    labels: int = 0
    features: str | None = None
    starts: int = 1

    @property
    def system(self) -> str:
        """What is run: the method, and what is asked of it beside its preset: *clustergan, critic wgan, no gan*."""
        given = {**({"clusters": self.clusters} if self.clusters else {}), **self.options}
        told = [_told(name.replace("_", "-"), value) for name, value in given.items()]
        labels = [f"{self.labels} labels"] if self.labels else []
        return ", ".join([self.method, *told, *labels, *([f"best of {self.starts} starts"] if self.starts > 1 else [])])

    @property
    def series(self) -> str:
        """The cell as JSON but for its seed: the same for all seeds of a cell."""
        return self.model_copy(update={"seed": 0}).model_dump_json()

    def __str__(self) -> str:
        return f"{self.system} on {self.dataset}, seed {self.seed}"


class Outcome(BaseModel):
    """What became of a cell.

    `reason`: why it failed, or how to get its data. `row`: the method's name, with a + where extensions are in use.
    `scores`: by the paper's rule. `starts_mean`: where it is the best of several starts, the mean scores of them all.
    `run`: its folder below the runs' root; of one that is waiting, where it is trained and only has to be scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: Cell
    status: Status
    reason: str = ""
    row: str = ""
    scores: dict[str, float] = {}
    starts_mean: dict[str, float] = {}
    seconds: float = 0.0
    machine: str = ""
    run: str = ""

    @property
    def is_to_run(self) -> bool:
        """Whether training is still to be done, or to be ended."""
        return self.status == "waiting" and not self.run


def _told(option: str, value: Any) -> str:
    if isinstance(value, bool):
        return option if value else f"no {option}"
    return f"{option} {value}"
