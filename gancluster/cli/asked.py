"""Which table `bench` and `report` are asked for: the options, the table cut down by them, and the command in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from gancluster.commands import typed

if TYPE_CHECKING:
    from gancluster.bench.layout import Table


class TableOptions(BaseModel):
    """Which table is meant, and how much of it; the command line's options are made from it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # --help needs no validators

    budget: Literal["smoke", "cpu", "full"] = Field("full", description="smoke: minutes; cpu: a night; full: all of it")
    paper: str = Field("clustergan", description="whose table: clustergan, ganem or dcan")
    methods: str | None = Field(
        None, description="only these rows, as kmeans,clustergan; also methods that it does not have"
    )
    datasets: str | None = Field(None, description="only these data sets, as digits,usps; also others than the table's")
    critics: str | None = Field(None, description="only these adversarial objectives, as wgan,sn-gan")
    seeds: int | None = Field(None, ge=1, description="runs of every cell (default: as many as the budget has)")
    engine: Literal["plain", "compiled", "captured", "auto"] = Field(
        "plain", description="of runs that play a game, as gancluster train has it; runs of another are other runs"
    )

    def is_narrow(self, table: Table) -> bool:
        """Whether less than the whole of `table` is asked for."""
        too_few = self.seeds is not None and self.seeds < table.enough(self.budget)
        return bool(self.methods or self.datasets or self.critics) or too_few


def table_asked(name: str, options: TableOptions) -> Table:
    """The table asked for, cut down to the rows and data sets asked for."""
    from gancluster.bench import own, tables

    is_file = name.endswith(".toml") or "/" in name
    table = own.read(Path(name)) if is_file else tables.named(name, options.paper)
    table = table.narrowed(_names(options.methods), _names(options.datasets))
    return table.with_critics(_names(options.critics)) if options.critics else table


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def asked_by(verb: str, name: str, options: TableOptions) -> str:
    """The command, `gancluster bench` or another, about the table anywhere: without this machine's folders."""
    return typed([verb, name], options.model_dump(exclude_defaults=True, include=set(TableOptions.model_fields)))
