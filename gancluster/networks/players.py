"""The three players' call forms, the same whatever their layers; `numbers` are those of one noisy pass, or none."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gancluster.networks.blocks import Chain, Numbers


class Clusterer(nn.Module):
    """C: x `(b, *shape)` → code `(b, m)` in (0, 1). `features=True` gives what comes before it, `(b, n_features)`."""

    def __init__(self, body: Chain, n_features: int, top: nn.Module) -> None:
        super().__init__()
        self.body, self.n_features, self.top = body, n_features, top

    def forward(self, x: Tensor, numbers: Numbers = (), features: bool = False) -> Tensor:
        hidden: Tensor = self.body(x, numbers=numbers)
        return hidden if features else torch.sigmoid(self.top(hidden))


class Generator(nn.Module):
    """G: code z `(b, m)` → x_hat `(b, *shape)`."""

    def __init__(self, body: Chain) -> None:
        super().__init__()
        self.body = body

    def forward(self, z: Tensor, numbers: Numbers = ()) -> Tensor:
        sample: Tensor = self.body(z, z, numbers)
        return sample


class Discriminator(nn.Module):
    """D: (z `(b, m)`, x `(b, *shape)`) → logit `(b,)`, by layers that z joins."""

    def __init__(self, body: Chain) -> None:
        super().__init__()
        self.body = body

    def forward(self, z: Tensor, x: Tensor, numbers: Numbers = ()) -> Tensor:
        logit: Tensor = self.body(x, z, numbers)[:, 0]
        return logit


class Players(NamedTuple):
    """The three of one architecture."""

    clusterer: Clusterer
    generator: nn.Module
    discriminator: nn.Module
