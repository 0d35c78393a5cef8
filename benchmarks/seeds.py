"""Claim: seeds played as one stacked program take less time than one after another, most of all in small networks.

Plays so many seeds of a game in one process, in turn, step by step: each seed alone, and all as one; with `--compile`,
both once more compiled. Prints milliseconds a step of all seeds (median over repeats), how many times as fast that is
as one after another (median of pairs), and which share of the matrix products' peak it reaches. With `--runs`, whole
trainings of so many seeds are compared instead, each way's with the first's: their accuracies, which rounding alone
may change, and the p-value of a difference (Mann-Whitney, two-sided); what is finished in the runs' folder is taken.

    python benchmarks/seeds.py [--games NAME:SOURCE:OPTION=VALUE,… …] [--seeds 8] [--data-dir DIR] [--device cpu]
                               [--compile] [--precision bfloat16] [--repeats 7] [--steps 5] [--threads 1]
                               [--output seeds.json]
    python benchmarks/seeds.py --runs [--ways plain compiled …] [--seeds 10] [--preset default]
                               [--games infogan:digits] [--runs-dir runs]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from roofline import counted, now, peak
from scipy.stats import mannwhitneyu

from gancluster import registry
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.engine.device import machine
from gancluster.engine.game import Game
from gancluster.engine.play import play_together
from gancluster.engine.slopes import Slopes, compiled, plain, stacked
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, configure, plan, task_of, train, train_together

SMALL, WIDE = "width=0.0625,batch_size=64,epochs=1000", "width=0.5,batch_size=64,epochs=1000"
GAMES = [
    f"infogan:gaussians-25:{SMALL}",
    f"wgan-gp:gaussians-25:{SMALL}",
    f"infogan:gaussians-25:{WIDE}",
    "infogan:digits:warmup_epochs=0",
    "clustergan:digits:warmup_epochs=0",
    "clustergan:usps:warmup_epochs=0",
]
COMPILED: list[Slopes] = [compiled, partial(stacked, compile_it=True)]


def measure(game: str, seeds: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a step of all seeds by each way, and what that makes beside one after another, and of the peak."""
    name, source, *options = game.split(":")
    dataset = catalogue.load(source, catalogue.data_folder(asked.data_dir)).unlabelled()
    method, task = registry.find("methods", name), task_of(dataset, None)
    given = dict(option.split("=") for option in options[0].split(",")) if options else {}
    config, batches = configure(method, task, asked.preset, given), Batches(dataset, asked.device)
    bfloat16 = asked.precision == "bfloat16"
    ways: dict[str, Slopes] = {"one after another": plain, "together": stacked}
    ways |= {f"{way}, compiled": slopes for way, slopes in zip(ways, COMPILED, strict=True)} if asked.compile else {}
    games = {way: [Game(method(config, task), batches, seed, bfloat16) for seed in range(seeds)] for way in ways}
    playing = {way: play_together(games[way], slopes) for way, slopes in ways.items()}
    flops = seeds * counted(games["together"][0]).flops
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(asked.repeats + 1):
        for way, moments in playing.items():
            started = now()
            for _ in islice(moments, asked.steps):
                pass
            if asked.device != "cpu":
                torch.cuda.synchronize()
            if repeat:
                taken[way].append(1000 * (now() - started) / asked.steps)
    medians, first = {way: statistics.median(found) for way, found in taken.items()}, taken["one after another"]
    top = peak(asked.device, torch.bfloat16 if bfloat16 else torch.float32)
    return {
        "game": game,
        "seeds": seeds,
        "ms_a_step": medians,
        "times": {
            way: statistics.median(a / t for a, t in zip(first, found, strict=True)) for way, found in taken.items()
        },
        "gflop_a_step": flops / 1e9,
        "share_of_peak": {way: 1000 * flops / ms / top for way, ms in medians.items()},
        "all": taken,
    }


def trainings(game: str, seeds: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Accuracies of whole runs by each way, and the p-values of a difference from plain ones, one after another."""
    name, source, *_ = game.split(":")
    dataset, accuracies = catalogue.load(source, catalogue.data_folder(asked.data_dir)), dict[str, list[float]]()
    for way in asked.ways:
        options = TrainOptions(dataset=source, preset=asked.preset, seeds=seeds, **ways_to_train(seeds)[way])
        runs = [Run.place(asked.runs_dir, request) for request in plan(name, dataset, options, {})]
        if options.together > 1:
            train_together(runs, dataset, lambda moment: None)
        results = [train(run, dataset) for run in runs]
        accuracies[way] = [next(iter(result["scores"].values()))["acc"] for result in results]
    first = next(iter(accuracies.values()))
    p = {way: float(mannwhitneyu(first, found).pvalue) for way, found in accuracies.items()}
    return {"game": f"{name} on {dataset.name}, preset {asked.preset}", "seeds": seeds, "acc": accuracies, "p": p}


def ways_to_train(seeds: int) -> dict[str, dict[str, Any]]:
    """Options of `gancluster train` by name."""
    return {
        "plain": {},
        "compiled": {"engine": "compiled"},
        "together": {"together": seeds},
        "together, compiled": {"engine": "compiled", "together": seeds},
        "bfloat16": {"precision": "bfloat16"},
    }


def shown(found: dict[str, Any]) -> Iterator[str]:
    """What was found of a game, a line a way."""
    yield found["game"]
    for way, accuracies in found.get("acc", {}).items():
        mean, sd = statistics.mean(accuracies), statistics.stdev(accuracies)
        told = f"{mean:.3f} ± {sd:.3f}, p = {found['p'][way]:.2f}: "
        yield f"  {way:28} ACC {told}" + " ".join(f"{acc:.3f}" for acc in accuracies)
    for way, ms in found.get("ms_a_step", {}).items():
        times, share = found["times"][way], found["share_of_peak"][way]
        yield f"  {way:28} {ms:7.1f} ms a step of {found['seeds']} seeds, {times:.2f} x, {share:.0%} of peak"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--runs", action="store_true")
    parser.add_argument("--ways", nargs="+", choices=ways_to_train(1), default=list(ways_to_train(1)))
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("seeds.json"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    results = []
    for game in asked.games:
        results.append(found := (trainings if asked.runs else measure)(game, asked.seeds, asked))
        print("\n".join(shown(found)), flush=True)
    report = {"machine": machine(torch.device(asked.device)), "precision": asked.precision, "games": results}
    asked.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
