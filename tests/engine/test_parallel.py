"""Two real processes play as one does: the same slopes for every method, the same weights, players that couple told."""

import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from games import Duel, Options, Varied, game, placed, points, weights
from torch import nn
from torch.utils import _pytree as pytree

from gancluster import registry
from gancluster.data import catalogue
from gancluster.engine.device import machine
from gancluster.engine.game import Game
from gancluster.engine.parallel import Fork, Part, Sum, Whole, agree, gathering, parallel
from gancluster.engine.play import play, rehearse
from gancluster.engine.slopes import plain
from gancluster.errors import UserError
from gancluster.methods.base import Method, Modules, Task
from gancluster.networks.blocks import BatchNorm
from gancluster.runs.attempts import batches_of, configured
from gancluster.runs.processes import Agreed

METHODS = [name for name in registry.BUILT_IN["methods"] if issubclass(registry.find("methods", name), Method)]
QUICK = ("catgan", "dasc")  # batch norm; a player who couples samples
PROCESSES = 2

Pair = Callable[..., list[Any]]


def serve(rank: int, meeting: str, pipe: Any) -> None:
    """One of the processes: carries out what it is asked, in double precision."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=PROCESSES)
    while True:
        function, arguments = pipe.recv()
        try:
            pipe.send(function(*arguments))
        except Exception:
            pipe.send(traceback.format_exc())


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Lets two processes carry out a function of this file together, and gives the answers."""
    context = mp.get_context("spawn")
    with TemporaryDirectory() as folder:
        pipes = [context.Pipe() for _ in range(PROCESSES)]
        arguments = [(rank, f"{folder}/meeting", far) for rank, (_, far) in enumerate(pipes)]
        processes = [context.Process(target=serve, args=each, daemon=True) for each in arguments]
        for process in processes:
            process.start()

        def carry_out(function: Callable[..., Any], *given: Any) -> list[Any]:
            for near, _ in pipes:
                near.send((function, given))
            return [near.recv() for near, _ in pipes]

        yield carry_out
        for process in processes:
            process.kill()


# What the processes carry out -----------------------------------------------------------------------------------------


def apart(found: Any, wanted: Any) -> float:
    """The largest difference between two trees of tensors, in units of the largest entry."""
    pairs = list(zip(pytree.tree_leaves(found), pytree.tree_leaves(wanted), strict=True))
    return float(max((a - b).abs().max() for a, b in pairs) / max(b.abs().max() for _, b in pairs))


def slopes_apart(name: str) -> tuple[float, list[str]]:
    """How far a method's slopes, and its loss terms, are from those of one process; and what is told."""
    few, worst, told = catalogue.load("digits", Path(), limit=240), 0.0, list[str]()
    with TemporaryDirectory() as folder:
        run = placed(Path(folder), few, name, 0, labels=20 if name == "improved-gan" else 0)
    one = Game(configured(run.request), batches_of(run.request, few), run.request.seed)
    for phase in range(min(len(one.phases), 4)):
        one.state.phase = phase
        one.enter_phase()
        shared = parallel(told.append)

        def both(*asked: Any, shared: Any = shared) -> Any:
            nonlocal worst
            (found,), (wanted,) = shared(*asked), plain(*asked)
            for mover, gradients in wanted.gradients.items():
                worst = max(worst, apart(found.gradients[mover], gradients))
            worst = max(worst, apart(found.loss, wanted.loss))
            return [wanted]

        rehearse([one], both)
    return worst, told


class Batchwise(Duel):
    """A duel whose seeker, or everyone, knows its samples by how they differ from the others of the batch."""

    everyone = False

    def players(self) -> Modules:
        seeker, maker = super().players().values()
        alone = nn.BatchNorm1d(2, track_running_stats=False)
        return {
            "seeker": nn.Sequential(alone, seeker),
            "maker": nn.Sequential(alone, maker) if self.everyone else maker,
        }


class AllBatchwise(Batchwise):
    everyone = True


def kinds(kind: str) -> Method:
    """A game with a gradient penalty, one of every kind of phase with batch norm, one with a player who couples."""
    options = Options(rare_term=kind == "penalty", batch_size=7)
    made = {"penalty": Duel, "phases": Varied, "coupled": Batchwise, "all coupled": AllBatchwise}
    return made[kind](options, Task((2,), 2, 24, n_labels=6))


def game_of(kind: str) -> Game:
    data = points(dtype=np.float64)
    return game(kinds(kind), data, known=data.reveal(6, 0))


def weights_apart(kind: str) -> tuple[float, list[str]]:
    """How far a whole game ends from where one process would, after as many steps; and what is told."""
    told, found, wanted = list[str](), game_of(kind), game_of(kind)
    list(play(found, parallel(told.append)))
    list(play(wanted))
    assert found.is_over
    assert found.state.played == wanted.state.played
    return apart(weights(found), weights(wanted)), told


def refusal(kind: str) -> str:
    with pytest.raises(UserError) as refused:
        list(play(game_of(kind), parallel(print)))
    return str(refused.value)


def products() -> dict[str, float]:
    """⟨A x, y⟩ − ⟨x, A′ y⟩ over both processes, where A′ is what autograd takes for the transposed of each function."""
    share = partial(torch.randn, generator=torch.Generator().manual_seed(5 + dist.get_rank()))
    whole = partial(torch.randn, generator=torch.Generator().manual_seed(4))
    n = 5
    mine = len(torch.empty(n).tensor_split(PROCESSES)[dist.get_rank()])
    return {
        "Part": product(lambda x: Part.apply(x), whole(n, 3), share(mine, 3), 1 / PROCESSES, 1.0),
        "Whole": product(lambda x: Whole.apply(x, n), share(mine, 3), whole(n, 3), 1.0, 1 / PROCESSES),
        "Fork": product(lambda x: Fork.apply(x)[0], whole(n), share(n), 1 / PROCESSES, 1.0),
        "Sum": product(lambda x: Sum.apply(x)[0], share(n), whole(n), 1.0, 1 / PROCESSES),
    }


def product(function: Any, x: torch.Tensor, y: torch.Tensor, of_x: float, of_y: float) -> float:
    """What is whole is there once a process, and counts once: `of_x`, `of_y`."""
    made, back = torch.func.vjp(function, x)
    difference = of_y * (made * y).sum() - of_x * (x * back(y)[0]).sum()
    dist.all_reduce(difference)
    return float(difference)


def normalised(centre_only: bool) -> float:
    """How far a batch norm of divided samples, its slope and its slope's slope are from those of the whole batch."""
    norm, x = BatchNorm(3, centre_only), torch.randn(7, 3, 4, generator=torch.Generator().manual_seed(1))

    def steepness(x: torch.Tensor, divide: bool) -> torch.Tensor:
        def out(x: torch.Tensor) -> torch.Tensor:
            if not divide:
                return norm(x)
            with gathering(norm):
                return Whole.apply(norm(Part.apply(x)), 7)

        return out(x).sigmoid().square().sum() + torch.func.grad(lambda x: out(x).tanh().sum())(x).square().sum()

    found, wanted = (torch.func.grad_and_value(partial(steepness, divide=d))(x) for d in (True, False))
    return apart(found, wanted)


def agreed() -> bool:
    """Whether all have the first's weights after they differed."""
    one = game_of("phases")
    wanted = weights(one)
    if dist.get_rank() == 1:
        for weight in one.state.players["seeker"].values():
            weight.add_(1.0)
    agree(one)
    return all(weight.equal(wanted[name]) for name, weight in weights(one).items())


def asked_by(rank: int) -> tuple[bool, bool]:
    event = Agreed()
    before = event.is_set()
    if dist.get_rank() == rank:
        event.set()
    return before, event.is_set()


# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in METHODS])
def test_every_method_has_the_slopes_of_one_process(pair: Pair, name: str) -> None:
    for worst, told in pair(slopes_apart, name):
        assert worst < 1e-9
        assert told == ["the expression couples samples: each of 2 processes plays it whole"] * (name == "dasc")


@pytest.mark.parametrize("kind", ["penalty", "phases", "coupled"])
def test_a_game_of_two_processes_ends_where_that_of_one_does(pair: Pair, kind: str) -> None:
    for far, told in pair(weights_apart, kind):
        assert far < 1e-7  # Adam divides a slope that is nothing but rounding by 1e-8
        assert len(told) == (kind == "coupled")


def test_a_turn_in_which_everyone_couples_samples_is_refused(pair: Pair) -> None:
    assert pair(refusal, "all coupled") == 2 * [
        "a turn of the seeker cannot be shared out: maker and seeker couple the samples of a batch "
        "(blocks.BatchNorm may): leave out --engine parallel"
    ]


def test_each_function_has_its_partner_as_derivative(pair: Pair) -> None:
    for found in pair(products):
        assert found == pytest.approx(dict.fromkeys(found, 0.0), abs=1e-12)


@pytest.mark.parametrize("centre_only", [False, True])
def test_batch_norm_takes_the_statistics_of_the_whole_batch(pair: Pair, centre_only: bool) -> None:
    assert max(pair(normalised, centre_only)) < 1e-12


def test_all_begin_an_epoch_with_the_state_of_the_first(pair: Pair) -> None:
    assert pair(agreed) == [True, True]


def test_a_cost_says_how_many_processes_it_was_shared_by(pair: Pair) -> None:
    assert all(" 2 processes, 1 threads" in told for told in pair(machine, torch.device("cpu")))
    assert "processes" not in machine(torch.device("cpu"))


@pytest.mark.parametrize("rank", range(PROCESSES))
def test_one_that_is_asked_to_stop_stops_all(pair: Pair, rank: int) -> None:
    assert pair(asked_by, rank) == [(False, True)] * 2
