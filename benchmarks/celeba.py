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

from gancluster.data import catalogue
from gancluster.data.celeba import variant
from gancluster.data.dataset import Dataset
from gancluster.errors import UserError
from gancluster.runs import Run
from gancluster.training import TrainOptions, plan, train

PUBLISHED: dict[str, tuple[float, float]] = {
    "Goatee": (0.4103, 0.2218),
    "Bald": (0.4855, 0.4001),
    "Narrow_Eyes": (0.3308, 0.1757),
    "Arched_Eyebrows": (0.4447, 0.2993),
    "Bangs": (0.3592, 0.1506),
    "Wavy_Hair": (0.3376, 0.2657),
    "Gray_Hair": (0.4538, 0.1849),
    "Mouth_Slightly_Open": (0.4272, 0.1895),
    "Big_Lips": (0.4804, 0.1767),
    "Young": (0.4557, 0.3216),
    "Heavy_Makeup": (0.2366, 0.2218),
    "No_Beard": (0.4869, 0.4315),
    "Attractive": (0.4749, 0.3736),
    "Pointy_Nose": (0.3426, 0.1847),
    "Bags_Under_Eyes": (0.4468, 0.3545),
    "Bushy_Eyebrows": (0.4447, 0.3592),
    "High_Cheekbones": (0.4455, 0.2637),
    "Double_Chin": (0.4546, 0.3294),
    "Oval_Face": (0.4858, 0.2583),
    "gender": (0.3683, 0.1446),
    "Rosy_Cheeks": (0.3518, 0.2891),
    "Wearing_Hat": (0.2941, 0.1598),  # printed as hat
    "Sideburns": (0.4726, 0.2507),
    "Eyeglasses": (0.2983, 0.1662),  # printed as glass
    "Mustache": (0.4539, 0.2947),
    "Male": (0.4763, 0.2746),
    "Brown_Hair": (0.4463, 0.4362),
    "Receding_Hairline": (0.4847, 0.4138),
    "Pale_Skin": (0.4736, 0.4457),
    "Wearing_Necklace": (0.4758, 0.2755),
    "Chubby": (0.4478, 0.3242),
    "Wearing_Necktie": (0.4805, 0.4157),
    "Big_Nose": (0.4695, 0.4337),
    "Wearing_Lipstick": (0.4141, 0.1601),
    "Blurry": (0.3045, 0.2188),
    "Straight_Hair": (0.4687, 0.3102),
    "Black_Hair": (0.4555, 0.3949),
    "Wearing_Earrings": (0.4393, 0.3686),
    "Blond_Hair": (0.3145, 0.3057),
    "5_o_Clock_Shadow": (0.4435, 0.2822),
}
"""Errors in Table 3, in its order: without labels, with 100."""
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
