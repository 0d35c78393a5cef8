"""LSH, PCAH and ITQ against what their papers promise, and against scikit-learn, scipy and faiss."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import polar
from sklearn.decomposition import PCA

from gancluster.hashing import linear
from gancluster.hashing.linear import itq, lsh, pcah, quantisation_error, random_rotation, turned

Pixels = NDArray[np.float64]
BITS = 16


@pytest.fixture(scope="module")
def scores(pixels: Pixels) -> Pixels:
    return PCA(BITS, svd_solver="full").fit_transform(pixels)


@pytest.mark.parametrize("angle", [0.3, 1.2, 2.5])
def test_lsh_s_bits_agree_as_often_as_the_angle_says(angle: float) -> None:
    """1 - angle / pi, within four standard deviations of 20,000 draws."""
    ends = np.array([[1, 0], [np.cos(angle), np.sin(angle)]]) * [[2.0], [0.1]]  # lengths do not matter
    pair = np.vstack([ends, -ends])  # centred
    codes = lsh(pair, 20_000, seed=1)(pair)
    wanted = 1 - angle / np.pi
    assert (codes[0] == codes[1]).mean() == pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / 20_000))
    assert not (codes[0] == codes[2]).any()


def test_lsh_s_hyperplanes_pass_through_the_mean(pixels: Pixels) -> None:
    assert np.array_equal(lsh(pixels, BITS, 0)(pixels), lsh(pixels - pixels.mean(0), BITS, 0)(pixels - pixels.mean(0)))
    assert lsh(pixels, 200, 0)(pixels).mean(0) == pytest.approx(np.full(200, 0.5), abs=0.15)


def test_pcah_s_bits_are_the_signs_of_principal_components(pixels: Pixels, scores: Pixels) -> None:
    assert np.array_equal(pcah(pixels, BITS, 0)(pixels), scores > 0)


def test_itq_never_raises_its_error_and_stops_where_procrustes_says(scores: Pixels) -> None:
    start = random_rotation(BITS, 0)
    errors = [quantisation_error(scores, turned(scores, start, rounds)) for rounds in range(60)]
    assert (np.diff(errors) <= 1e-12).all()
    assert errors[-1] < 0.95 * errors[0]
    end = turned(scores, start, 500)
    corners = np.sign(scores @ end)
    assert end == pytest.approx(polar(scores.T @ corners)[0], abs=1e-9)  # a second way to the nearest rotation


def test_itq_s_axes_are_orthonormal_and_span_the_principal_ones(pixels: Pixels) -> None:
    axes, components = itq(pixels, BITS, 0).axes, PCA(BITS, svd_solver="full").fit(pixels).components_
    assert axes.T @ axes == pytest.approx(np.eye(BITS), abs=1e-9)
    assert axes @ axes.T == pytest.approx(components.T @ components, abs=1e-9)


@pytest.mark.parametrize("bits", [1, 2, 64])
def test_a_random_rotation_is_orthogonal(bits: int) -> None:
    rotation = random_rotation(bits, 3)
    assert rotation @ rotation.T == pytest.approx(np.eye(bits), abs=1e-12)


def test_itq_finds_the_cube_that_samples_were_made_from() -> None:
    """Corners of a cube, turned by an unknown rotation and blurred: its error falls to the blur's, 4 x 0.1²."""
    rng = np.random.default_rng(0)
    cube = np.where(rng.random((2000, 4)) > 0.5, 1, -1) + 0.1 * rng.standard_normal((2000, 4))
    hidden = (cube - cube.mean(0)) @ random_rotation(4, 5)
    found = min(quantisation_error(hidden, turned(hidden, random_rotation(4, seed))) for seed in range(5))
    assert found == pytest.approx(0.04, rel=0.1)


def test_itq_ends_no_farther_from_its_corners_than_faiss_from_the_same_start(scores: Pixels) -> None:
    """faiss 1.15 ends well above: its error does not fall in every round, as with exact Procrustes steps it must."""
    faiss = pytest.importorskip("faiss")
    narrow = np.ascontiguousarray(scores, np.float32)
    for seed in range(3):
        start = random_rotation(BITS, seed)
        theirs = faiss.ITQMatrix(BITS)
        theirs.max_iter = linear.ITERATIONS
        faiss.copy_array_to_vector(np.ascontiguousarray(start).ravel(), theirs.init_rotation)
        theirs.train(narrow)
        reached = theirs.apply(narrow)
        assert np.linalg.norm(reached, axis=1) == pytest.approx(np.linalg.norm(scores, axis=1), rel=1e-4)  # a rotation
        there = float(((np.where(reached > 0, 1, -1) - reached) ** 2).sum(1).mean())
        assert quantisation_error(scores, turned(scores, start)) < there + 1e-4
        assert there < quantisation_error(scores, start)
