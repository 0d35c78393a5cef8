"""NMF and deep semi-NMF: no update makes the loss grow, weights stay non-negative, and scales mean nothing."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gancluster.errors import DataError
from gancluster.methods.base import Task
from gancluster.methods.factorisation import NMF, at_unit_parts, parts, reweighted, semi_nmf, tuned

Floats = NDArray[Any]


def mixed(n: int = 60, d: int = 12) -> Floats:
    return np.random.default_rng(0).standard_normal((n, d)) @ np.random.default_rng(1).standard_normal((d, d))


def loss(X: Floats, H: Floats, *layers: Floats) -> float:
    """|X - H … F₂ F₁|², layers from F₁ up."""
    return float(np.square(X - reduce(np.matmul, layers[::-1], H)).sum())


def test_a_layer_s_updates_never_make_its_loss_grow_and_keep_weights_non_negative() -> None:
    X, H = mixed(), np.random.default_rng(2).random((60, 5))
    losses = [loss(X, H, parts(X, H))]
    for _ in range(30):
        H = reweighted(X, H, parts(X, H))
        losses.append(loss(X, H, parts(X, H)))
        assert (H >= 0).all()
    assert np.diff(losses).max() <= 1e-9 * losses[0]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("sizes", [(8, 5), (10, 7, 4)])
def test_updates_of_all_layers_never_make_the_loss_grow(sizes: tuple[int, ...]) -> None:
    X, layers = mixed(), list[Floats]()
    H = X
    for size in sizes:
        H, F = semi_nmf(H, size, 10, seed=0)
        layers.append(F)
    losses = [loss(X, H, *layers)]
    for _ in range(30):
        H, layers = tuned(X, H, layers)
        losses.append(loss(X, H, *layers))
        assert (H >= 0).all()
    assert np.diff(losses).max() <= 1e-9 * losses[0]
    assert losses[-1] < 0.9 * losses[0]


def test_every_layer_is_its_least_squares_after_the_others() -> None:
    X, (hidden, first) = mixed(), semi_nmf(mixed(), 8, 10, seed=0)
    H, second = semi_nmf(hidden, 5, 10, seed=0)
    _, (one, two) = tuned(X, H, [first, second])
    np.testing.assert_allclose(one, np.linalg.lstsq(H @ second, X, rcond=None)[0], atol=1e-8)
    gradient = H.T @ (H @ two @ one - X) @ one.T
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_weights_at_unit_parts_redraw_the_same() -> None:
    H, F = np.random.default_rng(0).random((6, 3)), np.random.default_rng(1).random((3, 5))
    unit = F / np.linalg.norm(F, axis=1, keepdims=True)
    np.testing.assert_allclose(at_unit_parts(H, F) @ unit, H @ F, atol=1e-6)


def test_nmf_finds_blocks_and_takes_images_on_any_range() -> None:
    classes = np.repeat(np.arange(3), 20)
    images = np.kron(np.eye(3), np.ones(4))[classes] * np.random.default_rng(0).uniform(0.5, 1, (60, 1))
    found = [
        NMF(NMF.config_type(rule=rule), Task((1, 3, 4), 3, 60, (low, 1.0))).fit((images * (1 - low) + low), 0).clusters
        for rule, low in (("largest", 0.0), ("largest", -1.0), ("k-means", 0.0))
    ]
    for clusters in found:
        assert len({*zip(clusters.tolist(), classes.tolist(), strict=True)}) == 3
    assert found[0].tolist() == found[1].tolist()


def test_nmf_refuses_negative_vectors() -> None:
    with pytest.raises(DataError, match="nmf takes no negative values: shift the samples, or try deep-semi-nmf"):
        NMF(NMF.config_type(), Task((12,), 3, 60)).fit(mixed().astype(np.float32), 0)
