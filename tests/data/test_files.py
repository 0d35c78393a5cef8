"""The user's own data: what each form of array, label and folder becomes, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from refusal import refused
from scipy.sparse import csr_matrix, save_npz

from gancluster.data.files import as_inputs, encoded, from_folder, from_npz

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 4, 6), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


def saved(folder: Path, **stored: Any) -> Path:
    np.savez(folder / "cells.npz", **stored)
    return folder / "cells.npz"


@pytest.mark.parametrize("inputs", ["inputs", "images", "x", "X", "Images"])
@pytest.mark.parametrize("labels", ["labels", "y", "Y"])
def test_arrays_are_known_by_either_name_in_any_case(tmp_path: Path, inputs: str, labels: str) -> None:
    dataset = from_npz(saved(tmp_path, **{inputs: GREY, labels: np.array([7, 7, 3, 3, 9]), "other": np.eye(2)}))
    assert np.array_equal(dataset.inputs, GREY[:, None])
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, 1, 0, 0, 2]
    assert (dataset.name, dataset.n_classes, dataset.label_names) == ("cells.npz", 3, ("3", "7", "9"))


def test_labels_are_not_needed(tmp_path: Path) -> None:
    dataset = from_npz(saved(tmp_path, x=GREY))
    assert (dataset.labels, dataset.n_classes, dataset.label_names) == (None, None, None)


def test_archive_without_samples_says_what_it_has(tmp_path: Path) -> None:
    with refused("cells.npz", "inputs, images, x", "it has: x_train, labels"):
        from_npz(saved(tmp_path, x_train=GREY, labels=np.arange(5)))


def test_two_candidates_for_the_samples_are_refused(tmp_path: Path) -> None:
    with refused("cells.npz", "'images' and 'x'", "keep one"):
        from_npz(saved(tmp_path, images=GREY, x=GREY))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (GREY, GREY[:, None]),
        (GREY[:, :, :, None], GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
        (GREY.astype(np.int64), GREY[:, None]),
        (GREY.astype(np.float64), GREY[:, None]),
        (GREY / 255, GREY[:, None]),
        ((GREY / 255).astype(np.float32), GREY[:, None]),
        (GREY > 127, 255 * (GREY[:, None] > 127)),
        (GREY.astype(np.float32) / 2, np.rint(GREY[:, None] / 2)),
    ],
)
def test_images_of_every_form_become_levels_channels_first(stored: NDArray[Any], expected: NDArray[Any]) -> None:
    inputs = as_inputs(stored, "here")
    assert inputs.dtype == np.uint8
    assert inputs.flags.c_contiguous
    assert np.array_equal(inputs, expected)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float16, np.float64, np.bool_])
def test_rows_are_vectors_and_keep_their_values(kind: type) -> None:
    stored = RNG.integers(0, 200, (5, 3)).astype(kind)
    inputs = as_inputs(stored, "here")
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs, stored)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (np.zeros(5), ("shape (5,)", "(n, d)")),
        (np.zeros((2, 2, 2, 2, 2)), ("shape (2, 2, 2, 2, 2)",)),
        (np.zeros((0, 4, 4)), ("shape (0, 4, 4)",)),
        (np.zeros((5, 0)), ("shape (5, 0)",)),
        (np.zeros((5, 2, 8, 8)), ("no axis", "1 grey or 3 colour")),
        (np.zeros((5, 3, 8, 3)), ("both", "save (n, h, w, c)")),
        (np.full((5, 8, 8), -1.0), ("run from -1 to -1", "rescale")),
        (np.full((5, 8, 8), 256), ("run from 256 to 256", "rescale")),
        (np.ones((5, 8, 8), dtype=np.uint8), ("0 and 1 as integers", "booleans")),
        (np.array([[[0.5, np.nan]]]), ("1 NaN or infinite values", "(0, 0, 0, 1)")),
        (np.array([[0.5, np.inf]]), ("1 NaN or infinite values", "(0, 1)")),
        (np.zeros((5, 3), dtype=complex), ("complex128", "save numbers")),
        (np.array([["a", "b"]]), ("<U1", "save numbers")),
    ],
)
def test_samples_that_cannot_be_clustered_are_refused(stored: NDArray[Any], words: tuple[str, ...]) -> None:
    with refused("here", *words):
        as_inputs(stored, "here")


@pytest.mark.parametrize(
    ("labels", "codes", "names"),
    [
        (np.array([3, 1, 3]), [1, 0, 1], ("1", "3")),
        (np.array([[3], [1], [3]]), [1, 0, 1], ("1", "3")),
        (np.array([3, -1, 5], dtype=np.int8), [0, -1, 1], ("3", "5")),
        (np.array([200, 1], dtype=np.uint8), [1, 0], ("1", "200")),
        (np.array([2.0, -1.0, 0.0]), [1, -1, 0], ("0", "2")),
        (np.array([True, False]), [1, 0], ("False", "True")),
        (np.array(["dog", "cat", "dog"]), [1, 0, 1], ("cat", "dog")),
        (np.array([b"dog", b"cat"]), [1, 0], ("cat", "dog")),
        (np.array(["-1", "0"]), [0, 1], ("-1", "0")),
    ],
)
def test_labels_of_every_kind_are_numbered_and_named(
    labels: NDArray[Any], codes: list[int], names: tuple[str, ...]
) -> None:
    found, found_names = encoded(labels, "here")
    assert found is not None
    assert found.dtype == np.int64
    assert (found.tolist(), found_names) == (codes, names)


def test_labels_that_are_all_unknown_are_no_labels() -> None:
    assert encoded(np.full(4, -1), "here") == (None, None)


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (np.eye(3, dtype=int), "(3, 3)"),
        (np.array([0.5, 1.0]), "whole numbers"),
        (np.array([np.nan, 1.0]), "whole numbers"),
        (np.array([1j]), "complex128"),
    ],
)
def test_labels_that_name_no_class_are_refused(labels: NDArray[Any], word: str) -> None:
    with refused("here", word):
        encoded(labels, "here")


def put(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_flat_folder_is_read_in_the_order_of_names_without_labels(tmp_path: Path) -> None:
    for i in (2, 0, 1):
        put(tmp_path / f"{i}.png", GREY[i])
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("not an image either")
    dataset = from_folder(tmp_path)
    assert np.array_equal(dataset.inputs, GREY[:3, None])
    assert (dataset.name, dataset.labels) == (tmp_path.name, None)


def test_sub_folders_are_classes_and_empty_ones_are_not(tmp_path: Path) -> None:
    for i, name in enumerate(["dog/1.png", "cat/9.PNG", "dog/0.png"]):
        put(tmp_path / name, COLOUR[i])
    (tmp_path / "bird").mkdir()
    put(tmp_path / ".cache" / "a.png", COLOUR[4])
    dataset = from_folder(tmp_path)
    assert np.array_equal(dataset.inputs, COLOUR[[1, 2, 0]].transpose(0, 3, 1, 2))
    assert dataset.labels is not None
    assert (dataset.labels.tolist(), dataset.label_names, dataset.n_classes) == ([0, 1, 1], ("cat", "dog"), 2)


def test_grey_among_coloured_images_gets_three_equal_channels(tmp_path: Path) -> None:
    put(tmp_path / "a.png", GREY[0])
    put(tmp_path / "b.png", COLOUR[0])
    inputs = from_folder(tmp_path).inputs
    assert np.array_equal(inputs[0], np.stack([GREY[0]] * 3))
    assert np.array_equal(inputs[1], COLOUR[0].transpose(2, 0, 1))


def test_images_of_two_sizes_are_refused_by_name_and_size(tmp_path: Path) -> None:
    put(tmp_path / "a.png", GREY[0])
    put(tmp_path / "b.png", GREY[0].T.copy())
    with refused("a.png is 6x4", "b.png is 4x6", "resize"):
        from_folder(tmp_path)


def test_unreadable_image_is_named(tmp_path: Path) -> None:
    put(tmp_path / "a.png", GREY[0])
    (tmp_path / "b.jpg").write_text("<html>404</html>")
    with refused(f"cannot read {tmp_path / 'b.jpg'}", "remove or replace it"):
        from_folder(tmp_path)


def test_folder_without_images_or_with_both_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.md").touch()
    with refused("has no images (.bmp"):
        from_folder(tmp_path)
    put(tmp_path / "a.png", GREY[0])
    put(tmp_path / "cat" / "b.png", GREY[1])
    with refused("both", "a.png", "(cat)"):
        from_folder(tmp_path)


def test_a_sparse_matrix_is_told_what_it_is_and_how_to_fill_it_up(tmp_path: Path) -> None:
    save_npz(tmp_path / "tfidf.npz", csr_matrix(np.eye(3)))
    with refused(f"{tmp_path / 'tfidf.npz'} is a sparse matrix", "inputs=matrix.toarray()"):
        from_npz(tmp_path / "tfidf.npz")
    np.savez(tmp_path / "object.npz", inputs=csr_matrix(np.eye(3)))  # numpy wraps it in an object, which is pickled
    with refused("pickled objects are never loaded: save plain arrays"):
        from_npz(tmp_path / "object.npz")
