"""K-means on the features of an encoder that nobody has trained: what an architecture gives by itself."""

from __future__ import annotations

from typing import ClassVar

import torch

from gancluster.methods import base
from gancluster.methods.base import Embedding, Fit, Fitted
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.networks import compact
from gancluster.networks.blocks import calibrate

BATCH = 1000


class Config(base.Config):
    """No options."""


class RandomEncoderKMeans(Fit):
    """K-means of features, at length 1, of ClusterGAN's compact clusterer as it starts, its batch norms calibrated."""

    name: ClassVar[str] = "random-encoder-kmeans"
    paper: ClassVar[str] = "K-means on ClusterGAN's encoder, untrained: no paper's method, but a floor for all of them"
    config_type: ClassVar[type[base.Config]] = Config

    @torch.no_grad()
    def fit(self, samples: Embedding, seed: int) -> Fitted:
        k, net = self.task.n_clusters, compact.clusterer(self.task.shape, self.task.n_clusters)
        inputs = torch.from_numpy(samples).view(-1, *self.task.shape)
        order = torch.randperm(len(inputs))
        calibrate(net, (inputs[part] for part in torch.split(order, BATCH) if len(part) > 1))
        net.eval()
        features = torch.cat([net(part, features=True) for part in torch.split(inputs, BATCH)]).numpy()
        return Fitted(nearest(features, kmeans_centres(features, k, seed)), features)
