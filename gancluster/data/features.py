"""Features in the place of samples: ready-made, from a file, or made of images by a network trained on ImageNet."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster import atomic
from gancluster.data.dataset import Dataset
from gancluster.data.files import from_npz
from gancluster.data.reading import arrays, reading
from gancluster.errors import DataError, DataMissing, UnknownName
from gancluster.registry import unknown


@dataclass(frozen=True)
class Network:
    """A pretrained network of torchvision; `url`: its weights, named after the first digits of their SHA-256."""

    name: str
    url: str

    @property
    def wanted(self) -> str:
        return "weights/" + self.url.rpartition("/")[2]

    def files(self, data_dir: Path) -> list[Path]:
        """The file of weights, if it is there."""
        path = data_dir / self.wanted
        return [path] if path.exists() else []

    def fetch(self, data_dir: Path) -> None:
        """Download the weights, unless they are there."""
        from gancluster.data import pretrained

        if not self.files(data_dir):
            pretrained.fetch(self.url, data_dir / self.wanted)

    def features(self, images: NDArray[Any], data_dir: Path) -> NDArray[np.float32]:
        """What it makes `(n, d)` of images `(n, c, h, w)`, by weights that are there."""
        from gancluster.data import pretrained

        with reading(data_dir / self.wanted, f"delete it and fetch it again ({self.command(data_dir)})"):
            net = pretrained.opened(self.name, data_dir / self.wanted)
        return pretrained.activations(net, images)

    def command(self, data_dir: Path) -> str:
        """How the weights are fetched."""
        return f"gancluster data fetch {self.name} --data-dir {shlex.quote(str(data_dir))}"


NETWORKS = {"resnet50": Network("resnet50", "https://download.pytorch.org/models/resnet50-0676ba61.pth")}


def network(features: str) -> Network | None:
    """The network called `features`; None where that is an .npz. `UnknownName` where it is neither."""
    if features in NETWORKS:
        return NETWORKS[features]
    if features.lower().endswith(".npz"):
        return None
    raise UnknownName(unknown("network", features, NETWORKS) + " (or give the path of an .npz)")


def from_file(dataset: Dataset, path: Path) -> Dataset:
    """`dataset` with the rows `(n, d)` of an .npz, one a sample, in the place of its samples."""
    if not path.exists():
        raise DataError(f"{path} does not exist: give the path of an .npz of features")
    rows = from_npz(path).inputs
    if rows.ndim != 2:
        raise DataError(f"{path}: features are a row a sample, (n, d), not {rows.shape}: flatten them")
    if len(rows) != len(dataset):
        part = "" if dataset.split == "all" else f" {dataset.split}"
        counts = f"{path} has {len(rows)} rows of features for the {len(dataset)}{part} samples of {dataset.name}"
        raise DataError(f"{counts}: give one for each")
    return _in_place(dataset, rows, path.stem)


def extracted(dataset: Dataset, by: Network, data_dir: Path) -> Dataset:
    """`dataset` with the features `(n, d)` of its images in their place.

    Made once, and kept in `data_dir` under the hash of the images; `DataMissing` where its weights are not there.
    """
    if not dataset.is_images:
        raise DataError(f"{dataset.name} holds no images, of which {by.name} makes features: leave out --features")
    kept = data_dir / "features" / f"{Path(by.wanted).stem}-{dataset.sha256}.npz"
    if not kept.exists():
        if not by.files(data_dir):
            raise DataMissing(f"{by.name} is not in {data_dir} (no {by.wanted}): run {by.command(data_dir)}")
        _require_room(kept.parent)
        atomic.write_npz(kept, {"features": by.features(np.asarray(dataset.inputs), data_dir)})
    (rows,) = arrays(kept, "features", advice="delete it: it is made again")
    return _in_place(dataset, rows, by.name)


def _in_place(dataset: Dataset, rows: NDArray[Any], name: str) -> Dataset:
    called = f"{dataset.name}-{name}"
    return replace(dataset, name=called, inputs=rows, pixel_range=(0.0, 1.0), flips=False, modes=None)


def _require_room(folder: Path) -> None:
    """`DataError` where nothing can be kept in `folder`, told before hours of work and not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_open = os.access(folder, os.W_OK)
    except OSError:
        is_open = False
    if not is_open:
        raise DataError(f"features are kept in {folder}, which cannot be written: change its permissions")
