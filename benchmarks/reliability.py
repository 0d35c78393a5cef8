"""Runs the tests of faults, and writes what they tried and what was lost into the documentation's table.

    python benchmarks/reliability.py [--faults benchmarks/faults.json] [--page docs/reliability.md] [--run]

With `--run` the suite is run first, slow tier and all, and writes the JSON; else the table is made from it as it lies.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"
SUITE = [sys.executable, "-m", "pytest", "-m", "slow or not slow", "tests/faults"]


def table(rows: list[dict[str, str | int]]) -> str:
    """Markdown, a row a fault, and their sum."""
    lines = ["| fault | tries | results lost |", "|---|---|---|"]
    lines += [f"| {row['fault']} | {row['tries']:,} | {row['lost']} |" for row in rows]
    tries, lost = (sum(int(row[column]) for row in rows) for column in ("tries", "lost"))
    return "\n".join([*lines, f"| **all** | **{tries:,}** | **{lost}** |"]) + "\n"


def with_table(page: str, faults: str) -> str:
    """The page with the table of `faults`, in JSON, between its marks."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table(json.loads(faults)) + END + rest.partition(END)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=Path, default=Path("benchmarks/faults.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/reliability.md"))
    parser.add_argument("--run", action="store_true")
    options = parser.parse_args()
    if options.run:
        subprocess.run(SUITE, env=os.environ | {"GANCLUSTER_FAULTS": str(options.faults.resolve())}, check=True)
    options.page.write_text(with_table(options.page.read_text(), options.faults.read_text()))


if __name__ == "__main__":
    main()
