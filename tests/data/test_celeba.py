"""CelebA in the layout of the real one: all of it by Male, and GAN-EM's balanced problem of each attribute."""

import json
from pathlib import Path

import numpy as np
import pytest
from faces import attributes, levels, put_faces
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from refusal import refused
from typer.testing import CliRunner

from gancluster.cli.data import app
from gancluster.data import catalogue
from gancluster.data.celeba import ATTRIBUTES, balanced
from gancluster.data.dataset import Dataset
from gancluster.errors import UnknownName

N = 24
HAS = attributes(N)
SMILING, YOUNG = ATTRIBUTES.index("Smiling"), ATTRIBUTES.index("Young")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_faces(tmp_path, HAS, monkeypatch)


def images_of(dataset: Dataset) -> list[int]:
    """Which images of the list a data set's samples are, by their grey."""
    return np.abs(dataset.inputs.mean((1, 2, 3))[:, None] - levels(N)).argmin(1).tolist()


def test_faces_are_cropped_shrunk_and_labelled(folder: Path) -> None:
    faces = catalogue.load("celeba", folder.parent)
    assert faces.inputs.shape == (N, 3, 64, 64)
    assert np.abs(faces.inputs - levels(N).reshape(N, 1, 1, 1)).max() < 20  # JPEG rings at edges
    assert faces.labels is not None
    assert faces.labels.tolist() == HAS[:, ATTRIBUTES.index("Male")].tolist()
    assert (faces.name, faces.label_names, faces.flips) == ("celeba", ("not Male", "Male"), True)
    assert len(catalogue.load("celeba", folder.parent, "test")) == 2
    (folder / "img_align_celeba" / "000001.jpg").write_bytes(b"no jpeg")
    with refused("000001.jpg", "gancluster data fetch celeba"):
        catalogue.load("celeba", folder.parent)


def test_a_problem_has_as_many_faces_with_the_attribute_as_without(folder: Path) -> None:
    faces = catalogue.load("celeba:Smiling", folder.parent)
    assert faces.labels is not None
    chosen = images_of(faces)
    assert chosen == balanced(HAS, SMILING).tolist()
    assert faces.labels.tolist() == HAS[chosen, SMILING].tolist()
    assert np.bincount(faces.labels).tolist() == [HAS[:, SMILING].sum()] * 2
    assert (faces.name, faces.label_names, faces.n_classes) == ("celeba:Smiling", ("not Smiling", "Smiling"), 2)


def test_only_the_faces_of_a_problem_are_opened(folder: Path) -> None:
    chosen = balanced(HAS, SMILING)
    before = catalogue.load("celeba:Smiling", folder.parent)
    for image in np.setdiff1d(np.arange(N), chosen).tolist():
        (folder / "img_align_celeba" / f"{image + 1:06d}.jpg").write_bytes(b"no jpeg")
    assert catalogue.load("celeba:Smiling", folder.parent).sha256 == before.sha256
    first = f"{chosen[0] + 1:06d}.jpg"
    (folder / "img_align_celeba" / first).write_bytes(b"no jpeg")
    with refused(first, "gancluster data fetch celeba"):
        catalogue.load("celeba:Smiling", folder.parent)


def test_a_problem_of_a_part_is_chosen_within_it(folder: Path) -> None:
    train = catalogue.load("celeba:Young", folder.parent, "train")
    assert images_of(train) == balanced(HAS[: N - 3], YOUNG).tolist()


def test_a_part_where_all_have_the_attribute_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_faces(tmp_path, np.ones((4, 40), dtype=bool), monkeypatch)
    with refused("celeba:Bald has 0 samples"):
        catalogue.load("celeba:Bald", tmp_path)


def test_the_nearest_to_what_most_have_are_taken_and_the_first_of_equals() -> None:
    """Columns: the attribute, then two others; most of those with it have the first of these and lack the second."""
    rows = ["110", "111", "100", "110", "000", "010", "011", "010", "001", "010"]
    has = np.array([[value == "1" for value in row] for row in rows])
    assert balanced(has, 0).tolist() == [0, 1, 2, 3, 4, 5, 7, 9]
    assert balanced(has, 0, a_side=2).tolist() == [0, 2, 4, 5]  # half of 110 and 100 have it: not most


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60), a_side=st.integers(1, 30), share=st.floats(0.1, 0.9))
def test_a_balanced_choice_keeps_its_promises(seed: int, n: int, a_side: int, share: float) -> None:
    has: NDArray[np.bool_] = np.random.default_rng(seed).random((n, 5)) < share
    chosen = balanced(has, 2, a_side)
    having, lacking = chosen[has[chosen, 2]], chosen[~has[chosen, 2]]
    count = min(a_side, int(has[:, 2].sum()), int((~has[:, 2]).sum()))
    assert (len(having), len(lacking), len(np.unique(chosen))) == (count, count, 2 * count)
    assert chosen.tolist() == sorted(chosen.tolist())
    if count == 0:
        return
    ranks = np.flatnonzero(np.isin(np.flatnonzero(has[:, 2]), having))
    assert np.ptp(np.diff([*ranks, has[:, 2].sum() + ranks[0]])) <= 1  # even steps, the last one to the end
    others = [0, 1, 3, 4]
    typical = np.mean(has[having][:, others], axis=0) > 0.5
    ranking = sorted(np.flatnonzero(~has[:, 2]).tolist(), key=lambda i: ((has[i, others] != typical).sum(), i))
    assert sorted(ranking[:count]) == lacking.tolist()


def test_an_attribute_that_there_is_not_gives_near_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"^there is no attribute of celeba 'smilin'; did you mean Smiling[^\n]*$"):
        catalogue.load("celeba:smilin", tmp_path)
    with pytest.raises(UnknownName, match="there is no attribute of celeba ''; known: 5_o_Clock_Shadow, "):
        catalogue.files_of("celeba:", tmp_path)


def test_info_fetch_and_list_know_the_problems(folder: Path, tmp_path: Path) -> None:
    told = json.loads(CliRunner().invoke(app, ["info", "celeba:Smiling", "--data-dir", str(tmp_path), "--json"]).output)
    with_it = int(HAS[:, SMILING].sum())
    assert told["classes"] == {"not Smiling": with_it, "Smiling": with_it}
    assert str(folder / "list_attr_celeba.txt") in told["files"]
    assert catalogue.fetch("celeba:Smiling", tmp_path) == catalogue.files_of("celeba", tmp_path) != []
    (entry,) = [entry for entry in catalogue.entries(tmp_path) if entry.name == "celeba"]
    assert entry.here
    assert "celeba:" in entry.summary


def test_a_problem_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with refused(f"celeba:Bald is not in {tmp_path}", "gancluster data fetch celeba:Bald --data-dir"):
        catalogue.load("celeba:Bald", tmp_path)
