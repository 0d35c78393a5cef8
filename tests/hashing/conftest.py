"""Real samples that every hash is tried on."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gancluster import hashing
from gancluster.data import catalogue


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.float64]:
    """600 of scikit-learn's digits, `(600, 64)`, in [0, 1]."""
    return hashing.flattened(catalogue.load("digits", Path(), limit=600)).astype(np.float64)
