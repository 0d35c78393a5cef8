"""What a turn does after its step: to the weights and buffers of each who moved, before anybody looks at them."""

from typing import Any

import pytest
import torch
from games import Duel, duel, game

from gancluster.engine.play import play
from gancluster.methods.base import Batch, Clock, Loss, Nets, Phase, Turn
from gancluster.optim import SGD, Linear, Tree


def both_loss(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    made = nets["seeker"](nets["maker"](noise))
    return Loss({"gap": (made - nets["seeker"](batch.inputs)).square().mean()})


def test_each_mover_is_changed_after_each_step_and_its_average_follows_the_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Duel, "rates", {"seeker": 1.0})
    seen: list[tuple[list[str], list[str]]] = []

    def clip(parameters: Tree, buffers: Tree) -> None:
        seen.append((list(parameters), list(buffers)))
        for value in parameters.values():
            value.clamp_(-0.01, 0.01)

    def layout(method: Duel) -> list[Phase]:
        turns = [Turn(("seeker", "maker"), both_loss, 2, clip), Turn("maker", method.maker_loss)]
        return [Phase("only", 1, 8, [turns], SGD(Linear(9.0, 9.0)))]

    one = game(duel(layout))
    assert len(list(play(one))) == 3
    assert seen == [(["weight", "bias"], [])] * 2 * 2 * 3
    state = one.state
    assert max(float(value.abs().max()) for value in state.players["seeker"].values()) <= 0.01
    assert max(float(value.abs().max()) for value in state.players["maker"].values()) > 0.01  # moved once more
    assert all(torch.equal(value, state.averages["seeker"][name]) for name, value in state.players["seeker"].items())
