"""The one door: names, paths, limits, and the checks that every data set passes."""

import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from refusal import refused

from gancluster import registry
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset, Source
from gancluster.errors import UnknownName

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (9, 4, 4), dtype=np.uint8)


def plug_in(monkeypatch: pytest.MonkeyPatch, source: Any, name: str = "mine") -> str:
    """Register `source` as somebody's package would."""
    module = types.ModuleType("somebodys_data")
    module.SOURCE = source  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "somebodys_data", module)
    monkeypatch.setitem(registry.BUILT_IN["datasets"], name, "somebodys_data:SOURCE")
    return name


def source_of(inputs: NDArray[Any], labels: Any = None, n_classes: int | None = None) -> Source:
    return Source("mine", lambda data_dir, split: Dataset("mine", inputs, labels, n_classes, split))


def test_option_comes_before_environment_before_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANCLUSTER_DATA", str(tmp_path / "named"))
    assert catalogue.data_folder(tmp_path) == tmp_path
    assert catalogue.data_folder() == tmp_path / "named"
    monkeypatch.setenv("GANCLUSTER_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert catalogue.data_folder() == tmp_path / "cache" / "gancluster"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert catalogue.data_folder() == tmp_path / ".cache" / "gancluster"
    assert catalogue.data_folder(Path("~/data")) == tmp_path / "data"


def test_limit_draws_by_the_seed_alone_and_keeps_the_stored_order(tmp_path: Path) -> None:
    whole = catalogue.load("digits", tmp_path)
    once, again, other = (catalogue.load("digits", tmp_path, limit=100, seed=seed) for seed in (1, 1, 2))
    assert once.sha256 == again.sha256 != other.sha256
    rows = [whole.inputs.reshape(1797, -1).tolist().index(sample.ravel().tolist()) for sample in once.inputs]
    assert len(set(rows)) == 100
    assert rows == sorted(rows)
    assert whole.labels is not None
    assert once.labels is not None
    assert once.labels.tolist() == whole.labels[rows].tolist()
    assert once.n_classes == 10


def test_limit_does_not_look_at_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labelled = plug_in(monkeypatch, source_of(IMAGES[:, None], np.arange(9), 9), "labelled")
    drawn = catalogue.load(labelled, tmp_path, limit=4, seed=3)
    monkeypatch.setattr(sys.modules["somebodys_data"], "SOURCE", source_of(IMAGES[:, None]))
    assert catalogue.load(labelled, tmp_path, limit=4, seed=3).sha256 == drawn.sha256


def test_limit_of_everything_is_the_whole_set(tmp_path: Path) -> None:
    whole = catalogue.load("digits", tmp_path)
    assert catalogue.load("digits", tmp_path, limit=1797, seed=5).sha256 == whole.sha256


@pytest.mark.parametrize("limit", [-3, 0, 1798])
def test_impossible_limits_are_refused(tmp_path: Path, limit: int) -> None:
    with refused(f"a limit of {limit}", "digits has 1797 samples"):
        catalogue.load("digits", tmp_path, limit=limit)


def test_limit_of_one_leaves_too_little(tmp_path: Path) -> None:
    with refused("digits has 1 sample:", "at least 2"):
        catalogue.load("digits", tmp_path, limit=1)


@pytest.mark.parametrize(
    ("inputs", "labels", "n_classes", "words"),
    [
        (IMAGES[:1, None], None, None, ("mine has 1 sample:", "at least 2")),
        (IMAGES[:0, None], None, None, ("mine has 0 samples", "at least 2")),
        (np.ones((9, 3), dtype=np.float32), None, None, ("all 9 samples of mine are the same",)),
        (np.array([[0, np.nan], [1, np.inf]], dtype=np.float32), None, None, ("2 NaN or infinite values", "(0, 1)")),
        (IMAGES, None, None, ("uint8 (9, 4, 4)", "uint8 images (n, c, h, w)")),
        (IMAGES[:, None] / 255, None, None, ("float64",)),
        (IMAGES[:, None], np.arange(8), 9, ("(8,) labels for 9 samples",)),
        (IMAGES[:, None], np.eye(9, dtype=int), 9, ("(9, 9) labels for 9 samples",)),
        (IMAGES[:, None], np.arange(9), 8, ("labels beyond",)),
        (IMAGES[:, None], np.arange(9) - 2, 9, ("labels beyond",)),
        (IMAGES[:, None], np.arange(9), None, ("labels beyond",)),
        (IMAGES[:, None], np.arange(9.0), 9, ("not int64",)),
    ],
)
def test_unfit_data_is_refused_whatever_its_source(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    inputs: NDArray[Any],
    labels: Any,
    n_classes: int | None,
    words: tuple[str, ...],
) -> None:
    with refused("mine", *words):
        catalogue.load(plug_in(monkeypatch, source_of(inputs, labels, n_classes)), tmp_path)


def test_class_names_must_be_as_many_as_classes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    misnamed = Dataset("mine", IMAGES[:, None], np.arange(9), 9, label_names=("a", "b"))
    with refused("mine names 2 of its 9 classes"):
        catalogue.load(plug_in(monkeypatch, Source("mine", lambda data_dir, split: misnamed)), tmp_path)


def test_the_users_own_file_passes_the_same_checks(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.full((5, 8, 8), 7, dtype=np.uint8))
    with refused("all 5 samples of a.npz are the same"):
        catalogue.load(str(tmp_path / "a.npz"), tmp_path)
    np.savez(tmp_path / "a.npz", x=IMAGES, y=np.arange(8))
    with refused("(8,) labels for 9 samples"):
        catalogue.load(str(tmp_path / "a.npz"), tmp_path)
    np.savez(tmp_path / "a.npz", x=np.array([[1e300, 0], [0, 0]]))
    with refused("1 NaN or infinite values"):
        catalogue.load(str(tmp_path / "a.npz"), tmp_path)


def test_archives_and_folders_are_found_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    np.savez(tmp_path / "a.npz", x=IMAGES, y=np.array(list("aabbccdda")))
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{i}.png")
    archive = catalogue.load(str(tmp_path / "a.npz"), Path("nowhere"))
    monkeypatch.chdir(tmp_path)
    found = [catalogue.load(name, Path("nowhere")) for name in ("a.npz", "./a.npz", "pictures", "pictures/")]
    assert {dataset.sha256 for dataset in found} == {archive.sha256}
    assert [dataset.name for dataset in found] == ["a.npz", "a.npz", "pictures", "pictures"]
    assert catalogue.files_of("pictures", Path("nowhere")) == [Path("pictures")]
    with refused("no published train and test parts"):
        catalogue.load("a.npz", Path("nowhere"), "train")


def test_a_known_name_is_never_taken_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(catalogue.load("digits", tmp_path)) == 1797
    with refused("digits has no images"):
        catalogue.load("./digits", tmp_path)


def test_a_variant_of_a_source_is_asked_for_behind_a_colon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def variant(text: str) -> Source:
        return source_of(IMAGES[: int(text), None])

    name = plug_in(monkeypatch, Source("mine", source_of(IMAGES[:, None]).read, variant=variant))
    assert (len(catalogue.load(name, tmp_path)), len(catalogue.load(f"{name}:4", tmp_path))) == (9, 4)
    with pytest.raises(UnknownName, match="digits has no variants such as digits:4: ask for digits, or a file by its"):
        catalogue.load("digits:4", tmp_path)


def test_a_colon_in_a_path_or_a_name_is_no_variant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures:2026").mkdir()
    with refused("pictures:2026 has no images"):
        catalogue.load("pictures:2026", tmp_path)
    with refused("C:faces.npz does not exist"):
        catalogue.load("C:faces.npz", tmp_path)
    with refused("digits:4 has no images"):
        (tmp_path / "digits:4").mkdir()
        catalogue.load("./digits:4", tmp_path)
    with pytest.raises(UnknownName, match=r"there is no data set 'C:\\faces'"):
        catalogue.load("C:\\faces", tmp_path)


def test_wrong_paths_names_and_splits_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with refused("gone.npz does not exist"):
        catalogue.load(str(tmp_path / "gone.npz"), tmp_path)
    with refused("a.csv is neither an .npz nor a folder of images"):
        catalogue.load(str(tmp_path / "a.csv"), tmp_path)
    with pytest.raises(UnknownName, match="did you mean digits"):
        catalogue.load("digit", tmp_path)
    with refused("no split 'valid'", "all, train, test"):
        catalogue.load("digits", tmp_path, "valid")  # type: ignore[arg-type]


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "a.npz", x=IMAGES)
    assert len(catalogue.load(f"~{os.sep}a.npz", tmp_path)) == 9


def test_failed_download_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(data_dir: Path) -> None:
        raise TimeoutError("the line\nis dead")

    broken = Source("mine", source_of(IMAGES).read, fetch, lambda data_dir: [], "mine/mine.bin")
    name = plug_in(monkeypatch, broken)
    with refused("cannot fetch mine (TimeoutError: the line)", f"put mine/mine.bin in {tmp_path}"):
        catalogue.fetch(name, tmp_path)
    with refused("mine is not in", "mine/mine.bin", "gancluster data fetch mine"):
        catalogue.load(name, tmp_path)
    (tmp_path / "file").touch()
    with refused("cannot fetch mine"):
        catalogue.fetch(name, tmp_path / "file")


def test_plug_in_that_is_no_source_is_named_and_hides_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = plug_in(monkeypatch, object())
    with refused("mine of gancluster is not a gancluster Source"):
        catalogue.load(name, tmp_path)
    entries = {entry.name: entry for entry in catalogue.entries(tmp_path)}
    assert "cannot be loaded" in entries["mine"].summary
    assert entries["digits"].here


def test_entries_tell_what_is_here_and_how_to_get_the_rest(tmp_path: Path) -> None:
    (tmp_path / "USPS").mkdir()
    (tmp_path / "USPS" / "usps_all.mat").touch()
    entries = {entry.name: entry for entry in catalogue.entries(tmp_path)}
    assert entries.keys() == registry.BUILT_IN["datasets"].keys()
    here = {name for name, entry in entries.items() if entry.here}
    assert here == {"digits", "gaussians-8", "gaussians-25", "swiss-roll", "two-moons", "usps"}
    ways = [entries[name].obtained for name in ("digits", "mnist", "usps", "frgc", "celeba")]
    assert ways == ["embedded", "fetch", "supply", "supply", "fetch"]


def test_facts_count_classes_by_name_and_the_unlabelled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES, y=np.array([3, 3, 5, -1, 5, 5, -1, 3, 7]))
    facts = catalogue.facts(catalogue.load(str(tmp_path / "a.npz"), tmp_path))
    assert facts["classes"] == {"3": 3, "5": 3, "7": 1}
    assert (facts["unlabelled"], facts["samples"], facts["shape"]) == (2, 9, [1, 4, 4])
    roll = catalogue.facts(catalogue.load("swiss-roll", tmp_path))
    assert (roll["classes"], roll["unlabelled"], roll["pixel_range"]) == (None, 4000, None)


@pytest.mark.parametrize("name", ["mnist", "usps", "cifar10-compact", "reuters-r8", "digits"])
def test_real_data_keeps_the_promises_of_a_data_set(name: str, data_dir: Path) -> None:
    dataset = catalogue.load(name, data_dir)
    assert catalogue.checked(dataset) is dataset
    assert dataset.name == name
    assert dataset.labels is not None
    assert dataset.n_classes is not None
    assert np.array_equal(np.unique(dataset.labels), np.arange(dataset.n_classes))
    assert dataset.inputs.flags.writeable
    assert dataset.unlabelled().labels is None


def test_a_single_sample_can_be_assigned_but_not_clustered(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", inputs=np.arange(64, dtype=np.uint8).reshape(1, 8, 8))
    one = str(tmp_path / "one.npz")
    assert catalogue.to_predict(one, tmp_path).inputs.shape == (1, 1, 8, 8)
    with refused("1 sample", "at least 2"):
        catalogue.load(one, tmp_path)


def test_two_classes_written_with_a_minus_are_refused_not_halved(tmp_path: Path) -> None:
    np.savez(tmp_path / "signs.npz", x=np.eye(4, dtype=np.float32), y=np.array([-1, 1, 1, -1]))
    with refused("-1 means unlabelled", "0 and 1"):
        catalogue.load(str(tmp_path / "signs.npz"), tmp_path)
