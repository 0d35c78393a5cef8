"""ClusterGAN's Table 3, MNIST half: shallow hashes of raw pixels, published beside measured.

Every hash is fitted to all images without labels; queries are drawn by the seed and the rest is the gallery. Scores are
expectations over all orders of items at equal Hamming distance, means over seeds (of the hash and of the queries).
`--codes` adds a row for any file that `gancluster hash` or a run's codes were written to. Prints a Markdown table and
writes JSON. Printed figures are those of the paper; what is not run here is marked so.

    python benchmarks/hashing.py --dataset mnist [--data-dir DIR] [--limit N] [--hashes itq lsh] [--bits 32 64]
        [--seeds 1] [--queries 1000] [--k 1000] [--codes FILE ...] [--output hashing.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from gancluster import hashing
from gancluster.bench.published import of
from gancluster.data import catalogue
from gancluster.data.reading import arrays
from gancluster.errors import DataError
from gancluster.metrics.retrieval import retrieval_scores

Columns = list[float | None]

METRICS = ("precision@1000", "mAP", "mAP@1000")


def published() -> dict[str, dict[int, Columns]]:
    """P@1000, mAP, mAP@1000 on MNIST in percent, by system and bits; None: not printed."""
    figures = of("clustergan", "Table 3")
    printed = {(f.method, f.setting, f.metric): float(f.value) for f in figures if f.dataset == "MNIST"}
    return {
        system: {bits: [printed.get((system, f"bits={bits}", metric)) for metric in METRICS] for bits in (32, 64)}
        for system in dict.fromkeys(figure.method for figure in figures)
    }


PUBLISHED = published()

NOTES = {
    "DH": "no P@1000 printed; on CIFAR-10 it is a copy of mAP (erratum B13)",
    "DAR": "printed for CIFAR-10 only",
    "DeepBit": "pre-trained with labels",
    "UTH": "pre-trained with labels",
    "SphH": "mAP@1000 printed alike for 32 and 64 bits, suspicious (erratum B14)",
}

Row = dict[str, Any]


def measure(name: str, dataset: Any, bits: int, options: argparse.Namespace) -> Row:
    """A row: one hash at one code length, over all seeds; where it cannot be, the reason."""
    hash_, samples = hashing.HASHES[name], hashing.flattened(dataset)
    found, seconds = [], []
    for seed in range(options.seeds):
        started = time.perf_counter()
        try:
            codes = hash_.fit(samples, bits, seed).encode(samples)
        except DataError as error:
            return {"hash": hash_.title, "bits": bits, "reason": str(error)}
        seconds.append(time.perf_counter() - started)
        found.append(retrieval_scores(codes, dataset.labels, options.queries, seed, options.k))
    return {"hash": hash_.title, "bits": bits, "seconds": float(np.mean(seconds)), **summary(found)}


def of_file(path: Path, options: argparse.Namespace) -> Row:
    """A row: codes from a file, with queries drawn by every seed."""
    codes, labels = arrays(path, "codes", "labels")
    found = [retrieval_scores(codes, labels, options.queries, seed, options.k) for seed in range(options.seeds)]
    return {"hash": path.name, "bits": codes.shape[1], **summary(found)}


def summary(found: list[dict[str, Any]]) -> Row:
    """Mean and standard deviation over seeds of the three scores, in percent, and the spread that ties leave open."""
    measured = {}
    for score in found[0]["scores"]:
        percent = {order: [100 * one["scores"][score][order] for one in found] for order in found[0]["scores"][score]}
        measured[score] = {order: float(np.mean(values)) for order, values in percent.items()}
        measured[score]["std"] = float(np.std(percent["expected"], ddof=1)) if len(found) > 1 else None
    return {"measured": measured, "distinct_codes": [one["distinct_codes"] for one in found], "n": found[0]["n"]}


def table(rows: list[Row], k: int, with_published: bool) -> str:
    """Markdown: a line a row, each score as measured (published)."""
    lines = [f"| | bits | P@{k} | mAP | mAP@{k} | note |", "|---|---|---|---|---|---|"]
    for row in rows:
        printed = PUBLISHED.get(row["hash"], {}).get(row["bits"]) if with_published else None
        cells = [cell(row, place, printed) for place in range(3)]
        lines.append(f"| {row['hash']} | {row['bits']} | {' | '.join(cells)} | {note(row, printed)} |")
    return "\n".join(lines)


def cell(row: Row, place: int, printed: Columns | None) -> str:
    """One score: measured, with its deviation over seeds where there are several, and the printed one in brackets."""
    text = "–"
    if "measured" in row:
        score = list(row["measured"].values())[place]
        text = f"{score['expected']:.1f}" + ("" if score["std"] is None else f" ± {score['std']:.1f}")
    figure = None if printed is None else printed[place]
    return text if figure is None else f"{text} ({figure:.2f})"


def note(row: Row, printed: Columns | None) -> str:
    said = [row["reason"]] if "reason" in row else [] if "measured" in row else ["not run"]
    return "; ".join(said + ([NOTES[row["hash"]]] if printed is not None and row["hash"] in NOTES else []))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--hashes", nargs="*", default=list(hashing.HASHES))
    parser.add_argument("--bits", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--codes", nargs="*", type=Path, default=[])
    parser.add_argument("--output", type=Path, default=Path("hashing.json"))
    options = parser.parse_args()
    dataset = catalogue.load(options.dataset, catalogue.data_folder(options.data_dir), limit=options.limit)
    rows = [measure(name, dataset, bits, options) for name in options.hashes for bits in options.bits]
    rows += [of_file(path, options) for path in options.codes]
    whole = dataset.name == "mnist" and options.limit is None
    if whole:
        run = {hashing.HASHES[name].title for name in options.hashes}
        rows += [{"hash": title, "bits": bits} for title in PUBLISHED if title not in run for bits in (32, 64)]
    settings = {"queries": options.queries, "k": options.k, "seeds": options.seeds}
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{dataset.name}: {len(dataset)} samples, {settings}, {machine}; in percent: measured (published)\n")
    print(table(rows, options.k, whole))
    result = {"dataset": dataset.name, "n": len(dataset), **settings, "machine": machine, "rows": rows}
    published = {"published": PUBLISHED, "notes": NOTES} if whole else {}
    options.output.write_text(json.dumps(result | published, indent=2) + "\n")


if __name__ == "__main__":
    main()
