"""Files that the user brings: both forms of each, and that a name stands for the published set alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusal import refused
from scipy.io import savemat
from scipy.sparse import csc_matrix
from scipy.sparse import random as sparse_random

from gancluster.data import catalogue

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (2462, 32, 32, 3), dtype=np.uint8)
PEOPLE = np.arange(2462) % 20 + 1
FIRST = csc_matrix((np.ones(10_000, np.float32), (np.arange(10_000), np.arange(10_000) % 2000)))
DOCUMENTS = csc_matrix(sparse_random(10_000, 2000, density=1e-3, random_state=0, dtype=np.float32) + FIRST)
TOPICS = np.arange(10_000) % 4


def test_faces_are_read_from_an_archive(tmp_path: Path) -> None:
    (tmp_path / "FRGC").mkdir()
    np.savez(tmp_path / "FRGC" / "frgc.npz", images=FACES, labels=PEOPLE)
    frgc = catalogue.load("frgc", tmp_path)
    assert (frgc.name, frgc.n_classes, frgc.pixel_range, frgc.flips) == ("frgc", 20, (0.0, 1.0), True)
    assert np.array_equal(frgc.inputs, FACES.transpose(0, 3, 1, 2))
    assert np.array_equal(frgc.labels, PEOPLE - 1)


def test_faces_are_read_from_one_folder_a_person(tmp_path: Path) -> None:
    for i, person in enumerate(PEOPLE):
        folder = tmp_path / "FRGC" / "images" / f"{person:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(FACES[i]).save(folder / f"{i:04d}.bmp")
    frgc = catalogue.load("frgc", tmp_path)
    assert np.array_equal(frgc.inputs, FACES[np.argsort(PEOPLE, kind="stable")].transpose(0, 3, 1, 2))
    assert frgc.label_names == tuple(f"{person:02d}" for person in range(1, 21))


@pytest.mark.parametrize("topics", [TOPICS, TOPICS[:, None]])
def test_documents_are_read_from_a_matlab_file_as_they_stand(tmp_path: Path, topics: np.ndarray) -> None:
    savemat(tmp_path / "reuters10k.mat", {"X": DOCUMENTS, "Y": topics})
    reuters = catalogue.load("reuters10k", tmp_path)
    assert (reuters.inputs.shape, reuters.inputs.dtype) == ((10_000, 2000), np.float32)
    assert (reuters.inputs != DOCUMENTS).sum() == 0
    assert np.array_equal(reuters.labels, TOPICS)
    assert (reuters.name, reuters.n_classes) == ("reuters10k", 4)


def test_documents_are_read_from_an_archive(tmp_path: Path) -> None:
    (tmp_path / "reuters10k").mkdir()
    np.savez_compressed(tmp_path / "reuters10k" / "reuters10k.npz", x=DOCUMENTS.toarray(), y=TOPICS)
    reuters = catalogue.load("reuters10k", tmp_path)
    assert (reuters.inputs != DOCUMENTS).sum() == 0
    assert reuters.label_names == ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("faces", "people"), [(FACES[:2000], PEOPLE[:2000]), (FACES[:, :16], PEOPLE), (FACES, PEOPLE % 10), (FACES, None)]
)
def test_another_set_under_a_published_name_is_refused(
    tmp_path: Path, faces: np.ndarray, people: np.ndarray | None
) -> None:
    np.savez(tmp_path / "frgc.npz", images=faces, **({} if people is None else {"labels": people}))
    with refused("frgc.npz", "2,462", "load it by its own path"):
        catalogue.load("frgc", tmp_path)


@pytest.mark.parametrize(("name", "file"), [("frgc", "FRGC/frgc.npz"), ("reuters10k", "reuters10k/reuters10k.mat")])
def test_what_is_missing_cannot_be_fetched_and_says_where_to_put_it(tmp_path: Path, name: str, file: str) -> None:
    with refused(f"{name} is not in {tmp_path}", f"put {file}"):
        catalogue.load(name, tmp_path)
    with refused(f"{name} is not in {tmp_path}", f"put {file}"):
        catalogue.fetch(name, tmp_path)


@pytest.mark.parametrize(
    ("factor", "says"),
    [(-1.0, "the first of word 7 in row 7"), (0.0, "has 1 documents without a word, the first in row 7")],
)
def test_documents_with_negative_weights_or_no_word_are_refused(tmp_path: Path, factor: float, says: str) -> None:
    documents = DOCUMENTS.toarray()
    documents[7] *= factor
    documents[7, :7] = 0
    np.savez_compressed(tmp_path / "reuters10k.npz", x=documents, y=TOPICS)
    with refused("reuters10k.npz", says):
        catalogue.load("reuters10k", tmp_path)


def test_damaged_matlab_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "reuters10k.mat"
    savemat(path, {"X": DOCUMENTS, "Y": TOPICS}, do_compression=True)
    path.write_bytes(path.read_bytes()[:5000])
    with refused(f"cannot read {path}"):
        catalogue.load("reuters10k", tmp_path)
