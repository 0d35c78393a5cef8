"""A loss or a weight that is no number any more: the first bad step, the term, the player and the seed are named."""

from functools import partial
from typing import Any

import pytest
import torch
from games import Duel, duel, game, points

from gancluster.engine.game import Game
from gancluster.engine.play import assert_finite, play
from gancluster.errors import Diverged
from gancluster.methods.base import Batch, Clock, Loss, Nets, Phase, Turn
from gancluster.optim import Adam, Linear

ADAM = Adam(Linear(0.05, 0.05))


def broken(method: Duel, term: str, bad: set[int], nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    """The maker's loss with a term that is NaN at the steps `bad` of 30, and has no slope."""
    step = round(clock.progress.item() * 30) + 1
    terms, _ = method.maker_loss(nets, batch, noise, clock)
    return Loss({**terms, term: torch.tensor(torch.nan if step in bad else 0.0)})


def sound(method: Duel, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    return method.maker_loss(nets, batch, noise, clock)


def layout(every: int, offset: int, repeat: int, bad: set[int], method: Duel) -> list[Phase]:
    """30 steps, 10 an epoch; the term is there at every `every`-th step from `offset` on, `repeat` times a step."""
    with_term = [Turn("maker", partial(broken, method, "rare", bad), repeat)]
    rounds = [with_term if place == offset else [Turn("maker", partial(sound, method))] for place in range(every)]
    return [Phase("only", 3, 2, rounds, ADAM)]


def diagnosis(one: Game, look_every: int = 1000) -> str:
    """What the engine says; it is asked for at the end of epochs, and where it would save, every so many steps."""
    try:
        for moment in play(one):
            if moment.played % look_every == 0:
                assert_finite(one)
    except Diverged as error:
        return str(error)
    return "nothing was found"


@pytest.mark.parametrize("look_every", [1, 7, 1000])
@pytest.mark.parametrize(
    ("every", "offset", "repeat"), [(1, 0, 1), (4, 0, 1), (4, 3, 1), (1, 0, 2), (4, 1, 2), (3, 2, 5)]
)
@pytest.mark.parametrize("number", [0, 1, 3, -1])
def test_the_first_bad_step_is_named(every: int, offset: int, repeat: int, number: int, look_every: int) -> None:
    step = [step for step in range(1, 31) if (step - 1) % every == offset][number]
    one = game(duel(partial(layout, every, offset, repeat, {step, 30}), 20), points(20), seed=11)
    wanted = f"the loss term 'rare' of the maker became non-finite at step {step} (seed 11)"
    assert diagnosis(one, look_every) == wanted


def test_an_infinite_loss_is_as_bad_as_one_that_is_no_number() -> None:
    def infinite(method: Duel, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        return Loss({"size": nets["maker"](noise).sum() * 0 + torch.inf})

    one = game(duel(lambda method: [Phase("only", 1, 8, [[Turn("maker", partial(infinite, method))]], ADAM)]))
    assert diagnosis(one).startswith("the loss term 'size' of the maker became non-finite at step 1 ")


@pytest.mark.parametrize(("order", "culprit"), [(("seeker", "maker"), "maker"), (("maker", "seeker"), "seeker")])
def test_of_several_bad_terms_the_one_that_was_bad_first_is_named(order: tuple[str, str], culprit: str) -> None:
    """The last turn of step 4 breaks a player, which spoils the other player's loss from step 5 on."""

    def breaking(method: Duel, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        terms, _ = getattr(method, f"{culprit}_loss")(nets, batch, noise, clock)
        return Loss({name: torch.where(clock.progress >= 0.5, torch.nan, 1.0) * v for name, v in terms.items()})

    def two_turns(method: Duel) -> list[Phase]:
        losses = {"seeker": method.seeker_loss, "maker": method.maker_loss, culprit: partial(breaking, method)}
        return [Phase("only", 1, 4, [[Turn(name, losses[name]) for name in order]], ADAM)]

    wanted = f"the loss term 'adversarial' of the {culprit} became non-finite at step 4 (seed 2)"
    assert diagnosis(game(duel(two_turns), seed=2)) == wanted


def test_of_terms_that_were_bad_in_the_same_step_the_cause_is_named() -> None:
    """The seeker's NaN reaches his weights, and through them the maker's loss in the same step."""
    one = game(duel(epochs=3, fails_from=0.5), seed=2)
    assert diagnosis(one) == "the loss term 'adversarial' of the seeker became non-finite at step 6 (seed 2)"


def test_a_bad_weight_is_named_where_no_loss_shows_it() -> None:
    one = game(seed=4)
    for moment in play(one):
        if moment.played == 2:
            one.state.players["seeker"]["bias"].fill_(torch.inf)
            break
    one.state.pending = {}
    with pytest.raises(Diverged, match=r"^a weight of the seeker became non-finite at step 2 \(seed 4\)$"):
        assert_finite(one)
