"""What is true of every hash: seeds, unseen samples, bits that say something, input that is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gancluster import hashing
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.errors import DataError, RunError, UnknownName
from gancluster.hashing import HASHES

every_hash = pytest.mark.parametrize("name", HASHES)
Pixels = NDArray[np.float64]


@every_hash
def test_codes_have_the_bits_asked_for_and_every_bit_says_something(name: str, pixels: Pixels) -> None:
    codes = HASHES[name].fit(pixels, 16).encode(pixels)
    assert (codes.shape, codes.dtype) == ((600, 16), np.bool_)
    assert (codes.mean(0) > 0.02).all()
    assert (codes.mean(0) < 0.98).all()
    assert len(np.unique(codes.T, axis=0)) == 16  # no bit repeats another
    assert len(np.unique(codes, axis=0)) > 200


@every_hash
def test_equal_seeds_give_equal_codes(name: str, pixels: Pixels) -> None:
    one, same = (HASHES[name].fit(pixels, 16, seed=7).encode(pixels) for _ in range(2))
    assert np.array_equal(one, same)


@pytest.mark.parametrize("name", ["lsh", "itq", "sphh"])
def test_other_seeds_give_other_codes_where_chance_plays_a_part(name: str, pixels: Pixels) -> None:
    one, other = (HASHES[name].fit(pixels, 16, seed=seed).encode(pixels) for seed in (0, 1))
    assert not np.array_equal(one, other)


@every_hash
def test_a_sample_has_the_same_code_alone_in_company_and_in_single_precision(name: str, pixels: Pixels) -> None:
    fitted = HASHES[name].fit(pixels[:500], 16)
    whole, narrow = fitted.encode(pixels), pixels.astype(np.float32)
    assert np.array_equal(np.vstack([fitted.encode(part) for part in np.array_split(pixels, 40)]), whole)
    assert np.array_equal(HASHES[name].fit(narrow[:500], 16).encode(narrow), whole)


@every_hash
def test_near_samples_have_near_codes(name: str, pixels: Pixels) -> None:
    """On digits that the hash has not seen: the Hamming distance of neighbours is well below that of any two."""
    codes = HASHES[name].fit(pixels[:300], 16).encode(pixels[300:])
    apart = ((pixels[300:, None] - pixels[None, 300:]) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    hamming = (codes[:, None] != codes).sum(2)
    assert hamming[np.arange(300), apart.argmin(1)].mean() < 0.55 * hamming.mean()


@every_hash
def test_codes_depend_neither_on_units_nor_on_the_origin(name: str, pixels: Pixels) -> None:
    moved = 3 * pixels + 1000
    assert np.array_equal(HASHES[name].fit(moved, 16).encode(moved), HASHES[name].fit(pixels, 16).encode(pixels))


@every_hash
@pytest.mark.parametrize(
    ("samples", "bits", "says"),
    [
        (np.ones((30, 4)), 4, "all 30 samples are the same"),
        (np.eye(3), 4, "3 samples are too few for 4 bits: give more, or ask for fewer bits"),
        (np.eye(1), 1, "1 samples are too few for 1 bits"),
        (np.eye(30), 0, "a code of 0 bits says nothing"),
        (np.eye(30)[0], 4, r"samples are float64 \(30,\): give numbers \(n, d\)"),
        (np.zeros((30, 0)), 4, r"samples are float64 \(30, 0\)"),
        (np.full((30, 4), "x"), 4, "samples are <U1"),
        (np.where(np.eye(30) > 0, np.nan, 0), 4, "are NaN or infinite"),
    ],
)
def test_samples_that_cannot_be_hashed_are_refused(
    name: str, samples: NDArray[np.float64], bits: int, says: str
) -> None:
    with pytest.raises(DataError, match=says) as refusal:
        HASHES[name].fit(samples, bits)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["pcah", "itq", "kmh"])
def test_a_bit_an_axis_is_refused_where_axes_are_missing(name: str) -> None:
    flat = np.random.default_rng(0).standard_normal((50, 6)) @ np.diag([1, 1, 1, 1, 1, 0])
    with pytest.raises(
        DataError, match="8 bits need 8 axes, but the samples vary along 5 only: ask for 5 bits or fewer"
    ):
        HASHES[name].fit(flat, 8)


@pytest.mark.parametrize("name", ["lsh", "speh", "sphh"])
def test_others_make_more_bits_than_there_are_axes(name: str) -> None:
    plane = np.random.default_rng(0).uniform(size=(500, 2))
    codes = HASHES[name].fit(plane, 12).encode(plane)
    assert len(np.unique(codes, axis=0)) > 20  # lines through one point cut a plane in 24


@every_hash
def test_samples_of_another_width_are_refused(name: str, pixels: Pixels) -> None:
    with pytest.raises(DataError, match="these samples have 63 values, but the hash was fitted to 64"):
        HASHES[name].fit(pixels, 4).encode(pixels[:, 1:])


def test_an_unknown_hash_is_refused_with_what_it_may_have_been() -> None:
    with pytest.raises(UnknownName, match="there is no hash 'pca'; did you mean pcah"):
        hashing.named("pca")
    assert hashing.named("itq") is HASHES["itq"]


def test_images_become_pixels_between_0_and_1_and_vectors_stay() -> None:
    digits = catalogue.load("digits", Path())
    rows = hashing.flattened(digits)
    assert (rows.shape, rows.min(), rows.max()) == ((1797, 64), 0, 1)
    assert np.array_equal(np.rint(rows[11] * 255).reshape(8, 8), digits.inputs[11, 0])
    vectors = np.array([[-3.5, 700.0]], np.float32)
    assert np.array_equal(hashing.flattened(Dataset("two", vectors, None, None)), vectors)


def test_codes_are_saved_as_plain_arrays(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).random((20, 12)) > 0.5
    hashing.save(tmp_path / "a.npz", codes, np.arange(20, dtype=np.int32))
    hashing.save(tmp_path / "b.npz", codes, None)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as labelled, np.load(tmp_path / "b.npz") as bare:
        assert {name: values.dtype for name, values in labelled.items()} == {"codes": np.uint8, "labels": np.int64}
        assert np.array_equal(labelled["codes"], codes)
        assert bare.files == ["codes"]
    with pytest.raises(RunError, match="cannot write"):
        hashing.save(tmp_path / "none" / "a.npz", codes, None)


def test_hashing_imports_neither_torch_nor_a_method() -> None:
    check = (
        "import sys, numpy as np; from gancluster.hashing import HASHES\n"
        "for one in HASHES.values(): one.fit(np.eye(9), 4)\n"
        "sys.exit(any(name == 'torch' or name.startswith('gancluster.methods') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
