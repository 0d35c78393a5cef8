"""scikit-learn's own checks of the estimators, and the documentation's list of those that fail."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gancluster import estimators, registry

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "estimator_checks.py"
PAGE = (ROOT / "docs" / "estimators.md").read_text()


def checked(page: Path, *methods: str) -> str:
    """The page that the script makes, in a process of its own: it sets what scipy reads when it is imported."""
    page.write_text(PAGE)
    done = subprocess.run(
        [sys.executable, SCRIPT, *methods, "--page", page], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return page.read_text()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return runpy.run_path(str(SCRIPT))


def test_kmeans_passes_scikit_learn_s_checks(script: dict[str, Any], tmp_path: Path) -> None:
    passed, *others = script["counted"](checked(tmp_path / "page.md", "kmeans"))["KMeans"]
    assert passed > 40
    assert others == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["clustergan", "ganem", "infogan", "dcan", "gmm"])
def test_an_estimator_passes_all_checks_but_the_exceptions(method: str, tmp_path: Path) -> None:
    """Some of them: GANMM alone takes the script twelve minutes."""
    checked(tmp_path / "page.md", method)


def test_the_page_s_totals_rows_and_exceptions_are_the_script_s(script: dict[str, Any]) -> None:
    counts = script["counted"](PAGE)
    names = {estimators.of(name).__name__ for name in registry.BUILT_IN["methods"] if name not in script["NOT_CHECKED"]}
    assert set(counts) == names
    assert all(failed == 0 for *_, failed in counts.values())
    assert PAGE.endswith(script["section"](counts))
