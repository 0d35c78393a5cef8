"""The whole set on the device as it is stored, handed out in batches and scaled there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gancluster.data.dataset import Dataset, Known


def scaled(stored: Tensor, pixel_range: tuple[float, float]) -> Tensor:
    """Images uint8 0 … 255 `(b, c, h, w)` as floats in `pixel_range`; vectors `(b, d)` as they are."""
    if stored.dtype != torch.uint8:
        return stored
    low, high = pixel_range
    return stored.to(torch.get_default_dtype()) * ((high - low) / 255) + low


class Batches:
    """Every sample of a data set on `device`, in the type it is stored in (uint8 stays uint8).

    No labels but those of `known`: `known` then holds which samples they are of `(k,)`, `labels` their classes `(k,)`.
    """

    def __init__(self, dataset: Dataset, device: torch.device | str = "cpu", known: Known | None = None) -> None:
        self.stored = torch.as_tensor(dataset.inputs).to(device)
        self.pixel_range = dataset.pixel_range
        samples, labels = known or Known(np.zeros(0, np.int64), np.zeros(0, np.int64))
        self.known, self.labels = torch.from_numpy(samples).to(device), torch.from_numpy(labels).to(device)

    def __len__(self) -> int:
        return len(self.stored)

    def shuffled(self, seed: int, size: int = 1000) -> Iterator[Tensor]:
        """All samples in an order drawn by `seed`, scaled, `size` at a time: parts that are alike, for batch norm.

        A last one alone, which has no variance, goes with those before it.
        """
        *parts, last = torch.split(self.order(seed), size)
        if parts and len(last) == 1:
            last = torch.cat([parts.pop(), last])
        for part in (*parts, last):
            yield self.at(part)

    def order(self, seed: int) -> Tensor:
        """Where the samples of `shuffled` are stored, `(n,)`."""
        return torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).to(self.stored.device)

    def parts(self, size: int = 1000) -> Iterator[Tensor]:
        """All samples in the order they are stored, scaled, `size` at a time."""
        for part in torch.split(torch.arange(len(self), device=self.stored.device), size):
            yield self.at(part)

    def at(self, index: Tensor) -> Tensor:
        """Samples at `index` `(b,)`, scaled, `(b, *shape)`."""
        return scaled(self.stored[index], self.pixel_range)
