"""GAN-EM's Table 3: the error on a two-class problem of each CelebA attribute, published beside measured.

Trains `ganem` on `celeba:ATTRIBUTE`, without labels and with 100, every seed asked for; finished runs are found again
and stopped ones go on. Prints a Markdown table and writes JSON. The table prints 40 rows, of which *gender* and *Male*
are one attribute of the data, and *Smiling* is none (erratum G17); what is measured for Male stands in both rows. How
the paper chose its images is not told in full: `gancluster.data.celeba.balanced` is our reading. Guessing errs on .5.

    python benchmarks/celeba.py [--data-dir DIR] [--attributes Bald Smiling] [--labels 0 100] [--seeds 1] [--limit N]
        [--preset default] [--device auto] [--runs-dir runs] [--output celeba.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from gancluster.bench.published import of
from gancluster.data import catalogue
from gancluster.data.celeba import variant
from gancluster.data.dataset import Dataset
from gancluster.errors import UserError
from gancluster.runs import Run
from gancluster.training import TrainOptions, plan, train

RENAMED = {"hat": "Wearing_Hat", "glass": "Eyeglasses"}  # as the table calls them, and CelebA


def printed_errors() -> dict[str, tuple[float, ...]]:
    """Errors in Table 3, in its order: without labels, with 100."""
    errors: dict[str, tuple[float, ...]] = {}
    for figure in of("ganem", "Table 3"):
        name = figure.settings["attribute"]
        errors[RENAMED.get(name, name)] = (*errors.get(RENAMED.get(name, name), ()), float(figure.value))
    return errors


PUBLISHED = printed_errors()
PRINTED_LABELS = (0, 100)

MISSING = """CelebA is not in {folder}.
Its terms forbid passing the images on, so they come with no package. Either
  gancluster data fetch celeba --data-dir {folder}
which asks its authors' Google Drive (needs `pip install gdown`, and is often refused), or take img_align_celeba.zip and
the five lists from the authors' page (CelebFaces Attributes, Multimedia Laboratory, CUHK) and unpack all of it into
  {celeba}
"""

Row = dict[str, Any]


def measure(dataset: Dataset, limit: int | None, n_labels: int, options: argparse.Namespace) -> Row:
    """The errors of every seed's run, and why a run failed where one did."""
    asked = TrainOptions(
        dataset=dataset.name,
        data_dir=options.data_dir,
        limit=limit,
        preset=options.preset,
        labels=n_labels,
        seeds=options.seeds,
        device=options.device,
    )
    requests = plan("ganem", dataset, asked, {}, " ".join(["python", *sys.argv]))
    runs = [Run.place(options.runs_dir, request) for request in requests]
    results = [train(run, dataset) for run in runs]
    return {
        "runs": [str(run.folder) for run in runs],
        "errors": [1 - result["scores"]["posterior"]["acc"] for result in results if result["status"] == "finished"],
        "failed": [result["reason"] for result in results if result["status"] == "failed"],
        "seconds": [result["seconds"] for result in results],
        "machine": results[0]["machine"],
    }


def row_of(attribute: str, options: argparse.Namespace) -> Row:
    """An attribute's row: how many images, and what was measured by number of labels."""
    name, folder = f"celeba:{attribute}", catalogue.data_folder(options.data_dir)
    dataset = catalogue.load(name, folder)
    limit = options.limit if options.limit is not None and options.limit < len(dataset) else None
    if limit is not None:
        dataset = catalogue.load(name, folder, limit=limit)
    print(f"{name}: {len(dataset)} images", file=sys.stderr)
    return {"n": len(dataset), "measured": {n: measure(dataset, limit, n, options) for n in options.labels}}


def published(attribute: str, n_labels: int) -> float | None:
    """The table's figure, if it prints one."""
    if attribute not in PUBLISHED or n_labels not in PRINTED_LABELS:
        return None
    return PUBLISHED[attribute][PRINTED_LABELS.index(n_labels)]


def cell(measured: Row) -> str:
    """Mean error over seeds, ± standard deviation where there are several; never a mean without the failed ones."""
    if measured["failed"]:
        return f"FAILED ({len(measured['failed'])} of {len(measured['runs'])})"
    errors = measured["errors"]
    return f"{statistics.mean(errors):.4f}" + (f" ± {statistics.stdev(errors):.4f}" if len(errors) > 1 else "")


def markdown(rows: dict[str, Row], labels: list[int]) -> str:
    """The table, and under it the means of its rows where none is empty."""
    heads = [f"{source}, {n} labels" for n in labels for source in ("published", "measured")]
    lines = ["| attribute | images | " + " | ".join(heads) + " |", "|" + "---|" * (2 + len(heads))]
    columns: list[list[float | None]] = [[] for _ in heads]
    for attribute, row in rows.items():
        cells = []
        for i, n in enumerate(labels):
            printed, measured = published(attribute, n), row["measured"][n]
            columns[2 * i].append(printed)
            columns[2 * i + 1].append(None if measured["failed"] else statistics.mean(measured["errors"]))
            cells += ["–" if printed is None else f"{printed:.4f}", cell(measured)]
        lines.append(f"| {attribute} | {row['n']:,} | " + " | ".join(cells) + " |")
    known = [[figure for figure in column if figure is not None] for column in columns]
    means = [f"{statistics.mean(figures):.4f}" if len(figures) == len(rows) else "–" for figures in known]
    return "\n".join([*lines, "| mean | | " + " | ".join(means) + " |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--attributes", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--labels", nargs="+", type=int, default=list(PRINTED_LABELS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--limit", type=int, help="images of an attribute, at most")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=Path("celeba.json"))
    options = parser.parse_args()
    folder = catalogue.data_folder(options.data_dir)
    if not catalogue.files_of("celeba", folder):
        parser.exit(2, MISSING.format(folder=folder, celeba=folder / "celeba"))
    names = {attribute: "Male" if attribute == "gender" else attribute for attribute in options.attributes}
    try:
        for name in names.values():
            variant(name)  # a wrong one is told before hours of training
        found = {name: row_of(name, options) for name in dict.fromkeys(names.values())}
    except UserError as error:
        parser.exit(2, f"error: {error}\n")
    rows = {attribute: found[name] for attribute, name in names.items()}
    told = {key: getattr(options, key) for key in ("preset", "seeds", "limit")}
    print(f"GAN-EM, error on CelebA's attributes; {', '.join(f'{key} {value}' for key, value in told.items())}\n")
    print(markdown(rows, options.labels))
    printed = {a: {n: published(a, n) for n in options.labels} for a in rows}
    result = {"what": "GAN-EM, Table 3", **told, "published": printed, "rows": rows}
    options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
