"""The other ClusterGAN's encoder and discriminator; their trunk, as its generator, is InfoGAN's, as in its code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gancluster.networks.info_gan import Norm, trunk


class Encoder(nn.Module):
    """E: x `(b, *shape)` → code `(b, d + K)`: the noise z_n, then logits of the class z_c.

    `features=True` gives what comes before the last layer, `(b, n_features)`.
    """

    def __init__(self, shape: tuple[int, ...], n_clusters: int, n_noise: int, norm: Norm, width: float) -> None:
        super().__init__()
        self.trunk, self.n_features = trunk(shape, norm, width, leak=0.2)
        self.noise, self.top = nn.Linear(self.n_features, n_noise), nn.Linear(self.n_features, n_clusters)

    def forward(self, x: Tensor, features: bool = False) -> Tensor:
        hidden: Tensor = self.trunk(x)
        return hidden if features else torch.cat([self.noise(hidden), self.top(hidden)], 1)


class Discriminator(nn.Module):
    """D: x `(b, *shape)` → logit or score `(b,)`, without batch norm: every critic fits."""

    def __init__(self, shape: tuple[int, ...], width: float) -> None:
        super().__init__()
        self.trunk, n_features = trunk(shape, "none", width, leak=0.2)
        self.score = nn.Linear(n_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        logit: Tensor = self.score(self.trunk(x))[:, 0]
        return logit
