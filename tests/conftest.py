"""What tests share: the real data where it is at hand, small data sets, a game that can be played by hand, one run."""

import os
from pathlib import Path

import pytest
from games import placed

from gancluster import registry
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.runs.run import Run
from gancluster.runs.training import train

# Equal bytes are promised on a processor only: tests see no GPU unless they are shown one.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets: $GANCLUSTER_TEST_DATA, or `shared/data` beside the project."""
    folder = Path(os.environ.get("GANCLUSTER_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: name its folder in GANCLUSTER_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """240 of scikit-learn's digits."""
    return catalogue.load("digits", tmp_path_factory.getbasetemp(), limit=240)


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Run:
    """A run of ClusterGAN on `digits` that nothing disturbed; tests leave its folder as it is."""
    run = placed(tmp_path_factory.mktemp("straight"), digits)
    train(run, digits)
    return run


@pytest.fixture
def duels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The game of `games.py` is a method that can be asked for by name."""
    monkeypatch.setitem(registry.BUILT_IN["methods"], "duel", "games:Duel")
