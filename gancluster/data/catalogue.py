"""The one door to data: a name or a path becomes a checked data set."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from gancluster.data.dataset import Dataset, Source, require_finite
from gancluster.data.features import NETWORKS, extracted, from_file, network
from gancluster.data.files import from_folder, from_npz
from gancluster.data.reading import reason
from gancluster.data.splits import Split, only_whole
from gancluster.errors import DataError, DataMissing, UnknownName, UserError
from gancluster.registry import find, origins


@dataclass(frozen=True)
class Entry:
    """A data set in the list of all: whether it is here, how one comes by it, and which package offers it."""

    name: str
    here: bool
    obtained: str  # "embedded", "fetch" or "supply"
    origin: str
    summary: str


def data_folder(option: Path | None = None) -> Path:
    """Where data sets lie: `option`, else $GANCLUSTER_DATA, else `gancluster` in the user's cache folder."""
    if option is not None:
        return Path(os.path.expanduser(option))
    if named := os.environ.get("GANCLUSTER_DATA"):
        return Path(os.path.expanduser(named))
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gancluster"


def load(
    name: str,
    data_dir: Path,
    split: Split = "all",
    limit: int | None = None,
    seed: int = 0,
    features: str | None = None,
) -> Dataset:
    """The data set called `name`, or the one in the .npz or folder of images at the path `name`.

    `limit` samples are drawn by `seed` without replacement and without a look at labels, and stay in stored order.
    `features`: a network that makes features of them, or an .npz that has those of the whole split.
    Raises `DataMissing` where it is not here, `DataError` where it is unreadable or unfit, `UnknownName` where there
    is no such data set.
    """
    dataset = checked(to_predict(name, data_dir, split))
    by = None if features is None else network(features)
    if features is not None and by is None:
        dataset = from_file(dataset, Path(os.path.expanduser(features)))
    if limit is not None:
        dataset = _drawn(dataset, limit, seed)
    return checked(dataset if by is None else extracted(dataset, by, data_dir))


def to_predict(name: str, data_dir: Path, split: Split = "all") -> Dataset:
    """The same data as they stand, though there be one sample, or all alike: to be assigned, not to learn from."""
    if split not in get_args(Split):
        raise DataError(f"there is no split '{split}': ask for {', '.join(get_args(Split))}")
    dataset = _from_path(Path(os.path.expanduser(name)), split) if is_path(name) else _by_name(name, data_dir, split)
    _check_promises(dataset)
    return dataset


def _drawn(dataset: Dataset, limit: int, seed: int) -> Dataset:
    if not 1 <= limit <= len(dataset):
        raise DataError(f"a limit of {limit} is not possible: {dataset.name} has {len(dataset)} samples")
    drawn = np.random.default_rng(seed).choice(len(dataset), limit, replace=False)
    return dataset.take(np.sort(drawn))


def is_path(name: str) -> bool:
    """Whether `name` is a place on disk; a data set's name, or a variant's, is none even where a file is called so."""
    if os.sep in name or "/" in name or name.lower().endswith(".npz"):
        return True
    return name.partition(":")[0] not in origins("datasets") and os.path.exists(name)


def checked(dataset: Dataset) -> Dataset:
    """`dataset`, if it keeps its promises and can be clustered at all; else `DataError`."""
    name, inputs = dataset.name, dataset.inputs
    _check_promises(dataset)
    if len(inputs) < 2:
        raise DataError(f"{name} has 1 sample: clustering needs at least 2")
    if all(np.array_equal(inputs[0], sample) for sample in inputs[1:]):
        raise DataError(f"all {len(inputs)} samples of {name} are the same: there is nothing to cluster")
    return dataset


def fetch(name: str, data_dir: Path) -> list[Path]:
    """Download a data set, or a network's weights, unless they are there, and return their files.

    `DataError` where that cannot be done.
    """
    source = NETWORKS[name] if name in NETWORKS else _source(name)
    if isinstance(source, Source) and source.fetch is None and source.files is not None and not source.files(data_dir):
        raise DataError(_missing(name, source, data_dir))
    if source.fetch is not None:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            source.fetch(data_dir)
        except UserError:
            raise
        except Exception as error:  # torchvision, gdown, tarfile and the network raise many kinds
            by_hand = f"try again, or put {source.wanted} in {data_dir} yourself"
            raise DataError(f"cannot fetch {name} ({reason(error)}): {by_hand}") from error
    return NETWORKS[name].files(data_dir) if name in NETWORKS else files_of(name, data_dir)


def files_of(name: str, data_dir: Path) -> list[Path]:
    """The files that `load` reads; none for what is embedded or not here."""
    if is_path(name):
        return [Path(os.path.expanduser(name))]
    files = _source(name).files
    return [] if files is None else files(data_dir)


def entries(data_dir: Path) -> list[Entry]:
    """Every data set that has a name, in the order of the registry."""
    found = []
    for name, origin in origins("datasets").items():
        try:
            source = _source(name)
        except Exception as error:  # a broken plug-in must not hide the others
            found.append(Entry(name, False, "supply", origin, f"cannot be loaded ({reason(error)})"))
            continue
        here = source.files is None or bool(source.files(data_dir))
        obtained = "embedded" if source.files is None else "fetch" if source.fetch else "supply"
        found.append(Entry(name, here, obtained, origin, source.summary))
    return found


def facts(dataset: Dataset) -> dict[str, Any]:
    """What can be told of a data set, as plain values: `classes` counts its labels by name, None where it has none."""
    classes, unlabelled = None, len(dataset)
    if dataset.labels is not None and dataset.n_classes is not None:
        known = dataset.labels[dataset.labels >= 0]
        names = dataset.label_names or tuple(map(str, range(dataset.n_classes)))
        classes = dict(zip(names, np.bincount(known, minlength=dataset.n_classes).tolist(), strict=True))
        unlabelled = len(dataset) - len(known)
    return {
        "name": dataset.name,
        "samples": len(dataset),
        "shape": list(dataset.shape),
        "dtype": str(dataset.inputs.dtype),
        "split": dataset.split,
        "classes": classes,
        "unlabelled": unlabelled,
        "pixel_range": list(dataset.pixel_range) if dataset.is_images else None,
        "flips": dataset.flips,
        "sha256": dataset.sha256,
    }


def _source(name: str) -> Source:
    """The source called `name`, or the variant of one: `name:text`."""
    whole, colon, text = name.partition(":")
    source = find("datasets", whole if whole in origins("datasets") else name)
    if not isinstance(source, Source):
        raise DataError(f"{whole} of {origins('datasets')[whole]} is not a gancluster Source: mend that package")
    if not colon:
        return source
    if source.variant is None:
        raise UnknownName(f"{whole} has no variants such as {name}: ask for {whole}, or a file by its path")
    return source.variant(text)


def _by_name(name: str, data_dir: Path, split: Split) -> Dataset:
    source = _source(name)
    if source.files is not None and not source.files(data_dir):
        raise DataMissing(_missing(name, source, data_dir))
    return source.read(data_dir, split)


def _missing(name: str, source: Source, data_dir: Path) -> str:
    """Why a data set cannot be read, and the way to get it."""
    if source.fetch is None:
        return f"{name} is not in {data_dir} and cannot be fetched: put {source.wanted} there"
    command = f"gancluster data fetch {name} --data-dir {shlex.quote(str(data_dir))}"
    return f"{name} is not in {data_dir} (no {source.wanted}): run {command}"


def _from_path(path: Path, split: Split) -> Dataset:
    if path.is_dir():
        dataset = from_folder(path)
    elif path.suffix.lower() == ".npz" and path.is_file():
        dataset = from_npz(path)
    else:
        state = "is neither an .npz nor a folder of images" if os.path.exists(path) else "does not exist"
        raise DataError(f"{path} {state}: give the path of one, or a name from: gancluster data list")
    only_whole(dataset.name, split)
    return dataset


def _check_promises(dataset: Dataset) -> None:
    name, inputs = dataset.name, dataset.inputs
    if (str(inputs.dtype), inputs.ndim) not in (("uint8", 4), ("float32", 2)):
        kinds = "uint8 images (n, c, h, w) or float32 vectors (n, d)"
        raise DataError(f"{name} gives {inputs.dtype} {inputs.shape}: a data set's inputs are {kinds}")
    if not len(inputs):
        raise DataError(f"{name} has 0 samples: clustering needs at least 2")
    require_finite(name, inputs)
    _check_labels(dataset)


def _check_labels(dataset: Dataset) -> None:
    labels, n_classes = dataset.labels, dataset.n_classes
    if labels is None:
        return
    if labels.shape != (len(dataset),):
        raise DataError(f"{dataset.name} has {labels.shape} labels for {len(dataset)} samples: give one for each")
    in_range = n_classes is not None and labels.dtype == np.int64 and labels.min() >= -1 and labels.max() < n_classes
    if not in_range:
        raise DataError(f"{dataset.name} has labels beyond -1 … {n_classes or 0} - 1, or not int64: mend its source")
    if dataset.label_names is not None and len(dataset.label_names) != n_classes:
        raise DataError(f"{dataset.name} names {len(dataset.label_names)} of its {n_classes} classes: name each")
