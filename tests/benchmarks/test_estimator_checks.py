"""scikit-learn's own checks of the estimators, and the documentation's list of those that fail."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from gancluster import estimators, registry

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "estimator_checks.py"
PAGE = (ROOT / "docs" / "estimators.md").read_text()


def check(*methods: str) -> subprocess.CompletedProcess[str]:
    """The script, in a process of its own: it asks for scipy's array API before that is imported."""
    done = subprocess.run([sys.executable, SCRIPT, *methods], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_kmeans_passes_scikit_learn_s_checks() -> None:
    rows = re.findall(r"^\| (KMeans) \| (\d+) \| 0 \| 0 \| 0 \|$", check("kmeans").stdout, re.MULTILINE)
    assert [(name, int(passed) > 40) for name, passed in rows] == [("KMeans", True)]


@pytest.mark.slow
def test_every_estimator_passes_all_checks_but_the_exceptions() -> None:
    check()


def test_the_page_lists_every_exception_and_estimators_that_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    script = runpy.run_path(str(SCRIPT))
    listed = PAGE.split("| estimator | check | why it fails |\n|---|---|---|\n")[1].splitlines()
    assert listed[: len(script["exceptions"]())] == script["exceptions"]()
    assert not any(line.startswith("|") for line in listed[len(script["exceptions"]()) :])
    table = re.findall(r"^\| (\w+) \| \d+ \| \d+ \| 0 \| 0 \|$", PAGE, re.MULTILINE)
    names = [estimators.of(name).__name__ for name in registry.BUILT_IN["methods"] if name not in script["NOT_CHECKED"]]
    assert len(table) > 20
    assert set(table) <= set(names)
