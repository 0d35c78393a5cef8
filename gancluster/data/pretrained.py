"""Networks of torchvision that were trained on ImageNet: their weights, and what they make of images.

A file of weights is opened only if its sum is the published one, and then as plain tensors.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gancluster.data.vision import torchvision_part

SIDE = 224  # of the squares that they were trained on
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue, of 0 … 1
BATCH = 50


def fetch(url: str, path: Path) -> None:
    """Download weights to `path`, whose name ends in the first digits of their SHA-256, which is checked."""
    path.parent.mkdir(exist_ok=True)
    torch.hub.download_url_to_file(url, str(path), digits(path), progress=False)


def opened(name: str, path: Path) -> nn.Module:
    """The network `name` with the weights at `path`, without its last layer: images `(b, 3, 224, 224)` → `(b, d)`.

    `ValueError` where the file is not the one that its name tells.
    """
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(digits(path)):
        raise ValueError("not the published file, whose sum its name tells")
    values = torch.hub.load_state_dict_from_url(path.name, str(path.parent), "cpu", weights_only=True)
    with torch.device("meta"):
        net: nn.Module = getattr(torchvision_part("models"), name)()
    net.load_state_dict(values, assign=True)
    net.fc = nn.Identity()
    return net.eval()


def digits(path: Path) -> str:
    """What the name of a file of weights tells of its SHA-256."""
    return path.stem.rpartition("-")[2]


@torch.inference_mode()
def activations(net: nn.Module, images: NDArray[Any]) -> NDArray[np.float32]:
    """What `net` makes `(n, d)` of images `(n, c, h, w)`, on a GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = net.to(device)
    parts = (images[i : i + BATCH] for i in range(0, len(images), BATCH))
    return np.concatenate([net(prepared(torch.from_numpy(part).to(device))).cpu().numpy() for part in parts])


def prepared(images: Tensor) -> Tensor:
    """Images `(b, c, h, w)` of 0 … 255, c being 1 or 3, whole, as ImageNet's were shown: `(b, 3, 224, 224)`."""
    mean, deviation = (torch.tensor(values, device=images.device)[:, None, None] for values in (MEAN, DEVIATION))
    coloured = images.expand(-1, 3, -1, -1).float() / 255
    return (F.interpolate(coloured, (SIDE, SIDE), mode="bilinear", antialias=True) - mean) / deviation
