"""Claim: a balanced self-paced step over a million samples costs at most twice the sort in it.

The step is `self_paced.paced_weights`: ranks within ten clusters, gamma, the threshold by bisection, weights. Beside
it the stable `torch.sort` of the same losses, interleaved, one thread, float32. Prints medians and ratio, writes JSON.

    OMP_NUM_THREADS=1 python benchmarks/self_paced.py [--samples 1000000] [--repeats 9] [--output self_paced.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from gancluster.engine.device import machine
from gancluster.methods.self_paced import paced_weights

CLUSTERS = 10


def measure(samples: int, repeats: int) -> dict[str, Any]:
    """Seconds of the step and of its sort; the first pair warms up and is not counted."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    losses = torch.rand(samples, generator=rng) * 0.69  # the entropies of codes lie in [0, log 2]
    clusters = torch.randint(CLUSTERS, (samples,), generator=rng)
    progress = torch.tensor(0.3)
    tasks = {
        "step": lambda: paced_weights(losses, clusters, CLUSTERS, progress),
        "sort": lambda: torch.sort(losses, stable=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for repeat in range(repeats + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    ratios = [step / sort for step, sort in zip(seconds["step"], seconds["sort"], strict=True)]
    return {
        "what": f"balanced self-paced step, {samples} samples in {CLUSTERS} clusters, beside the stable sort in it",
        "seconds": {name: statistics.median(found) for name, found in seconds.items()},
        "step_to_sort": statistics.median(ratios),
        "all": seconds,
        "samples": samples,
        "repeats": repeats,
        "machine": machine(torch.device("cpu")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", type=Path, default=Path("self_paced.json"))
    options = parser.parse_args()
    result = measure(options.samples, options.repeats)
    for name, seconds in result["seconds"].items():
        print(f"{name}  {1000 * seconds:8.1f} ms")
    print(f"step / sort, median of {options.repeats} pairs: {result['step_to_sort']:.2f}")
    options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
