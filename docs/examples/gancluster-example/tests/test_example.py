"""The plug-ins are found by their names, and played together."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gancluster import critics
from gancluster.data import catalogue
from gancluster.estimators import TinyAAE


def test_the_rings_lie_one_within_the_other(tmp_path: Path) -> None:
    rings = catalogue.load("rings", tmp_path)
    assert ((np.linalg.norm(rings.inputs, axis=1) > 1.5) == rings.labels).mean() > 0.99


def test_the_hinge_wants_a_margin_and_no_more() -> None:
    hinge = critics.named("hinge")
    assert hinge.discriminator_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -2.0])) == 0
    assert hinge.discriminator_loss(torch.zeros(2), torch.zeros(2)) == 2


def test_the_method_finds_two_blobs() -> None:
    rng = np.random.default_rng(0)
    blobs = np.r_[rng.normal(-2, 0.1, (100, 2)), rng.normal(2, 0.1, (100, 2))]
    found = TinyAAE(n_clusters=2, critic="hinge").fit(blobs)
    assert found.score(blobs, np.repeat([0, 1], 100)) == pytest.approx(1)
