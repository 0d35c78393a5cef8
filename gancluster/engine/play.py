"""The engine: a loop over turns that one can step through in a debugger.

`play` advances a game's state turn by turn and pauses after every step, so that whoever called it may log, save, or
stop there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gancluster.engine.game import Game, State, Trees
from gancluster.engine.randomness import Purpose, generator
from gancluster.engine.slopes import Hand, Slopes, plain
from gancluster.errors import Diverged
from gancluster.methods.base import Batch, Clock, Labelled, Loss, Phase, Row, Turn
from gancluster.optim import Sampler, clip_norm, merged


class Moment(NamedTuple):
    """Where the game stands after a step; `row`: what the log says of the epoch that this step ended, if it did."""

    phase: str
    epoch: int
    epochs: int
    played: int
    total: int
    row: Row | None


def play(game: Game, slopes: Slopes = plain) -> Iterator[Moment]:
    """Play from where the state stands to the end of the last phase; `Diverged` once a loss is not finite."""
    for (moment,) in play_together([game], slopes):
        yield moment


def play_together(games: Sequence[Game], slopes: Slopes) -> Iterator[list[Moment]]:
    """As `play`, games that differ in their seeds alone, step by step as far as they stand at the same place."""
    for game in games:
        game.freeze()  # a checkpoint, if one was loaded, does not
        if game.state.step == 0:
            game.pass_over()
    orders, one = list[Tensor](), games[0]
    while not one.is_over and in_step(games):
        phase, epoch, step = one.phases[one.state.phase], one.state.epoch, one.state.step
        size, steps = phase.batch_size, one.steps(phase)
        if not orders or step == 0:
            orders = [game.order(game.state.phase, epoch) for game in games]
        indices = [order[step * size :][:size] for order in orders]
        _play_step(games, phase, indices, (epoch + step / steps) / phase.epochs, slopes)
        for game in games:
            game.state.step, game.state.played = step + 1, game.state.played + 1
        rows = [_close_epoch(game, phase) if step + 1 == steps else None for game in games]
        yield [Moment(phase.name, epoch + 1, phase.epochs, one.state.played, one.total, row) for row in rows]


def in_step(games: Sequence[Game]) -> bool:
    """Whether all stand at the same place: a phase's own rule may end it earlier in one game than in another."""
    return len({(game.state.phase, game.state.epoch, game.state.step, game.state.played) for game in games}) == 1


def _play_step(games: Sequence[Game], phase: Phase, indices: list[Tensor], progress: float, slopes: Slopes) -> None:
    """Every turn of the step's round, on a batch a game; a turn's earlier repetitions get batches of their own."""
    shared = [_hand(game, index, 0) for game, index in zip(games, indices, strict=True)]
    clock, played = Clock(torch.tensor(progress, device=games[0].device)), games[0].state.played
    for place, turn in enumerate(phase.rounds[played % len(phase.rounds)]):
        for again in reversed(range(turn.repeat)):
            hands = shared if again == 0 else [_another_hand(game, phase.batch_size, again) for game in games]
            found = slopes(games, turn, hands, clock)
            _move(games, phase, turn, [slope.gradients for slope in found], progress, (played, place, again))
            for game, slope in zip(games, found, strict=True):
                _remember(game.state, turn.movers[0], slope.loss)


def rehearse(games: Sequence[Game], slopes: Slopes) -> None:
    """Compute the slopes of one of each of the phase's rounds from where the games stand, and move nobody."""
    one = games[0]
    phase = one.phases[one.state.phase]
    hands = [_hand(game, torch.arange(phase.batch_size, device=game.device) % len(game.batches), 0) for game in games]
    clock = Clock(torch.tensor(0.0, device=one.device))
    for turns in phase.rounds:
        for turn in turns:
            for _ in range(turn.repeat):
                slopes(games, turn, hands, clock)


def _hand(game: Game, index: Tensor, again: int) -> Hand:
    """A batch of real samples, labelled ones where there are any, and every random number that its turns use."""
    rng = generator(game.device, game.seed, Purpose.NOISE, game.state.played, again)
    batch = Batch(game.batches.at(index), _labelled(game, len(index), again), index)
    return Hand(batch, game.method.draw(len(index), rng))


def _labelled(game: Game, n: int, again: int) -> Labelled | None:
    """At most `n` of the labelled samples, all different, drawn for this step."""
    known = game.batches.known
    if not len(known):
        return None
    rng = generator("cpu", game.seed, Purpose.LABELLED, game.state.played, again)
    some = torch.randperm(len(known), generator=rng)[:n].to(game.device)
    return Labelled(game.batches.at(known[some]), game.batches.labels[some])


def _another_hand(game: Game, n: int, again: int) -> Hand:
    rng = generator("cpu", game.seed, Purpose.EXTRA, game.state.played, again)
    return _hand(game, torch.randint(len(game.batches), (n,), generator=rng).to(game.device), again)


def _move(
    games: Sequence[Game], phase: Phase, turn: Turn, slopes: list[Trees], progress: float, place: tuple[int, int, int]
) -> None:
    """One step of each of the turn's players; a sampler's is disturbed by numbers of its own, told by `place`."""
    for i, mover in enumerate(turn.movers):
        optimizer, states = phase.optimizer_of(mover), [game.state for game in games]
        lr, gradients = optimizer.lr.at(progress), [slope[mover] for slope in slopes]
        weights, memories = [state.players[mover] for state in states], [state.memories[mover] for state in states]
        if optimizer.clip is not None:
            for gradient in gradients:
                clip_norm(gradient, optimizer.clip)
        if isinstance(optimizer, Sampler):
            for game, memory in zip(games, memories, strict=True):
                optimizer.refresh(memory, lr, generator(game.device, game.seed, Purpose.SAMPLER, *place, i))
        memory = {part: merged([memory[part] for memory in memories]) for part in memories[0]}
        optimizer.step(merged(weights), merged(gradients), memory, lr)
        for game in games:
            if turn.after is not None:
                turn.after(game.state.players[mover], game.state.buffers[mover])
            _follow(game, mover)


def _follow(game: Game, mover: str) -> None:
    """Move the average of a player who has one towards his weights; in the first steps it is their plain mean."""
    if mover in game.state.averages:
        rate = max(game.method.averages()[mover], 1 / (game.state.played + 1))
        average, weights = game.state.averages[mover], game.state.players[mover]
        torch._foreach_lerp_(list(average.values()), list(weights.values()), rate)


def _remember(state: State, mover: str, loss: Loss) -> None:
    """Keep the loss's terms for the epoch's row, on the device: reading them now would make it wait."""
    for term, value in (loss.terms | loss.watched).items():
        state.pending.setdefault(f"{mover}.{term}", []).append(value.detach())
        state.noted.setdefault(f"{mover}.{term}", []).append(state.played + 1)


def _close_epoch(game: Game, phase: Phase) -> Row:
    """The log's row of the epoch that has just ended, and the clock moved on; the epoch's only wait for the device."""
    state = game.state
    assert_finite(game)
    means = {name: torch.stack(state.pending[name]).float().mean() for name in sorted(state.pending)}
    row: Row = {"phase": phase.name, "epoch": state.epoch + 1}
    row |= dict(zip(means, torch.stack(list(means.values())).tolist(), strict=True))
    state.pending, state.noted = {}, {}
    state.epoch, state.step, state.rows = state.epoch + 1, 0, state.rows + 1
    if state.epoch == phase.epochs:
        game.next_phase()
    else:
        game.renew()
    game.pass_over()
    return row


def assert_finite(game: Game) -> None:
    """Raise `Diverged`, naming the first bad step, if a loss term of this epoch or a weight is NaN or infinite."""
    state = game.state
    bad: list[tuple[int, str]] = []
    for name, values in state.pending.items():
        finite = torch.isfinite(torch.stack(values))
        if not finite.all():
            bad.append((state.noted[name][int((~finite).nonzero()[0])], name))
    if bad:
        step, name = min(bad, key=lambda found: found[0])
        player, _, term = name.partition(".")
        raise Diverged(f"the loss term '{term}' of the {player}", step, game.seed)
    for player, tree in state.players.items():
        if tree and not torch.isfinite(torch.stack(torch._foreach_norm(list(tree.values())))).all():
            raise Diverged(f"a weight of the {player}", state.played, game.seed)
