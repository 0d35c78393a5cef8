"""The whole set on the device as it is stored, handed out in batches and scaled there."""

from __future__ import annotations

import torch
from torch import Tensor

from gancluster.data.dataset import Dataset


def scaled(stored: Tensor, pixel_range: tuple[float, float]) -> Tensor:
    """Images uint8 0 … 255 `(b, c, h, w)` as floats in `pixel_range`; vectors `(b, d)` as they are."""
    if stored.dtype != torch.uint8:
        return stored
    low, high = pixel_range
    return stored.to(torch.get_default_dtype()) * ((high - low) / 255) + low


class Batches:
    """Every sample of a data set on `device`, in the type it is stored in (uint8 stays uint8); no labels."""

    def __init__(self, dataset: Dataset, device: torch.device | str = "cpu") -> None:
        self.stored = torch.as_tensor(dataset.inputs).to(device)
        self.pixel_range = dataset.pixel_range

    def __len__(self) -> int:
        return len(self.stored)

    def at(self, index: Tensor) -> Tensor:
        """Samples at `index` `(b,)`, scaled, `(b, *shape)`."""
        return scaled(self.stored[index], self.pixel_range)
