"""What a data set is here: inputs, labels kept apart, and the facts that its papers fix."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gancluster.data.splits import Split
from gancluster.errors import DataError


class Known(NamedTuple):
    """The labels that a semi-supervised run is told: of which samples `(k,)`, and their classes `(k,)`."""

    samples: NDArray[np.int64]
    labels: NDArray[np.int64]


class Modes(NamedTuple):
    """What a toy was drawn from: Gaussians about `centres` `(k, 2)`, each of standard deviation `deviation`."""

    centres: NDArray[np.float64]
    deviation: float


@dataclass(frozen=True)
class Dataset:
    """Samples to cluster.

    `inputs`: images `(n, channels, height, width)` uint8, or vectors `(n, d)` float32.
    `labels`: int64 `(n,)` in `0 .. n_classes - 1`, -1 where unknown, for scoring only; or None.
    `pixel_range`: what 0 and 255 become before a network sees them (images only); the papers use (0, 1) or (-1, 1).
    `flips`: whether a mirrored image is still the same kind of thing (photographs: yes; digits: no).
    `modes`: a toy's true ones, by which generated points are judged; as little shown to a method as labels.
    """

    name: str
    inputs: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64] | None
    n_classes: int | None
    split: Split = "all"
    pixel_range: tuple[float, float] = (0.0, 1.0)
    flips: bool = False
    label_names: tuple[str, ...] | None = field(default=None, compare=False)
    modes: Modes | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def is_images(self) -> bool:
        return self.inputs.ndim == 4

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: `(channels, height, width)` or `(d,)`."""
        return self.inputs.shape[1:]

    @property
    def sha256(self) -> str:
        """Hash of shape, type and values of the inputs: two data sets with the same hash train the same run."""
        digest = hashlib.sha256(f"{self.inputs.dtype}{self.inputs.shape}".encode())
        digest.update(np.ascontiguousarray(self.inputs).data)
        return digest.hexdigest()

    @property
    def labels_sha256(self) -> str:
        """Hash of the labels, that of nothing where there are none: who has another hash has other scores."""
        return hashlib.sha256(b"" if self.labels is None else self.labels.tobytes()).hexdigest()

    def unlabelled(self) -> Dataset:
        """The same samples without labels: all that methods and engine are ever handed (the label firewall)."""
        return replace(self, labels=None, label_names=None, modes=None)

    def reveal(self, n: int, seed: int) -> Known:
        """The firewall's one gate: `n` labels drawn by `seed`, as many of each class as of any other, give or take one.

        `DataError` where there are no labels, fewer than one a class is asked for, or a class has too few.
        """
        if self.labels is None or self.n_classes is None:
            raise DataError(f"{self.name} has no labels to learn from: leave out --labels")
        if n < self.n_classes:
            raise DataError(
                f"{n} labels cannot show {self.n_classes} classes: let --labels be {self.n_classes} or more"
            )
        rng, least = np.random.default_rng(seed), n // self.n_classes
        order = rng.permutation(len(self))
        members = [order[self.labels[order] == c] for c in range(self.n_classes)]
        roomy = [c for c in rng.permutation(self.n_classes) if len(members[c]) > least]
        rare = min(range(self.n_classes), key=lambda c: len(members[c]))
        if len(members[rare]) < least or len(roomy) < n % self.n_classes:
            counts = f"only {len(members[rare])} labelled samples"
            raise DataError(f"class {rare} of {self.name} has {counts}: lower --labels from {n}, or give more samples")
        more = set(roomy[: n % self.n_classes])
        index = np.sort(np.concatenate([found[: least + (c in more)] for c, found in enumerate(members)]))
        return Known(index, self.labels[index])

    def take(self, index: NDArray[np.intp]) -> Dataset:
        """The samples at `index`, in that order."""
        return replace(self, inputs=self.inputs[index], labels=None if self.labels is None else self.labels[index])


@dataclass(frozen=True)
class Source:
    """A data set that can be asked for by name.

    `read(data_dir, split)`, called where the files are there, returns it or raises `DataError` saying what to do; it
    writes nothing. `fetch(data_dir)` downloads it, and is None where nothing can be fetched. `files(data_dir)` lists
    the files it is read from, none where any is missing, and is None where it needs no file; `wanted` names them.
    `variant(text)` is what is asked for as `name:text`, or raises `UnknownName`; None where there are no variants.
    """

    summary: str
    read: Callable[[Path, Split], Dataset]
    fetch: Callable[[Path], None] | None = None
    files: Callable[[Path], list[Path]] | None = None
    wanted: str = ""
    variant: Callable[[str], Source] | None = None


def require_finite(name: str, inputs: NDArray[Any]) -> None:
    """`DataError` that counts the NaN and infinite values of `inputs` `(n, ...)`, where there are any."""
    finite = np.isfinite(inputs)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        count = int(finite.size - np.count_nonzero(finite))
        raise DataError(f"{name} has {count} NaN or infinite values, the first at {first}: replace or drop them")


def distinct(inputs: NDArray[Any], most: int) -> int:
    """How many different samples `inputs` `(n, ...)` has, counted up to `most`."""
    seen: set[bytes] = set()
    for sample in inputs:
        seen.add(sample.tobytes())
        if len(seen) == most:
            break
    return len(seen)
