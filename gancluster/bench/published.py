"""Every figure that the papers' tables print, as they print it: `published.csv`, a row a figure.

Papers: `clustergan` (Ghasedi Dizaji et al., CVPR 2019), `ganem` (Zhao et al., 2018), `dcan` (Lim, slides).
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from gancluster.metrics.statistics import Published

PAPERS = {"clustergan": "ClusterGAN", "ganem": "GAN-EM", "dcan": "DCAN"}
RUNS = 5  # of a printed mean ± deviation whose number of runs no paper states


class Figure(NamedTuple):
    """A printed figure: `value` and `std` letter by letter ("" where there is none), `note` what is known of it."""

    paper: str
    table: str
    dataset: str
    method: str
    metric: str
    setting: str
    value: str
    std: str
    units: str
    note: str

    @property
    def text(self) -> str:
        return f"{self.value} ± {self.std}" if self.std else self.value

    @property
    def settings(self) -> dict[str, str]:
        """What `setting` says, by name: K, labels, bits, attribute; a remark without a value has the value ""."""
        parts = (part.partition("=") for part in self.setting.split("; ") if part)
        return {name: value for name, _, value in parts}

    @property
    def mean(self) -> Published:
        """The figure as a mean to hold scores against, a fraction; of one run, unless it is told to be of several."""
        scale = 100 if self.units == "percent" else 1
        std = float(self.std) / scale if self.std else None
        several = self.std or f"average of {RUNS} runs" in self.note
        return Published(float(self.value) / scale, std, RUNS if several else 1)


@cache
def figures() -> tuple[Figure, ...]:
    """All of them, in the order of the papers."""
    text = files("gancluster.bench").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(Figure(**row) for row in csv.DictReader(text.splitlines()))


def of(paper: str, *tables: str) -> list[Figure]:
    """The figures of a paper's tables, called as the paper calls them."""
    return [figure for figure in figures() if figure.paper == paper and figure.table in tables]
