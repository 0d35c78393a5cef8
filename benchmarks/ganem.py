"""What each difference between GAN-EM's paper and its authors' code does to the result, and each of our extensions.

Trains the preset `author-code` in small (a quarter of the width, fewer and shorter iterations, the same for all rows),
then the same with one option changed, a row each, every seed; then with our extensions one after the other. Finished
runs are found again. Prints a Markdown table (ACC and NMI, mean ± standard deviation) and writes JSON.

    python benchmarks/ganem.py [--dataset digits] [--data-dir DIR] [--seeds 3] [--first-seed 0] [--rows NAME ...]
                               [--iterations 6] [--m-epochs 20] [--runs-dir runs] [--output ganem.json]
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

SMALL = {"width": 0.25, "e_steps": 200, "lr_encoder": 2e-4}  # the code's rate moves so narrow an E too little

WARPS = {"warp": 1.0, "pixel_noise": 0.1}
START = {"warmup_epochs": 100, "encoder_norm": "batch", "start": "k-means", "consistency_with": "teacher"}
HELD = {"start": "communities", "consistency_with": "start"}
ROWS: dict[str, dict[str, Any]] = {
    "author-code": {},
    "form kl (Eq. 1)": {"form": "kl"},
    "order generator": {"order": "generator"},
    "optimizer rmsprop, all rates 2e-4": {
        "optimizer": "rmsprop",
        **dict.fromkeys(("lr_generator", "lr_discriminator", "lr_encoder"), 2e-4),
    },
    "prior estimated (Eq. 8)": {"prior": "estimated"},
    "codes drawn": {"codes": "drawn"},
    "noise normal": {"noise": "normal"},
    "real-weight 1": {"real_weight": 1.0},
    "encoder-norm batch": {"encoder_norm": "batch"},
    "no-frozen-generator": {"frozen_generator": False},
    "+ warps": WARPS,
    "+ warps, warm-up": WARPS | START,
    "+ warps, warm-up, consistency": WARPS | START | {"consistency_weight": 1.0},
    "+ start from communities, held": WARPS | START | {"consistency_weight": 1.0} | HELD,
    "+ self-training": WARPS | START | {"consistency_weight": 1.0} | HELD | {"self_training": 3},
}
"""The options that a row changes, by its name."""


def measure(dataset: Dataset, given: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """ACC, NMI and seconds of every seed's run with the options `given`, and what went wrong where something did."""
    asked = TrainOptions(
        dataset=options.dataset,
        data_dir=options.data_dir,
        preset="author-code",
        seed=options.first_seed,
        seeds=options.seeds,
    )
    given = SMALL | {"iterations": options.iterations, "m_epochs": options.m_epochs} | given
    requests = plan("ganem", dataset, asked, given, " ".join(["python", *sys.argv]))
    results = [train(Run.place(options.runs_dir, request), dataset) for request in requests]
    scores = [result["scores"]["posterior"] for result in results if result["status"] == "finished"]
    return {
        "acc": [found["acc"] for found in scores],
        "nmi": [found["nmi"] for found in scores],
        "empty": [found["empty_clusters"] for found in scores],
        "failed": [result["reason"] for result in results if result["status"] == "failed"],
        "seconds": [result["seconds"] for result in results],
        "machine": results[0]["machine"],
    }


def spread(values: list[float]) -> str:
    """Mean, ± standard deviation where there are several."""
    return f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--m-epochs", type=int, default=20)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=Path("ganem.json"))
    options = parser.parse_args()
    dataset = catalogue.load(options.dataset, catalogue.data_folder(options.data_dir))
    print(f"{dataset.name}, n = {len(dataset)}, {options.iterations} iterations, {options.seeds} seeds\n")
    print("| row | ACC | NMI | empty clusters | seconds a run |\n|---|---|---|---|---|")
    rows = {}
    for name in options.rows:
        rows[name] = row = measure(dataset, ROWS[name], options)
        seconds, empty = statistics.mean(row["seconds"]), sum(row["empty"])
        told = [spread(row["acc"]), spread(row["nmi"])] if not row["failed"] else [f"FAILED: {row['failed'][0]}", "–"]
        print(f"| {name} | {told[0]} | {told[1]} | {empty:.0f} | {seconds:.0f} |", flush=True)
    budget = {"iterations": options.iterations, "m_epochs": options.m_epochs, "seeds": options.seeds}
    options.output.write_text(json.dumps({"dataset": dataset.name, "n": len(dataset), **budget, "rows": rows}) + "\n")


if __name__ == "__main__":
    main()
