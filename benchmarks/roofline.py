"""Claim: how near a step of each game comes to what the machine can do, and what holds it back.

Counts the operations (matrix products, convolutions) and the bytes (every operand and result, once an operation) of a
step of each game, measures the machine's ceilings (a large matrix product in float32 and in bfloat16; a large copy) and
the step itself, played plainly. The bound is the longer of both times at the ceilings; the rest is overhead: launches,
small operations, Python.

    python benchmarks/roofline.py [--games clustergan:digits …] [--data-dir DIR] [--device cpu] [--threads 1]
                                  [--output roofline.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from gancluster import registry
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.engine.device import machine
from gancluster.engine.game import Game
from gancluster.engine.play import rehearse
from gancluster.engine.slopes import plain
from gancluster.engine.ways import rehearsed
from gancluster.runs.training import configure, task_of

GAMES = [
    "clustergan:digits",
    "clustergan:usps",
    "ganem:mnist",
    "infogan:digits",
    "infogan:mnist",
    "wgan-gp:gaussians-25",
]
ITSELF: dict[str, dict[str, Any]] = {"ganem": {"iterations": 1}}  # options beside `warmup_epochs` 0: the game alone


class Counter(TorchDispatchMode):
    """Operations, bytes and calls of all that is computed inside."""

    def __init__(self) -> None:
        super().__init__()
        self.flops, self.bytes, self.calls = 0.0, 0.0, 0

    def __torch_dispatch__(self, function: Any, types: Any, inputs: Any = (), options: Any = None) -> Any:
        out = function(*inputs, **(options or {}))
        if function._overloadpacket in flop_registry:
            self.flops += flop_registry[function._overloadpacket](*inputs, **(options or {}), out_val=out)
        tensors = [leaf for leaf in tree_leaves((inputs, out)) if isinstance(leaf, Tensor)]
        if not function.is_view:
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
            self.calls += 1
        return out


def counted(one: Game) -> Counter:
    """What the slopes of a step take, mean over the phase's rounds."""
    with Counter() as found:
        rehearse([one], plain)
    rounds = len(one.phases[one.state.phase].rounds)
    found.flops, found.bytes, found.calls = found.flops / rounds, found.bytes / rounds, found.calls // rounds
    return found


def first_phase(name: str, source: str, data_dir: Path | None, device: str, preset: str = "default") -> Game:
    """A game at the beginning of its first phase after the warm-up."""
    dataset = catalogue.load(source, catalogue.data_folder(data_dir)).unlabelled()
    method, task = registry.find("methods", name), task_of(dataset, None)
    config = configure(method, task, preset, {"warmup_epochs": 0, **ITSELF.get(name, {})})
    return Game(method(config, task), Batches(dataset, device), seed=0)


def peak(device: str, dtype: torch.dtype = torch.float32, side: int = 1024) -> float:
    """Operations a second of a square matrix product: the best of ten."""
    a = torch.randn(side, side, device=device).to(dtype)
    return 2 * side**3 / _best(lambda: a @ a)


def bandwidth(device: str, size: int = 2**26) -> float:
    """Bytes a second, read and written, of a copy that no cache holds: the best of ten."""
    a, b = torch.ones(2, size, device=device)
    return 2 * 4 * size / _best(lambda: b.copy_(a))


def now() -> float:
    """Seconds: of the processor where one thread of it does everything, so that what runs beside is not counted."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time() if alone else time.perf_counter()


def _best(work: Callable[[], Tensor]) -> float:
    taken = []
    for _ in range(10):
        started = now()
        work().view(-1)[0].item()
        taken.append(now() - started)
    return min(taken)


def measure(one: Game, ceilings: dict[str, float]) -> dict[str, Any]:
    """A step's counts, its bound at the `ceilings`, and the time it takes, in milliseconds."""
    found = counted(one)
    bounds = {"matrix products": found.flops / ceilings["float32"], "memory": found.bytes / ceilings["bytes"]}
    step = statistics.median(rehearsed([one], plain, now) for _ in range(5))
    return {
        "gflop": found.flops / 1e9,
        "mbytes": found.bytes / 1e6,
        "operations": found.calls,
        "ms": 1000 * step,
        "bound_ms": {what: 1000 * seconds for what, seconds in bounds.items()},
        "share_of_bound": max(bounds.values()) / step,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--games", nargs="+", default=GAMES)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("roofline.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ceilings = {"float32": peak(options.device), "bfloat16": peak(options.device, torch.bfloat16)}
    ceilings["bytes"] = bandwidth(options.device)
    print(", ".join(f"{what} {value / 1e9:.0f} G/s" for what, value in ceilings.items()))
    results = {}
    for game in options.games:
        one = first_phase(*game.split(":"), options.data_dir, options.device)
        results[game] = found = measure(one, ceilings)
        bounds = ", ".join(f"{what} {ms:.1f} ms" for what, ms in found["bound_ms"].items())
        print(
            f"{game:22} {found['gflop']:.2f} GFLOP, {found['mbytes']:.0f} MB, {found['operations']} operations a step"
        )
        print(f"  {found['ms']:.1f} ms; bound by {bounds}: {found['share_of_bound']:.0%} of the bound", flush=True)
    report = {"machine": machine(torch.device(options.device)), "ceilings": ceilings, "games": results}
    options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
