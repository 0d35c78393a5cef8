"""The papers' tables and figures, and one of our own: which system is in which row, and how it is run here.

Every printed figure stands in one of them; a system that is no method here keeps its row, quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gancluster.bench import published
from gancluster.bench.layout import EVERY_ATTRIBUTE, Column, Row, Table
from gancluster.bench.published import PAPERS, Figure
from gancluster.errors import UnknownName
from gancluster.hashing import HASHES
from gancluster.registry import BUILT_IN, unknown

SYSTEMS = {
    "K-means": "kmeans",
    "GMM": "gmm",
    "N-Cuts": "n-cuts",
    "SC-LS": "sc-ls",
    "AC-PIC": "ac-pic",
    "SEC": "sec",
    "LDMGI": "ldmgi",
    "NMF-D": "deep-semi-nmf",
    "DEC": "dec",
    "JULE-RC": "jule",
    "DEPICT": "depict",
    "IMSAT": "imsat",
    "IMSAT-RPT": "imsat",
    "ClusterGAN": "clustergan",
    "GAN-EM": "ganem",
    "DCAN": "dcan",
    "VAE": "m1-m2",  # so it is called; its figures are those of M1+M2
    "AAE": "aae",
    "CatGAN": "catgan",
    "InfoGAN": "infogan",
    "Improved GAN": "improved-gan",
    "VaDE": "vade",
    "PixelGAN": "pixelgan",
    "GANMM": "ganmm",
    "ABC": "abc",
    "DC-GMM": "dc-gmm",
    "KINGDRA": "kingdra",
} | {hash_.title: name for name, hash_ in HASHES.items()}
"""Systems as the papers call them, and the method or shallow hash that each is here, or would be."""
OPTIONS = {"IMSAT-RPT": {"augmentation": "rpt"}}
"""What tells a system from another of the same method."""

ONLY_LABELS = ("Improved GAN", "VAE")

FLOOR = {
    "K-means on pixels": "kmeans",
    "PCA + K-means": "pca-kmeans",
    "untrained encoder + K-means": "random-encoder-kmeans",
}
DATASETS = {
    "MNIST": "mnist",
    "USPS": "usps",
    "FRGC": "frgc",
    "CIFAR-10": "cifar10",
    "STL-10": "stl10",
    "SVHN": "svhn",
    "CelebA": EVERY_ATTRIBUTE,
    "Reuters10k": "reuters10k",
}
ATTRIBUTES = {"gender": "Male", "hat": "Wearing_Hat", "glass": "Eyeglasses"}
"""CelebA's names of attributes that GAN-EM's Table 3 calls otherwise; what is measured for Male stands in two rows."""

FEATURES = (
    "the CIFAR10 column is a pretrained-feature protocol: samples are what resnet50, trained on ImageNet with labels, "
    "makes of the images. Figures on pixels do not compare with it; whose features the printed ones are of is not told"
)
STAND_IN = "reuters-r8 stands beside Reuters10k, which nobody may pass on: another corpus, whose scores do not compare"
MEASURED_DIGITS = "digits are not in the paper: they stand beside, since they are always at hand"


def every() -> list[Table]:
    """All of them, paper by paper."""
    return [build() for build in _BUILDERS.values()]


def named(name: str, paper: str = "clustergan") -> Table:
    """The table called `table2`, `figure4` or so of a paper; one of no paper is found whatever the paper."""
    if paper not in PAPERS:
        raise UnknownName(unknown("paper", paper, PAPERS, "gancluster bench list"))
    build = _BUILDERS.get((name, paper)) or _BUILDERS.get((name, ""))
    if build is None:
        known = [table for table, of in _BUILDERS if of in (paper, "")]
        raise UnknownName(unknown(f"table of {PAPERS[paper]}", name, known, "gancluster bench list"))
    return build()


# ClusterGAN -----------------------------------------------------------------------------------------------------------


def datasets() -> Table:
    """Table 1: each data set's size, beside what the name loads here."""
    figures = published.of("clustergan", "Table 1")
    rows = tuple(Row(name, {"dataset": DATASETS[name]}) for name in _order(f.dataset for f in figures))
    columns = tuple(Column("", metric, metric, {}, "count", 0) for metric in _order(f.metric for f in figures))
    cells = {(f.dataset, f" {f.metric}"): f for f in figures}
    return Table("table1", "clustergan", "Data sets", rows, columns, cells)


def clustering() -> Table:
    """Table 2: clustering by eleven systems and ClusterGAN."""
    figures = published.of("clustergan", "Table 2")
    shown = {name: DATASETS[name] for name in _order(f.dataset for f in figures)} | {"digits": "digits"}
    columns = tuple(Column(d, m, m.lower(), {"dataset": ours}) for d, ours in shown.items() for m in ("NMI", "ACC"))
    rows = _systems(figures) + _floor(figures)
    return Table("table2", "clustergan", "Clustering", rows, columns, _placed(figures), (MEASURED_DIGITS,))


def retrieval() -> Table:
    """Table 3: retrieval by codes of 32 and 64 bits."""
    figures = published.of("clustergan", "Table 3")
    shown = {name: DATASETS[name] for name in _order(f.dataset for f in figures)} | {"digits": "digits"}
    metrics = [(metric, bits) for metric in ("precision@1000", "mAP", "mAP@1000") for bits in (32, 64)]
    columns = tuple(
        Column(d, f"{m}, {bits} bits", f"{m}/{bits}", {"dataset": ours}, "percent", 2)
        for d, ours in shown.items()
        for m, bits in metrics
    )
    placed = {(f.method, f"{f.dataset} {f.metric}, {f.settings['bits']} bits"): f for f in figures}
    return Table(
        "table3", "clustergan", "Retrieval by Hamming distance", _systems(figures), columns, placed, (MEASURED_DIGITS,)
    )


def ablation() -> Table:
    """Figure 2: what each part is worth; bars without numbers, so nothing is quoted."""
    parts: dict[str, dict[str, Any]] = {
        "ClusterGAN": {},
        "without the GAN": {"gan": False},
        "without self-paced learning": {"pace": "none"},
        "plain self-paced learning": {"pace": "plain"},
        "without consistency": {"consistency": False},
    }
    rows = tuple(Row(title, {"method": "clustergan", "options": options}) for title, options in parts.items())
    shown = {name: DATASETS[name] for name in ("MNIST", "USPS", "CIFAR-10")} | {"digits": "digits"}
    columns = tuple(Column(name, "ACC", "acc", {"dataset": ours}) for name, ours in shown.items())
    notes = ("the paper draws bars and prints no numbers", MEASURED_DIGITS)
    return Table("figure2", "clustergan", "Ablation", rows + _floor([]), columns, {}, notes)


def views() -> Table:
    """Figure 3: samples in the plane of their two principal components, before and after training."""
    options = {"without the GAN": {"gan": False}, "ClusterGAN": {}}
    rows = tuple(Row(title, {"method": "clustergan", "options": given}) for title, given in options.items())
    shown = {"MNIST": "mnist", "USPS": "usps", "digits": "digits"}
    columns = tuple(Column(name, "ACC", "acc", {"dataset": ours}) for name, ours in shown.items())
    raw = Row("raw samples, by K-means", {"method": "kmeans"}, floor=True)
    return Table("figure3", "clustergan", "Two principal components", (raw, *rows), columns, {}, (MEASURED_DIGITS,))


# GAN-EM ---------------------------------------------------------------------------------------------------------------

CLUSTERS = {"K=10": 10, "K=20": 20, "K=30": 30, "K=not specified": None}
FOOTNOTE = "GANMM on 10 features of a stacked auto-encoder"


def errors() -> Table:
    """Table 1: errors without labels, by number of clusters, and with some."""
    figures = published.of("ganem", "Table 1")
    columns = [_unlabelled("MNIST", setting, clusters) for setting, clusters in CLUSTERS.items()]
    columns += [_labelled("MNIST", 100), _labelled("MNIST", 1000), _labelled("SVHN", 1000)]
    placed = {(f.method, f"{f.dataset} {_setting(f)}"): f for f in figures}
    (footnote,) = published.of("ganem", "Table 1 (footnote 2)")
    placed[FOOTNOTE, columns[0].key] = footnote
    purity = {"GANMM": {"1 - acc": "1 - cluster_majority"}}
    rows = (*_systems(figures, purity), Row(FOOTNOTE), *_floor(figures))
    return Table("table1", "ganem", "Error on MNIST and SVHN, in percent", rows, tuple(columns), placed)


def attributes_mean() -> Table:
    """Table 2: the error on CelebA's attributes, the mean of 40 two-class problems."""
    figures = published.of("ganem", "Table 2")
    columns = (_unlabelled("CelebA", "no labels", None), _labelled("CelebA", 100, split="all"))
    placed = {(f.method, columns["labels" in f.settings].key): f for f in figures}
    rows = _systems(figures) + _floor(figures)
    return Table("table2", "ganem", "Error on CelebA, mean of 40 attributes, in percent", rows, columns, placed)


def attributes() -> Table:
    """Table 3: GAN-EM's error on each of CelebA's attributes, as they are called there."""
    figures = published.of("ganem", "Table 3")
    names = _order(f.settings["attribute"] for f in figures)
    rows = tuple(Row(n, {"method": "ganem", "dataset": f"celeba:{ATTRIBUTES.get(n, n)}"}) for n in names)
    columns = (
        Column("CelebA", "error, no labels", "1 - acc", {}, "fraction", 4),
        Column("CelebA", "error, 100 labels", "error", {"labels": 100}, "fraction", 4),
    )
    placed = {(f.settings["attribute"], columns["labels" in f.settings].key): f for f in figures}
    note = "CelebA has one attribute for gender and Male, and Smiling is in no row (erratum G17)"
    return Table("table3", "ganem", "Error on each attribute of CelebA", rows, columns, placed, (note,))


def bottleneck() -> Table:
    """Figure 4 and Section 5.4: a layer of few units before the encoder's last; one error is told, in the text."""
    (figure,) = published.of("ganem", "text Sec. 5.4")
    shown = {"MNIST": "mnist", "digits": "digits"}
    columns = tuple(Column(name, "error", "1 - acc", {"dataset": ours}, "percent", 2) for name, ours in shown.items())
    rows = tuple(Row(f"{n} units", {"method": "ganem", "options": {"bottleneck": n}}) for n in (1000, 100, 2))
    placed = {("2 units", columns[0].key): figure}
    return Table(
        "figure4", "ganem", "Error with fewer dimensions, in percent", rows, columns, placed, (MEASURED_DIGITS,)
    )


def _unlabelled(dataset: str, setting: str, clusters: int | None) -> Column:
    """An error without labels: one to one for as many clusters as classes, else by majorities (erratum G7)."""
    score = "1 - cluster_majority" if clusters in (20, 30) else "1 - acc"
    cell = {"dataset": DATASETS[dataset], "clusters": clusters}
    return Column(dataset, setting, score, cell, "percent", 2, only_printed=setting not in ("K=10", "no labels"))


def _labelled(dataset: str, labels: int, split: str = "train") -> Column:
    cell = {"dataset": DATASETS[dataset], "labels": labels, "split": split}
    return Column(dataset, f"{labels} labels", "error", cell, "percent", 2, only_printed=True)


def _setting(figure: Figure) -> str:
    """What Table 1's columns are told apart by: the number of clusters, or of labels."""
    labels, clusters = figure.settings.get("labels"), figure.settings.get("K")
    return f"{labels} labels" if labels else f"K={clusters}"


# DCAN, and a table of ours --------------------------------------------------------------------------------------------


def adversarial_loss() -> Table:
    """DCAN's Table 2: ACC of six rivals and DCAN."""
    figures = published.of("dcan", "Table 2")
    shown = {name: DATASETS[name] for name in ("MNIST", "Reuters10k")}
    columns = [Column(name, "ACC", "acc", {"dataset": ours}, decimals=4) for name, ours in shown.items()]
    columns.append(Column("CIFAR10", "ACC", "acc", {"dataset": "cifar10", "features": "resnet50"}, decimals=4))
    columns += [Column(name, "ACC", "acc", {"dataset": name}, decimals=4) for name in ("reuters-r8", "digits")]
    rows = _systems(figures) + _floor(figures)
    return Table(
        "table2", "dcan", "Clustering", rows, tuple(columns), _placed(figures), (FEATURES, STAND_IN, MEASURED_DIGITS)
    )


TAKE_CRITICS = ("clustergan", "clustergan-latent", "infogan", "ganem", "dcan", "aae")


def critics() -> Table:
    """Every method that takes a critic with every critic; in no paper."""
    pairs = [(m, c) for m in TAKE_CRITICS if m in BUILT_IN["methods"] for c in BUILT_IN["critics"]]
    rows = tuple(Row(f"{m}, {c}", {"method": m, "options": {"critic": c}}) for m, c in pairs)
    columns = tuple(
        Column(name, metric, metric.lower(), {"dataset": name.lower()})
        for name in ("digits", "USPS", "MNIST")
        for metric in ("NMI", "ACC")
    )
    return Table("critics", "", "Methods by adversarial objective", rows + _floor([]), columns, {})


# What tables share ----------------------------------------------------------------------------------------------------


def _order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _placed(figures: Iterable[Figure]) -> dict[tuple[str, str], Figure]:
    return {(f.method, f"{f.dataset} {f.metric}"): f for f in figures}


def _systems(figures: Iterable[Figure], scores: Mapping[str, Mapping[str, str]] | None = None) -> tuple[Row, ...]:
    """A row for each system that has a figure, in the order of print."""
    titles = _order(f.method for f in figures)
    cells = {t: {"method": SYSTEMS[t], "options": OPTIONS.get(t, {})} for t in titles if t in SYSTEMS}
    return tuple(Row(t, cells.get(t), (scores or {}).get(t), only_labels=t in ONLY_LABELS) for t in titles)


def _floor(figures: Iterable[Figure]) -> tuple[Row, ...]:
    """The rows that any method has to beat, but for one that the paper has already."""
    there = {SYSTEMS.get(f.method) for f in figures}
    return tuple(Row(t, {"method": m}, floor=True) for t, m in FLOOR.items() if m not in there)


_BUILDERS: dict[tuple[str, str], Callable[[], Table]] = {
    ("table1", "clustergan"): datasets,
    ("table2", "clustergan"): clustering,
    ("table3", "clustergan"): retrieval,
    ("figure2", "clustergan"): ablation,
    ("figure3", "clustergan"): views,
    ("table1", "ganem"): errors,
    ("table2", "ganem"): attributes_mean,
    ("table3", "ganem"): attributes,
    ("figure4", "ganem"): bottleneck,
    ("table2", "dcan"): adversarial_loss,
    ("critics", ""): critics,
}
