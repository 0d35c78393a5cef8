"""One run by the several processes of `torchrun`: the first writes and speaks, all stop together.

Each does all that a lone process does; the others in a folder of their own, which they forget.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist

from gancluster.engine.device import pick
from gancluster.errors import UserError

TOLD = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # to each process
PATIENCE = timedelta(hours=1)  # that one process waits for another, which is drawing pictures, say


class Agreed(threading.Event):
    """An event that is set for all processes once it is set for one; they ask for it together, once a step."""

    def is_set(self) -> bool:
        asked = torch.tensor(int(super().is_set()))
        dist.all_reduce(asked, dist.ReduceOp.MAX)
        return bool(asked)


@dataclass(frozen=True)
class Company:
    """Those who are at a run: `runs_dir` is where this process has it, `shared` where the first has it."""

    runs_dir: Path
    shared: Path
    is_first: bool = True
    stop: threading.Event | None = None

    def catch_up(self, folder: Path) -> None:
        """Begin where the first process does: with what it has in the run's `folder`, below the runs' root."""
        if self.stop is None:
            return
        try:
            dist.barrier()
        except RuntimeError as error:
            raise UserError("another of the processes has ended: see what it says") from error
        if not self.is_first:
            ignored = shutil.ignore_patterns(".*")
            shutil.copytree(self.shared / folder, self.runs_dir / folder, ignore=ignored, dirs_exist_ok=True)
        dist.barrier()


@contextmanager
def joined(engine: str, device: str, runs_dir: Path) -> Iterator[Company]:
    """The company of this process, which is its own but with the engine *parallel*; `UserError` where that is amiss."""
    started = int(os.environ.get("WORLD_SIZE", "0"))
    if engine != "parallel" and started > 1:
        raise UserError(f"{started} processes are at the same run: add --engine parallel, or start one")
    if engine != "parallel" or not started:
        yield Company(runs_dir, runs_dir)
        return
    if lacking := [name for name in TOLD if name not in os.environ]:
        raise UserError(f"--engine parallel wants {', '.join(lacking)}: start by torchrun -m gancluster, which sets it")
    dist.init_process_group(_backend(device), timeout=PATIENCE)
    try:
        with TemporaryDirectory() as own:
            is_first = dist.get_rank() == 0
            yield Company(runs_dir if is_first else Path(own), runs_dir, is_first, Agreed())
    finally:
        dist.destroy_process_group()


def _backend(device: str) -> str:
    """How processes exchange tensors; each takes a GPU of its own where that is the device."""
    if pick(device).type == "cpu":
        return "gloo"
    here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if here > gpus:
        raise UserError(f"{here} processes need as many GPUs, but there are {gpus}: lower --nproc-per-node")
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return "cpu:gloo,cuda:nccl"
