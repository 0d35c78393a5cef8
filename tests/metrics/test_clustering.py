"""The clustering scores against mathematics: brute force, scikit-learn, invariances, bounds and limiting cases."""

import subprocess
import sys
import tracemalloc
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from gancluster import metrics
from gancluster.errors import DataError

Pair = tuple[list[int], list[int]]

repeatable = settings(derandomize=True, deadline=None, max_examples=50)


@st.composite
def clusterings(draw: st.DrawFn) -> Pair:
    """Up to 40 samples of up to 7 classes in up to 7 clusters: rectangular either way, empty and single ones too."""
    classes, clusters, n = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(1, 40))
    values = [draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)) for k in (classes, clusters)]
    return values[0], values[1]


one_sample = example(([0], [0]))
one_block = example(([0, 0, 0], [0, 0, 0]))
one_class = example(([0, 0, 0], [0, 1, 2]))
one_cluster = example(([0, 0, 1], [0, 0, 0]))
all_single = example(([0, 1, 2], [2, 0, 1]))


def best_assignment(table: NDArray[np.int64]) -> int:
    """Most samples right over all one-to-one assignments, by trying each."""
    wide = table if table.shape[0] <= table.shape[1] else table.T
    choices = permutations(range(wide.shape[1]), wide.shape[0])
    return max(int(wide[np.arange(len(wide)), list(choice)].sum()) for choice in choices)


def close_to(scores: dict[str, float]) -> object:
    return pytest.approx(scores, abs=1e-12)


@repeatable
@given(clusterings())
def test_table_counts_every_sample_once(pair: Pair) -> None:
    labels, clusters = map(np.asarray, pair)
    expected = [[np.sum((labels == c) & (clusters == k)) for k in np.unique(clusters)] for c in np.unique(labels)]
    assert metrics.contingency(labels, clusters).tolist() == expected


@repeatable
@given(clusterings())
@one_sample
def test_accuracy_is_the_best_of_all_assignments(pair: Pair) -> None:
    table = metrics.contingency(*pair)
    assert metrics.accuracy(table) == pytest.approx(best_assignment(table) / table.sum(), abs=1e-12)


@repeatable
@given(clusterings())
def test_matching_is_one_to_one_and_leaves_only_the_surplus_over(pair: Pair) -> None:
    table = metrics.contingency(*pair)
    classes = metrics.matching(table)
    matched = classes[classes >= 0]
    assert len(classes) == table.shape[1]
    assert len(set(matched.tolist())) == len(matched) == min(table.shape)


@pytest.mark.parametrize("average", ["geometric", "arithmetic", "max"])
@repeatable
@given(clusterings())
@one_sample
@one_block
@one_class
@one_cluster
@all_single
def test_nmi_agrees_with_scikit_learn(average: str, pair: Pair) -> None:
    expected = normalized_mutual_info_score(*pair, average_method=average)
    assert metrics.nmi(metrics.contingency(*pair), average) == pytest.approx(expected, abs=1e-10)


@repeatable
@given(clusterings())
@one_sample
@one_block
@one_class
@one_cluster
@all_single
def test_ari_agrees_with_scikit_learn(pair: Pair) -> None:
    assert metrics.ari(metrics.contingency(*pair)) == pytest.approx(adjusted_rand_score(*pair), abs=1e-10)


def test_ari_survives_ten_million_samples() -> None:
    # The index depends on shares alone up to terms of order 1/n, so the small table gives the large one's value.
    small = np.array([[300_000, 100_000], [50_000, 550_000]])
    assert metrics.ari(10 * small) == pytest.approx(metrics.ari(small), abs=1e-5)


@repeatable
@given(clusterings())
@one_sample
@one_class
@one_cluster
def test_scores_stay_in_their_bounds(pair: Pair) -> None:
    scores = metrics.scores(*pair)
    fractions = [value for key, value in scores.items() if key not in ("ari", "empty_clusters", "n")]
    assert all(0 <= value <= 1 for value in fractions)
    assert -1 <= scores["ari"] <= 1
    assert scores["n"] == len(pair[0])


@repeatable
@given(clusterings())
def test_majorities_are_never_below_accuracy(pair: Pair) -> None:
    scores = metrics.scores(*pair)
    assert min(scores["cluster_majority"], scores["class_majority"]) >= scores["acc"]


@repeatable
@given(clusterings())
def test_nmi_falls_as_its_normaliser_grows(pair: Pair) -> None:
    scores = metrics.scores(*pair)
    assert scores["nmi"] + 1e-12 >= scores["nmi_arithmetic"] >= scores["nmi_max"] - 1e-12


@repeatable
@given(clusterings(), st.permutations(range(7)), st.permutations(range(7)), st.integers(0, 2**16))
def test_names_of_classes_and_clusters_and_order_do_not_matter(
    pair: Pair, class_names: list[int], cluster_names: list[int], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(pair[0]))
    labels, clusters = np.array(class_names)[pair[0]], np.array(cluster_names)[pair[1]]
    assert metrics.scores(labels[order], clusters[order]) == close_to(metrics.scores(*pair))


@pytest.mark.parametrize("spread", [1, 3, 1000, 10**12])
def test_values_need_not_be_contiguous(spread: int) -> None:
    labels, clusters = np.array([7, 7, 0, 2, 2, 2]), np.array([3, 3, 3, 1, 1, 0])
    assert metrics.contingency(spread * labels, spread * clusters).tolist() == [[0, 0, 1], [1, 2, 0], [0, 0, 2]]


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.uint64])
def test_narrow_and_unsigned_integers_do_not_overflow(kind: type[np.integer]) -> None:
    values = np.arange(100, dtype=kind)
    assert np.array_equal(metrics.contingency(values, values), np.eye(100))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64])
def test_many_samples_of_any_width_are_all_counted(kind: type[np.integer]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(-1 if issubclass(kind, np.signedinteger) else 0, 120, 100_000).astype(kind)
    clusters = (labels.astype(int) * 7 + rng.integers(0, 4, len(labels)) + 7).astype(np.uint16)
    expected = Counter(pair for pair in zip(labels.tolist(), clusters.tolist(), strict=True) if pair[0] >= 0)
    table = metrics.contingency(labels, clusters)
    assert sorted(table[table > 0].tolist()) == sorted(expected.values())
    for counts, values in ((table.sum(axis=1), labels[labels >= 0]), (table.sum(axis=0), clusters[labels >= 0])):
        assert counts.tolist() == np.unique(values, return_counts=True)[1].tolist()


@pytest.mark.parametrize("largest", [5_000, 10**15])
def test_large_values_with_unlabelled_samples_keep_their_order(largest: int) -> None:
    values = np.array([-1, largest, 2_000, -1, 0, largest] * 1_000)
    table = metrics.contingency(values, np.abs(values))
    assert table.tolist() == [[1_000, 0, 0], [0, 1_000, 0], [0, 0, 2_000]]


def test_counting_copies_no_samples() -> None:
    labels = np.arange(10**6, dtype=np.int32) % 1000
    tracemalloc.start()
    table = metrics.contingency(labels, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(table, 1000 * np.eye(1000))
    assert peak < 2.5 * table.nbytes  # counts, and their copy without empty rows and columns


def test_a_thousand_clusters_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, noise = rng.integers(0, 1000, (2, 200_000))
    clusters = np.where(rng.random(len(labels)) < 0.9, 999 - labels, noise)
    scores = metrics.scores(labels, clusters)
    assert scores["nmi_arithmetic"] == pytest.approx(normalized_mutual_info_score(labels, clusters), abs=1e-10)
    assert scores["ari"] == pytest.approx(adjusted_rand_score(labels, clusters), abs=1e-10)
    assert scores["acc"] == np.mean(clusters == 999 - labels)


@repeatable
@given(clusterings())
@one_sample
def test_perfect_clustering_scores_one(pair: Pair) -> None:
    scores = metrics.scores(pair[0], [6 - label for label in pair[0]])
    perfect = ("acc", "nmi", "nmi_arithmetic", "nmi_max", "ari", "cluster_majority", "class_majority")
    assert [scores[key] for key in perfect] == pytest.approx([1.0] * len(perfect), abs=1e-12)


def test_single_cluster_scores_the_largest_class_and_fools_class_majority() -> None:
    scores = metrics.scores([0, 0, 0, 1, 1, 2], [4] * 6)
    assert scores["acc"] == scores["cluster_majority"] == 0.5
    assert scores["class_majority"] == scores["largest_share"] == 1.0
    assert scores["nmi"] == scores["ari"] == 0.0


def test_class_majority_counts_two_merged_classes_as_right() -> None:
    table = np.array([[5, 0], [5, 0], [0, 5]])
    assert metrics.class_majority(table) == 1.0
    assert metrics.accuracy(table) == pytest.approx(2 / 3)


@repeatable
@given(clusterings(), st.lists(st.integers(0, 6), max_size=10))
def test_unlabelled_samples_are_left_out(pair: Pair, extra: list[int]) -> None:
    labels, clusters = pair
    assert metrics.scores([-1] * len(extra) + labels, extra + clusters) == metrics.scores(labels, clusters)


@repeatable
@given(clusterings(), st.integers(7, 9))
def test_empty_clusters_are_counted_and_change_no_other_score(pair: Pair, n_clusters: int) -> None:
    kept, dropped = metrics.scores(*pair, n_clusters=n_clusters), metrics.scores(*pair)
    assert kept.pop("empty_clusters") == n_clusters - len(set(pair[1]))
    assert dropped.pop("empty_clusters") == 0
    assert kept == close_to(dropped)


def test_columns_are_the_clusters_when_their_number_is_given() -> None:
    assert metrics.contingency([5, 5, 9], [3, 3, 1], n_clusters=5).tolist() == [[0, 0, 0, 2, 0], [0, 1, 0, 0, 0]]


def test_every_printed_figure_compares_with_a_score() -> None:
    assert metrics.COMPARABLE.keys() <= metrics.scores([0], [0], named=True).keys()


@pytest.mark.parametrize(
    ("labels", "clusters", "n_clusters", "complaint"),
    [
        ([0, 1], [0], None, "2 labels for 1 clusters"),
        ([], [], None, "labels is empty"),
        ([0], [], None, "clusters is empty"),
        ([0.0, 1.0], [0, 1], None, "labels must be integers, not float64"),
        ([0, 1], [0, np.nan], None, "clusters must be integers, not float64"),
        (["a", "b"], [0, 1], None, "labels must be integers, not <U1"),
        ([True, False], [0, 1], None, "labels must be integers, not bool"),
        ([[0, 1]], [0, 1], None, r"labels has shape \(1, 2\)"),
        (0, [0], None, r"labels has shape \(\)"),
        ([-1, -1], [0, 1], None, "every label is -1"),
        ([-5, 1], [0, 1], None, "label -5 is negative"),
        ([0, 1], [0, -1], None, "cluster -1 is negative"),
        ([0, 1], [0, 3], 3, "cluster 3 is not below n_clusters = 3"),
        ([0], [0], 0, "cluster 0 is not below n_clusters = 0"),
        (range(10_001), range(10_001), None, "10001 classes by 10001 clusters are too large a table"),
        ([0], [0], 10**9, "1 classes by 1000000000 clusters are too large a table"),
    ],
)
def test_unfit_input_is_refused_in_one_line(
    labels: object, clusters: object, n_clusters: int | None, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint) as refusal:
        metrics.scores(labels, clusters, n_clusters)
    assert "\n" not in str(refusal.value)


def test_scoring_imports_neither_torch_nor_scikit_learn() -> None:
    check = "import sys, gancluster.metrics.statistics; sys.exit(bool({'torch', 'sklearn'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_error_of_named_clusters_matches_nothing_and_counts_only_labelled_samples() -> None:
    labels, clusters = np.array([0, 1, 2, -1, 1]), np.array([0, 2, 1, 0, 1])
    assert metrics.error(labels, clusters) == 0.5
    assert metrics.scores(labels, clusters, 3, named=True)["error"] == 0.5
    assert metrics.scores(labels, clusters, 3)["acc"] == 0.75
    assert "error" not in metrics.scores(labels, clusters, 3)
