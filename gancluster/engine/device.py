"""Where a run is computed: device, precision, threads, and what to call the machine in a result."""

from __future__ import annotations

import os
import platform
from typing import Literal

import torch
import torch.distributed as dist

from gancluster.errors import UserError

Precision = Literal["float32", "bfloat16"]


def pick(name: str) -> torch.device:
    """The device called `name`; *auto* is the first CUDA device where there is one, else the processor."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type != "cuda" and name != "cpu":
            raise RuntimeError("nothing is played there")
    except RuntimeError as error:
        raise UserError(f"there is no device '{name}'; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"this machine has {torch.cuda.device_count()} CUDA devices, not '{name}'; use --device cpu")
    return device


def use_threads(threads: int) -> None:
    """Let this process compute with so many threads; results are reproducible to the bit for equal numbers.

    0, still to be measured, is one.
    """
    torch.set_num_threads(threads or 1)


def machine(device: torch.device) -> str:
    """What a cost was measured on: device, cores, processes where there are several, threads and versions."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    several = f" {dist.get_world_size()} processes," if dist.is_initialized() else ""
    return f"{where}, {os.cpu_count()} cores,{several} {torch.get_num_threads()} threads, torch {torch.__version__}"
