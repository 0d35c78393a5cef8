"""K-means hashing: codewords whose distances are what their numbers say."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad
from scipy.spatial.distance import cdist, pdist

from gancluster.hashing.kmeans_hashing import (
    NUMBERS,
    SIDES,
    Product,
    affinity_preserving,
    balanced_parts,
    best_side,
    cells_of,
    corners,
    improved,
    kmh,
    objective,
)
from gancluster.hashing.principal import principal

Pixels = NDArray[np.float64]


@pytest.fixture(scope="module")
def scores(pixels: Pixels) -> Pixels:
    """One subspace's samples, `(600, 12)`."""
    return principal(pixels, 12).scores(pixels)


@pytest.fixture(scope="module")
def product(pixels: Pixels) -> Product:
    return kmh(pixels, 16, 0)


def test_the_wanted_distances_are_those_of_a_cube_s_corners() -> None:
    assert cdist(NUMBERS.astype(float), NUMBERS.astype(float)) == pytest.approx(SIDES)
    assert len(np.unique(NUMBERS, axis=0)) == 16


def test_codewords_begin_at_the_corners_of_the_cube_that_fits_best(scores: Pixels) -> None:
    words = best_side(scores) * corners(12)
    assert cdist(words, words) == pytest.approx(best_side(scores) * SIDES)
    nearest = words[cdist(scores, words).argmin(1)]
    assert np.array_equal(nearest[:, :4] > 0, scores[:, :4] > 0)  # PCA hashing
    fit = ((scores - nearest) ** 2).sum()
    assert all(((scores - nearest * by) ** 2).sum() > fit for by in (0.97, 1.03))


def test_the_objective_is_what_the_paper_writes_and_its_slope_is_right(scores: Pixels) -> None:
    rng = np.random.default_rng(0)
    words = rng.standard_normal((16, 12))
    cells = cells_of(scores, words)
    number = cdist(scores, words).argmin(1)
    share = np.bincount(number, minlength=16) / 600
    quantisation = ((scores - words[number]) ** 2).sum(1).mean()
    affinity = (np.outer(share, share) * (cdist(words, words) - SIDES) ** 2).sum()
    spread = (scores**2).sum(1).mean() - (share * (cells.mean**2).sum(1)).sum()  # within cells: no codeword changes it
    value = objective(words, cells, 10)[0]
    assert value + spread == pytest.approx(quantisation + 10 * affinity)
    assert cells.share == pytest.approx(share)

    def slope_of(flat: Pixels) -> Pixels:
        return objective(flat.reshape(16, 12), cells, 10)[1]

    wrong = check_grad(lambda flat: objective(flat.reshape(16, 12), cells, 10)[0], slope_of, words.ravel())
    assert wrong < 1e-4 * np.linalg.norm(slope_of(words.ravel()))


def test_codewords_are_improved_and_an_empty_cell_does_no_harm(scores: Pixels) -> None:
    words = corners(12)
    words[0] = 50.0  # nobody's nearest
    cells = cells_of(scores / best_side(scores), words)
    better = improved(words, cells, 10)
    assert cells.share[0] == 0
    assert np.isfinite(better).all()
    assert objective(better, cells, 10)[0] < 0.99 * objective(words, cells, 10)[0]


def test_without_a_weight_it_is_k_means(scores: Pixels) -> None:
    words = affinity_preserving(scores, weight=0.0)
    assert cells_of(scores, words).mean == pytest.approx(words, abs=1e-2)


def test_a_large_weight_keeps_the_cube(scores: Pixels) -> None:
    side = best_side(scores)

    def strain(weight: float) -> float:
        words = affinity_preserving(scores, weight)
        return float(np.abs(cdist(words, words) - side * SIDES).mean() / side)

    assert strain(1000) < 0.02 < strain(10) < strain(0.1)


def test_codewords_are_nearer_to_the_samples_than_the_cube_is(scores: Pixels) -> None:
    cube, words = best_side(scores) * corners(12), affinity_preserving(scores)
    assert cdist(scores, words).min(1).mean() < 0.97 * cdist(scores, cube).min(1).mean()


def test_hamming_distances_follow_distances_better_than_numbers_at_random_do(product: Product) -> None:
    rng = np.random.default_rng(0)
    for words in product.codewords:
        apart, hamming = pdist(words), SIDES[np.triu_indices(16, 1)] ** 2
        ours = np.corrcoef(apart, hamming)[0, 1]
        shuffled = [np.corrcoef(pdist(words[rng.permutation(16)]), hamming)[0, 1] for _ in range(200)]
        assert ours > 0.8
        assert ours > max(shuffled) + 0.2


def test_a_code_is_the_numbers_of_the_nearest_codewords(product: Product, pixels: Pixels) -> None:
    codes = product(pixels)
    space = product.components.scores(pixels)
    for place, (part, words) in enumerate(zip(product.parts, product.codewords, strict=True)):
        nearest = cdist(space[:, part], words).argmin(1)
        assert np.array_equal(codes[:, 4 * place : 4 * place + 4], NUMBERS[nearest])


def test_subspaces_share_out_the_axes_evenly() -> None:
    variances = np.sort(np.random.default_rng(0).uniform(0.01, 5, 42))[::-1]
    parts = balanced_parts(variances, 4)
    assert sorted(np.concatenate(parts).tolist()) == list(range(42))
    assert sorted(map(len, parts)) == [10, 10, 11, 11]
    assert all((np.diff(part) > 0).all() for part in parts)
    assert {part[0] for part in parts} == {0, 1, 2, 3}


def test_products_of_variances_come_out_as_even_as_they_can_in_a_small_case() -> None:
    variances = np.array([8.0, 4.0, 2.0, 1.0])
    products = sorted(variances[part].prod() for part in balanced_parts(variances, 2))
    best = min((v[0] * v[1], v[2] * v[3]) for v in permutations(variances) if v[0] * v[1] >= v[2] * v[3])
    assert products == sorted(best)
