"""Every critic on every method that plays with one: an epoch is played, or the pair is refused with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gancluster import registry
from gancluster.critics import named
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.errors import UserError
from gancluster.methods import adversarial
from gancluster.methods.base import Method, Task
from gancluster.runs.training import configure

SHORT: dict[str, dict[str, Any]] = {
    "clustergan": {"epochs": 1, "warmup_epochs": 0, "code_size": 20},
    "clustergan-latent": {"epochs": 1},
    "ganem": {"iterations": 1, "e_steps": 1},
    "infogan": {"epochs": 1},
}
REFUSED = {("clustergan", "meg"): "weighs the entropy of a generator that draws from noise alone"}


def game(method: str, critic: str, dataset: Dataset, **options: Any) -> Game:
    made: type[Method] = registry.find("methods", method)
    task = Task(dataset.shape, 10, len(dataset))
    config = configure(made, task, "smoke", SHORT[method] | {"critic": critic} | options)
    return Game(made(config, task), Batches(dataset.unlabelled()), 0)


@pytest.mark.parametrize("critic", [*registry.BUILT_IN["critics"], "sn-gan:loss=hinge", "meg:entropy=0"])
@pytest.mark.parametrize("method", SHORT)
def test_every_pair_plays_or_is_refused_with_the_reason(method: str, critic: str, digits: Dataset) -> None:
    if reason := REFUSED.get((method, critic)):
        with pytest.raises(UserError, match=reason):
            game(method, critic, digits)
        return
    training = game(method, critic, digits)
    rows = [moment.row for moment in play(training) if moment.row]
    values = {name: value for row in rows for name, value in row.items() if not isinstance(value, str)}
    assert np.isfinite(list(values.values())).all()
    assert {"discriminator.adversarial", "generator.adversarial"} <= values.keys()
    weighed = bool(named(critic, by_noise=True).entropy)
    assert ("discriminator.penalty" in values) == (critic.split(":")[0] in ("wgan-gp", "wgan-lp", "r1", "meg"))
    assert ("generator.entropy" in values) == ("generator.entropy_bound" in values) == weighed
    assert ("statistics" in training.state.players) == weighed


@pytest.mark.parametrize("critic", ["wgan-gp", "sn-gan", "meg"])
def test_gan_em_refuses_batch_norm_where_a_critic_bounds_its_discriminator(critic: str, digits: Dataset) -> None:
    with pytest.raises(UserError, match="have no meaning for a discriminator with batch norm"):
        game("ganem", critic, digits, discriminator_norm="batch")
    assert game("ganem", "ns-gan", digits, discriminator_norm="batch").method.phases()


def test_the_score_of_a_pair_is_its_classes_units_less_the_fake_unit() -> None:
    units = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    w = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    found = adversarial.scored(lambda x: units[x])(w, torch.arange(5))
    expected = [sum(float(w[b, i] * units[b, i]) for i in range(3)) - float(units[b, 3]) for b in range(5)]
    assert found.tolist() == pytest.approx(expected)


def test_a_class_that_weighs_nothing_has_no_part_in_a_pair() -> None:
    units = torch.randn(2, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    adversarial.scored(lambda x: units[x])(torch.eye(3)[:2], torch.arange(2)).sum().backward()
    assert units.grad is not None
    assert units.grad.tolist() == [[1, 0, 0, -1], [0, 1, 0, -1]]


@pytest.mark.parametrize("order", ["discriminator", "generator"])
def test_gan_em_gives_a_critic_its_steps_and_its_rare_penalty(order: str, digits: Dataset) -> None:
    phases = game("ganem", "r1:every=3,repeat=2", digits, order=order).phases
    (m_step,) = [phase for phase in phases if phase.name == "M-step 1"]
    assert [[(turn.movers[0], turn.repeat) for turn in turns] for turns in m_step.rounds] == [
        [("discriminator", 2), ("generator", 1)]
        if order == "discriminator"
        else [("generator", 1), ("discriminator", 2)]
    ] * 3
