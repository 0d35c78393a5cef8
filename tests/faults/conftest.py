"""One nursery for all tests of faults, and a run that met none."""

from collections.abc import Iterator

import pytest
from nursery import Nursery

from gancluster.runs import Run, every


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    started = Nursery()
    yield started
    started.close()


@pytest.fixture(scope="session")
def untouched(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What the nursery's command line makes where nothing happens to it."""
    root = tmp_path_factory.mktemp("untouched")
    ending = nursery.train(root, "--save-every 0")
    assert (ending.code, ending.err) == (0, "")
    (run,) = every(root)
    return run
