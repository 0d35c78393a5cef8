"""What several seeds say: intervals of a mean, paired tests of two methods, verdicts on a printed mean.

Scores go in, `(n,)`, one a seed; named tuples come out. What so few seeds cannot carry is refused with `DataError`, in
one line that says how many it takes. Loads neither torch nor scikit-learn, and `scipy.stats` only for the bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from gancluster.errors import DataError

Vector = NDArray[np.float64]

FOR_INTERVAL = 5
FOR_TEST = 6  # of n differences all signs are equal by chance in 2 of 2^n cases, and 2 / 2^5 is more than .05
MARGIN = 0.01  # a mean that is surely within one point of the printed one reproduces it
MOST = 1000  # seeds that anybody is told to train

_EXACT = 20  # differences, whose signs are still tried in all 2^19 ways; beyond, 2^17 are drawn


class Interval(NamedTuple):
    low: float
    high: float


class PairedTest(NamedTuple):
    """`n` pairs, the mean `difference` a - b, and two-sided p-values; `p` is the verdict."""

    n: int
    difference: float
    p: float
    p_wilcoxon: float
    p_t: float


class Improvement(NamedTuple):
    """Probability that a run of one method scores above a run of another, with its interval."""

    value: float
    low: float
    high: float


class Published(NamedTuple):
    """A printed mean of `runs` runs; `std`: their standard deviation, None where it is not printed, 0 if exact."""

    mean: float
    std: float | None = None
    runs: int = 5


class Verdict(NamedTuple):
    """`name`: reproduced, above, below, or undetermined at n = …; `difference` ours - printed, with its interval."""

    name: str
    difference: float
    low: float
    high: float


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of at least 5 scores; a single point where all are equal.

    Coverage at level .95, simulated for n = 5, 10, 20: normal scores .95 .95 .95; skewed to the left (1 - exponential)
    .88 .91 .93; one run in five ten points lower .68 .89 .92: a third of such fives show no low run at all, and no
    interval can know of it. `bca_interval` covers less at 5 and 10, so tables show this one.
    """
    scores = _checked(values, FOR_INTERVAL, "an interval")
    half = _t(len(scores) - 1, level) * scores.std(ddof=1) / sqrt(len(scores))
    return Interval(float(scores.mean() - half), float(scores.mean() + half))


def bca_interval(values: ArrayLike, level: float = 0.95, seed: int = 0, resamples: int = 9_999) -> Interval:
    """Bootstrap interval of the mean, bias-corrected and accelerated (Efron 1987), of at least 5 scores.

    Coverage in the simulations of `mean_interval`: .85 .90 .93; .79 .88 .92; .67 .87 .97. All scores equal: that point.
    """
    from scipy.stats import bootstrap

    scores = _checked(values, FOR_INTERVAL, "an interval")
    if np.ptp(scores) == 0:
        return Interval(float(scores[0]), float(scores[0]))
    found = bootstrap(
        (scores,), np.mean, confidence_level=level, n_resamples=resamples, rng=np.random.default_rng(seed)
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def paired(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[Vector, Vector]:
    """The scores of two methods over their common seeds, ascending; `a` and `b` map seed to score."""
    common = sorted(a.keys() & b.keys())
    if len(common) < 2:
        raise DataError(f"{len(common)} common seeds do not make pairs: train both methods with the same seeds")
    return np.array([a[seed] for seed in common]), np.array([b[seed] for seed in common])


def paired_test(a: ArrayLike, b: ArrayLike) -> PairedTest:
    """Do two methods differ, seed by seed? At least 6 pairs.

    p: exact sign-flip permutation of the mean difference. It is the verdict: it tests the mean, which tables print, and
    needs no normal scores, only that without an effect a difference is as likely as its negative.
    p_wilcoxon: exact signed-rank test, zeros left out, ties in mean ranks; p_t: paired t test. Beyond 20 pairs the
    first two draw 131,072 sign patterns (seed 0).
    """
    first, second = _checked(a, FOR_TEST, "a paired test"), _checked(b, FOR_TEST, "a paired test")
    if len(first) != len(second):
        raise DataError(f"{len(first)} and {len(second)} scores do not pair: give both methods the same seeds")
    d = first - second
    n, mean, spread = len(d), float(d.mean()), float(d.std(ddof=1))
    p_t = float(2 * special.stdtr(n - 1, -abs(mean) * sqrt(n) / spread)) if spread else float(mean == 0)
    return PairedTest(n, mean, sign_flip(d), sign_flip(_signed_ranks(d)), p_t)


def sign_flip(differences: Vector) -> float:
    """Two-sided p-value: how often random signs make the sum of `differences` as far from 0 as it is."""
    d = np.asarray(differences, dtype=np.float64)
    reached = abs(d.sum()) - 1e-12 * np.abs(d).sum()
    if len(d) > _EXACT:
        signs = np.random.default_rng(0).integers(0, 2, (2**17, len(d)), dtype=np.int8) * 2 - 1
        return float((1 + (np.abs(signs @ d) >= reached).sum()) / (1 + 2**17))
    sums = d[:1]
    for value in d[1:]:  # the first sign may stay: the other half of the patterns mirrors this one
        sums = np.concatenate([sums + value, sums - value])
    return float((np.abs(sums) >= reached).mean()) if len(d) else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several comparisons, adjusted so that .05 bounds the chance of any false alarm (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError(f"p-values lie in 0 to 1, unlike {list(p_values)}: leave out what was not tested")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return [float(value) for value in adjusted]


def probability_of_improvement(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Improvement:
    """P(A > B) over all pairs of a run of A and a run of B, ties counting half; at least 2 runs of each.

    Newcombe's interval (Statistics in Medicine 2006, method 5), which stays wide where the runs are fully separated.
    Coverage at level .95, simulated for normal scores, 5 to 20 runs of each, P from .5 to .98: .94 to .97.
    """
    first, second = _checked(a, 2, "a comparison"), _checked(b, 2, "a comparison")
    value = float(np.sign(first[:, None] - second).mean() + 1) / 2
    m, n, z = len(first), len(second), special.ndtri(0.5 + level / 2)
    grid = np.linspace(0, 1, 10_001)
    growth = 1 + ((m + n) / 2 - 1) * ((1 - grid) / (2 - grid) + grid / (1 + grid))
    inside = grid[(grid - value) ** 2 <= z**2 * grid * (1 - grid) * growth / (m * n) + 1e-15]
    return Improvement(value, float(min(inside[0], value)), float(max(inside[-1], value)))


def verdict(values: ArrayLike, published: Published, margin: float = MARGIN, level: float = 0.95) -> Verdict:
    """Is a printed mean reproduced by these scores, of at least 2 seeds?

    By the t interval of the difference of the two means: inside ± `margin` is *reproduced*; else above 0 is *above*,
    below 0 is *below*; anything else is *undetermined at n*. The printed mean is uncertain too: its runs are taken to
    spread as `std` says (Welch's interval), or as ours do where it is not printed.
    """
    scores = _checked(values, 2, "a verdict")
    _check(published, margin)
    difference, n = float(scores.mean() - published.mean), len(scores)
    error, freedom = _error(scores.std(ddof=1), np.float64(n), published)
    half = float(_t(freedom, level) * error)
    low, high = difference - half, difference + half
    if max(-low, high) <= margin:
        return Verdict("reproduced", difference, low, high)
    name = "above" if low > 0 else "below" if high < 0 else f"undetermined at n = {n}"
    return Verdict(name, difference, low, high)


def seeds_needed(
    values: ArrayLike,
    published: Published | None = None,
    margin: float = MARGIN,
    level: float = 0.95,
    power: float = 0.80,
) -> int | None:
    """How many more seeds a verdict takes with probability `power`, if mean and spread stay as in these 2 or more.

    `values`: scores to hold against `published`; without it, the differences of two methods over common seeds, whose
    verdict is that they differ. 0: there is one already. None: more than 1000 seeds. Normal scores are assumed, and the
    power of t tests: that of `paired_test` is .04 lower at 7 pairs and the same from 10 on. The fewest pairs that can
    reach `level`, 6 for .95, must all have one sign: there its own is taken.
    """
    scores = _checked(values, 2, "a plan")
    if published is None:
        least, target, margin = int(np.log2(2 / (1 - level))) + 1, Published(0.0, std=0.0), 0.0
        decided = len(scores) >= least and sign_flip(scores) < 1 - level
        if not scores.any():
            return None
    else:
        least, target = 2, published
        decided = not verdict(scores, target, margin, level).name.startswith("undetermined")
    if decided:
        return 0
    n = np.arange(max(len(scores) + 1, least), MOST + 1, dtype=np.float64)
    difference, std = float(scores.mean() - target.mean), float(scores.std(ddof=1))
    chance = _chance_of_verdict(n[:, None], difference, std, target, margin, level)
    if published is None and std:  # the least number of pairs is decided only by equal signs
        chance[n == least] = special.ndtr(abs(difference) / std) ** least
    enough = n[chance >= power]
    return int(enough[0]) - len(scores) if len(enough) else None


def _chance_of_verdict(
    n: Vector, difference: float, std: float, published: Published, margin: float, level: float
) -> Vector:
    """Probability that n seeds, `(m, 1)`, are not *undetermined*, over the means and spreads they may show."""
    quantiles = (np.arange(50) + 0.5) / 50
    spread = std * np.sqrt(special.chdtri(n - 1, quantiles) / (n - 1))
    error, freedom = _error(spread, n, published)
    half = _t(freedom, level) * error
    own, inner = np.maximum(std / np.sqrt(n), 1e-300), np.maximum(margin - half, 0)
    beyond = special.ndtr((difference - half) / own) + special.ndtr((-difference - half) / own)
    within = special.ndtr((inner - difference) / own) - special.ndtr((-inner - difference) / own)
    chance: Vector = np.minimum(beyond + within, 1).mean(axis=1)  # they overlap only where no outcome is undetermined
    return chance


def _error(std: Any, n: Any, published: Published) -> tuple[Any, Any]:
    """Standard error of ours - printed, and its degrees of freedom (Welch's where both spreads are known)."""
    ours = std**2 / n
    if published.std is None:
        return np.sqrt(ours + std**2 / published.runs), n - 1
    theirs = published.std**2 / published.runs
    if theirs == 0:
        return np.sqrt(ours), n - 1
    return np.sqrt(ours + theirs), (ours + theirs) ** 2 / (ours**2 / (n - 1) + theirs**2 / (published.runs - 1))


def _t(freedom: Any, level: float) -> Any:
    return special.stdtrit(freedom, 0.5 + level / 2)


def _signed_ranks(d: Vector) -> Vector:
    """Mean ranks of the non-zero differences by size, with their signs."""
    d = d[d != 0]
    _, places, counts = np.unique(np.abs(d), return_inverse=True, return_counts=True)
    ranks: Vector = np.sign(d) * (counts.cumsum() - (counts - 1) / 2)[places]
    return ranks


def _checked(values: ArrayLike, least: int, purpose: str) -> Vector:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1:
        raise DataError(f"scores of shape {scores.shape} are not one number a seed: give shape (n,)")
    if not np.isfinite(scores).all():
        raise DataError("a score is not a finite number: leave out the seeds that failed, and say so")
    if len(scores) < least:
        raise DataError(f"{purpose} takes {least} seeds, here are {len(scores)}: train {least - len(scores)} more")
    return scores


def _check(published: Published, margin: float) -> None:
    if not (np.isfinite(published.mean) and margin >= 0 and (published.std is None or published.std >= 0)):
        raise DataError(f"{published} with margin {margin} cannot be judged: give a finite mean, no negative spread")
    if published.runs < (2 if published.std else 1):
        raise DataError(f"a printed mean of {published.runs} runs has no such spread: give the number of its runs")
