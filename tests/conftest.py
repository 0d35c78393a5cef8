"""The real data that tests read, where it is at hand."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets: $GANCLUSTER_TEST_DATA, or `shared/data` beside the project."""
    folder = Path(os.environ.get("GANCLUSTER_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: name its folder in GANCLUSTER_TEST_DATA")
    return folder
