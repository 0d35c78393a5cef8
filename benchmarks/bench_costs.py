"""Measured seconds of runs as the package's table of costs has them (`gancluster/bench/costs.csv`).

Prints a line a kind of cell (method, data set, preset, limit), the median of its finished runs below the folder. The
package's own table was made of the runs of `gancluster bench NAME --budget smoke` for the tables that it names.

    python benchmarks/bench_costs.py RUNS ... > gancluster/bench/costs.csv
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from gancluster.bench import costs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    found = defaultdict[costs.Kind, list[costs.Cost]](list)
    for folder in parser.parse_args().runs:
        for kind, measured in costs.measured(folder).items():
            found[kind] += measured
    print(costs.as_csv(found), end="")


if __name__ == "__main__":
    main()
