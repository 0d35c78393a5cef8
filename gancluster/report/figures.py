"""Pictures of a run: arrays in, one PNG out; which samples are shown is a fixed rule, never a choice.

`clusters` are integers `(n,)` from 0 up, `labels` integers `(n,)` with -1 where unknown. `names`: a text for each
cluster, as `matched_names` gives them. A cluster has the same colour in every picture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from gancluster.errors import RunError
from gancluster.metrics import accuracy, contingency, matching
from gancluster.report.planes import Plane
from gancluster.report.sheet import Block, sheet
from gancluster.report.style import INK, PALE, SOFT, bare, colour, picture

NEAR, FAR = 10, 4  # images a row of `cluster_grid`
POINTS = 5000  # samples in a plane, at most
FEATURES = 30  # columns of `cluster_means`, at most
COUNTED = 40  # clusters up to which `confusion` prints its counts

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Names = Sequence[str]


# Clusters and classes -------------------------------------------------------------------------------------------------


def matched_names(labels: Integers, clusters: Integers, n_clusters: int, label_names: Names | None = None) -> list[str]:
    """For each cluster the name of its class under the best one-to-one matching; a dash for a cluster without one."""
    names = ["–"] * n_clusters
    for label, cluster in _matched(labels, clusters).items():
        names[cluster] = _class_name(label, label_names)
    return names


def _matched(labels: Integers, clusters: Integers) -> dict[int, int]:
    """Class → cluster under the best one-to-one matching, for those that have a partner."""
    known = labels >= 0
    rows = matching(contingency(labels, clusters))
    columns, classes = np.unique(clusters[known]), np.unique(labels[known])
    pairs = {int(classes[row]): int(column) for column, row in zip(columns, rows, strict=True) if row >= 0}
    return dict(sorted(pairs.items()))


def _class_name(label: int, label_names: Names | None) -> str:
    return label_names[label] if label_names else str(label)


def _row_names(n_clusters: int, names: Names | None) -> list[str]:
    return [str(k) if names is None else f"{k} → {names[k]}" for k in range(n_clusters)]


def _breadth(texts: Collection[str]) -> float:
    """Inches that the longest of small texts takes, nearly."""
    return 0.075 * max(map(len, texts))


# Images ---------------------------------------------------------------------------------------------------------------


def sample_grid(samples: Floats, path: Path, pixel_range: tuple[float, float], names: Names | None = None) -> None:
    """Generated images `(k, n, c, h, w)` in `pixel_range`: a row a cluster, n in each."""
    low, high = pixel_range
    shares = np.nan_to_num((samples - low) / (high - low), nan=0.0).clip(0, 1)
    images = (255 * shares).round().astype(np.uint8)
    sheet(path, [Block("", images.shape[1], images)], _row_names(len(images), names), [""] * len(images))


def cluster_grid(
    inputs: NDArray[np.uint8],
    clusters: Integers,
    n_clusters: int,
    path: Path,
    distances: Floats | None = None,
    names: Names | None = None,
) -> None:
    """Real images `(n, c, h, w)` of each cluster, and how many it has; a cluster without any is an 'empty' row.

    With `distances` `(n,)` to the cluster's centre: the nearest on the left and the farthest on the right. Without:
    members at even steps through the data.
    """
    members = [np.flatnonzero(clusters == k) for k in range(n_clusters)]
    sizes = [f"n = {len(m):,}" for m in members]
    if distances is None:
        chosen = [m[np.linspace(0, len(m) - 1, min(len(m), NEAR + FAR)).astype(int)] for m in members]
        blocks = [Block("", NEAR + FAR, [inputs[m] for m in chosen])]
    else:
        ordered = [m[np.argsort(distances[m], kind="stable")] for m in members]
        blocks = [
            Block("nearest to the centre", NEAR, [inputs[m[:NEAR]] for m in ordered]),
            Block("farthest", FAR, [inputs[m[NEAR:][-FAR:]] for m in ordered]),
        ]
    sheet(path, blocks, _row_names(n_clusters, names), sizes)


# Vectors --------------------------------------------------------------------------------------------------------------


def plane(inputs: Floats, clusters: Integers, path: Path, generated: Floats | None = None) -> None:
    """Real points `(n, 2)` coloured by cluster, and generated ones `(k, m, 2)` ringed in black over them.

    The frame is the real points'; generated ones beyond it are counted.
    """
    low, high = inputs.min(0), inputs.max(0)
    room = 0.05 * float((high - low).max()) or 1.0
    wide, tall = (high - low + 2 * room).tolist()
    with picture(path, 4.6, float(np.clip(0.9 + 3.9 * tall / wide, 2, 8))) as figure:
        axes = figure.add_subplot(aspect="equal")
        axes.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))
        _scatter(axes, inputs, clusters)
        keys = [_key("#C4C4C4", "real")]
        if generated is not None:
            points, makers = generated.reshape(-1, 2), np.arange(len(generated)).repeat(generated.shape[1])
            colours = [colour(k) for k in makers.tolist()]
            axes.scatter(points[:, 0], points[:, 1], s=10, c=colours, edgecolors="black", linewidths=0.6)
            beyond = int((~((points >= low - room) & (points <= high + room)).all(1)).sum())
            note = f", {beyond:,} of {len(points):,} beyond the frame" if beyond else ""
            keys.append(_key("#C4C4C4", "generated" + note, markeredgecolor="black"))
        axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, handletextpad=0)
        _tag(figure, axes, inputs, clusters, {k: str(k) for k in np.unique(clusters).tolist()})


def cluster_means(
    inputs: Floats,
    clusters: Integers,
    n_clusters: int,
    path: Path,
    generated: Floats | None = None,
    names: Names | None = None,
    feature_names: Names | None = None,
) -> None:
    """What vectors `(n, d)` of a cluster have more or less of than all: mean difference in standard deviations.

    The features whose cluster means differ most, at most 30, each beside those that the same cluster has most of;
    under them the same of generated vectors `(k, m, d)`. The row of an empty cluster stays blank.
    """
    centre, spread = inputs.mean(0), inputs.std(0) + 1e-9
    groups = [inputs[clusters == k] for k in range(n_clusters)]
    real = np.stack([(g.mean(0) - centre) / spread if len(g) else np.full(len(centre), np.nan) for g in groups])
    panels = {"real samples": real}
    if generated is not None:
        panels["generated samples"] = (generated.mean(1) - centre) / spread
    telling = np.argsort(-np.nanstd(real, axis=0), kind="stable")[:FEATURES]
    telling = telling[np.lexsort((-np.nanmax(real[:, telling], 0), np.nanargmax(real[:, telling], 0)))]
    reach = float(np.nanmax(np.abs(real[:, telling]))) or 1.0
    rows = _row_names(n_clusters, names)
    columns = [_class_name(feature, feature_names) for feature in telling.tolist()]
    width = max(3, 1.1 + _breadth(rows) + 0.17 * len(columns))
    with picture(path, width, 0.6 + _breadth(columns) + (0.3 + 0.2 * n_clusters) * len(panels)) as figure:
        every = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for axes, (title, values) in zip(every, panels.items(), strict=True):
            image = axes.imshow(values[:, telling], "PuOr_r", vmin=-reach, vmax=reach, aspect="auto")
            axes.set_title(title, loc="left")
            axes.set_yticks(range(n_clusters), rows)
            bare(axes)
        axes.set_xticks(range(len(columns)), columns, rotation=90)
        figure.colorbar(image, ax=figure.axes, label="standard deviations", aspect=30)


def embedding_plane(
    plane: Plane,
    clusters: Integers,
    path: Path,
    labels: Integers | None = None,
    label_names: Names | None = None,
) -> None:
    """Samples' places in a plane, coloured by cluster `(n,)` and, where labels `(n,)` exist, by class.

    A class has the colour of its cluster under the best matching, so that a change of colour from left to right is an
    error; all n are matched, also where the plane shows fewer. Unlabelled samples are grey on the right.
    """
    tags = {k: str(k) for k in np.unique(clusters).tolist()}
    panels, legend = [("clusters", clusters, tags)], dict(tags)
    if labels is not None and (labels >= 0).any():
        places = _places(labels, clusters)
        names = {k: _class_name(c, label_names) for c, k in places.items()}
        panels.append(("classes", np.array([places.get(c, -1) for c in labels.tolist()]), names))
        legend = {k: f"{tags.get(k, '–')} → {names.get(k, '–')}" for k in sorted(tags | names)}
    columns = ceil(len(legend) / 20)
    with picture(path, 0.1 + 3.4 * len(panels) + (0.4 + _breadth(legend.values())) * columns, 3.7) as figure:
        for axes, (title, groups, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _scatter(axes, plane.points, groups[plane.shown])
            axes.set(title=title, xticks=[], yticks=[], aspect="equal", adjustable="datalim")
            axes.set(xlabel=plane.axes[0], ylabel=plane.axes[1])
            _tag(figure, axes, plane.points, groups[plane.shown], names)
        keys = [_key(colour(k), text) for k, text in legend.items()]
        axes.legend(handles=keys, loc="center left", bbox_to_anchor=(1, 0.5), ncols=columns, handletextpad=0)


def planes_beside(planes: Mapping[str, Plane], labels: Integers, path: Path, label_names: Names | None = None) -> None:
    """Several planes of the same samples, each under its title, coloured by class `(n,)`; unlabelled ones are grey."""
    names = {c: _class_name(c, label_names) for c in np.unique(labels[labels >= 0]).tolist()}
    with picture(path, 0.2 + 3.0 * len(planes), 3.4) as figure:
        for axes, (title, plane) in zip(figure.subplots(1, len(planes), squeeze=False)[0], planes.items(), strict=True):
            _scatter(axes, plane.points, labels[plane.shown])
            axes.set(title=title, xticks=[], yticks=[], xlabel=plane.axes[0], ylabel=plane.axes[1])
            _tag(figure, axes, plane.points, labels[plane.shown], names)


def _places(labels: Integers, clusters: Integers) -> dict[int, int]:
    """Class → the cluster whose colour it takes: its partner's; a class without one gets a number no cluster has."""
    partner, free = _matched(labels, clusters), count(int(clusters.max()) + 1)
    return {c: partner[c] if c in partner else next(free) for c in np.unique(labels[labels >= 0]).tolist()}


def _key(face: str, text: str, **look: Any) -> Line2D:
    """A dot and its text, for a legend."""
    return Line2D([], [], linestyle="", marker="o", markersize=3.5, color=face, label=text, **look)


def _scatter(axes: Axes, points: Floats, groups: Integers) -> None:
    """At most 5,000 dots, the same for the same number of points, in an order that hides no group."""
    shown = np.random.default_rng(0).permutation(len(points))[:POINTS]
    size = np.clip(8000 / len(shown), 3, 14)
    colours = [colour(group) for group in groups[shown].tolist()]
    axes.scatter(points[shown, 0], points[shown, 1], s=size, c=colours, alpha=0.7, linewidths=0)


def _tag(figure: Figure, axes: Axes, points: Floats, groups: Integers, tags: dict[int, str]) -> None:
    """Write a group's name above the median of its points, the largest group first, where there is room for it."""
    halo = [withStroke(linewidth=2, foreground="white")]
    look: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold", "fontsize": 7, "path_effects": halo}
    members = {group: points[groups == group] for group in tags if (groups == group).any()}
    texts = []
    for group in sorted(members, key=lambda group: -len(members[group])):
        x, y = np.median(members[group], axis=0).tolist()
        texts.append(axes.annotate(tags[group], (x, y), (0, 6), textcoords="offset points", **look))
    figure.draw_without_rendering()
    taken: list[Bbox] = []
    for text in texts:
        box = text.get_window_extent()
        text.set_visible(not any(box.overlaps(other) for other in taken))
        taken += [box] if text.get_visible() else []


# Training and scores --------------------------------------------------------------------------------------------------


def loss_curves(log: pd.DataFrame, path: Path) -> None:
    """A run's log, a row an epoch with columns `phase, epoch, seconds` and `player.term`: one panel a player.

    The epochs of all phases stand one after the other. `RunError` where no term has been logged.
    """
    terms = [column for column in log.columns if "." in column]
    if not len(log) or not terms:
        raise RunError("the log holds no loss yet: train for an epoch before drawing its curves")
    players = dict.fromkeys(term.partition(".")[0] for term in terms)
    played = np.arange(1, len(log) + 1)
    with picture(path, 6.4, 0.5 + 1.5 * len(players)) as figure:
        panels = figure.subplots(len(players), sharex=True, squeeze=False)[:, 0]
        for axes, player in zip(panels, players, strict=True):
            _phases(axes, log["phase"].tolist(), named=axes is panels[0])
            for i, term in enumerate(t for t in terms if t.partition(".")[0] == player):
                values = log[term].to_numpy(float)
                values = np.where(np.isfinite(values), values, np.nan)
                marker = "." if np.isfinite(values).sum() <= 20 else ""
                axes.plot(played, values, color=colour(i), label=term.partition(".")[2], marker=marker, markersize=4)
            axes.set_ylabel(player)
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        panels[-1].set(xlabel="epoch", xlim=(0.5, len(log) + 0.5))
        panels[-1].xaxis.get_major_locator().set_params(integer=True)


def _phases(axes: Axes, phases: list[str], named: bool) -> None:
    """A shade under every other phase, and the phases' names on top."""
    starts = [i for i, phase in enumerate(phases) if i == 0 or phases[i - 1] != phase]
    for p, (start, end) in enumerate(zip(starts, [*starts[1:], len(phases)], strict=True)):
        if p % 2 == 0 and len(starts) > 1:
            axes.axvspan(start + 0.5, end + 0.5, color=PALE, linewidth=0)
        if named:
            across = axes.get_xaxis_transform()
            axes.text((start + end + 1) / 2, 1.03, phases[start], ha="center", color=SOFT, transform=across)


def confusion(
    labels: Integers, clusters: Integers, n_clusters: int, path: Path, label_names: Names | None = None
) -> None:
    """Classes against clusters, in counts and, by shade, in shares of the class; matched pairs are framed.

    Clusters stand in the order of the classes they match; those without a class come last.
    """
    classes, order, partner = confusion_order(labels, clusters, n_clusters)
    table = contingency(labels, clusters, n_clusters)
    class_names = [_class_name(c, label_names) for c in classes]
    shares = table[:, order] / table.sum(1, keepdims=True)
    width = max(2.4, 0.9 + _breadth(class_names) + 0.36 * len(order))
    with picture(path, width, 0.9 + 0.3 * len(classes)) as figure:
        axes = figure.add_subplot()
        axes.imshow(shares, "Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(order)), [str(k) for k in order])
        axes.set_yticks(range(len(classes)), class_names)
        axes.set(xlabel="cluster", ylabel="class", title=f"ACC {accuracy(table):.3f}   n = {table.sum():,}")
        bare(axes)
        if len(order) <= COUNTED:
            for (row, column), number in np.ndenumerate(table[:, order]):
                ink = "white" if shares[row, column] > 0.55 else INK if number else "#BBBBBB"
                axes.text(column, row, str(number), ha="center", va="center", fontsize=6.5, color=ink)
        for label, cluster in partner.items():
            corner = order.index(cluster) - 0.5, classes.index(label) - 0.5
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=INK, linewidth=0.9, clip_on=False))


def confusion_order(
    labels: Integers, clusters: Integers, n_clusters: int
) -> tuple[list[int], list[int], dict[int, int]]:
    """Classes from low to high; clusters in the order of the classes they match, then the others; and the matching."""
    partner = _matched(labels, clusters)
    order = [*partner.values(), *(k for k in range(n_clusters) if k not in partner.values())]
    return np.unique(labels[labels >= 0]).tolist(), order, partner
