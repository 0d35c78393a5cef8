"""Hashing retrieval: precision and average precision of a Hamming ranking, exact where distances are tied.

Codes of b bits have b + 1 distances, so ties hold hundreds of items, and their order, which no paper states, moves the
score. Each measure is given as its exact expectation over all orders of tied items (McSherry and Najork 2008), for the
worst and the best of those orders, and for one that is fixed.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from gancluster.errors import DataError
from gancluster.metrics.hamming import Bits, Histograms, Labels, as_bits, as_labels, distinct_codes, histograms, ranked

Vector = NDArray[np.float64]
Denominator = Literal["found", "all", "min(k, all)"]

_CELLS = 2**16  # of the table (queries, relevant items within the cut tie) that is filled at a time


class Orders(NamedTuple):
    """A measure of each query `(q,)` in [0, 1], over all orders of tied items: expected, in the worst and the best."""

    expected: Vector
    worst: Vector
    best: Vector


class _Ties(NamedTuple):
    """Ties of a ranking: `size` items of which `relevant`, after `before` items of which `seen` are relevant."""

    before: NDArray[np.int64]
    seen: NDArray[np.int64]
    size: NDArray[np.int64]
    relevant: NDArray[np.int64]


class _Cut(NamedTuple):
    """Each query's tie `(q,)` that k cuts (empty: none): `slots` of it, `least` to `most` relevant, come before k."""

    tie: _Ties
    slots: NDArray[np.int64]
    least: NDArray[np.int64]
    most: NDArray[np.int64]


def retrieval_scores(
    codes: ArrayLike,
    labels: ArrayLike,
    queries: int = 1000,
    seed: int = 0,
    k: int = 1000,
    denominator: Denominator = "found",
    device: str | None = None,
) -> dict[str, Any]:
    """Scores of codes `(n, bits)`, booleans or 0 and 1, and classes `(n,)`, integers; -1 is unlabelled and left out.

    Means over `queries` samples drawn by `seed`; the others are the gallery, in the order that the seed gives them. An
    item is relevant if it has the query's class. A query without any relevant item scores 0 and is counted.

    scores: of `precision@k`, `mAP` (full ranking) and `mAP@k` (over the `denominator`, see `average_precision`) each
    `expected`, `fixed` (that one order), `worst` and `best` (each query in its own), all in [0, 1].
    n, gallery, bits, distinct_codes, without_relevant: numbers of samples, items, bits, codes, queries that score 0.
    Raises `DataError` for anything else, and where k or `queries` is out of range.
    """
    bits = as_bits(codes)
    classes = as_labels(labels, len(bits))
    known = _labelled(classes)
    bits, classes = bits[known], classes[known]
    asked, items = split_queries(len(bits), queries, seed)
    parts = bits[asked], bits[items], classes[asked], classes[items]
    counts = histograms(*parts, device=device)
    measured = {
        f"precision@{k}": precision_at(counts, k),
        "mAP": average_precision(counts),
        f"mAP@{k}": average_precision(counts, k, denominator),
    }
    fixed = _fixed_order(*parts, k=k, denominator=denominator, device=device)
    scores = {
        name: {"expected": orders.expected, "fixed": one, "worst": orders.worst, "best": orders.best}
        for (name, orders), one in zip(measured.items(), fixed, strict=True)
    }
    return {
        "n": len(bits),
        "queries": queries,
        "gallery": len(items),
        "bits": bits.shape[1],
        "distinct_codes": distinct_codes(bits),
        "without_relevant": int((counts.relevant.sum(axis=1) == 0).sum()),
        "seed": seed,
        "denominator": denominator,
        "scores": {name: {order: float(v.mean()) for order, v in row.items()} for name, row in scores.items()},
    }


def printed_as(name: str, result: dict[str, Any]) -> str:
    """The column of ClusterGAN's Table 3, in percent, that a score of `retrieval_scores` compares with; "" if none."""
    as_there = result["queries"] == 1000 and result["bits"] in (32, 64) and result["denominator"] == "found"
    if not as_there or name not in ("precision@1000", "mAP", "mAP@1000"):
        return ""
    return f"{name.replace('precision', 'P')}, {result['bits']} bits, in ClusterGAN's Table 3"


def split_queries(n: int, queries: int = 1000, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of `queries` samples out of `n`, and of the gallery: all others, in an order that is random too."""
    if not 1 <= queries < n:
        raise DataError(f"{queries} queries leave no gallery of {n} labelled samples: ask for 1 to {n - 1} queries")
    if seed < 0:
        raise DataError(f"seed {seed} is negative: give 0 or more")
    order = np.random.default_rng(seed).permutation(n)
    return order[:queries], order[queries:]


def precision_at(counts: Histograms, k: int) -> Orders:
    """Share of relevant items among the first k."""
    ties = _ties(counts)
    whole, cut = _cut(ties, k)
    found = (ties.relevant * whole).sum(axis=1)
    expected = cut.slots * cut.tie.relevant / np.maximum(cut.tie.size, 1)
    return Orders((found + expected) / k, (found + cut.least) / k, (found + cut.most) / k)


def average_precision(counts: Histograms, k: int | None = None, denominator: Denominator = "found") -> Orders:
    """Sum of the precisions at the relevant items among the first k (None: of all), over a denominator.

    `found`: the relevant items among those first k, as the printed mAP@1000 must have it; `all` in the gallery; or
    `min(k, all)`. Where k cuts a tie, how many relevant items come before the cut is random (hypergeometric), and with
    `found` so is the denominator: expectation and bounds run over that number. 0 where the denominator is.
    """
    ties = _ties(counts)
    n = int(counts.items[0].sum())
    k = n if k is None else k
    whole, cut = _cut(ties, k)
    harmonic = digamma(np.arange(1.0, n + 2))  # less a constant, which cancels
    sums = [(whole * rule(ties, harmonic)).sum(axis=1) for rule in _RULES]
    relevant, found = ties.relevant.sum(axis=1), (ties.relevant * whole).sum(axis=1)
    over = {"found": found, "all": relevant, "min(k, all)": np.minimum(relevant, k)}[denominator]
    rows = max(1, _CELLS // int((cut.most - cut.least).max() + 1))
    blocks = [slice(start, start + rows) for start in range(0, len(over), rows)]
    parts = [
        _with_the_cut(_rows(cut, block), [s[block] for s in sums], over[block], denominator == "found", harmonic)
        for block in blocks
    ]
    return Orders(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _with_the_cut(cut: _Cut, sums: list[Vector], over: Vector, grows: bool, harmonic: Vector) -> tuple[Vector, ...]:
    """Average precision: `sums` up to the cut tie and the share of that tie, over `over` (which `grows` with it).

    Column j of the tables is the case that `least` + j of the tie's relevant items are before the cut. Given their
    number, each arrangement of them over the slots is as likely as any other: a tie as long as the slots.
    """
    number = cut.least[:, None] + np.arange(int((cut.most - cut.least).max()) + 1)
    before, seen, _, _ = (column[:, None] for column in cut.tie)
    head = _Ties(before, seen, cut.slots[:, None], np.minimum(number, cut.most[:, None]))
    total = np.maximum(over[:, None] + grows * head.relevant, 1)
    expected, worst, best = (
        (one[:, None] + rule(head, harmonic)) / total for one, rule in zip(sums, _RULES, strict=True)
    )
    return (_chances(cut, number) * expected).sum(axis=1), worst.min(axis=1), best.max(axis=1)


def _chances(cut: _Cut, number: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hypergeometric: that `number` `(q, w)` of the cut tie's relevant items, from the least on, are in its slots."""
    size, relevant, slots = (values[:, None] for values in (cut.tie.size, cut.tie.relevant, cut.slots))
    rising = np.maximum(relevant - number, 0) * np.maximum(slots - number, 0)  # 0 at the most: no chance beyond
    with np.errstate(divide="ignore"):
        steps = np.log(rising) - np.log((number + 1) * (size - relevant - slots + number + 1))
    logs = np.pad(steps[:, :-1].cumsum(axis=1), ((0, 0), (1, 0)))
    chances = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))


def _expected(tie: _Ties, harmonic: Vector) -> Vector:
    """Expected sum of the precisions at a tie's relevant items.

    The sum over places i of r/t (seen + 1 + (i - 1) (r - 1)/(t - 1)) / (before + i), r of the t items being relevant.
    """
    spread = (tie.relevant - 1) / np.maximum(tie.size - 1, 1)
    inverse = harmonic[tie.before + tie.size] - harmonic[tie.before]
    each = (tie.seen + 1 - spread * (tie.before + 1)) * inverse + spread * tie.size
    return np.asarray(tie.relevant / np.maximum(tie.size, 1) * each)


def _worst(tie: _Ties, harmonic: Vector) -> Vector:
    """The same sum where the relevant items come last: the sum over i to r of (seen + i) / (before + t - r + i)."""
    start, end = tie.before + tie.size - tie.relevant, tie.before + tie.size
    return np.asarray(tie.relevant + (tie.seen - start) * (harmonic[end] - harmonic[start]))


def _best(tie: _Ties, harmonic: Vector) -> Vector:
    """The same sum where they come first."""
    inverse = harmonic[tie.before + tie.relevant] - harmonic[tie.before]
    return np.asarray(tie.relevant + (tie.seen - tie.before) * inverse)


_RULES = (_expected, _worst, _best)


def _ties(counts: Histograms) -> _Ties:
    before, seen = (np.cumsum(values, axis=1) - values for values in counts)
    return _Ties(before, seen, counts.items, counts.relevant)


def _cut(ties: _Ties, k: int) -> tuple[NDArray[np.bool_], _Cut]:
    """Which ties `(q, ties)` are whole among the first k, and the one that is cut."""
    n = int(ties.size[0].sum())
    if not 1 <= k <= n:
        raise DataError(f"the gallery has {n} items, so the first {k} cannot be scored: let k (--at) be 1 to {n}")
    slots = np.clip(k - ties.before, 0, ties.size)
    whole, row = slots == ties.size, np.arange(len(slots))
    place = ((slots > 0) & ~whole).argmax(axis=1)  # 0 where none is cut, and then made empty
    is_cut = ((slots > 0) & ~whole)[row, place]
    tie = _Ties(*(column[row, place] * is_cut for column in ties))
    slots = slots[row, place] * is_cut
    least, most = np.maximum(slots - (tie.size - tie.relevant), 0), np.minimum(slots, tie.relevant)
    return whole, _Cut(tie, slots, least, most)


def _rows(cut: _Cut, block: slice) -> _Cut:
    return _Cut(_Ties(*(values[block] for values in cut.tie)), *(values[block] for values in cut[1:]))


def _fixed_order(
    query_codes: Bits,
    gallery_codes: Bits,
    query_labels: Labels,
    gallery_labels: Labels,
    k: int,
    denominator: Denominator,
    device: str | None,
) -> NDArray[np.float64]:
    """precision@k, mAP and mAP@k of each query, `(3, q)`, ties in the gallery's order."""
    found = np.empty((3, len(query_codes)))
    for places, relevant in ranked(query_codes, gallery_codes, query_labels, gallery_labels, device):
        ranks = np.flatnonzero(relevant) + 1
        first = int(np.searchsorted(ranks, k, side="right"))
        sums = np.append(0.0, (np.arange(1, len(ranks) + 1) / ranks).cumsum())
        over = {"found": first, "all": len(ranks), "min(k, all)": min(k, len(ranks))}[denominator]
        values = first / k, sums[-1] / max(len(ranks), 1), sums[first] / max(over, 1)
        found[:, places] = np.array(values)[:, None]
    return found


def _labelled(labels: Labels) -> NDArray[np.bool_]:
    """Which samples have a label."""
    if labels.min() < -1 or labels.max() < 0:
        raise DataError(f"labels run from {labels.min()} to {labels.max()}: number classes from 0, -1 for unlabelled")
    return np.asarray(labels >= 0)
