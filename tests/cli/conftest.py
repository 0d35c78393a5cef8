"""One finished run that all verbs are tried on, and ways to ask for things."""

from pathlib import Path

import numpy as np
import pytest
from asking import Ask, Said
from games import points

from gancluster.cli.app import run
from gancluster.report import pictures
from gancluster.runs.finding import every
from gancluster.runs.run import Run


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Carry out a command line, given as words (spaces separate words too, but not in paths)."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("GANCLUSTER_RUNS", raising=False)

    def carry_out(*words: object) -> Said:
        capsys.readouterr()
        split = [part for word in words for part in ([str(word)] if isinstance(word, Path) else str(word).split())]
        code = run(split)
        return Said(code, *capsys.readouterr())

    return carry_out


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as the command line makes it, pictures and all; tests leave its folder as it is."""
    root = tmp_path_factory.mktemp("smoke")
    assert run(["train", "clustergan", "--preset", "smoke", "--limit", "300", "--quiet", "--runs-dir", str(root)]) == 0
    (made,) = every(root)
    return made


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures, which take longer than small runs and are looked at elsewhere."""
    monkeypatch.setattr(pictures, "draw", lambda *_: None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Points with labels in an .npz."""
    path = tmp_path / "points.npz"
    np.savez(path, inputs=points().inputs, labels=points().labels)
    return path
