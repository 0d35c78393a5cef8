"""Instance discrimination: features that know an image again after a warp, and tell it from every other image."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancluster.data.warp import warp
from gancluster.methods.base import Batch, Clock, Loss, Nets

WARP, NOISE = 1.0, 0.1  # strength of the warps, and noise with them, of the pixel range


def head(features: int) -> nn.Module:
    """The projection that is trained with the features and thrown away after: `(b, features)` → `(b, 64)`."""
    return nn.Sequential(nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, 64))


def views_loss(
    encoder: str, pixel_range: tuple[float, float], nets: Nets, batch: Batch, noise: Any, clock: Clock
) -> Loss:
    """Two warps of a sample attract, other samples repel; `noise` has both `warps`, as strong in every game."""
    low, high = pixel_range
    views = [warp(batch.inputs, by, WARP, NOISE * (high - low)) for by in noise.warps]
    one, other = (nets["head"](nets[encoder](view, features=True)) for view in views)
    return Loss({"instances": instance_discrimination(one, other)})


def instance_discrimination(one: Tensor, other: Tensor, temperature: float = 0.5) -> Tensor:
    """NT-Xent (Chen et al. 2020) of two views `(b, d)` each: every view must pick its twin among all 2b - 1 others."""
    views = F.normalize(torch.cat([one, other]), dim=1)
    n = len(one)
    itself = torch.eye(2 * n, dtype=views.dtype, device=views.device)
    logits = views @ views.T / temperature - 1e9 * itself
    twin = torch.arange(2 * n, device=views.device).roll(n)
    return F.cross_entropy(logits, twin)
