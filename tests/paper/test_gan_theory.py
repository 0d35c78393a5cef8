"""ClusterGAN's game on spaces small enough to know: the mirrored game of its clusterer, and what its codes do."""

from __future__ import annotations

import pytest
import torch
from finite import distributions, jsd, kl, lifted
from hypothesis import given, settings
from hypothesis import strategies as st

from gancluster.critics import Minimax, NonSaturating
from gancluster.methods import codes, self_paced

repeatable = settings(derandomize=True, deadline=None, max_examples=50)
seeds = st.integers(0, 10_000)


@repeatable
@given(seeds)
def test_the_clusterer_on_the_real_side_plays_the_mirrored_game(seed: int) -> None:
    p, q = distributions(seed)
    best, found = (p / q).log(), p.log()
    for critic, divergence in (
        (Minimax(), lambda p: 2 * jsd(p, q)),
        (NonSaturating(), lambda p: kl(p, q) - 2 * jsd(p, q)),
    ):
        gradient = torch.func.grad(lambda found, critic=critic: lifted(critic, -best, found.softmax(0)))(found)
        expected = torch.func.grad(lambda found, divergence=divergence: divergence(found.softmax(0)))(found)
        assert torch.allclose(gradient, expected, atol=1e-12)


@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize("blur", ["additive", "scaled"])
@pytest.mark.parametrize(("width", "same", "different"), [(0.5, 0.91, 0.48), (0.1, 0.99, 0.11)])
def test_cosines_of_noisy_codes_are_those_the_noise_gives(
    width: float, same: float, different: float, blur: codes.Blur, size: int
) -> None:
    rng = torch.Generator().manual_seed(0)
    clusters = codes.balanced_clusters(2000, 10, rng)
    clean = codes.block_table(10, size)[clusters]
    noisy = codes.blurred(clean, torch.rand(2000, size, generator=rng), width, blur)
    unit = noisy / noisy.norm(dim=1, keepdim=True)
    cosines, alike = unit @ unit.T, clusters[:, None] == clusters
    alike_not_itself = alike & ~torch.eye(2000, dtype=torch.bool)
    assert float(cosines[alike_not_itself].mean()) == pytest.approx(same, abs=0.015)
    assert float(cosines[~alike].mean()) == pytest.approx(different, abs=0.015)


def test_collapse_into_one_cluster_is_a_global_minimum_of_the_entropy() -> None:
    rng = torch.Generator().manual_seed(0)
    collapsed = torch.rand(1, 20, generator=rng, dtype=torch.float64).expand(30, 20)
    blocks = codes.block_table(10, 20).double()[torch.arange(30) % 10]
    entropies = [self_paced.pairwise_entropy(found).mean() for found in (collapsed, blocks)]
    assert float(entropies[0]) == pytest.approx(float(entropies[1]))
    anything = torch.rand(200, 30, 20, generator=rng, dtype=torch.float64) ** 8
    assert torch.func.vmap(self_paced.pairwise_entropy)(anything).mean(1).min() > entropies[0]
