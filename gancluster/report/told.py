"""What a page tells of a run: its seeds' scores, where samples lie, its pictures and errors, how to make it again."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gancluster import metrics
from gancluster.data.dataset import Dataset
from gancluster.report import page
from gancluster.report.figures import confusion_order
from gancluster.report.page import Cell
from gancluster.report.planes import principal
from gancluster.runs import lottery
from gancluster.runs.groups import Group
from gancluster.runs.run import Run

SHOWN = 2000  # samples that can be pointed at, drawn by a fixed rule
SCORES = {"acc": "ACC", "nmi": "NMI", "ari": "ARI"}
PICTURES = {
    "clusters": "Members of each cluster: the nearest to its mean on the left, the farthest on the right.",
    "generated": "What the generator draws: a row a cluster.",
    "losses": "Every loss term, a panel a player.",
}
REQUESTED = ("method", "preset", "dataset", "split", "n_samples", "n_clusters", "n_labels", "starts", "seed", "version")


def of_run(run: Run, group: Group, dataset: Dataset | None) -> list[page.Section]:
    """Sections on a finished run, with its siblings of other seeds; without the samples, no image on hovering."""
    arrays = run.arrays()
    clusters = by_the_papers_rule(arrays)
    shown = drawn_among(len(clusters), SHOWN)
    looks = points(arrays, clusters, shown, dataset, sprites(dataset, shown))
    outcome = [seeds(group), *tried(run), *ailing(run)]
    return [*outcome, looks, *found(run, arrays, clusters, dataset), asked(run), commands(run)]


def ailing(run: Run) -> list[page.Section]:
    """What shows that the run collapsed, since when, and the commands worth a try; nothing of one that did not."""
    diagnosis = run.result().get("diagnosis")
    if not diagnosis:
        return []
    since = f"since {diagnosis['phase']}, epoch {diagnosis['epoch']}"
    signs = page.Table("Collapsed", ["sign"], [[Cell(sign, kind="bad")] for sign in diagnosis["signs"]], since)
    return [signs, page.Commands("Worth a try", diagnosis["commands"])]


def tried(run: Run) -> list[page.Section]:
    """The starts that the run is the best of, and what they came to where they were ranked; nothing of a single one."""
    rows, blank = list[list[Cell]](), Cell("–", kind="quiet")
    for one in run.result().get("starts", []):
        score = Cell("FAILED", kind="bad", more=one.get("failed", ""))
        score = score if one["score"] is None else Cell(f"{one['score']:.4g}", one["score"])
        found = one.get("scores")
        measured = [Cell(f"{found[key]:.3f}", found[key]) if found else blank for key in SCORES]
        choice = Cell("trained on" if one["chosen"] else "")
        rows.append([Cell(str(one["seed"]), one["seed"]), score, *measured, choice])
    columns = ["seed", "score without labels", *SCORES.values(), ""]
    return [page.Table("Starts", columns, rows, lottery.in_a_line(run.result()))] if rows else []


def found(
    run: Run, arrays: dict[str, NDArray[Any]], clusters: NDArray[Any], dataset: Dataset | None
) -> list[page.Section]:
    """Classes against clusters where there are labels, and the pictures that the run's folder has."""
    sections = list[page.Section]()
    if "labels" in arrays:
        sections.append(confusion(arrays["labels"], clusters, run.request.n_clusters, dataset))
    for name, text in PICTURES.items():
        if (path := run.folder / f"{name}.png").exists():
            sections.append(page.Picture(name.capitalize(), path, text))
    return sections


def seeds(group: Group) -> page.Table:
    """A row a seed, and under them their mean ± standard deviation."""
    rows = [[Cell(str(run.request.seed), run.request.seed), *_result(run)] for run in group.runs]
    scored = pd.DataFrame([one for run in group.runs if (one := _scores(run))])
    note = ""
    if len(scored) > 1:
        means, widths = scored.mean(), scored.std(ddof=1)
        told = ", ".join(f"{shown} {means[key]:.3f} ± {widths[key]:.3f}" for key, shown in SCORES.items())
        note = f"mean ± standard deviation over {len(scored)} seeds: {told}"
    return page.Table(
        "Scores", ["seed", "row", *SCORES.values(), "empty clusters", "seconds", "of them evaluation"], rows, note
    )


def _result(run: Run) -> list[Cell]:
    blank = Cell("–", kind="quiet")
    if run.status != "finished":
        return [Cell(run.status.upper(), kind="bad"), *[blank] * (len(SCORES) + 3)]
    result, scores = run.result(), _scores(run)
    empty = next(iter(result["sizes"].values())).count(0)
    measured = [Cell(f"{scores[key]:.3f}", scores[key]) if scores else blank for key in SCORES]
    lost = Cell(str(empty), empty, "bad" if empty else "")
    cost = [Cell(f"{result.get(key, 0):.0f}", result.get(key, 0)) for key in ("seconds", "evaluation_seconds")]
    return [Cell(result["row"]), *measured, lost, *cost]


def _scores(run: Run) -> dict[str, float]:
    """By the paper's rule; none for a run without labels, or not finished."""
    scores = run.result()["scores"] if run.status == "finished" else None
    return next(iter(scores.values())) if scores else {}


def by_the_papers_rule(arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The clusters `(n,)` among a run's arrays that its scores are of: those of the first rule."""
    return next(values for name, values in arrays.items() if name.startswith("clusters/"))


def drawn_among(n: int, most: int) -> NDArray[np.intp]:
    """Which samples are shown: at most so many, the same for the same n."""
    return np.sort(np.random.default_rng(0).permutation(n)[:most])


def sprites(dataset: Dataset | None, shown: NDArray[np.intp]) -> NDArray[np.uint8] | None:
    """The images of those samples; None of vectors, and without the samples."""
    return np.asarray(dataset.inputs[shown], np.uint8) if dataset is not None and dataset.is_images else None


def points(
    arrays: dict[str, NDArray[Any]],
    clusters: NDArray[Any],
    shown: NDArray[np.intp],
    dataset: Dataset | None,
    images: NDArray[np.uint8] | None,
) -> page.Points:
    """Where the samples `shown` lie on the principal axes of the embedding, with their `images`."""
    plane, n = principal(arrays["embedding"]), len(clusters)
    labels = arrays.get("labels")
    classes = None if labels is None else [_class(label, dataset) for label in labels[shown].tolist()]
    note = f"{len(shown):,} of {n:,} samples; across: {plane.axes[0]}, up: {plane.axes[1]}"
    return page.Points("Embedding", plane.points[shown], shown, clusters[shown], classes, images, note)


def confusion(labels: NDArray[Any], clusters: NDArray[Any], k: int, dataset: Dataset | None) -> page.Confusion:
    """Classes against clusters, those that belong together on the diagonal."""
    classes, order, matched = confusion_order(labels, clusters, k)
    table = metrics.contingency(labels, clusters, k)[:, order]
    names = [_class(label, dataset) for label in classes]
    pairs = [(classes.index(label), order.index(cluster)) for label, cluster in matched.items()]
    return page.Confusion("Classes and clusters", table, names, [str(cluster) for cluster in order], pairs)


def _class(label: int, dataset: Dataset | None) -> str:
    names = dataset.label_names if dataset is not None else None
    return "–" if label < 0 else names[label] if names else str(label)


def asked(run: Run) -> page.Table:
    """The whole request: what data, which options."""
    request = run.request.model_dump(mode="json")
    told = {name: request[name] for name in REQUESTED} | {"sha256": request["sha256"][:16]} | request["options"]
    rows = [[Cell(name), Cell("–" if value is None else str(value))] for name, value in told.items()]
    return page.Table("Options", ["option", "value"], rows)


def commands(run: Run) -> page.Commands:
    """The command that trains the run again, and the one that writes this page."""
    lines = [run.request.command] if run.request.command else []
    return page.Commands("Commands", [*lines, f"gancluster report {shlex.quote(run.folder.name)}"])
