"""Latent codes: blocks, balance and noise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancluster.methods.codes import balanced_clusters, block_means, block_table, blurred, thinned

repeatable = settings(derandomize=True, deadline=None, max_examples=60)


@repeatable
@given(st.integers(1, 30), st.integers(0, 90))
def test_blocks_are_disjoint_cover_the_code_and_are_as_even_as_they_can_be(n_clusters: int, more: int) -> None:
    size = n_clusters + more
    table = block_table(n_clusters, size)
    assert torch.equal(table.sum(0), torch.ones(size))
    lengths = table.sum(1).tolist()
    assert max(lengths) - min(lengths) <= 1
    assert torch.equal(table @ table.T, torch.diag(table.sum(1)))  # equal or orthogonal


@pytest.mark.parametrize(
    ("bits", "short", "long"), [(32, [3] * 8, [4] * 2), (64, [6] * 6, [7] * 4), (100, [10] * 10, [])]
)
def test_codes_for_hashing_have_uneven_blocks(bits: int, short: list[int], long: list[int]) -> None:
    assert block_table(10, bits).sum(1).tolist() == short + long


@repeatable
@given(st.integers(1, 12), st.integers(1, 100), st.integers(0, 1000))
def test_every_cluster_comes_as_often_as_any_other_give_or_take_one(n_clusters: int, n: int, seed: int) -> None:
    clusters = balanced_clusters(n, n_clusters, torch.Generator().manual_seed(seed))
    counts = torch.bincount(clusters, minlength=n_clusters)
    assert len(counts) == n_clusters
    assert counts.max() - counts.min() <= 1


def test_which_clusters_come_once_more_and_in_what_order_is_random() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = torch.stack([balanced_clusters(13, 10, rng) for _ in range(2000)])
    counts = torch.stack([torch.bincount(each, minlength=10) for each in drawn]).float().mean(0)
    assert torch.allclose(counts, torch.full((10,), 1.3), atol=0.06)
    assert torch.allclose(torch.bincount(drawn[:, 0], minlength=10) / 2000, torch.full((10,), 0.1), atol=0.03)


@pytest.mark.parametrize(("how", "top"), [("scaled", 1.0), ("additive", 1.5), ("clipped", 1.0)])
def test_noisy_codes_have_the_range_of_their_kind(how: str, top: float) -> None:
    clean, uniform = block_table(4, 8).repeat(50, 1), torch.rand(200, 8, generator=torch.Generator().manual_seed(0))
    noisy = blurred(clean, uniform, 0.5, how)  # type: ignore[arg-type]
    assert noisy.min() >= 0
    assert top - 0.02 < float(noisy.max()) <= top
    assert (block_means(noisy, block_table(4, 8)).argmax(1) == clean.argmax(1) // 2).all()


def test_scaling_keeps_the_direction_of_a_noisy_code() -> None:
    clean, uniform = block_table(4, 8), torch.rand(4, 8)
    scaled, additive = (blurred(clean, uniform, 0.3, how) for how in ("scaled", "additive"))
    assert torch.allclose(torch.nn.functional.cosine_similarity(scaled, additive), torch.ones(4))


def test_block_means_are_means_of_blocks() -> None:
    table, embedding = block_table(3, 8), torch.arange(16.0).view(2, 8)
    assert torch.allclose(block_means(embedding, table), torch.tensor([[0.5, 3.0, 6.0], [8.5, 11.0, 14.0]]))


@pytest.mark.parametrize("bits", [10, 32, 64, 100])
def test_thinned_codes_are_the_block_codes_of_so_many_bits(bits: int) -> None:
    table = block_table(10, 100)
    assert torch.equal(table[:, thinned(table, bits)], block_table(10, bits))
