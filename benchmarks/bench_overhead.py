"""Claim: what the grid of `gancluster bench` costs beside its cells' own time is under 2 % at cells of some seconds.

Runs cells of one method, a seed each, in one process of the grid's, in an empty folder. *Own* is what each run itself
says it took (`seconds` of its result); *the grid's* is all else between the first cell's beginning and the last one's
end: handing over, the run's folder and lock, the samples' hash, and what is measured beside (retrieval). Told apart,
since paid once: looking at the table, the start of the process up to the end of a first cell that is not counted (it
imports torch, loads the samples), and a second call, which runs nothing.

    python benchmarks/bench_overhead.py [--method clustergan] [--dataset digits] [--data-dir DIR] [--preset smoke]
                                        [--epochs 6] [--cells 8] [--output bench_overhead.json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from gancluster.bench import grid
from gancluster.bench.cells import Cell
from gancluster.bench.executor import News
from gancluster.bench.local import Processes
from gancluster.data import catalogue


def measure(cells: list[Cell], folders: grid.Folders) -> dict[str, Any]:
    """Seconds of each part, and the grid's share of the own ones of all cells but the first."""
    ends = list[float]()

    def watch(news: News) -> None:
        if news.state == "ended":
            ends.append(time.perf_counter())

    began = time.perf_counter()
    planned = grid.look(cells, folders)
    looked = time.perf_counter()
    outcomes = grid.carry_out(planned, folders, Processes(1), watch)
    assert {outcome.status for outcome in outcomes} == {"finished"}
    again = time.perf_counter()
    grid.carry_out(grid.look(cells, folders), folders, Processes(1))
    over = time.perf_counter()
    own, total = sum(outcome.seconds for outcome in outcomes[1:]), ends[-1] - ends[0]
    return {
        "cells": len(cells) - 1,
        "own_seconds": own,
        "grid_seconds": total - own,
        "grid_share": (total - own) / own,
        "look_seconds": looked - began,
        "start_seconds": ends[0] - looked - outcomes[0].seconds,
        "second_call_seconds": over - again,
        "machine": outcomes[0].machine,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", default="clustergan")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--output", type=Path, default=Path("bench_overhead.json"))
    options = parser.parse_args()
    given = {"epochs": options.epochs}
    cell = Cell(method=options.method, dataset=options.dataset, preset=options.preset, options=given)
    cells = [cell.model_copy(update={"seed": seed}) for seed in range(options.cells + 1)]
    with tempfile.TemporaryDirectory() as runs_dir:
        found = measure(cells, grid.Folders(Path(runs_dir), catalogue.data_folder(options.data_dir)))
    print(f"{cell.system} on {cell.dataset}, preset {cell.preset}: {found['cells']} cells, {found['machine']}")
    print(f"  own     {found['own_seconds']:8.2f} s")
    print(f"  grid's  {found['grid_seconds']:8.2f} s, {found['grid_share']:.1%} of the cells' own")
    print(f"  once: looking {found['look_seconds']:.2f} s, start {found['start_seconds']:.2f} s")
    print(f"  a second call {found['second_call_seconds']:.2f} s")
    options.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
