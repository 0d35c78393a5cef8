"""Data sets whose terms forbid passing them on: read from a file that the user brings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from gancluster.data.dataset import Dataset, Source
from gancluster.data.files import as_inputs, encoded, from_folder, from_npz
from gancluster.data.reading import first_of, matlab
from gancluster.data.splits import Split, only_whole
from gancluster.data.text import require_weights
from gancluster.errors import DataError

_frgc_files = first_of("FRGC/frgc.npz", "frgc.npz", "FRGC/images")
_reuters_files = first_of("reuters10k/reuters10k.mat", "reuters10k.mat", "reuters10k/reuters10k.npz", "reuters10k.npz")


def frgc(data_dir: Path, split: Split) -> Dataset:
    """2,462 faces of 20 people, 32x32 colour: an .npz, or a folder with one sub-folder a person."""
    only_whole("frgc", split)
    (path,) = _frgc_files(data_dir)
    faces = from_npz(path) if path.suffix == ".npz" else from_folder(path)
    return replace(_same(faces, path, 2462, (3, 32, 32), 20), name="frgc", flips=True)


def reuters10k(data_dir: Path, split: Split) -> Dataset:
    """10,000 documents of RCV1 as tf-idf over 2,000 words, 4 uneven classes; values as they stand in the file."""
    only_whole("reuters10k", split)
    (path,) = _reuters_files(data_dir)
    if path.suffix == ".npz":
        documents = from_npz(path)
    else:
        inputs, labels = matlab(path, "X", "Y")
        codes, names = encoded(labels.reshape(-1), str(path))  # MATLAB knows only matrices: a row or a column
        n_classes = None if names is None else len(names)
        documents = Dataset("", as_inputs(inputs, str(path)), codes, n_classes, label_names=names)
    documents = replace(_same(documents, path, 10_000, (2000,), 4), name="reuters10k")
    require_weights(str(path), np.asarray(documents.inputs))
    return documents


def _same(dataset: Dataset, path: Path, n: int, shape: tuple[int, ...], n_classes: int) -> Dataset:
    """`dataset`, if it has the published size: a name must not stand for something else."""
    published = f"{n:,} samples of shape {shape} in {n_classes} classes"
    unlabelled = dataset.labels is None or np.any(dataset.labels < 0)
    if len(dataset) != n or dataset.shape != shape or dataset.n_classes != n_classes or unlabelled:
        found = f"{len(dataset):,} of shape {dataset.shape} in {dataset.n_classes or 'no'} classes"
        raise DataError(f"{path} holds {found}, not {published} as published: load it by its own path instead")
    return dataset


FRGC = Source(
    "2,462 faces of 20 people, 32x32 colour",
    frgc,
    files=_frgc_files,
    wanted="FRGC/frgc.npz (images, labels) or FRGC/images with one sub-folder a person",
)
REUTERS10K = Source(
    "10,000 newswire documents of RCV1, 2,000 tf-idf words, 4 uneven classes",
    reuters10k,
    files=_reuters_files,
    wanted="reuters10k/reuters10k.mat (X, Y) or reuters10k/reuters10k.npz (x, y)",
)
