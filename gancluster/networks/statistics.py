"""The statistics network of maximum-entropy generators: whether a sample was made from this noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOST = 512  # units of its hidden layers, at most; as many as the body has features where these are fewer


class Statistics(nn.Module):
    """T: (samples `(b, *shape)`, noise `(b, d)`) → logit `(b,)`; `body` makes `(b, f)` of samples.

    No batch norm, so that a logit is of one pair alone.
    """

    def __init__(self, body: nn.Module, n_features: int, n_noise: int) -> None:
        super().__init__()
        hidden = min(n_features, MOST)
        self.body = body
        layers = [nn.Linear(n_features + n_noise, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden)]
        self.pair = nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def forward(self, samples: Tensor, noise: Tensor) -> Tensor:
        logit: Tensor = self.pair(torch.cat([self.body(samples), noise], 1))[:, 0]
        return logit
