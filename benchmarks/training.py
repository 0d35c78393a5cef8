"""Claim: the engine's plain loop costs little over a textbook PyTorch loop of the same game.

Plays ClusterGAN on the digits both ways in one process, in turn: this package's engine, and a loop as one finds it in a
tutorial (DataLoader, nn.Module players, torch.optim.Adam, `backward()`, `autograd.grad(create_graph=True)` for the
penalty, `.item()` on every loss). Networks, losses, batch and threads are the same. Prints samples per second of each
(median over repeats) and their ratio, and writes JSON.

    python benchmarks/training.py [--repeats 7] [--steps 30] [--threads 1] [--output training.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from gancluster.critics import R1, Inputs
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.engine.device import machine
from gancluster.engine.play import Game, play
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets
from gancluster.methods.clustergan import ClusterGAN, Config
from gancluster.training import task_of


@dataclass(frozen=True)
class TextbookR1(R1):
    """R1 by `autograd.grad(create_graph=True)`."""

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        both = [torch.cat(sides).detach().requires_grad_() for sides in zip(real, fake, strict=True)]
        slopes = torch.autograd.grad(net(*both).sum(), both, create_graph=True)
        return self.weight / 2 * torch.stack([s.flatten(1).square().sum(1) for s in slopes]).sum(0).mean()


def engine(method: ClusterGAN, batches: Batches) -> Iterator[None]:
    """Steps of the package's plain engine."""
    for _ in play(Game(method, batches, seed=0)):
        yield


def textbook(method: ClusterGAN, batches: Batches) -> Iterator[None]:
    """Steps of the tutorial's loop."""
    method.critic = TextbookR1()
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    modules, average = method.players(), method.players()["clusterer"]
    average.load_state_dict(modules["clusterer"].state_dict())
    config = method.config
    optimizers = {
        name: torch.optim.Adam(module.parameters(), lr=config.lr, betas=(0.5, 0.999), eps=1e-8)
        for name, module in modules.items()
    }
    everything = TensorDataset(batches.at(torch.arange(len(batches))))
    loader = DataLoader(everything, batch_size=config.batch_size, shuffle=True, drop_last=True)
    total, played = config.epochs * len(loader), count()
    for _ in range(config.epochs):
        for (inputs,) in loader:
            step = next(played)
            for group in (g for optimizer in optimizers.values() for g in optimizer.param_groups):
                group["lr"] = config.lr + (config.lr_end - config.lr) * step / total
            clock = Clock(torch.tensor(step / total))
            nets = Nets(modules, {"clusterer": average})
            noise = method.draw(len(inputs), rng)
            held = step % method.critic.every == 0
            losses = {
                "discriminator": method.penalised_discriminator_loss if held else method.discriminator_loss,
                "generator": method.generator_loss,
                "clusterer": method.clusterer_loss,
            }
            for name, loss in losses.items():
                _only(name, modules)
                _descend(loss(nets, Batch(inputs), noise, clock), optimizers[name])
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), modules["clusterer"].parameters(), strict=True):
                    slow.lerp_(fast, config.average)
            yield


def _only(name: str, modules: Modules) -> None:
    """Let only player `name` collect gradients."""
    for other, module in modules.items():
        module.requires_grad_(other == name)


def _descend(loss: Loss, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    optimizer.step()
    for value in loss.terms.values():
        value.item()


def measure(repeats: int, steps: int, threads: int) -> dict[str, Any]:
    """Samples per second of both loops, measured in turn; the first stretch of each warms up and is not counted."""
    torch.set_num_threads(threads)
    dataset = catalogue.load("digits", catalogue.data_folder()).unlabelled()
    config = Config(epochs=1000, warmup_epochs=0)
    loops = {
        name: loop(ClusterGAN(config, task_of(dataset, None)), Batches(dataset))
        for name, loop in {"engine": engine, "textbook": textbook}.items()
    }
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for repeat in range(repeats + 1):
        for name, loop in loops.items():
            started = time.perf_counter()
            for _ in islice(loop, steps):
                pass
            if repeat:
                speeds[name].append(steps * config.batch_size / (time.perf_counter() - started))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    ratios = [e / t for e, t in zip(speeds["engine"], speeds["textbook"], strict=True)]
    return {
        "what": "ClusterGAN on digits 8x8, compact networks, batch 100: samples per second, plain engine and textbook",
        "samples_per_second": medians,
        "engine_to_textbook": statistics.median(ratios),
        "all": speeds,
        "repeats": repeats,
        "steps": steps,
        "machine": machine(torch.device("cpu")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("training.json"))
    options = parser.parse_args()
    result = measure(options.repeats, options.steps, options.threads)
    for name, speed in result["samples_per_second"].items():
        print(f"{name:10} {speed:8.0f} samples/s")
    print(f"engine / textbook, median of {options.repeats} pairs: {result['engine_to_textbook']:.2f}")
    options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
