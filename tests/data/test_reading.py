"""Damaged files of every kind become one line that names the file."""

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from refusal import refused
from scipy.io import savemat
from scipy.sparse import csc_matrix

from gancluster.data.reading import all_of, arrays, first_of, matlab, names_in, picture, reading
from gancluster.data.vision import read_idx
from gancluster.errors import DataError, UserError


def test_arrays_come_back_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.arange(3), two=np.eye(2))
    two, one = arrays(tmp_path / "a.npz", "two", "one")
    assert names_in(tmp_path / "a.npz") == ["one", "two"]
    assert one.tolist() == [0, 1, 2]
    assert two.tolist() == [[1, 0], [0, 1]]


def test_missing_array_is_named_with_those_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.arange(3), two=np.eye(2))
    with refused("a.npz", "no 'labels'", "it has: one, two"):
        arrays(tmp_path / "a.npz", "labels")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", labels=np.array(["cat", None], dtype=object))
    with refused("a.npz", "never loaded", ".astype(str)"):
        arrays(tmp_path / "a.npz", "labels")


def test_single_array_is_no_archive(tmp_path: Path) -> None:
    with open(tmp_path / "a.npz", "wb") as file:
        np.save(file, np.arange(3))
    with refused("a.npz", "numpy.savez"):
        names_in(tmp_path / "a.npz")


def test_matrices_come_back_and_sparse_ones_are_filled_up(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"X": csc_matrix(np.eye(3)), "Y": np.arange(3)})
    x, y = matlab(tmp_path / "a.mat", "X", "Y")
    assert np.array_equal(x, np.eye(3))
    assert np.array_equal(y, [[0, 1, 2]])
    with refused("a.mat", "no 'data'"):
        matlab(tmp_path / "a.mat", "data")


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("L", (4, 6)), ("1", (4, 6)), ("LA", (4, 6)), ("RGB", (4, 6, 3)), ("RGBA", (4, 6, 3)), ("P", (4, 6, 3))],
)
def test_grey_images_keep_one_channel_and_coloured_ones_three(
    tmp_path: Path, mode: str, shape: tuple[int, ...]
) -> None:
    Image.new(mode, (6, 4)).save(tmp_path / "a.png")
    assert picture(tmp_path / "a.png").shape == shape


def test_sixteen_bits_become_eight_over_their_whole_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257, 65535, 32896]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert picture(tmp_path / "a.png").tolist() == [[0, 1, 255, 128]]


def test_thirty_two_bits_a_pixel_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), dtype=np.float32)).save(tmp_path / "a.tiff")
    with refused("a.tiff", "32 bits"):
        picture(tmp_path / "a.tiff")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small sound file of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    values = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.savez(folder / "a.npz", images=values)
    np.savez_compressed(folder / "b.npz", images=values)
    savemat(folder / "a.mat", {"images": values}, do_compression=True)
    for form in ("png", "webp", "jpg"):
        Image.fromarray(values.reshape(40, 32)).save(
            folder / f"a.{form}", **({"lossless": True} if form == "webp" else {})
        )
    with gzip.open(folder / "a.gz", "wb") as file:
        file.write(b"\0\0\x08\x03" + np.array(values.shape, dtype=">u4").tobytes() + values.tobytes())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def decode(path: Path) -> int:
    """Read a file by its kind; the number of values in it."""
    if path.suffix == ".npz":
        return int(arrays(path, "images")[0].size)
    if path.suffix == ".mat":
        return int(matlab(path, "images")[0].size)
    return int((read_idx(path, "get it again") if path.suffix == ".gz" else picture(path)).size)


KINDS = ["a.npz", "b.npz", "a.mat", "a.png", "a.webp", "a.jpg", "a.gz"]


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_files_are_refused_by_name(kind: str, sound: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / kind
    path.write_bytes(sound[kind])
    assert decode(path) == (1280 if kind != "a.webp" else 3840)  # WebP is always coloured
    for share in (0, 0.01, 0.3, 0.6, 0.95):
        path.write_bytes(sound[kind][: int(share * len(sound[kind]))])
        with refused(f"cannot read {path}"):
            decode(path)


@pytest.mark.parametrize("kind", KINDS)
@settings(derandomize=True, deadline=None, max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), noise=st.binary(min_size=1, max_size=8))
def test_overwritten_bytes_never_end_in_another_error(
    kind: str, sound: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, place: float, noise: bytes
) -> None:
    content = io.BytesIO(sound[kind])
    content.seek(int(place * len(sound[kind])))
    content.write(noise)
    path = tmp_path_factory.mktemp("noisy") / kind
    path.write_bytes(content.getvalue())
    try:
        assert decode(path) >= 0
    except DataError as error:
        assert re.fullmatch(f".*{re.escape(str(path))}.*", str(error))  # noqa: PT017 (some bytes do no harm)


def test_file_that_may_not_be_read_is_not_called_damaged() -> None:
    with refused("secret.npz", "change its permissions"), reading(Path("secret.npz")):
        raise PermissionError(13, "Permission denied")


def test_errors_meant_for_the_user_pass_unchanged() -> None:
    with pytest.raises(UserError, match="as it was"), reading(Path("a")):
        raise UserError("as it was")


def test_files_are_all_or_none_or_the_first(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    assert all_of("a", "b")(tmp_path) == []
    assert first_of("a", "b")(tmp_path) == [tmp_path / "b"]
    (tmp_path / "a").touch()
    assert all_of("a", "b")(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert first_of("a", "b")(tmp_path) == [tmp_path / "a"]
    assert first_of("c")(tmp_path) == []
