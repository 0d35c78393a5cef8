"""One nursery and one ledger for all tests of faults, and runs and tables that met none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger import Ledger
from nursery import Nursery

from gancluster.runs.finding import every
from gancluster.runs.run import Run


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    started = Nursery()
    yield started
    started.close()


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """What was tried in this session; `$GANCLUSTER_FAULTS` names the file that it is written to, if any."""
    kept = Ledger()
    yield kept
    if named := os.environ.get("GANCLUSTER_FAULTS"):
        kept.write(Path(named))


@pytest.fixture(scope="session")
def untouched(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What the nursery's command line makes where nothing happens to it."""
    root = tmp_path_factory.mktemp("untouched")
    ending = nursery.train(root, "--save-every 0")
    assert (ending.code, ending.err) == (0, "")
    (run,) = every(root)
    return run
