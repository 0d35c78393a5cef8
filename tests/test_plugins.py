"""Plug-ins: the example package, installed for real; and packages that are broken, or take names that are taken."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancluster import registry
from gancluster.cli.app import run

EXAMPLE = Path(__file__).parents[1] / "docs/examples/gancluster-example"
COMMANDS = """
import json
import sys
from gancluster.cli.app import run
codes = [run(words.split()) for words in sys.argv[1:]]
from gancluster.estimators import TinyAAE
print(json.dumps({"codes": codes, "estimator": repr(TinyAAE(epochs=3)), "method": TinyAAE.method}))
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip has installed the example package into."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder), str(EXAMPLE)], check=True)
    return folder


def in_its_presence(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, in an environment that the example package is part of."""
    paths = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
    surroundings = os.environ | {"PYTHONPATH": paths, "COLUMNS": "250"}
    return subprocess.run([sys.executable, *arguments], env=surroundings, capture_output=True, text=True, check=False)


def test_the_example_package_adds_a_method_a_data_set_and_a_critic(installed: Path, tmp_path: Path) -> None:
    train = f"train tiny-aae --dataset rings --critic hinge --preset smoke --quiet --json --runs-dir {tmp_path}"
    done = in_its_presence(installed, "-c", COMMANDS, "methods", "data list", train)
    lines = done.stdout.splitlines()
    rows = {name: next(line for line in lines if f"│ {name} " in line) for name in ("tiny-aae", "hinge", "rings")}
    assert [name for name, row in rows.items() if "gancluster-example 0.1.0" not in row] == []
    ran, told = json.loads(lines[-2]), json.loads(lines[-1])
    assert ran["runs"][0]["status"] == "finished"
    assert told == {"codes": [0, 0, 0], "estimator": "TinyAAE(epochs=3)", "method": "tiny-aae"}


def test_the_example_package_passes_its_own_tests(installed: Path) -> None:
    done = in_its_presence(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests"))
    assert done.returncode == 0, done.stdout


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs the distribution `somebodys-gans 1.0` of a module and its entry points, as pip would have left it."""

    def install(code: str, **points: str) -> None:
        info = tmp_path / "somebodys_gans-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-gans\nVersion: 1.0\n")
        groups = [f"[gancluster.{kind}]\n{point}\n" for kind, point in points.items()]
        (info / "entry_points.txt").write_text("\n".join(groups))
        (tmp_path / "somebodys_broken.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        registry._added.cache_clear()

    monkeypatch.setenv("COLUMNS", "250")
    yield install
    registry._added.cache_clear()
    sys.modules.pop("somebodys_broken", None)


BROKEN = {
    "import nothing_of_this_name": "cannot be imported (ModuleNotFoundError: No module named 'nothing_of_this_name')",
    "def a broken line": "cannot be imported (SyntaxError: ",
    "raise SystemExit('go away')": "cannot be imported (SystemExit: go away)",
    "raise RuntimeError('[bold]one\\ntwo')": "cannot be imported (RuntimeError: [bold]one)",
    "Mine = 3": "is no method (it has no 'name')",
}


@pytest.mark.parametrize(("code", "says"), BROKEN.items())
def test_a_broken_method_is_listed_with_its_reason_and_hides_no_other(
    plugin: Callable[..., None], capsys: pytest.CaptureFixture[str], code: str, says: str
) -> None:
    plugin(code, methods="mine = somebodys_broken:Mine")
    assert run(["methods"]) == 0
    listed = capsys.readouterr().out
    assert f"mine of somebodys-gans 1.0 {says}" in listed
    assert "│ clustergan " in listed
    assert run(["train", "mine"]) == 2
    assert f"error: mine of somebodys-gans 1.0 {says}" in (told := capsys.readouterr().err)
    assert told.endswith("mend or uninstall it\n")
    assert told.count("\n") == 1


def test_a_broken_method_breaks_neither_help_nor_other_methods(
    plugin: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plugin("1 / 0", methods="mine = somebodys_broken:Mine")
    assert run(["train", "--help"]) == 0
    offered = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("│ ")]
    assert "kmeans" in offered
    assert "mine" not in offered
    assert run(["runs", "--runs-dir", str(tmp_path)]) == 0


def test_a_broken_critic_or_data_set_is_listed_with_its_reason(
    plugin: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plugin("1 / 0", critics="edgy = somebodys_broken:Edgy", datasets="dots = somebodys_broken:DOTS")
    assert run(["methods"]) == run(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("edgy", "dots"):
        (row,) = [line for line in lines if f"│ {name} " in line]
        assert "somebodys-gans 1.0" in row
        assert "ZeroDivisionError: division by zero" in row


@pytest.mark.parametrize(
    ("kind", "name", "verb"), [("methods", "kmeans", "methods"), ("datasets", "digits", "data list")]
)
def test_a_name_that_is_taken_stays_with_whose_it_was_and_that_is_told(
    plugin: Callable[..., None], capsys: pytest.CaptureFixture[str], kind: registry.Kind, name: str, verb: str
) -> None:
    before = registry.find(kind, name)
    plugin("Mine = 3", **{kind: f"{name} = somebodys_broken:Mine"})
    assert registry.find(kind, name) is before
    assert run(verb.split()) == 0
    told = f"{name} of somebodys-gans 1.0 is not used: gancluster has that name already\n"
    assert told in capsys.readouterr().out
