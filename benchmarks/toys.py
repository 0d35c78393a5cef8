"""Which objective covers the toys' modes: a row for every pair of game and toy, over seeds.

Each game is `gancluster train METHOD --dataset TOY`, by its own recipe for the plane. InfoGAN's class by itself keeps
modes: the rows *alone* take it away (two classes, no information term), so that only the objective is left. Finished
runs are found again. Prints a Markdown table and writes JSON; no label is involved.

    python benchmarks/toys.py [--toys gaussians-25 gaussians-8 swiss-roll] [--rows NAME ...] [--seeds 10]
                              [--first-seed 0] [--preset default] [--runs-dir runs] [--output toys.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train

CLUSTERS = 8  # asked for where a toy has no classes


class Game(NamedTuple):
    """A method, the options that change its preset, and whether its class is taken away."""

    method: str
    options: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple default, never mutated
    alone: bool = False


ROWS = {
    "wgan-gp": Game("wgan-gp"),
    "meg": Game("meg"),
    "sn-gan": Game("sn-gan"),
    "wgan": Game("wgan"),
    "infogan": Game("infogan"),
    "infogan, gan": Game("infogan", {"critic": "gan"}),
    "gan alone": Game("infogan", {"critic": "gan"}, alone=True),
    "ns-gan alone": Game("infogan", alone=True),
    "wgan-gp alone": Game("wgan-gp", alone=True),
    "meg alone": Game("meg", alone=True),
    "meg alone, no entropy": Game("meg", {"critic": "meg:weight=0.1,repeat=2,entropy=0"}, alone=True),
}


def measure(dataset: Dataset, game: Game, options: argparse.Namespace) -> dict[str, Any]:
    """What the generated points of every seed are worth or why it failed, and the seconds it took."""
    clusters = 2 if game.alone else None if dataset.n_classes else CLUSTERS
    seeds = {"seed": options.first_seed, "seeds": options.seeds}
    asked = TrainOptions(dataset=dataset.name, preset=options.preset, clusters=clusters, **seeds)
    given = game.options | ({"info_weight": 0.0} if game.alone else {})
    requests = plan(game.method, dataset, asked, given, " ".join(["python", *sys.argv]))
    results = [train(Run.place(options.runs_dir, request), dataset) for request in requests]
    return {
        "modes": len(dataset.modes.centres) if dataset.modes else None,
        "seeds": [result.get("generated", {"failed": result.get("reason")}) for result in results],
        "seconds": [result["seconds"] for result in results],
        "machine": results[0]["machine"],
    }


def told(row: dict[str, Any]) -> list[str]:
    """The cells that the row adds to the printed table; a seed that failed has not covered all modes."""
    seeds, modes = row["seeds"], row["modes"]
    finished = [seed for seed in seeds if "failed" not in seed]
    each = [str(seed.get("modes_covered", "–")) if "failed" not in seed else "FAILED" for seed in seeds]
    covered = f"{each.count(str(modes))} of {len(seeds)}" if modes else "–"
    quality = median(finished, "high_quality_share") if modes else "–"
    w1 = f"{median(finished, 'w1')} ({median(finished, 'w1_of_real')})"
    return [" ".join(each), covered, quality, w1, f"{statistics.median(row['seconds']):.0f}"]


def median(found: list[dict[str, float]], key: str) -> str:
    """Over the seeds that finished, if any did."""
    return f"{statistics.median(one[key] for one in found):.3f}" if found else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--toys", nargs="+", default=["gaussians-25", "gaussians-8", "swiss-roll"])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=Path("toys.json"))
    options = parser.parse_args()
    columns = ["game", "toy", "modes of each seed", "all", "high quality", "W1 (real points)", "seconds"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    rows = []
    for toy in options.toys:
        dataset = catalogue.load(toy, catalogue.data_folder(None))
        for name in options.rows:
            row = measure(dataset, ROWS[name], options)
            print(f"| {' | '.join([name, toy, *told(row)])} |", flush=True)
            for seed, one in enumerate(row["seeds"], options.first_seed):
                if "failed" in one:
                    print(f"{name}, {toy}, seed {seed}: {one['failed']}", file=sys.stderr)
            rows.append({"game": name, "toy": toy, **row})
    options.output.write_text(
        json.dumps({"seeds": options.seeds, "first_seed": options.first_seed, "rows": rows}) + "\n"
    )


if __name__ == "__main__":
    main()
