"""What the pictures of clusterings, embeddings, losses and tables show, on small known inputs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from seeing import dots, pixels

from gancluster.errors import RunError
from gancluster.report import figures
from gancluster.report.planes import Plane, principal
from gancluster.report.style import DPI

RNG = np.random.default_rng(0)
BLOBS = np.repeat(np.eye(4), 25, axis=0) * 5 + RNG.normal(size=(100, 4)) * 0.1
GROUPS = np.repeat(np.arange(4), 25)
PLANE = principal(BLOBS)


def body(path: Path) -> NDArray[np.uint8]:
    """A picture without the texts below and left of its axes."""
    return pixels(path)[: -int(0.45 * DPI), int(0.45 * DPI) :]


def test_a_cluster_is_named_after_the_class_it_matches() -> None:
    labels, clusters = np.array([0, 0, 0, 2, 2, 1]), np.array([3, 3, 1, 1, 1, 0])
    assert figures.matched_names(labels, clusters, 5) == ["1", "2", "–", "0", "–"]
    assert figures.matched_names(labels, clusters, 5, ["cat", "dog", "owl"]) == ["dog", "owl", "–", "cat", "–"]


def test_names_hold_where_classes_or_labels_are_missing_and_where_clusters_are_fewer() -> None:
    labels, clusters = np.array([7, 7, 4, 4, 4, -1]), np.array([1, 1, 1, 1, 1, 0])
    assert figures.matched_names(labels, clusters, 2) == ["–", "4"]


@pytest.mark.parametrize("labels", [None, GROUPS, np.where(GROUPS == 1, -1, GROUPS)])
def test_the_same_arrays_give_the_same_bytes(tmp_path: Path, labels: NDArray[np.int64] | None) -> None:
    for name in ("a", "b"):
        figures.embedding_plane(PLANE, GROUPS, tmp_path / f"{name}.png", labels)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_plane_frames_the_real_points_and_counts_generated_ones_beyond(tmp_path: Path) -> None:
    points = np.array([[0.0, 0.0], [4.0, 2.0], [2.0, 1.0]])
    for name, generated in (("none", None), ("near", [[[2.0, 1.5]]]), ("far", [[[900.0, 1.0]]])):
        made = None if generated is None else np.array(generated)
        figures.plane(points, np.array([0, 1, 1]), tmp_path / f"{name}.png", made)
    none, near, far = (pixels(tmp_path / f"{name}.png") for name in ("none", "near", "far"))
    assert near.shape[1] > 1.3 * near.shape[0]  # twice as wide as high, and room for the key
    assert (none[60:] != near[60:]).any()
    assert (none[60:] == far[60:]).all()  # beyond the frame, it moves nothing
    assert (near[:60] != far[:60]).any()  # but the key counts it


def test_a_plane_shows_every_cluster(tmp_path: Path) -> None:
    figures.plane(BLOBS[:, :2], GROUPS, tmp_path / "a.png")
    found = [dots(group, pixels(tmp_path / "a.png")) > 50 for group in range(6)]
    assert found == [True] * 4 + [False] * 2


def test_classes_have_the_colours_of_their_clusters(tmp_path: Path) -> None:
    classes = np.array([2, 3, 0, 1])[GROUPS]
    figures.embedding_plane(PLANE, GROUPS, tmp_path / "a.png", classes)
    left, right = np.array_split(body(tmp_path / "a.png")[:, : int(6.5 * DPI)], 2, axis=1)
    for group in range(4):
        assert dots(group, left) == pytest.approx(dots(group, right), rel=0.3)
        assert dots(group, left) > 50


def test_a_class_without_a_cluster_has_a_colour_of_its_own_and_the_unlabelled_are_grey(tmp_path: Path) -> None:
    clusters, labels = np.minimum(GROUPS, 2), np.where(GROUPS == 0, -1, GROUPS)
    figures.embedding_plane(PLANE, clusters, tmp_path / "a.png", labels)
    figures.embedding_plane(PLANE, clusters, tmp_path / "b.png")
    with_classes, without = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    assert dots(3, with_classes) > 50
    assert dots(3, without) == 0
    assert dots(-1, with_classes) > dots(-1, without) + 50  # soft edges of letters are grey too


def test_labels_that_are_all_unknown_are_no_labels(tmp_path: Path) -> None:
    figures.embedding_plane(PLANE, GROUPS, tmp_path / "a.png", np.full(100, -1))
    figures.embedding_plane(PLANE, GROUPS, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_plane_of_some_samples_draws_these_but_matches_all(tmp_path: Path) -> None:
    """Ten of the fourth cluster are of the third cluster's class; only they are shown."""
    few = np.arange(90, 100)
    plane = Plane(PLANE.points[few], ("one axis", "the other"), few)
    figures.embedding_plane(plane, GROUPS, tmp_path / "a.png", np.where(np.isin(np.arange(100), few), 2, GROUPS))
    left, right = np.array_split(body(tmp_path / "a.png")[:, : int(6.5 * DPI)], 2, axis=1)
    assert [dots(group, left) > 50 for group in range(4)] == [False, False, False, True]
    assert [dots(group, right) > 50 for group in range(4)] == [False, False, True, False]


def test_planes_beside_each_other_show_the_same_samples_by_class(tmp_path: Path) -> None:
    few = Plane(PLANE.points[:50], PLANE.axes, np.arange(50))
    figures.planes_beside({"before": PLANE, "after": few}, np.where(GROUPS == 3, -1, GROUPS), tmp_path / "a.png")
    left, right = np.array_split(pixels(tmp_path / "a.png"), 2, axis=1)
    assert [dots(group, left) > 50 for group in range(4)] == [True, True, True, False]
    assert [dots(group, right) > 50 for group in range(4)] == [True, True, False, False]


def test_cluster_means_are_coloured_by_what_a_cluster_has_more_of(tmp_path: Path) -> None:
    for name, generated in (("real", None), ("both", BLOBS.reshape(4, 25, 4))):
        figures.cluster_means(BLOBS, GROUPS, 5, tmp_path / f"{name}.png", generated, feature_names=["a", "b", "c", "d"])
    real, both = (pixels(tmp_path / f"{name}.png")[:, : 2 * DPI].astype(int) for name in ("real", "both"))
    brown = [((p[..., 0] - p[..., 2]) > 60).sum() for p in (real, both)]
    assert brown[0] > 4 * 300  # each cluster has one feature of its own
    assert brown[1] == pytest.approx(2 * brown[0], rel=0.2)  # and generated samples have the same


def test_cluster_means_take_thousands_of_features(tmp_path: Path) -> None:
    words = np.random.default_rng(0).random((60, 2000))
    figures.cluster_means(words, np.arange(60) % 3, 3, tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape[1] < 8 * DPI


LOG = pd.DataFrame(
    [{"phase": "warm-up", "epoch": 1, "seconds": 1.0, "clusterer.instances": 3.0}]
    + [
        {"phase": "game", "epoch": e, "seconds": 2.0, "clusterer.entropy": 0.1 * e, "generator.adversarial": value}
        for e, value in ((1, 0.5), (2, np.inf), (3, np.nan))
    ]
)


def test_every_player_has_a_panel_and_every_phase_a_place(tmp_path: Path) -> None:
    figures.loss_curves(LOG, tmp_path / "a.png")
    picture = pixels(tmp_path / "a.png")
    shaded = (picture == 0xEE).all(2)
    assert picture.shape[0] == int((0.5 + 2 * 1.5) * DPI)
    assert shaded.any(0).sum() == pytest.approx(0.25 * shaded.shape[1], rel=0.25)  # one epoch of four, less the margins
    assert dots(1, picture) > 100


def test_a_single_epoch_is_seen(tmp_path: Path) -> None:
    figures.loss_curves(LOG.head(1).dropna(axis=1), tmp_path / "a.png")
    assert dots(0, pixels(tmp_path / "a.png")[:, : 5 * DPI]) > 5


@pytest.mark.parametrize("log", [LOG.head(0), LOG[["phase", "epoch", "seconds"]]])
def test_a_log_without_losses_is_refused_in_a_line(tmp_path: Path, log: pd.DataFrame) -> None:
    with pytest.raises(RunError, match=r"^the log holds no loss yet: train [^\n]+$"):
        figures.loss_curves(log, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_a_table_s_columns_stand_in_the_order_of_the_classes_they_match(tmp_path: Path) -> None:
    """Renumbered clusters change the numbers below the table and nothing in it."""
    labels = np.arange(60) % 3
    clusters = np.where(np.arange(60) < 9, 0, labels)
    figures.confusion(labels, clusters, 3, tmp_path / "a.png")
    figures.confusion(labels, np.array([2, 0, 1])[clusters], 3, tmp_path / "b.png")
    figures.confusion(labels, labels[::-1], 3, tmp_path / "c.png")
    assert (body(tmp_path / "a.png") == body(tmp_path / "b.png")).all()
    assert (body(tmp_path / "a.png") != body(tmp_path / "c.png")).any()


def test_a_table_keeps_empty_clusters_and_takes_fewer_clusters_than_classes(tmp_path: Path) -> None:
    labels = np.arange(30) % 3
    sizes = []
    for n_clusters in (3, 12):
        figures.confusion(labels, labels, n_clusters, tmp_path / "a.png", ["one", "two", "a long name $"])
        sizes.append(pixels(tmp_path / "a.png").shape[1])
    figures.confusion(labels, np.zeros(30, int), 1, tmp_path / "b.png")
    deepest = (pixels(tmp_path / "b.png") == (8, 48, 107)).all(2)  # the end of the scale
    assert sizes[1] > sizes[0] + 2 * DPI
    assert deepest.mean() > 0.3  # all of every class in the one cluster
