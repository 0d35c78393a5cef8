"""Which of scikit-learn's checks each estimator of `gancluster.estimators` passes: the table of docs/estimators.md.

`check_estimator` asks for some sixty fits of toy data; games are played by the preset `smoke` unless told otherwise.
Prints a Markdown table, writes on stderr what was said where a check did not pass, and exits with 1 where one fails
that is no exception.

    python benchmarks/estimator_checks.py [METHOD ...] [--preset NAME]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections import Counter

os.environ["SCIPY_ARRAY_API"] = "1"  # read when scipy is imported; without it scikit-learn skips a check

from sklearn.utils.estimator_checks import check_estimator

from gancluster import estimators, registry

NOT_CHECKED = {
    "improved-gan": "learns its classes from labels alone, which `check_estimator` does not give",
    "nmf": "takes no negative values and no more clusters than features, which most checks give",
}
OF_NETWORKS = {"check_methods_subset_invariance": "float32 products round otherwise in batches of another size"}
ELEVEN = "a radius is the distance to the tenth neighbour: it takes 11 samples"
EXPECTED = {
    "aae": {"check_clustering": "`smoke` leaves a cluster empty; it passes by `default`"},
    "gmm": {"check_non_transformer_estimators_n_iter": "`max_iter` is EM's, of which no count is told"},
    "imsat": {"check_estimators_nan_inf": ELEVEN, "check_fit2d_1feature": ELEVEN},
    "wgan": {"check_clustering": "`smoke` learns too little"},
}


def expected(method: str) -> dict[str, str]:
    """The checks that an estimator may fail, and why."""
    networks = issubclass(estimators.of(method), estimators.Embedder)
    return (OF_NETWORKS if networks else {}) | EXPECTED.get(method, {})


def checked(method: str, preset: str | None) -> tuple[Counter[str], dict[str, str]]:
    """How often each status came out, and what was said where a check did not pass."""
    made = estimators.of(method)
    preset = preset or ("smoke" if issubclass(made, estimators.Embedder) else "default")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            made(preset=preset), expected_failed_checks=expected(method), on_fail=None, on_skip=None
        )
    told = {r["check_name"]: f"{r['status']}: {r['exception']}" for r in results if r["status"] != "passed"}
    return Counter(r["status"] for r in results), told


def exceptions() -> list[str]:
    """A Markdown row for every exception."""
    of_one = [
        (estimators.of(method).__name__, f"`{check}`", reason)
        for method, found in EXPECTED.items()
        for check, reason in found.items()
    ]
    of_many = [("any with networks", f"`{check}`", reason) for check, reason in OF_NETWORKS.items()]
    not_checked = [(estimators.of(method).__name__, "not checked", reason) for method, reason in NOT_CHECKED.items()]
    return [f"| {' | '.join(row)} |" for row in [*of_many, *of_one, *not_checked]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("methods", nargs="*", default=[m for m in registry.BUILT_IN["methods"] if m not in NOT_CHECKED])
    parser.add_argument("--preset")
    options = parser.parse_args()
    columns = ["estimator", "passed", "expected to fail", "skipped", "failed"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    broken = False
    for method in options.methods:
        started = time.monotonic()
        counts, told = checked(method, options.preset)
        cells = [str(counts[status]) for status in ("passed", "xfail", "skipped", "failed")]
        print(f"| {estimators.of(method).__name__} | {' | '.join(cells)} |", flush=True)
        said = [f"{name} {text}" for name, text in told.items()]
        print(f"{method}: {time.monotonic() - started:.0f} s", *said, sep="\n  ", file=sys.stderr, flush=True)
        broken |= counts["failed"] > 0
    print("\n| estimator | check | why it fails |\n|---|---|---|", *exceptions(), sep="\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
