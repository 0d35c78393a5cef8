"""Claim: a cell costs a Dask cluster of 1 to 8 workers on one machine some milliseconds beside its own time.

Cells are simulated: each is a job like any other, with a request in JSON, news and an end, whose work is a delay. What
is measured is all that stands between one cell's end and the next one's beginning on the same worker. Told apart, since
paid once: the start of the scheduler and the workers, up to the end of each one's first cell (it imports torch).

    python benchmarks/scale.py [--cells 1000] [--delay 0.1] [--workers 1,2,4,8] [--output scale.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from gancluster.bench.cluster import Cluster
from gancluster.bench.executor import News
from gancluster.bench.worker import Job, Tell
from gancluster.runs.run import Request


def nap(job: Job, tell: Tell, stop: threading.Event) -> News:
    """What a worker does of a simulated cell."""
    tell(News(job=job.request.key, state="running"))
    stop.wait(job.request.options["seconds"])
    return News(job=job.request.key, state="ended")


def simulated(seed: int, delay: float, runs_dir: Path) -> Job:
    """A cell that takes `delay` seconds."""
    asked = {"method": "nap", "preset": "default", "options": {"seconds": delay}, "dataset": "none", "source": "none"}
    asked |= {"split": "all", "limit": None, "sha256": "", "n_samples": 2, "shape": (2,), "pixel_range": (0.0, 1.0)}
    asked |= {"flips": False, "n_clusters": 2, "seed": seed, "device": "cpu", "precision": "float32", "threads": 1}
    return Job(request=Request.model_validate(asked), runs_dir=runs_dir, data_dir=runs_dir, save_every=20)


def measure(workers: int, cells: int, delay: float) -> dict[str, Any]:
    """Seconds of `cells` cells that begin after every worker has had its first, beside the ideal."""
    ends, warm, began = list[float](), set[int](), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        jobs = [simulated(seed, delay, Path(folder)) for seed in range(cells + 3 * workers)]
        texts = {job.request.key: job.model_dump_json() for job in jobs}
        for news in Cluster(f"local:{workers}", nap).run(texts, threading.Event()):
            if news.state == "running":
                warm.add(news.process)
            elif len(warm) == workers:
                ends.append(time.perf_counter())
    counted, seconds = len(ends) - 1, ends[-1] - ends[0]
    ideal = counted * delay / workers
    return {
        "workers": workers,
        "cells": counted,
        "delay": delay,
        "start_seconds": ends[0] - began,
        "seconds": seconds,
        "ideal_seconds": ideal,
        "efficiency": ideal / seconds,
        "overhead_ms_per_cell": 1000 * (seconds * workers / counted - delay),
        "cells_per_second": counted / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--delay", type=float, default=0.1)
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--output", type=Path, default=Path("scale.json"))
    options = parser.parse_args()
    print("| workers | cells | seconds | ideal | of the ideal | beside its own time, a cell | start |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for workers in map(int, options.workers.split(",")):
        rows.append(row := measure(workers, options.cells, options.delay))
        told = f"{row['seconds']:.1f} | {row['ideal_seconds']:.1f} | {row['efficiency']:.0%}"
        print(f"| {workers} | {row['cells']} | {told} | {row['overhead_ms_per_cell']:.1f} ms | ", end="")
        print(f"{row['start_seconds']:.0f} s |", flush=True)
    machine = f"{platform.machine()} CPU, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    print(f"\n{machine}")
    options.output.write_text(json.dumps({"rows": rows, "machine": machine}, indent=2) + "\n")


if __name__ == "__main__":
    main()
