"""Claim: seeds played as one stacked program take less time than one after another, most of all in small networks.

Plays so many seeds of a game both ways in one process, in turn, step by step: each seed alone (`--together 1`) and all
as one (`--together N`), both uncompiled unless asked. Prints milliseconds a step of all seeds (median over repeats) and
the ratio (median of pairs). With `--runs`, whole trainings of so many seeds are compared instead: their accuracies,
which no way may change but by rounding, side by side.

    python benchmarks/seeds.py [--games NAME:SOURCE:OPTION=VALUE,… …] [--seeds 8] [--data-dir DIR] [--device cpu]
                               [--compile] [--repeats 7] [--steps 5] [--threads 1] [--output seeds.json]
    python benchmarks/seeds.py --runs [--seeds 10] [--preset smoke] [--games infogan:digits]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from scipy.stats import mannwhitneyu

from gancluster import registry
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.engine.device import machine
from gancluster.engine.game import Game
from gancluster.engine.play import play_together
from gancluster.engine.slopes import plain, stacked
from gancluster.runs import Run
from gancluster.training import TrainOptions, configure, plan, task_of, train, train_together

SMALL, WIDE = "width=0.0625,batch_size=64,epochs=1000", "width=0.5,batch_size=64,epochs=1000"
GAMES = [
    f"infogan:gaussians-25:{SMALL}",
    f"wgan-gp:gaussians-25:{SMALL}",
    f"infogan:gaussians-25:{WIDE}",
    "infogan:digits:warmup_epochs=0",
    "clustergan:digits:warmup_epochs=0",
    "clustergan:usps:warmup_epochs=0",
]


def measure(game: str, seeds: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a step of all seeds, one after another and as one."""
    name, source, *options = game.split(":")
    dataset = catalogue.load(source, catalogue.data_folder(asked.data_dir)).unlabelled()
    method, task = registry.find("methods", name), task_of(dataset, None)
    given = dict(option.split("=") for option in options[0].split(",")) if options else {}
    config, batches = configure(method, task, asked.preset, given), Batches(dataset, asked.device)
    ways = {"one after another": plain, "together": partial(stacked, compile_it=asked.compile)}
    playing = {
        way: play_together([Game(method(config, task), batches, seed) for seed in range(seeds)], slopes)
        for way, slopes in ways.items()
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(asked.repeats + 1):
        for way, moments in playing.items():
            started = time.perf_counter()
            for _ in islice(moments, asked.steps):
                pass
            if asked.device != "cpu":
                torch.cuda.synchronize()
            if repeat:
                taken[way].append(1000 * (time.perf_counter() - started) / asked.steps)
    alone, together = taken.values()
    return {
        "game": game,
        "seeds": seeds,
        "ms_a_step": {way: statistics.median(found) for way, found in taken.items()},
        "times": statistics.median(a / t for a, t in zip(alone, together, strict=True)),
        "all": taken,
    }


def trainings(game: str, seeds: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Accuracies of whole runs by both ways, and the p-value of a difference (Mann-Whitney, two-sided)."""
    name, source, *_ = game.split(":")
    dataset = catalogue.load(source, catalogue.data_folder(asked.data_dir))
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as root:
        for way, together in {"one after another": 1, "together": seeds}.items():
            options = TrainOptions(dataset=source, preset=asked.preset, seeds=seeds, together=together)
            runs = [Run.place(Path(root), request) for request in plan(name, dataset, options, {})]
            if together > 1:
                train_together(runs, dataset, lambda moment: None)
            results = [train(run, dataset) for run in runs]
            found[way] = [next(iter(result["scores"].values()))["acc"] for result in results]
    p = float(mannwhitneyu(*found.values()).pvalue)
    return {"game": f"{name} on {dataset.name}, preset {asked.preset}", "seeds": seeds, "acc": found, "p": p}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--runs", action="store_true")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("seeds.json"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    results = []
    for game in asked.games:
        results.append(found := (trainings if asked.runs else measure)(game, asked.seeds, asked))
        print(found["game"])
        if asked.runs:
            for way, accuracies in found["acc"].items():
                print(f"  {way:18} ACC " + " ".join(f"{acc:.3f}" for acc in accuracies))
            print(f"  p = {found['p']:.2f}", flush=True)
        else:
            for way, ms in found["ms_a_step"].items():
                print(f"  {way:18} {ms:7.1f} ms a step of {found['seeds']} seeds")
            print(f"  together {found['times']:.2f} times as fast", flush=True)
    report = {"machine": machine(torch.device(asked.device)), "compiled": asked.compile, "games": results}
    asked.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
