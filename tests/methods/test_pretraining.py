"""Before a game: the phases, the first partition that is read into an encoder, and those after it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import pytest
import torch

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset, Known
from gancluster.methods.base import Turn
from gancluster.methods.codes import block_means, block_table
from gancluster.methods.contrast import views_loss
from gancluster.methods.kmeans import kmeans_centres, nearest
from gancluster.methods.pretraining import Config, numbered_as_classes, phases, players, start_from_clusters
from gancluster.networks import compact, triple_gan


@pytest.mark.parametrize("networks", [compact, triple_gan])
@pytest.mark.parametrize(("logit", "sure"), [(2, 0.88), (4, 0.98)])
def test_a_start_from_k_means_gives_samples_the_codes_of_their_clusters_as_sure_as_asked(
    networks: ModuleType, logit: float, sure: float
) -> None:
    torch.manual_seed(0)
    C, table = networks.players((6,), 12, 3, (0.0, 1.0)).clusterer, block_table(3, 12)
    batches = three_groups()
    companions = players(C.n_features, 300)
    start_from_clusters(C, companions, batches, "top", logit * (2 * table - 1), 0, "k-means", 100)
    parts = list(batches.shuffled(0, 100))
    projections = companions["head"](torch.cat([C(part, features=True) for part in parts])).detach().numpy()
    clusters = torch.from_numpy(nearest(projections, kmeans_centres(projections, 3, seed=0)))
    codes = torch.cat([C(part) for part in parts]).detach()
    assert torch.equal(companions["start"](batches.order(0)), clusters)
    assert clusters.unique().tolist() == [0, 1, 2]
    assert torch.equal(block_means(codes, table).argmax(1), clusters)
    on, off = codes[table[clusters] == 1], codes[table[clusters] == 0]
    assert (float(on.mean()), float(off.mean())) == pytest.approx((sure, 1 - sure), abs=0.03)


def test_no_part_of_the_samples_is_one_alone() -> None:
    batches = three_groups()
    assert [len(part) for part in batches.shuffled(0, 100)] == [100, 100, 100]
    parts = list(batches.shuffled(0, 299))
    assert torch.equal(parts[0], batches.at(batches.order(0)))
    assert [len(part) for part in batches.shuffled(0, 298)] == [298, 2]


@pytest.mark.parametrize("classes", [[], [2, 0, 1]])
def test_a_start_from_communities_finds_groups_that_are_apart_and_numbers_them_as_known(classes: list[int]) -> None:
    torch.manual_seed(0)
    C = compact.players((6,), 3, 3, (0.0, 1.0)).clusterer
    batches, companions = three_groups(classes), players(C.n_features, 300)
    start_from_clusters(C, companions, batches, "top", 4 * torch.eye(3) - 2, 0, "communities")
    clusters = C(batches.at(torch.arange(300))).argmax(1)
    assert torch.equal(companions["start"](torch.arange(300)), clusters)
    groups = [clusters[i::3].unique().tolist() for i in range(3)]
    assert sorted(groups) == [[0], [1], [2]]
    assert not classes or groups == [[number] for number in classes]


def test_a_start_after_the_first_is_by_features_alone() -> None:
    torch.manual_seed(0)
    C, batches = compact.players((6,), 3, 3, (0.0, 1.0)).clusterer, three_groups()
    companions = players(C.n_features, 300)
    companions["start"].get_buffer("clusters")[0] = 1
    companions["head"][-1].weight.data.fill_(torch.nan)
    start_from_clusters(C, companions, batches, "top", 4 * torch.eye(3) - 2, 0, "communities")
    assert sorted(companions["start"](torch.arange(300))[i::3].unique().tolist() for i in range(3)) == [[0], [1], [2]]


def test_before_the_game_come_a_warm_up_and_self_training_at_rates_that_fall() -> None:
    discriminate, learn = Turn(("body", "head"), views_loss), Turn("body", views_loss)
    assert phases(Config(self_training=3), discriminate, learn) == []
    asked = Config(warmup_epochs=4, warmup_batch_size=50, self_training=2, self_training_steps=7, lr_warmup=0.1)
    warmup, *later = phases(asked, discriminate, learn)
    assert (warmup.epochs, warmup.batch_size, warmup.rounds, warmup.steps) == (4, 50, [[discriminate]], None)
    assert [phase.name for phase in later] == ["self-training 1", "self-training 2"]
    assert {(phase.epochs, phase.batch_size, phase.steps) for phase in later} == {(1, 50, 7)}
    assert all(phase.pretrains for phase in (warmup, *later))
    assert all(phase.rounds == [[learn]] for phase in later)
    rates = [[phase.optimizer_of("body").lr.at(t) for t in (0, 1)] for phase in (warmup, *later)]
    assert rates == [[0.1, 0.1], [0.1, 0.0], [0.1, 0.0]]


@pytest.mark.parametrize("labels", [[0, 1, 2], [2, 0, 1]])
def test_clusters_are_numbered_as_the_classes_that_are_known(labels: list[int]) -> None:
    clusters = torch.tensor([1, 2, 0, 1, 1, 2])
    numbered = numbered_as_classes(clusters, torch.tensor([0, 1, 2]), torch.tensor(labels))
    assert numbered.tolist() == [labels[0], labels[1], labels[2], labels[0], labels[0], labels[1]]


def three_groups(classes: Sequence[int] = ()) -> Batches:
    """300 points of 6 values, every third of one group, far apart; `classes`: the first points', where known."""
    points = 4 * torch.eye(3, 6)[torch.arange(300) % 3] + 0.1 * torch.randn(300, 6)
    known = Known(np.arange(len(classes)), np.array(classes, np.int64))
    return Batches(Dataset("groups", points.numpy(), None, None), known=known)
