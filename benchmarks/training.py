"""Claim: the engine plays a game faster than the textbook PyTorch loop of the same game, most of all compiled.

Plays games in one process, in turn: the textbook loop (DataLoader, nn.Module players, torch.optim.Adam, `backward()`,
`autograd.grad(create_graph=True)` for the penalty, `.item()` on every loss) and this package's engine, plain and
compiled, in each precision asked for. Networks, losses, batch and threads are the same; all play the game itself,
without its warm-up. Prints milliseconds a step (median over repeats), how many times the textbook's speed that is
(median of pairs), what the first steps cost (compiling), and which share of the matrix products' peak in its precision,
measured in the same run, a step reaches.

    python benchmarks/training.py [--games clustergan:digits ganem:mnist …] [--data-dir DIR] [--preset default]
                                  [--device cpu] [--engines plain compiled] [--precisions float32 bfloat16]
                                  [--repeats 7] [--steps 20] [--threads 1] [--output training.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any, get_args

import torch
from roofline import GAMES, counted, now, peak
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from gancluster import registry
from gancluster.critics import R1, Inputs
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.device import Precision, machine
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.ways import ALONE, Way
from gancluster.methods.base import Batch, Clock, Method, Nets
from gancluster.runs.training import configure, task_of

LONG = 1000  # epochs: more than will be played
ITSELF: dict[str, dict[str, Any]] = {
    "clustergan": {"epochs": LONG, "warmup_epochs": 0},
    "ganem": {"m_epochs": LONG, "iterations": 1, "warmup_epochs": 0},
    "infogan": {"epochs": LONG, "warmup_epochs": 0},
    "wgan-gp": {"epochs": LONG, "warmup_epochs": 0},
}  # options that leave the game itself alone, and first


@dataclass(frozen=True)
class TextbookR1(R1):
    """R1 by `autograd.grad(create_graph=True)`."""

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        both = [torch.cat(sides).detach().requires_grad_() for sides in zip(real, fake, strict=True)]
        slopes = torch.autograd.grad(net(*both).sum(), both, create_graph=True)
        return self.weight / 2 * torch.stack([s.flatten(1).square().sum(1) for s in slopes]).sum(0).mean()


def textbook(method: Method, batches: Batches) -> Iterator[None]:
    """Steps of the tutorial's loop, in the first phase of the game."""
    if getattr(method, "critic", None) == R1():
        method.critic = TextbookR1()  # type: ignore[attr-defined]
    device = batches.stored.device
    torch.manual_seed(0)
    rng, phase, step = torch.Generator(device).manual_seed(0), method.phases()[0], 0
    modules, copies = ({name: net.to(device) for name, net in method.players().items()} for _ in range(2))
    averages = {name: copies[name] for name in method.averages()}
    optimizers = {
        name: torch.optim.Adam(modules[name].parameters(), phase.optimizer_of(name).lr.start, (0.5, 0.999), 1e-8)
        for name in {mover for turns in phase.rounds for turn in turns for mover in turn.movers}
    }
    everything = TensorDataset(batches.at(torch.arange(len(batches), device=device)).cpu())
    loader = DataLoader(everything, batch_size=phase.batch_size, shuffle=True, drop_last=True)
    for _ in range(phase.epochs):
        for (inputs,) in loader:
            progress = step / (phase.epochs * len(loader))
            clock = Clock(torch.tensor(progress, device=device))
            for turn in [t for t in phase.rounds[step % len(phase.rounds)] for _ in range(t.repeat)]:
                for name, module in modules.items():
                    module.requires_grad_(name in turn.movers)
                    module.zero_grad(set_to_none=True)
                noise = method.draw(len(inputs), rng)
                loss = turn.loss(Nets(modules, averages), Batch(inputs.to(device)), noise, clock)
                loss.total.backward()
                for mover in turn.movers:
                    optimizers[mover].param_groups[0]["lr"] = phase.optimizer_of(mover).lr.at(progress)
                    optimizers[mover].step()
                    if mover in averages:
                        _follow(averages[mover], modules[mover], method.averages()[mover])
                for value in loss.terms.values():
                    value.item()
            step += 1
            yield


@torch.no_grad()
def _follow(average: torch.nn.Module, module: torch.nn.Module, rate: float) -> None:
    for slow, fast in zip(average.parameters(), module.parameters(), strict=True):
        slow.lerp_(fast, rate)


def engine(method: Method, batches: Batches, way: Way, precision: Precision) -> Iterator[None]:
    """Steps of the package's engine."""
    for _ in play(Game(method, batches, seed=0, bfloat16=precision == "bfloat16"), ALONE[way]):
        yield


def measure(name: str, dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a step of all loops, measured in turn after a stretch of each that does not count."""
    method, task = registry.find("methods", name), task_of(dataset, None)
    config, batches = configure(method, task, options.preset, ITSELF[name]), Batches(dataset, options.device)
    one = Game(method(config, task), batches, seed=0)
    loops = {"textbook": textbook(method(config, task), batches)}
    precisions: dict[str, Precision] = {"textbook": "float32"}
    for precision, way in product(options.precisions, options.engines):
        loops[loop := f"{way}, {precision}"] = engine(method(config, task), batches, way, precision)
        precisions[loop] = precision
    first = {loop: _seconds(steps, 2 * len(one.phases[0].rounds), time.perf_counter) for loop, steps in loops.items()}
    taken: dict[str, list[float]] = {loop: [] for loop in loops}
    for _ in range(options.repeats):
        for loop, steps in loops.items():
            taken[loop].append(1000 * _seconds(steps, options.steps) / options.steps)
    flops, medians = counted(one).flops, {loop: statistics.median(found) for loop, found in taken.items()}
    peaks = {precision: peak(options.device, getattr(torch, precision)) for precision in {*precisions.values()}}
    return {
        "game": f"{name} on {dataset.name}, preset {options.preset}, batch {one.phases[0].batch_size}",
        "first_steps_seconds": first,
        "ms_a_step": medians,
        "times_textbook": {
            loop: statistics.median(t / e for t, e in zip(taken["textbook"], found, strict=True))
            for loop, found in taken.items()
        },
        "gflop_a_step": flops / 1e9,
        "peak_gflops": {precision: found / 1e9 for precision, found in peaks.items()},
        "share_of_peak": {loop: 1000 * flops / ms / peaks[precisions[loop]] for loop, ms in medians.items()},
        "all": taken,
    }


def _seconds(steps: Iterator[None], n: int, now: Callable[[], float] = now) -> float:
    started = now()
    for _ in islice(steps, n):
        pass
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return now() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--engines", nargs="+", choices=ALONE, default=["plain", "compiled"])
    parser.add_argument("--precisions", nargs="+", choices=get_args(Precision), default=["float32"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("training.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = []
    for name, source in (game.split(":") for game in options.games):
        dataset = catalogue.load(source, catalogue.data_folder(options.data_dir)).unlabelled()
        results.append(found := measure(name, dataset, options))
        peaks = ", ".join(f"{top:.0f} GFLOP/s in {precision}" for precision, top in found["peak_gflops"].items())
        print(f"{found['game']}: {found['gflop_a_step']:.2f} GFLOP a step; peak {peaks}")
        for loop, ms in found["ms_a_step"].items():
            times, share = found["times_textbook"][loop], found["share_of_peak"][loop]
            first = found["first_steps_seconds"][loop]
            print(
                f"  {loop:18} {ms:7.1f} ms, {times:.2f} x textbook, {share:4.0%} of peak; first steps {first:.0f} s",
                flush=True,
            )
    report = {"machine": machine(torch.device(options.device)), "threads": options.threads, "games": results}
    options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
