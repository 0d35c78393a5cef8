"""What a game is described with: the clock, losses, turns."""

from __future__ import annotations

import pytest
import torch

from gancluster.methods.base import Clock, Loss, Nets, Phase, Turn
from gancluster.optim import SGD, Adam, Linear


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.2, 0.6, [0, 0, 0.5, 1, 1]),
        (0.0, 0.0, [1, 1, 1, 1, 1]),
        (0.5, 0.5, [0, 0, 0, 1, 1]),
        (0, 1, [0, 0.2, 0.4, 0.6, 1]),
    ],
)
def test_a_ramp_is_a_line_between_two_shares_of_the_phase(start: float, end: float, expected: list[float]) -> None:
    clocks = [Clock(torch.tensor(t, dtype=torch.float64)) for t in (0.0, 0.2, 0.4, 0.6, 1.0)]
    assert [float(clock.ramp(start, end)) for clock in clocks] == pytest.approx(expected)


def test_a_loss_is_the_sum_of_its_terms_and_not_of_what_is_watched() -> None:
    loss = Loss({"a": torch.tensor(1.0), "b": torch.tensor(2.5)}, {"seen": torch.tensor(100.0)})
    assert float(loss.total) == 3.5


def test_a_turn_is_one_players_or_several() -> None:
    def loss(nets: object, batch: object, noise: object, clock: object) -> Loss:
        return Loss({})

    assert Turn("one", loss).movers == ("one",)
    assert Turn(("one", "other"), loss).movers == ("one", "other")


def test_a_phase_has_one_optimiser_or_one_by_name() -> None:
    adam, sgd = Adam(Linear(1, 0)), SGD(Linear(1, 0))
    assert Phase("p", 1, 2, [], adam).optimizer_of("anyone") is adam
    assert Phase("p", 1, 2, [], {"one": adam, "other": sgd}).optimizer_of("other") is sgd


def test_nets_are_players_by_name_and_their_averages() -> None:
    nets = Nets({"double": lambda x: 2 * x}, {"double": lambda x: 3 * x})
    assert nets["double"](torch.tensor(2.0)) == 4
    assert nets.averaged["double"](torch.tensor(2.0)) == 6
    assert list(nets) == ["double"]
