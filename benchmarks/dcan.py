"""What DCAN's game adds to its own pre-trained start, and which part of our recipe adds it.

Trains each row with every seed and prints a Markdown table: ACC of K-means on the samples, of the pre-trained start, at
the end, and the gain (mean ± standard deviation). Finished runs are found again. Writes JSON.

    python benchmarks/dcan.py [--dataset digits] [--data-dir DIR] [--limit N] [--seeds 5] [--first-seed 0]
                              [--rows NAME ...] [--runs-dir runs] [--output dcan.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train

SMALL = {"width": 0.25, "pretrain_epochs": 100, "epochs": 30, "batch_size": 250}  # the recipe's networks and start
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("default", {}),
    "default, no adversary": ("default", {"adversarial_weight": 0.0}),
    "default, from K-means": ("default", {"start": "k-means", "adversarial_weight": 0.1}),
    "paper, in small": ("paper", SMALL),
}
"""The preset of each row, and the options that it changes."""
COLUMNS = ("floor", "start", "end", "gain")


def measure(dataset: Dataset, row: str, options: argparse.Namespace) -> dict[str, Any]:
    """ACC by column of every seed's run, and its seconds."""
    preset, given = ROWS[row]
    asked = TrainOptions(
        dataset=options.dataset,
        data_dir=options.data_dir,
        limit=options.limit,
        preset=preset,
        seed=options.first_seed,
        seeds=options.seeds,
    )
    requests = plan("dcan", dataset, asked, given, " ".join(["python", *sys.argv]))
    results = [train(Run.place(options.runs_dir, request), dataset) for request in requests]
    return {
        "floor": [found["floor"]["acc"] for found in results],
        "start": [found["start"]["theta"]["acc"] for found in results],
        "end": [found["scores"]["theta"]["acc"] for found in results],
        "gain": [found["gain"] for found in results],
        "seconds": [found["seconds"] for found in results],
        "machine": results[0]["machine"],
    }


def spread(values: list[float]) -> str:
    """Mean, ± standard deviation where there are several."""
    return f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=Path("dcan.json"))
    options = parser.parse_args()
    folder = catalogue.data_folder(options.data_dir)
    dataset = catalogue.load(options.dataset, folder, limit=options.limit, seed=options.first_seed)
    print(f"{dataset.name}, n = {len(dataset)}, {options.seeds} seeds from {options.first_seed} on\n")
    print("| row | K-means of the samples | start | end | gain | seconds a run |\n|---|---|---|---|---|---|")
    rows = {}
    for name in options.rows:
        rows[name] = row = measure(dataset, name, options)
        told = " | ".join(spread(row[column]) for column in COLUMNS)
        print(f"| {name} | {told} | {statistics.mean(row['seconds']):.0f} |", flush=True)
    budget = {"limit": options.limit, "first_seed": options.first_seed, "seeds": options.seeds}
    options.output.write_text(json.dumps({"dataset": dataset.name, "n": len(dataset), **budget, "rows": rows}) + "\n")


if __name__ == "__main__":
    main()
