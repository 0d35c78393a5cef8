"""Retrieval scores against mathematics: all orders of ties by brute force, a naive ranking, faiss, and invariances."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from typing import Any, NamedTuple

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import hypergeom

from gancluster.errors import DataError
from gancluster.metrics import hamming, retrieval
from gancluster.metrics.retrieval import Denominator, Histograms, average_precision, precision_at, retrieval_scores

DENOMINATORS: tuple[Denominator, ...] = ("found", "all", "min(k, all)")

repeatable = settings(derandomize=True, deadline=None, max_examples=60)


class Search(NamedTuple):
    """Queries, a gallery, and their classes."""

    query_codes: NDArray[np.bool_]
    gallery_codes: NDArray[np.bool_]
    query_labels: NDArray[np.int64]
    gallery_labels: NDArray[np.int64]

    @property
    def distances(self) -> NDArray[np.int64]:
        return (self.query_codes[:, None] != self.gallery_codes).sum(axis=2)

    @property
    def relevance(self) -> NDArray[np.bool_]:
        return self.query_labels[:, None] == self.gallery_labels


@st.composite
def searches(draw: st.DrawFn, queries: int = 3, most: int = 30, bits: int = 8) -> Search:
    """Up to `most` items of up to four classes and up to `bits` bits: ties everywhere, classes missing."""
    n, width, seed = draw(st.integers(1, most)), draw(st.integers(1, bits)), draw(st.integers(0, 2**16))
    return made(queries, n, width, draw(st.integers(1, 4)), seed)


def made(queries: int, n: int, bits: int, classes: int, seed: int = 0) -> Search:
    rng = np.random.default_rng(seed)
    codes, labels = rng.random((queries + n, bits)) < 0.5, rng.integers(0, classes, queries + n)
    return Search(codes[:queries], codes[queries:], labels[:queries], labels[queries:])


def naive(relevant: NDArray[np.bool_], k: int, denominator: str) -> tuple[float, float]:
    """Precision and average precision at k of one ranking, item by item."""
    hits, total = 0, 0.0
    for rank, one in enumerate(relevant[:k], start=1):
        hits += int(one)
        total += hits / rank if one else 0.0
    every = int(relevant.sum())
    over = {"found": hits, "all": every, "min(k, all)": min(k, every)}[denominator]
    return hits / k, total / over if over else 0.0


def tied_orders(distances: NDArray[np.int64]) -> Iterator[list[int]]:
    """Every ranking of a gallery that no distance contradicts."""
    for order in permutations(range(len(distances))):
        if (np.diff(distances[list(order)]) >= 0).all():
            yield list(order)


@repeatable
@given(searches(queries=1, most=6, bits=2), st.sampled_from(DENOMINATORS))
def test_expectation_and_bounds_are_those_of_all_orders_of_ties(search: Search, denominator: Denominator) -> None:
    counts = retrieval.histograms(*search)
    rankings = [search.relevance[0][order] for order in tied_orders(search.distances[0])]
    for k in range(1, len(search.gallery_labels) + 1):
        every = np.array([naive(ranking, k, denominator) for ranking in rankings])
        for column, found in enumerate((precision_at(counts, k), average_precision(counts, k, denominator))):
            wanted = [every[:, column].mean(), every[:, column].min(), every[:, column].max()]
            assert np.array(found)[:, 0] == pytest.approx(wanted, abs=1e-12)


@repeatable
@given(searches())
def test_histograms_count_the_distances_of_all_items_and_of_the_relevant(search: Search) -> None:
    size = search.query_codes.shape[1] + 1
    for device in (None, "cpu"):
        items, relevant = retrieval.histograms(*search, device=device)
        rows = zip(search.distances, search.relevance, items, relevant, strict=True)
        for distances, is_relevant, every, some in rows:
            assert every.tolist() == np.bincount(distances, minlength=size).tolist()
            assert some.tolist() == np.bincount(distances[is_relevant], minlength=size).tolist()


@pytest.mark.parametrize("bits", [1, 8, 9, 32, 33, 64, 65, 130, 300])
def test_codes_of_any_length_have_exact_distances(bits: int) -> None:
    search = made(4, 50, bits, 3)
    assert hamming.hamming_distances(search.query_codes, search.gallery_codes).tolist() == search.distances.tolist()
    assert hamming.hamming_distances(search.query_codes[:1], ~search.query_codes[:1]).tolist() == [[bits]]


@pytest.mark.parametrize("bits", [8, 32, 64, 128])
def test_distances_are_those_of_faiss(bits: int) -> None:
    search = made(5, 801, bits, 3)
    index = faiss.IndexBinaryFlat(bits)
    index.add(np.packbits(search.gallery_codes, axis=1))
    distances, order = index.search(np.packbits(search.query_codes, axis=1), 801)
    ours = hamming.hamming_distances(search.query_codes, search.gallery_codes)
    assert np.take_along_axis(ours, order, axis=1).tolist() == distances.tolist()
    counts = retrieval.histograms(*search)
    assert counts.items.tolist() == [np.bincount(row, minlength=bits + 1).tolist() for row in distances]


@repeatable
@given(st.integers(2, 40), st.integers(0, 2**16))
def test_without_ties_every_order_is_the_naive_one(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.tri(n, dtype=bool)[rng.permutation(n)]  # 1 to n ones: no two equally far from a query of zeros
    search = Search(np.zeros((1, n), bool), codes, np.array([1]), rng.integers(0, 3, n))
    counts, ranking = retrieval.histograms(*search), search.relevance[0][np.argsort(search.distances[0])]
    for k in (1, (n + 1) // 2, n):
        for denominator in DENOMINATORS:
            precision, average = naive(ranking, k, denominator)
            assert np.array(precision_at(counts, k))[:, 0] == pytest.approx([precision] * 3, abs=1e-12)
            assert np.array(average_precision(counts, k, denominator))[:, 0] == pytest.approx([average] * 3, abs=1e-12)


@repeatable
@given(searches(), st.integers(0, 2**16), st.sampled_from(DENOMINATORS))
def test_the_order_of_the_gallery_and_the_names_of_classes_do_not_matter(
    search: Search, seed: int, denominator: Denominator
) -> None:
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(search.gallery_labels)), rng.permutation(1000)
    other = Search(
        search.query_codes, search.gallery_codes[order], names[search.query_labels], names[search.gallery_labels][order]
    )
    one, same = retrieval.histograms(*search), retrieval.histograms(*other)
    k = 1 + seed % len(order)
    assert np.array_equal(precision_at(one, k), precision_at(same, k))
    assert np.array_equal(average_precision(one, k, denominator), average_precision(same, k, denominator))


@repeatable
@given(searches(queries=2), st.integers(0, 2**16))
def test_flipping_or_shuffling_bits_of_all_codes_changes_nothing(search: Search, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = search.query_codes.shape[1]
    order, flips = rng.permutation(bits), rng.random(bits) < 0.5
    turned = search._replace(
        query_codes=(search.query_codes ^ flips)[:, order], gallery_codes=(search.gallery_codes ^ flips)[:, order]
    )
    assert np.array_equal(retrieval.histograms(*search), retrieval.histograms(*turned))


@repeatable
@given(searches(), st.integers(1, 30), st.sampled_from(DENOMINATORS))
def test_the_expectation_lies_between_the_bounds_and_all_in_the_unit_interval(
    search: Search, k: int, denominator: Denominator
) -> None:
    counts = retrieval.histograms(*search)
    for found in (precision_at(counts, min(k, len(search.gallery_labels))), average_precision(counts)):
        assert (found.worst >= 0).all()
        assert (found.best <= 1 + 1e-12).all()
        assert (found.worst <= found.expected + 1e-12).all()
        assert (found.expected <= found.best + 1e-12).all()


def test_a_tie_of_a_whole_gallery_cut_at_a_thousand_has_the_hypergeometric_expectation() -> None:
    n, relevant, k = 69_000, 6_900, 1_000
    counts = Histograms(np.array([[n]]), np.array([[relevant]]))
    number, ranks = np.arange(1, k + 1), np.arange(1, k + 1)
    chance = hypergeom(n, relevant, k).pmf(number)
    # Given x relevant items among the k, an item at rank i is relevant with x / k, and so on for those before it.
    given = [(x / k * (1 + (ranks - 1) * (x - 1) / (k - 1)) / ranks).sum() / x for x in number]
    found = average_precision(counts, k)
    assert found.expected[0] == pytest.approx((chance * given).sum(), rel=1e-9)
    assert (found.worst[0], found.best[0]) == (0.0, pytest.approx(1.0))  # none of them found; all of the first k
    assert precision_at(counts, k).expected[0] == pytest.approx(0.1)
    whole = average_precision(counts).expected[0]
    ranks = np.arange(1, n + 1)
    assert whole == pytest.approx(((1 + (ranks - 1) * (relevant - 1) / (n - 1)) / ranks).sum() / n, rel=1e-9)


def test_blocks_of_queries_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = retrieval.histograms(*made(20, 300, 4, 3))
    at_once = average_precision(counts, 40)
    monkeypatch.setattr(retrieval, "_CELLS", 1)
    assert np.allclose(at_once, average_precision(counts, 40), atol=1e-12)


def test_one_relevant_item_more_can_cost_average_precision_over_those_found() -> None:
    counts = Histograms(np.array([[1, 4]]), np.array([[1, 1]]))  # sure at rank 1; the second anywhere from 2 to 5
    assert average_precision(counts, 4).best[0] == 1.0  # both first, or only one found
    assert average_precision(counts, 4).worst[0] == pytest.approx((1 + 2 / 4) / 2)


@pytest.mark.parametrize(("denominator", "score"), [("found", 1.0), ("all", 0.1), ("min(k, all)", 1.0)])
def test_perfect_codes_score_one_unless_all_relevant_items_are_the_denominator(
    denominator: Denominator, score: float
) -> None:
    labels = np.repeat([0, 1], 501)
    found = retrieval_scores(np.eye(2, dtype=int)[labels], labels, 1, k=50, denominator=denominator)
    assert found["scores"]["mAP@50"] == pytest.approx(dict.fromkeys(("expected", "fixed", "worst", "best"), score))
    assert found["scores"]["mAP"]["expected"] == 1.0
    assert found["distinct_codes"] == 2


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_the_fixed_order_is_a_stable_sort_of_the_gallery_that_the_seed_drew(
    denominator: Denominator, device: str | None
) -> None:
    rng = np.random.default_rng(0)
    codes, labels = rng.random((200, 6)) < 0.5, rng.integers(0, 4, 200)
    found = retrieval_scores(codes, labels, 40, seed=3, k=25, denominator=denominator, device=device)
    queries, gallery = retrieval.split_queries(200, 40, seed=3)
    wanted = []
    for query in queries:
        order = gallery[np.argsort((codes[gallery] != codes[query]).sum(axis=1), kind="stable")]
        relevant = labels[order] == labels[query]
        wanted.append((*naive(relevant, 25, denominator), naive(relevant, 160, "all")[1]))
    precision, at_k, whole = np.mean(wanted, axis=0)
    fixed = {name: row["fixed"] for name, row in found["scores"].items()}
    assert fixed == pytest.approx({"precision@25": precision, "mAP": whole, "mAP@25": at_k}, abs=1e-12)
    for row in found["scores"].values():
        assert row["worst"] < min(row["expected"], row["fixed"])
        assert max(row["expected"], row["fixed"]) < row["best"]


def test_a_device_gives_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    codes, labels = rng.random((300, 40)) < 0.5, rng.integers(-1, 4, 300)
    monkeypatch.setattr(hamming, "_AT_ONCE", 1000)  # a few queries at a time
    assert retrieval_scores(codes, labels, 50, k=70) == retrieval_scores(codes, labels, 50, k=70, device="cpu")


def test_queries_are_drawn_by_the_seed_and_the_others_are_the_gallery() -> None:
    queries, gallery = retrieval.split_queries(100, 10, seed=5)
    assert sorted([*queries, *gallery]) == list(range(100))
    assert len(queries) == 10
    assert np.array_equal(queries, retrieval.split_queries(100, 10, seed=5)[0])
    assert not np.array_equal(queries, retrieval.split_queries(100, 10, seed=6)[0])


def test_queries_without_a_relevant_item_score_zero_and_are_counted() -> None:
    codes, labels = np.zeros((30, 8), int), np.arange(30)
    found = retrieval_scores(codes, labels, 10, k=5)
    assert found["without_relevant"] == 10
    assert all(set(row.values()) == {0.0} for row in found["scores"].values())


def test_unlabelled_samples_are_left_out() -> None:
    rng = np.random.default_rng(0)
    codes, labels = rng.integers(0, 2, (90, 8)), rng.integers(0, 3, 90)
    noise = rng.integers(0, 2, (30, 8))
    both = retrieval_scores(np.vstack([noise, codes]), np.append(np.full(30, -1), labels), 20, k=10)
    assert both == retrieval_scores(codes, labels, 20, k=10)
    assert (both["n"], both["gallery"], both["bits"]) == (90, 70, 8)


CODES = np.eye(6, dtype=int)
LABELS = np.arange(6) % 2


@pytest.mark.parametrize(
    ("codes", "labels", "options", "complaint"),
    [
        (2 * CODES, LABELS, {}, "codes has values from 0 to 2: save 0 and 1"),
        (2 * CODES - 1, LABELS, {}, r"from -1 to 1: save 0 and 1 \(of -1 and 1: codes > 0\)"),
        (CODES.astype(float), LABELS, {}, "not float64: threshold them first"),
        (np.where(CODES == 1, np.nan, 0), LABELS, {}, "not float64: threshold them first"),
        (CODES.astype(str), LABELS, {}, "must be booleans or integers 0 and 1"),
        (CODES[0], LABELS, {}, r"codes has shape \(6,\)"),
        (CODES[:0], LABELS[:0], {}, r"codes has shape \(0, 6\)"),
        (CODES[:, :0], LABELS, {}, r"codes has shape \(6, 0\)"),
        (CODES, LABELS[:5], {}, r"labels has shape \(5,\) for 6 codes"),
        (CODES, LABELS[:, None], {}, r"labels has shape \(6, 1\) for 6 codes"),
        (CODES, LABELS.astype(float), {}, "labels must be integers, not float64"),
        (CODES, LABELS == 1, {}, "labels must be integers, not bool"),
        (CODES, LABELS - 2, {}, "labels run from -2 to -1"),
        (CODES, np.full(6, -1), {}, "labels run from -1 to -1"),
        (CODES, LABELS, {"queries": 6}, "6 queries leave no gallery of 6 labelled samples: ask for 1 to 5"),
        (CODES, LABELS, {"queries": 0}, "0 queries leave no gallery"),
        (
            CODES,
            LABELS,
            {"k": 5},
            r"the gallery has 4 items, so the first 5 cannot be scored: let k \(--at\) be 1 to 4",
        ),
        (CODES, LABELS, {"k": 0}, "the first 0 cannot be scored"),
        (CODES, LABELS, {"seed": -1}, "seed -1 is negative"),
    ],
)
def test_unfit_input_is_refused_in_one_line(codes: Any, labels: Any, options: dict[str, int], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as refusal:
        retrieval_scores(codes, labels, **{"queries": 2, "k": 3} | options)
    assert "\n" not in str(refusal.value)


def test_queries_and_gallery_must_have_codes_of_one_length_and_a_label_each() -> None:
    with pytest.raises(DataError, match="queries have 4 bits and the gallery 6"):
        hamming.hamming_distances(CODES[:, :4], CODES)
    with pytest.raises(DataError, match=r"labels has shape \(6,\) for 2 codes"):
        retrieval.histograms(CODES[:2], CODES, LABELS, LABELS)


def test_scoring_codes_imports_neither_torch_nor_scikit_learn() -> None:
    check = (
        "import sys, numpy as np; from gancluster.metrics import retrieval_scores;"
        "retrieval_scores(np.eye(9, dtype=bool), np.arange(9) % 3, 3, k=2);"
        "sys.exit(bool({'torch', 'sklearn', 'faiss'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
