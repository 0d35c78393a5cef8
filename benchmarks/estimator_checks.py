"""Which of scikit-learn's checks each estimator of `gancluster.estimators` passes: the table of docs/estimators.md.

`check_estimator` asks for some sixty fits of toy data; games are played by the preset `smoke`. Writes the page's
section anew, where rows of methods that were not asked for stay as they are. Says on stderr how a check did not pass,
and exits with 1 where one fails that is no exception.

    python benchmarks/estimator_checks.py [METHOD ...] [--page FILE]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

os.environ["SCIPY_ARRAY_API"] = "1"  # read when scipy is imported; without it scikit-learn skips a check

import sklearn
from sklearn.utils.estimator_checks import check_estimator

from gancluster import estimators, registry

PAGE = Path(__file__).parents[1] / "docs/estimators.md"
HEADING = "## What check_estimator says\n"
STATUSES = {"passed": "passed", "xfail": "expected to fail", "skipped": "skipped", "failed": "failed"}
NOT_CHECKED = {
    "improved-gan": "learns its classes from labels alone, which `check_estimator` does not give",
    "nmf": "takes no negative values and no more clusters than features, which most checks give",
}
SLOW = "VaDE takes 16 seconds on shared cores, GANMM twelve minutes: 100 rounds an epoch, however few the samples."
OF_NETWORKS = {
    "check_methods_subset_invariance": "float32 products round otherwise in batches of another size",
    "check_methods_sample_order_invariance": "and, on some processors, at another place in a batch",
}
ELEVEN = "a radius is the distance to the tenth neighbour: it takes 11 samples"
EXPECTED = {
    "aae": {"check_clustering": "`smoke` leaves a cluster empty; it passes by `default`"},
    "ganmm": {"check_clustering": "`smoke` learns too little"},
    "gmm": {"check_non_transformer_estimators_n_iter": "`max_iter` is EM's, of which no count is told"},
    "imsat": {"check_estimators_nan_inf": ELEVEN, "check_fit2d_1feature": ELEVEN},
    "wgan": {"check_clustering": "`smoke` learns too little"},
}


def expected(method: str) -> dict[str, str]:
    """The checks that an estimator may fail, and why."""
    networks = issubclass(estimators.of(method), estimators.Embedder)
    return (OF_NETWORKS if networks else {}) | EXPECTED.get(method, {})


def checked(method: str) -> tuple[Counter[str], dict[str, str]]:
    """How often each status came out, and what was said where a check did not pass."""
    made = estimators.of(method)
    preset = "smoke" if issubclass(made, estimators.Embedder) else "default"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            made(preset=preset), expected_failed_checks=expected(method), on_fail=None, on_skip=None
        )
    told = {r["check_name"]: f"{r['status']}: {r['exception']}" for r in results if r["status"] != "passed"}
    return Counter(r["status"] for r in results), told


def exceptions() -> list[list[str]]:
    """A row for every exception: estimator, check, reason."""
    of_one = [
        [estimators.of(method).__name__, f"`{check}`", reason]
        for method, found in EXPECTED.items()
        for check, reason in found.items()
    ]
    of_many = [["any with networks", f"`{check}`", reason] for check, reason in OF_NETWORKS.items()]
    of_none = [[estimators.of(method).__name__, "not checked", reason] for method, reason in NOT_CHECKED.items()]
    return [*of_many, *of_one, *of_none]


def counted(page: str) -> dict[str, list[int]]:
    """The counts that a page has, by estimator."""
    rows = re.findall(r"^\| (\w+) ((?:\| \d+ ){4})\|$", page, re.MULTILINE)
    return {name: [int(count) for count in re.findall(r"\d+", counts)] for name, counts in rows}


def section(counts: dict[str, list[int]]) -> str:
    """The page's section: totals, a row an estimator, and why the exceptions fail."""
    passed, xfailed, *_ = map(sum, zip(*counts.values(), strict=True))
    rows = [[name, *map(str, counts[name])] for name in sorted(counts, key=str.lower)]
    return f"""{HEADING}
`sklearn.utils.estimator_checks.check_estimator`, scikit-learn {sklearn.__version__}, on a CPU: `python
benchmarks/estimator_checks.py`. Games are played by the preset `smoke`, the others fitted by `default`: {passed} checks
passed and {xfailed} failed as expected, of {len(counts)} estimators.

{SLOW}

{table(["estimator", *STATUSES.values()], rows)}

Expected to fail, and why:

{table(["estimator", "check", "why it fails"], exceptions())}
"""


def table(header: list[str], rows: list[list[str]]) -> str:
    """In Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(header)}", *lines[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("methods", nargs="*", default=[m for m in registry.BUILT_IN["methods"] if m not in NOT_CHECKED])
    parser.add_argument("--page", type=Path, default=PAGE)
    options, broken = parser.parse_args(), False
    for method in options.methods:
        started = time.monotonic()
        counts, told = checked(method)
        said = [f"{name} {text}" for name, text in told.items()]
        print(f"{method}: {time.monotonic() - started:.0f} s", *said, sep="\n  ", file=sys.stderr, flush=True)
        page = options.page.read_text()
        new = {estimators.of(method).__name__: [counts[status] for status in STATUSES]}
        options.page.write_text(page[: page.index(HEADING)] + section(counted(page) | new))
        broken |= counts["failed"] > 0
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
