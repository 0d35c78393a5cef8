"""Claim: the engine's plain loop costs little over a textbook PyTorch loop of the same game.

Plays a game both ways in one process, in turn: this package's engine, and a loop as one finds it in a tutorial
(DataLoader, nn.Module players, torch.optim.Adam, `backward()`, `autograd.grad(create_graph=True)` for the penalty,
`.item()` on every loss). Networks, losses, batch and threads are the same. The games are ClusterGAN's and GAN-EM's
M-step, as their presets play them. Prints samples per second of each (median over repeats), seconds an epoch, and the
ratio of both loops, and writes JSON.

    python benchmarks/training.py [--games clustergan ganem] [--dataset digits] [--data-dir DIR] [--preset default]
                                  [--repeats 7] [--steps 30] [--threads 1] [--output training.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from gancluster import registry
from gancluster.critics import R1, Inputs
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.device import machine
from gancluster.engine.play import Game, play
from gancluster.methods.base import Batch, Clock, Loss, Method, Nets
from gancluster.training import configure, task_of

LONG = 1000  # epochs: more than will be played
ALONE: dict[str, dict[str, Any]] = {
    "clustergan": {"epochs": LONG, "warmup_epochs": 0},
    "ganem": {"m_epochs": LONG, "iterations": 1, "warmup_epochs": 0},
}  # options that leave the phase to be measured alone, and first


@dataclass(frozen=True)
class TextbookR1(R1):
    """R1 by `autograd.grad(create_graph=True)`."""

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        both = [torch.cat(sides).detach().requires_grad_() for sides in zip(real, fake, strict=True)]
        slopes = torch.autograd.grad(net(*both).sum(), both, create_graph=True)
        return self.weight / 2 * torch.stack([s.flatten(1).square().sum(1) for s in slopes]).sum(0).mean()


def engine(method: Method, batches: Batches) -> Iterator[None]:
    """Steps of the package's plain engine."""
    for _ in play(Game(method, batches, seed=0)):
        yield


def textbook(method: Method, batches: Batches) -> Iterator[None]:
    """Steps of the tutorial's loop, in the first phase of the game."""
    if getattr(method, "critic", None) == R1():
        method.critic = TextbookR1()  # type: ignore[attr-defined]
    torch.manual_seed(0)
    rng, phase, step = torch.Generator().manual_seed(0), method.phases()[0], 0
    modules, copies = method.players(), method.players()
    averages = {name: copies[name] for name in method.averages()}
    movers = {mover for turns in phase.rounds for turn in turns for mover in turn.movers}
    optimizers = {
        name: torch.optim.Adam(modules[name].parameters(), phase.optimizer_of(name).lr.start, (0.5, 0.999), 1e-8)
        for name in movers
    }
    everything = TensorDataset(batches.at(torch.arange(len(batches))))
    loader = DataLoader(everything, batch_size=phase.batch_size, shuffle=True, drop_last=True)
    for _ in range(phase.epochs):
        for (inputs,) in loader:
            progress = step / (phase.epochs * len(loader))
            nets, noise = Nets(modules, averages), method.draw(len(inputs), rng)
            for turn in phase.rounds[step % len(phase.rounds)]:
                mover = turn.movers[0]
                for other, module in modules.items():
                    module.requires_grad_(other == mover)
                for group in optimizers[mover].param_groups:
                    group["lr"] = phase.optimizer_of(mover).lr.at(progress)
                _descend(turn.loss(nets, Batch(inputs), noise, Clock(torch.tensor(progress))), optimizers[mover])
                if mover in averages:
                    _follow(averages[mover], modules[mover], method.averages()[mover])
            step += 1
            yield


def _descend(loss: Loss, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    optimizer.step()
    for value in loss.terms.values():
        value.item()


@torch.no_grad()
def _follow(average: torch.nn.Module, module: torch.nn.Module, rate: float) -> None:
    for slow, fast in zip(average.parameters(), module.parameters(), strict=True):
        slow.lerp_(fast, rate)


def measure(game: str, dataset: Dataset, preset: str, repeats: int, steps: int) -> dict[str, Any]:
    """Samples per second of both loops, measured in turn; the first stretch of each warms up and is not counted."""
    method, task = registry.find("methods", game), task_of(dataset, None)
    config = configure(method, task, preset, ALONE[game])
    size = method(config, task).phases()[0].batch_size
    loops = {loop.__name__: loop(method(config, task), Batches(dataset)) for loop in (engine, textbook)}
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for repeat in range(repeats + 1):
        for name, loop in loops.items():
            started = time.perf_counter()
            for _ in islice(loop, steps):
                pass
            if repeat:
                speeds[name].append(steps * size / (time.perf_counter() - started))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    ratios = [e / t for e, t in zip(speeds["engine"], speeds["textbook"], strict=True)]
    return {
        "what": f"{game} on {dataset.name}, preset {preset}, batch {size}: samples per second of both loops",
        "samples_per_second": medians,
        "seconds_an_epoch": {name: len(dataset) / speed for name, speed in medians.items()},
        "engine_to_textbook": statistics.median(ratios),
        "all": speeds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--games", nargs="+", choices=ALONE, default=list(ALONE))
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("training.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = catalogue.load(options.dataset, catalogue.data_folder(options.data_dir)).unlabelled()
    results = []
    for game in options.games:
        results.append(result := measure(game, dataset, options.preset, options.repeats, options.steps))
        print(result["what"])
        for name, speed in result["samples_per_second"].items():
            print(f"  {name:10} {speed:8.0f} samples/s, {result['seconds_an_epoch'][name]:.2f} s an epoch")
        print(f"  engine / textbook, median of {options.repeats} pairs: {result['engine_to_textbook']:.2f}", flush=True)
    report = {"machine": machine(torch.device("cpu")), "threads": options.threads, "games": results}
    options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
