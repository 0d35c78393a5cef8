"""Statistics over seeds against scipy, brute force and simulation: coverage, false alarms, power, refusals."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from gancluster.errors import DataError
from gancluster.metrics import statistics
from gancluster.metrics.statistics import Published

Scores = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Scores]

WITH_GAN, WITHOUT = np.array([0.979, 0.978, 0.973, 0.974, 0.973]), np.array([0.992, 0.981, 0.875, 0.871, 0.849])

repeatable = settings(derandomize=True, deadline=None, max_examples=50)
score = st.integers(0, 100).map(lambda points: points / 100)
pairs = st.lists(st.tuples(score, score), min_size=6, max_size=10)


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Scores:
    return rng.normal(0.95, 0.01, shape)


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Scores:
    """Piled up at the top, with a tail of bad runs."""
    return 1 - rng.exponential(0.05, shape)


def collapsing(rng: np.random.Generator, shape: tuple[int, int]) -> Scores:
    """One run in five loses ten points."""
    return rng.normal(0.97, 0.003, shape) - 0.1 * (rng.random(shape) < 0.2)


def coverage(draw: Draw, n: int, interval: Callable[[Scores], tuple[float, float]], times: int) -> float:
    """How often the interval of n scores holds the mean, .95 in all three cases."""
    found = [interval(scores) for scores in draw(np.random.default_rng(0), (times, n))]
    return float(np.mean([low <= 0.95 <= high for low, high in found]))


def test_the_interval_of_the_mean_is_scipy_s_t_interval() -> None:
    expected = stats.t.interval(0.9, 4, loc=WITHOUT.mean(), scale=stats.sem(WITHOUT))
    assert statistics.mean_interval(WITHOUT, level=0.9) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("draw", "n", "expected"),
    [
        (normal, 5, 0.95),
        (normal, 20, 0.95),
        (skewed, 5, 0.88),
        (skewed, 20, 0.93),
        (collapsing, 5, 0.68),
        (collapsing, 20, 0.92),
    ],
)
def test_the_t_interval_covers_as_its_docstring_says(draw: Draw, n: int, expected: float) -> None:
    assert coverage(draw, n, statistics.mean_interval, 4_000) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(("draw", "expected"), [(normal, 0.85), (skewed, 0.79), (collapsing, 0.67)])
def test_the_bootstrap_covers_less_at_five_seeds(draw: Draw, expected: float) -> None:
    found = coverage(draw, 5, lambda scores: statistics.bca_interval(scores, resamples=499), 400)
    assert found == pytest.approx(expected, abs=0.05)
    assert found <= coverage(draw, 5, statistics.mean_interval, 400)


def test_the_bootstrap_is_seeded_and_leans_to_the_longer_tail() -> None:
    low, high = statistics.bca_interval(WITHOUT)
    assert statistics.bca_interval(WITHOUT) == (low, high)
    assert statistics.bca_interval(WITHOUT, seed=1) != (low, high)
    skew = np.array([0.98, 0.97, 0.975, 0.978, 0.6])
    low, high = statistics.bca_interval(skew)
    assert low < skew.mean() < high
    assert skew.mean() - low > high - skew.mean()


def test_equal_scores_have_a_point_for_an_interval() -> None:
    assert statistics.mean_interval([0.75] * 5) == statistics.bca_interval([0.75] * 5) == (0.75, 0.75)


@repeatable
@given(pairs)
def test_the_sign_flip_test_counts_all_sign_patterns(scores: list[tuple[float, float]]) -> None:
    a, b = np.array(scores).T
    d = np.round(100 * (a - b)).astype(int)
    sums = [abs(int(np.dot(signs, d))) for signs in product((-1, 1), repeat=len(d))]
    assert statistics.paired_test(a, b).p == pytest.approx(np.mean(np.array(sums) >= abs(d.sum())))


@repeatable
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=12, unique_by=abs))
def test_wilcoxon_and_t_are_scipy_s(differences: list[float]) -> None:
    d = np.array(differences)
    found = statistics.paired_test(d, np.zeros_like(d))
    assert found.difference == pytest.approx(d.mean())
    assert found.p_t == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    if d.all():
        assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


@repeatable
@given(pairs)
def test_swapping_the_methods_changes_only_the_sign(scores: list[tuple[float, float]]) -> None:
    a, b = np.array(scores).T
    one, other = statistics.paired_test(a, b), statistics.paired_test(b, a)
    assert one.difference == pytest.approx(-other.difference)
    assert one[2:] == pytest.approx(other[2:])


def test_six_pairs_can_be_decided_and_equal_ones_never_are() -> None:
    a = np.arange(6) / 10
    assert statistics.paired_test(a + 0.01, a)[2:4] == (2 / 64, 2 / 64)
    assert statistics.paired_test(a, a) == (6, 0, 1, 1, 1)


def test_drawn_sign_patterns_come_close_to_all_of_them() -> None:
    d = np.random.default_rng(3).normal(0.4, 1, 20)
    drawn = statistics.sign_flip(np.append(d, 0))  # a zero more changes nothing but the way it is counted
    assert drawn == pytest.approx(statistics.sign_flip(d), abs=0.005)


@pytest.mark.parametrize("n", [6, 10])
def test_methods_that_do_not_differ_are_rarely_told_apart(n: int) -> None:
    d = np.random.default_rng(0).laplace(0, 0.01, (2_000, n))
    assert np.mean([statistics.sign_flip(one) < 0.05 for one in d]) < 0.06


def test_holm_adjusts_step_by_step() -> None:
    assert statistics.holm([0.04, 0.01, 0.03, 0.9]) == pytest.approx([0.09, 0.04, 0.09, 0.9])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
    assert statistics.holm([]) == []


@repeatable
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_p_value_and_bonferroni_s(p: list[float]) -> None:
    adjusted = statistics.holm(p)
    assert all(one <= found <= min(1, len(p) * one) + 1e-12 for one, found in zip(p, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1, len(p) * min(p)))


@repeatable
@given(st.lists(score, min_size=2, max_size=8), st.lists(score, min_size=2, max_size=8))
def test_probability_of_improvement_is_mann_whitney_s_share(a: list[float], b: list[float]) -> None:
    value, low, high = statistics.probability_of_improvement(a, b)
    assert value == pytest.approx(stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert 0 <= low <= value <= high <= 1
    other = statistics.probability_of_improvement(b, a)
    assert other == pytest.approx((1 - value, 1 - high, 1 - low), abs=2e-4)


@pytest.mark.parametrize(("n", "shift"), [(5, 0.0), (5, 2.0), (20, 1.0)])
def test_the_interval_of_improvement_covers(n: int, shift: float) -> None:
    a, b = np.random.default_rng(0).normal(0, 1, (2, 800, n))
    found = [statistics.probability_of_improvement(x + shift, y) for x, y in zip(a, b, strict=True)]
    true = stats.norm.cdf(shift / np.sqrt(2))
    assert np.mean([low <= true <= high for _, low, high in found]) == pytest.approx(0.955, abs=0.02)


def test_separated_runs_leave_the_improvement_uncertain() -> None:
    value, low, high = statistics.probability_of_improvement(WITH_GAN, WITH_GAN - 0.5)
    assert (value, high) == (1.0, 1.0)
    assert 0.5 < low < 0.7


@pytest.mark.parametrize(
    ("published", "margin", "name"),
    [
        (Published(0.975, std=0), 0.01, "reproduced"),
        (Published(0.970, std=0), 0.01, "reproduced"),  # above by half a point, which the margin forgives
        (Published(0.970, std=0), 0.005, "above"),
        (Published(0.964), 0.01, "above"),
        (Published(0.990), 0.01, "below"),
        (Published(0.978), 0.005, "undetermined at n = 5"),
        (Published(0.990, std=0.05), 0.01, "undetermined at n = 5"),
    ],
)
def test_verdicts_on_printed_means(published: Published, margin: float, name: str) -> None:
    assert statistics.verdict(WITH_GAN, published, margin).name == name


def test_a_printed_spread_gives_welch_s_test() -> None:
    for mean in np.linspace(0.85, 1.0, 7):
        found = statistics.verdict(WITHOUT, Published(mean, std=0.03, runs=4), margin=0)
        summary = (WITHOUT.mean(), WITHOUT.std(ddof=1), 5, mean, 0.03, 4)
        welch = stats.ttest_ind_from_stats(*summary, equal_var=False)
        assert (found.low, found.high) == pytest.approx(welch_interval(*summary))
        assert (found.name in ("above", "below")) == (welch.pvalue < 0.05)


def welch_interval(m: float, s: float, n: int, m2: float, s2: float, n2: int) -> tuple[float, float]:
    a, b = s**2 / n, s2**2 / n2
    half = stats.t.ppf(0.975, (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (n2 - 1))) * np.sqrt(a + b)
    return m - m2 - half, m - m2 + half


def test_a_true_printed_mean_is_rarely_called_above_or_below() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = normal(rng, (2_000, 5)), normal(rng, (2_000, 5)).mean(axis=1)
    names = [statistics.verdict(x, Published(m), margin=0).name for x, m in zip(ours, theirs, strict=True)]
    assert 1 - np.mean([name.startswith("undetermined") for name in names]) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(("effect", "total"), [(1.0, 10), (0.5, 34), (2.0, 5)])
def test_seeds_needed_are_those_of_sample_size_tables(effect: float, total: int) -> None:
    """One-sample t test, two-sided .05, power .80: 10, 34 and 5 (Cohen)."""
    two = np.array([effect - np.sqrt(0.5), effect + np.sqrt(0.5)])  # deviation 1
    needed = statistics.seeds_needed(two, Published(0.0, std=0), margin=0)
    assert needed is not None
    assert abs(needed + 2 - total) <= 1


def test_with_the_seeds_that_were_said_to_be_needed_most_verdicts_fall() -> None:
    few = np.array([0.955, 0.965, 0.975])
    needed = statistics.seeds_needed(few, Published(0.95))
    assert needed is not None
    drawn = np.random.default_rng(0).normal(0.965, 0.01, (1_500, 3 + needed))
    names = [statistics.verdict(scores, Published(0.95)).name for scores in drawn]
    assert np.mean([name.startswith("undetermined") for name in names]) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("effect", [1.0, 1.5, 1.9])
def test_with_the_pairs_that_were_said_to_be_needed_most_differences_show(effect: float) -> None:
    needed = statistics.seeds_needed(np.array([effect - 1, effect, effect + 1]))
    assert needed is not None
    drawn = np.random.default_rng(0).normal(effect, 1, (2_000, 3 + needed))
    assert 0.75 < np.mean([statistics.sign_flip(differences) < 0.05 for differences in drawn]) < 0.9


def test_no_seeds_help_where_nothing_differs_or_the_printed_mean_is_too_uncertain() -> None:
    assert statistics.seeds_needed(np.zeros(4)) is None
    assert statistics.seeds_needed(WITHOUT, Published(0.96)) is None
    assert statistics.seeds_needed(WITH_GAN, Published(0.964)) == 0
    assert statistics.seeds_needed(np.full(3, 0.1)) == 3


def test_pairs_are_the_common_seeds_in_order() -> None:
    a, b = statistics.paired({3: 0.3, 1: 0.1, 2: 0.2}, {1: 0.5, 4: 0.9, 3: 0.7})
    assert (a.tolist(), b.tolist()) == ([0.1, 0.3], [0.5, 0.7])


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: statistics.mean_interval([0.9] * 3), "an interval takes 5 seeds, here are 3: train 2 more"),
        (lambda: statistics.bca_interval([0.9] * 4), "an interval takes 5 seeds, here are 4: train 1 more"),
        (lambda: statistics.paired_test([0.9] * 5, [0.8] * 5), "a paired test takes 6 seeds, here are 5"),
        (lambda: statistics.paired_test([0.9] * 6, [0.8] * 7), "6 and 7 scores do not pair"),
        (lambda: statistics.paired({1: 0.9, 2: 0.8}, {2: 0.9, 3: 0.8}), "1 common seeds do not make pairs"),
        (lambda: statistics.verdict([0.9], Published(0.9)), "a verdict takes 2 seeds, here are 1"),
        (lambda: statistics.verdict([0.9, np.nan], Published(0.9)), "a score is not a finite number"),
        (lambda: statistics.verdict([0.9, 0.8], Published(np.nan)), "cannot be judged"),
        (lambda: statistics.verdict([0.9, 0.8], Published(0.9), margin=-1), "cannot be judged"),
        (lambda: statistics.verdict([0.9, 0.8], Published(0.9, std=0.1, runs=1)), "a printed mean of 1 runs"),
        (lambda: statistics.probability_of_improvement([0.9], [0.8, 0.7]), "a comparison takes 2 seeds"),
        (lambda: statistics.seeds_needed([0.9]), "a plan takes 2 seeds"),
        (lambda: statistics.mean_interval([[0.9] * 5]), r"scores of shape \(1, 5\)"),
        (lambda: statistics.holm([0.1, np.nan]), "p-values lie in 0 to 1"),
    ],
)
def test_what_the_data_cannot_carry_is_refused_in_one_line(ask: Callable[[], object], says: str) -> None:
    with pytest.raises(DataError, match=says) as refusal:
        ask()
    assert "\n" not in str(refusal.value)
