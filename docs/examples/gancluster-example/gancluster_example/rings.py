"""Two rings, one within the other."""

import numpy as np

from gancluster.data.dataset import Dataset, Source
from gancluster.data.splits import only_whole


def read(data_dir, split):
    only_whole("rings", split)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1000)
    angle = rng.uniform(0, 2 * np.pi, 1000)
    radius = 1 + labels + 0.1 * rng.standard_normal(1000)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Dataset("rings", points.astype(np.float32), labels, 2, label_names=("inner", "outer"))


RINGS = Source("two rings, one within the other, drawn once by a fixed generator", read)
