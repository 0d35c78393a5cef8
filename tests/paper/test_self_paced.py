"""Balanced self-paced learning against its own definition: Eq. 5 and 6, Theorem 1 and its erratum, the pace."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from gancluster.methods import self_paced

Problem = tuple[Tensor, Tensor, int]  # losses, clusters, number of clusters
Vector = NDArray[np.float64]

thorough = settings(derandomize=True, deadline=None, max_examples=300)
repeatable = settings(derandomize=True, deadline=None, max_examples=100)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Up to 14 samples in up to 4 clusters: clusters of one sample, empty ones, and equal losses among them."""
    n, k = draw(st.integers(1, 14)), draw(st.integers(1, 4))
    value = draw(st.sampled_from([st.floats(0, 0.69), st.sampled_from([0.1, 0.2, 0.4, 0.6])]))
    losses = draw(st.lists(value, min_size=n, max_size=n))
    clusters = draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(clusters), k


thresholds = st.floats(-0.2, 2.0)
gammas = st.floats(1e-3, 1.0)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def solve(problem: Problem, threshold: float, gamma: float, form: self_paced.Form = "corrected") -> Tensor:
    """nu by the method's own functions."""
    losses, clusters, k = problem
    ranks = self_paced.rank_in_group(losses.argsort(stable=True), clusters, k)
    return self_paced.weights(losses, ranks, number(threshold), number(gamma), form)


def objective(nu: Vector, losses: Vector, threshold: float, gamma: float) -> float:
    """Eq. 5 for one cluster."""
    return float(nu @ (losses - threshold) + gamma * nu.sum() ** 2)


def solver_minimum(losses: Vector, threshold: float, gamma: float) -> float:
    """The least value of Eq. 5 over nu in [0, 1]^n, by a solver that knows nothing of Theorem 1."""
    found = minimize(
        objective,
        np.full(len(losses), 0.5),
        args=(losses, threshold, gamma),
        jac=lambda nu, losses, threshold, gamma: losses - threshold + 2 * gamma * nu.sum(),
        bounds=[(0, 1)] * len(losses),
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return float(found.fun)


@thorough
@given(problems(), thresholds, gammas)
def test_weights_minimise_each_clusters_objective(problem: Problem, threshold: float, gamma: float) -> None:
    losses, clusters, k = problem
    nu = solve(problem, threshold, gamma)
    for cluster in range(k):
        ours, members = nu[clusters == cluster].numpy(), losses[clusters == cluster].numpy()
        if len(members):
            value, least = objective(ours, members, threshold, gamma), solver_minimum(members, threshold, gamma)
            assert value <= least + 1e-12
            assert value == pytest.approx(least, abs=1e-6)  # where losses nearly tie the solver stops early


@thorough
@given(problems(), thresholds, gammas)
def test_weights_meet_the_conditions_that_only_an_optimum_meets(
    problem: Problem, threshold: float, gamma: float
) -> None:
    losses, clusters, k = problem
    nu = solve(problem, threshold, gamma)
    sums = torch.stack([nu[clusters == cluster].sum() for cluster in range(k)])
    slope = losses - threshold + 2 * gamma * sums[clusters]
    assert ((nu >= 0) & (nu <= 1)).all()
    assert (slope[nu < 1] >= -1e-12).all()
    assert (slope[nu > 0] <= 1e-12).all()


@repeatable
@given(problems(), thresholds, gammas)
def test_at_most_one_weight_of_a_cluster_is_a_fraction(problem: Problem, threshold: float, gamma: float) -> None:
    _, clusters, k = problem
    nu = solve(problem, threshold, gamma)
    fractional = (nu > 1e-9) & (nu < 1 - 1e-9)
    assert max(int(fractional[clusters == cluster].sum()) for cluster in range(k)) <= 1


@repeatable
@given(problems(), thresholds)
def test_without_balance_a_sample_counts_as_soon_as_its_loss_is_below_the_threshold(
    problem: Problem, threshold: float
) -> None:
    assume(((problem[0] - threshold).abs() > 1e-9).all())
    assert torch.equal(solve(problem, threshold, 0.0), (problem[0] < threshold).double())


@repeatable
@given(problems(), thresholds, gammas, gammas)
def test_more_balance_never_takes_more_of_any_cluster(
    problem: Problem, threshold: float, one: float, other: float
) -> None:
    weak, strong = (solve(problem, threshold, gamma) for gamma in sorted((one, other)))
    assert (strong <= weak + 1e-12).all()


@repeatable
@given(problems(), st.floats(0.05, 0.95), gammas, gammas)
def test_at_the_same_share_more_balance_makes_the_clusters_shares_more_even(
    problem: Problem, share: float, one: float, other: float
) -> None:
    losses, clusters, k = problem
    ranks = self_paced.rank_in_group(losses.argsort(stable=True), clusters, k)
    unevenness = []
    for gamma in sorted((one, other)):
        threshold = self_paced.threshold_for(number(share), losses, ranks, number(gamma))
        nu = self_paced.weights(losses, ranks, threshold, number(gamma))
        unevenness.append(sum(float(nu[clusters == cluster].sum()) ** 2 for cluster in range(k)))
    assert unevenness[1] <= unevenness[0] + 0.05  # thresholds are found to 1e-6, a little more in weights


def test_worked_example() -> None:
    example = torch.tensor([0.1, 0.2, 0.4, 0.6], dtype=torch.float64), torch.zeros(4, dtype=torch.int64), 1
    nu = solve(example, 0.9, 0.2)
    assert nu.tolist() == pytest.approx([1, 0.75, 0, 0])
    assert objective(nu.numpy(), example[0].numpy(), 0.9, 0.2) == pytest.approx(-0.7125)
    printed = solve(example, 0.9, 0.2, "printed")
    assert printed.tolist() == pytest.approx([1, -0.25, 0, 0])
    assert objective(printed.numpy(), example[0].numpy(), 0.9, 0.2) == pytest.approx(-0.5125)


def test_the_printed_theorem_leaves_the_unit_interval_and_misses_the_optimum() -> None:
    rng = np.random.default_rng(0)
    negative, worst = 0, 0.0
    for _ in range(300):
        losses, threshold, gamma = torch.tensor(rng.random(8)), float(rng.random()), float(rng.uniform(0.01, 0.3))
        problem = losses, torch.zeros(8, dtype=torch.int64), 1
        right, printed = (solve(problem, threshold, gamma, form) for form in ("corrected", "printed"))
        negative += bool((printed < 0).any())
        gap = [objective(nu.clamp(0, 1).numpy(), losses.numpy(), threshold, gamma) for nu in (printed, right)]
        assert gap[0] >= gap[1] - 1e-12
        worst = max(worst, gap[0] - gap[1])
    assert negative > 100
    assert worst > 0.05


@repeatable
@given(problems())
def test_ranks_count_the_smaller_losses_of_the_same_cluster(problem: Problem) -> None:
    losses, clusters, k = problem
    ranks = self_paced.rank_in_group(losses.argsort(stable=True), clusters, k)
    for i in range(len(losses)):
        same = clusters == clusters[i]
        earlier = torch.arange(len(losses)) < i
        assert ranks[i] == (same & ((losses < losses[i]) | ((losses == losses[i]) & earlier))).sum()


def test_ranks_of_many_seeds_at_once_are_the_ranks_of_each() -> None:
    rng = torch.Generator().manual_seed(0)
    losses, clusters = torch.rand(5, 40, generator=rng).round(decimals=1), torch.randint(4, (5, 40), generator=rng)
    together = torch.func.vmap(partial(self_paced.rank_in_group, n_groups=4))(losses.argsort(stable=True), clusters)
    assert torch.equal(together[3], self_paced.rank_in_group(losses[3].argsort(stable=True), clusters[3], 4))
    assert torch.equal(together[0], self_paced.rank_in_group(losses[0].argsort(stable=True), clusters[0], 4))


def test_ranks_in_more_groups_than_a_byte_counts() -> None:
    losses = torch.rand(2_000, generator=torch.Generator().manual_seed(0)).round(decimals=2)
    clusters = torch.arange(2_000) % 500
    ranks = self_paced.rank_in_group(losses.argsort(stable=True), clusters, 500).view(4, 500)
    assert torch.equal(ranks.long(), losses.view(4, 500).argsort(dim=0, stable=True).argsort(dim=0))


@pytest.mark.parametrize("schedule", ["fraction", "threshold"])
def test_weights_of_many_seeds_at_once_are_the_weights_of_each(schedule: self_paced.Schedule) -> None:
    rng = torch.Generator().manual_seed(0)
    losses, clusters = torch.rand(5, 40, generator=rng), torch.randint(4, (5, 40), generator=rng)
    one = partial(self_paced.paced_weights, n_clusters=4, progress=torch.tensor(0.3), schedule=schedule)
    together = torch.func.vmap(one)(losses, clusters)
    assert all(torch.equal(nu, one(*seed)) for nu, *seed in zip(together, losses, clusters, strict=True))


def test_balance_lowers_the_threshold_by_kappa_spreads_over_an_average_cluster() -> None:
    losses = torch.linspace(0, 1, 101, dtype=torch.float64)[torch.randperm(101)]
    gamma = self_paced.balance(losses.sort().values, 10, kappa=3.0)
    assert float(2 * gamma * 101 / 10) == pytest.approx(3.0 * 0.8)


@pytest.fixture
def batch() -> Problem:
    rng = torch.Generator().manual_seed(1)
    clusters = torch.randint(10, (500,), generator=rng)
    easier_first = clusters / 50  # cluster 0 has the smallest losses
    return torch.rand(500, generator=rng, dtype=torch.float64) * 0.4 + easier_first, clusters, 10


def pace(batch: Problem, progress: float, schedule: self_paced.Schedule, kappa: float = 1.0) -> Tensor:
    return self_paced.paced_weights(*batch, number(progress), kappa, schedule=schedule)


@pytest.mark.parametrize("kappa", [0.0, 1.0])
@pytest.mark.parametrize("schedule", ["fraction", "threshold"])
def test_pace_goes_from_one_in_a_hundred_to_all_at_three_quarters(
    batch: Problem, schedule: self_paced.Schedule, kappa: float
) -> None:
    shares = [float(pace(batch, t, schedule, kappa).mean()) for t in np.linspace(0, 0.75, 16)]
    assert shares[0] == pytest.approx(0.01, abs=2e-3)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert torch.equal(pace(batch, 1.0, schedule, kappa), torch.ones(500, dtype=torch.float64))


def test_the_selected_fraction_or_the_threshold_grows_linearly(batch: Problem) -> None:
    for t in (0.1, 0.3, 0.6):
        assert float(pace(batch, t, "fraction").mean()) == pytest.approx(0.01 + 0.99 * t / 0.75, abs=2e-3)
    losses, clusters, k = batch
    ranks = self_paced.rank_in_group(losses.argsort(stable=True), clusters, k)
    gamma = self_paced.balance(losses.sort().values, k, 1.0)
    ends = [float(self_paced.threshold_for(number(share), losses, ranks, gamma)) for share in (0.01, 1.0)]
    nu = pace(batch, 0.3, "threshold")
    by_hand = self_paced.weights(losses, ranks, number(ends[0] + 0.4 * (ends[1] - ends[0])), gamma)
    assert torch.allclose(nu, by_hand, atol=1e-9)


def test_everything_is_selected_once_the_threshold_passes_the_last_sample_of_every_cluster(batch: Problem) -> None:
    losses, clusters, k = batch
    gamma = float(self_paced.balance(losses.sort().values, k, 1.0))
    members = [losses[clusters == cluster] for cluster in range(k)]
    enough = max(float(found.max()) + 2 * gamma * len(found) for found in members)
    assert (solve(batch, enough + 1e-9, gamma) == 1).all()
    assert (solve(batch, enough - 2 * gamma, gamma) < 1).any()


def test_plain_self_pacing_starts_with_the_easiest_samples_and_balance_with_more_clusters(batch: Problem) -> None:
    plain, balanced = (pace(batch, 0.05, "fraction", kappa) for kappa in (0.0, 3.0))
    assert torch.equal(plain > 0, batch[0] <= batch[0][plain > 0].max())
    shares = [torch.stack([nu[batch[1] == k].sum() / nu.sum() for k in range(10)]) for nu in (plain, balanced)]
    assert shares[1][0] < shares[0][0]  # the easiest cluster gives less
    assert (shares[1] > 0).sum() > (shares[0] > 0).sum()


def test_entropy_of_codes_lies_between_certain_and_undecided() -> None:
    blocks = torch.eye(4, dtype=torch.float64)[torch.arange(8) % 4]
    assert self_paced.pairwise_entropy(blocks).max() < 1e-4
    angle = math.pi / 3  # cosine 1/2 with each other
    undecided = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    assert self_paced.pairwise_entropy(undecided).tolist() == pytest.approx([math.log(2)] * 2)
    random = torch.rand(50, 7, dtype=torch.float64)
    assert ((self_paced.pairwise_entropy(random) > 0) & (self_paced.pairwise_entropy(random) <= math.log(2))).all()


def test_the_printed_entropy_is_the_sum_and_grows_with_the_batch() -> None:
    codes = torch.rand(50, 7, dtype=torch.float64)
    mean, printed = self_paced.pairwise_entropy(codes), self_paced.pairwise_entropy(codes, "printed")
    assert torch.allclose(printed, 49 * mean, atol=1e-4)
