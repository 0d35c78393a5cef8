"""Presets of methods for small data sets can be played on fewer samples than their batches have."""

import pytest

from gancluster import registry
from gancluster.engine.play import check_batches
from gancluster.methods.base import EXAMPLES, Method

GAMES = [
    "aae",
    "ae-kmeans",
    "catgan",
    "clustergan-latent",
    "dasc",
    "dcan",
    "dec",
    "idec",
    "improved-gan",
    "imsat",
    "vade",
]


@pytest.mark.parametrize("kind", ["small images", "vectors"])
@pytest.mark.parametrize("name", GAMES)
def test_no_preset_asks_for_batches_of_more_samples_than_there_are(name: str, kind: str) -> None:
    method: type[Method] = registry.find("methods", name)
    task = EXAMPLES[kind]._replace(n_samples=30, n_labels=10 if method.semi_supervised else 0)
    for preset in method.presets(task).values():
        check_batches(method(method.config_type(**preset.values), task).phases(), 30)
