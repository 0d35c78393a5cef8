"""Every preset of every game can be played, on every kind of data, and on fewer samples than its batches have."""

import pytest
import torch

from gancluster import registry
from gancluster.engine.game import check_batches
from gancluster.methods.base import EXAMPLES, Method, Task
from gancluster.runs.training import configure

GAMES = [name for name in registry.BUILT_IN["methods"] if issubclass(registry.find("methods", name), Method)]
KINDS = EXAMPLES | {"points of the plane": Task((2,), 8, 2000)}


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("name", GAMES)
def test_presets_can_be_played_on_every_kind_of_data(name: str, kind: str) -> None:
    made: type[Method] = registry.find("methods", name)
    task = EXAMPLES[kind]._replace(n_samples=2000, n_labels=100 if made.semi_supervised else 0)
    for preset in made.presets(task).values():
        method = made(made.config_type(**preset.values), task)
        players = method.players()
        embedding = method.embed(players, torch.zeros(2, *task.shape))
        movers = {mover for phase in method.phases() for turns in phase.rounds for t in turns for mover in t.movers}
        assert method.encoder in movers <= set(players)
        assert (embedding.ndim, len(embedding)) == (2, 2)


@pytest.mark.parametrize("kind", ["small images", "vectors", "points of the plane"])
@pytest.mark.parametrize("name", GAMES)
def test_no_preset_asks_for_batches_of_more_samples_than_there_are(name: str, kind: str) -> None:
    method: type[Method] = registry.find("methods", name)
    task = KINDS[kind]._replace(n_samples=33, n_labels=10 if method.semi_supervised else 0)
    for preset in method.presets(task):
        config = configure(method, task, preset, {})
        check_batches(method(config, task).phases(), 33)
        sizes = [size for option, size in config if option.endswith("batch_size")]
        assert sizes == [33 // task.n_clusters * task.n_clusters] * len(sizes) != []
