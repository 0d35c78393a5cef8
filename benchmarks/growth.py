"""Claim: a step costs the same however many samples there are, and memory is the set as it is stored plus a constant.

Plays the first steps of a game on random images of 28x28, each set in a process of its own: more and more samples at
one size of batch, and larger and larger batches of one set; then more seeds at once. Prints samples a second (median
over steps) and the process's peak memory, and the straight line through memory against the stored size.

    python benchmarks/growth.py [--method clustergan] [--samples 1000 10000 70000 1000000] [--batches 64 256 1024 4096]
                                [--together 1 2 4 8] [--steps 8] [--threads 1] [--output growth.json]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from roofline import now

from gancluster import registry
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.device import machine
from gancluster.engine.game import Game
from gancluster.engine.play import play_together
from gancluster.engine.slopes import plain, stacked
from gancluster.runs.training import configure, task_of

SHAPE = (1, 28, 28)
MB = 2**20


def measure(name: str, samples: int, batch: int, seeds: int, steps: int, threads: int) -> dict[str, float]:
    """Samples a second over all seeds, the set's size and this process's peak memory in MB."""
    torch.set_num_threads(threads)
    inputs = np.random.default_rng(0).integers(0, 256, (samples, *SHAPE), np.uint8)
    dataset = Dataset("random images", inputs, None, 10)
    method, task = registry.find("methods", name), task_of(dataset, None)
    config = configure(method, task, "default", {"batch_size": batch, "warmup_epochs": 0})
    batches = Batches(dataset)
    games = [Game(method(config, task), batches, seed) for seed in range(seeds)]
    taken = []
    moments = play_together(games, plain if seeds == 1 else stacked)
    for _ in range(steps):
        started = now()
        list(islice(moments, 1))
        taken.append(now() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    speed = seeds * batch / statistics.median(taken[1:])
    return {"samples_per_second": speed, "stored_mb": inputs.nbytes / MB, "peak_mb": peak / MB}


def apart(asked: argparse.Namespace, samples: int, batch: int, seeds: int = 1) -> dict[str, Any]:
    """`measure` in a fresh process, whose peak memory is its own."""
    row = {"samples": samples, "batch": batch, "seeds": seeds}
    job = [asked.method, samples, batch, seeds, asked.steps, asked.threads]
    out = subprocess.run([sys.executable, __file__, "--one", json.dumps(job)], check=True, stdout=subprocess.PIPE)
    row |= json.loads(out.stdout)
    speed, stored, peak = (row[key] for key in ("samples_per_second", "stored_mb", "peak_mb"))
    print(f"{samples:8} samples, batch {batch:5}, {seeds} seeds: {speed:6.0f} samples/s", end="")
    print(f", stored {stored:4.0f} MB, peak {peak:5.0f} MB", flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", default="clustergan")
    parser.add_argument("--samples", nargs="+", type=int, default=[1000, 10_000, 70_000, 1_000_000])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256, 1024, 4096])
    parser.add_argument("--together", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("growth.json"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(*json.loads(asked.one))))
        return
    sets = [apart(asked, samples, 100) for samples in asked.samples]
    batches = [apart(asked, 10_000, batch) for batch in asked.batches]
    seeds = [apart(asked, 10_000, 100, together) for together in asked.together]
    stored, peaks = ([row[key] for row in sets] for key in ("stored_mb", "peak_mb"))
    slope, constant = np.polyfit(stored, peaks, 1)
    print(f"peak memory = {slope:.2f} x the set as stored + {constant:.0f} MB")
    report = {"machine": machine(torch.device("cpu")), "method": asked.method, "sets": sets, "batches": batches}
    report |= {"together": seeds, "memory_fit": {"times_stored": slope, "constant_mb": constant}}
    asked.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
