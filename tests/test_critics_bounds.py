"""Critics that bound weights: what they do to a net, after its steps, in a game, and which nets they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gancluster.critics import Critic, named, squared_gradient
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine import checkpoint
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.errors import UserError
from gancluster.methods.base import Task
from gancluster.methods.clustergan import ClusterGAN
from gancluster.networks.blocks import BatchNorm, weight_normed
from gancluster.optim import Tree
from gancluster.runs.training import configure

NORMALISED = ["frobenius", "sn-gan"]
BOUNDED = ["wgan", *NORMALISED]


def net() -> nn.Module:
    """A convolution and a rectangular layer on images of 2x4x4, in float64."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1)).double()


def trees(module: nn.Module) -> tuple[Tree, Tree]:
    """Copies of a net's weights and of its buffers."""
    return (
        {name: value.detach().clone() for name, value in module.named_parameters()},
        {name: value.clone() for name, value in module.named_buffers()},
    )


def weights(module: nn.Module) -> list[Tensor]:
    """The weights that a net's layers use, as matrices `(out, rest)`."""
    return [layer.weight.detach().flatten(1) for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def test_a_clipped_net_has_every_weight_within_the_bound_and_the_others_as_they_were() -> None:
    parameters, buffers = trees(net())
    before = {name: value.clone() for name, value in parameters.items()}
    named("wgan:clip=0.1").after_step(parameters, buffers)
    for name, value in parameters.items():
        assert torch.equal(value, before[name].clamp(-0.1, 0.1))
    assert any((value.abs() > 0.1).any() for value in before.values())


def test_normalised_weights_have_norm_one() -> None:
    for weight in weights(named("frobenius").wrap(net())):
        assert float(torch.linalg.matrix_norm(weight)) == pytest.approx(1)
    for weight in weights(named("sn-gan").wrap(net())):
        assert float(torch.linalg.svdvals(weight)[0]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bounded_net_gives_what_it_gave_but_for_its_scale(name: str) -> None:
    plain, bounded = weights(net()), weights(named(name).wrap(net()))
    for ours, theirs in zip(bounded, plain, strict=True):
        assert torch.allclose(ours / ours.norm(), theirs / theirs.norm())


def test_a_step_of_sn_gan_is_one_power_iteration_of_the_trees_alone() -> None:
    critic = named("sn-gan")
    parameters, buffers = trees(critic.wrap(net()))
    rng = torch.Generator().manual_seed(1)
    for value in parameters.values():
        value.add_(torch.randn(value.shape, generator=rng, dtype=value.dtype))
    before, u = {k: v.clone() for k, v in parameters.items()}, buffers["3.parametrizations.weight.0.u"].clone()
    critic.after_step(parameters, buffers)
    assert all(torch.equal(value, before[name]) for name, value in parameters.items())
    matrix = parameters["3.parametrizations.weight.original"]
    v = matrix.T @ u / (matrix.T @ u).norm()
    assert torch.allclose(buffers["3.parametrizations.weight.0.v"], v)
    assert torch.allclose(buffers["3.parametrizations.weight.0.u"], matrix @ v / (matrix @ v).norm())
    for _ in range(200):
        critic.after_step(parameters, buffers)
    kernel, at = parameters["0.parametrizations.weight.original"].flatten(1), "0.parametrizations.weight.0."
    sigma = buffers[at + "u"] @ kernel @ buffers[at + "v"]
    assert float(sigma) == pytest.approx(float(torch.linalg.svdvals(kernel)[0]))


def test_the_steps_of_two_seeds_stacked_are_those_of_each() -> None:
    critic = named("sn-gan")
    each = [trees(critic.wrap(nn.Linear(4, 3))) for _ in range(2)]
    for parameters, _ in each:
        for value in parameters.values():
            value.add_(torch.randn(value.shape))
    stacked = [{name: torch.stack([one[kind][name] for one in each]) for name in each[0][kind]} for kind in (0, 1)]

    def step(parameters: Tree, buffers: Tree) -> Tree:
        critic.after_step(parameters, buffers)
        return buffers

    found = torch.func.vmap(step)(*stacked)
    for k, one in enumerate(each):
        for name, value in step(*one).items():
            assert torch.allclose(found[name][k], value)


@pytest.mark.parametrize("name", NORMALISED)
def test_normalised_nets_are_pure_functions_with_the_gradients_of_autograd(name: str) -> None:
    module, x = named(name).wrap(net()), torch.rand(5, 2, 4, 4, dtype=torch.float64)
    parameters, buffers = trees(module)

    def loss(parameters: Tree) -> Tensor:
        def pure(x: Tensor) -> Tensor:
            return functional_call(module, parameters | buffers, (x,))[:, 0]

        return squared_gradient(pure, (x,)).mean() + pure(x).mean()

    inputs = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(inputs).sum(), inputs, create_graph=True)
    (slope.square().flatten(1).sum(1).mean() + module(x).mean()).backward()
    found = torch.func.grad(loss)(parameters)
    for key, value in module.named_parameters():
        assert value.grad is not None
        assert torch.allclose(found[key], value.grad), key
    assert all(torch.equal(value, buffers[key]) for key, value in module.named_buffers())  # looking changes nothing


def normed(norm: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 1))


@pytest.mark.parametrize("norm", [BatchNorm(4), nn.BatchNorm1d(4)], ids=["ours", "torch's"])
@pytest.mark.parametrize("name", [*BOUNDED, "wgan-gp", "wgan-lp", "r1", "meg:entropy=0"])
def test_a_bound_has_no_meaning_for_a_net_with_batch_norm(name: str, norm: nn.Module) -> None:
    with pytest.raises(UserError, match="have no meaning for a discriminator with batch norm") as caught:
        named(name).wrap(normed(norm))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gan", "ns-gan", "kl-gan"])
def test_a_critic_without_bound_takes_any_net(name: str) -> None:
    module = normed(BatchNorm(4))
    assert named(name).wrap(module) is module


@pytest.mark.parametrize("name", BOUNDED)
def test_weights_that_are_normalised_already_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="whose weights are normalised already"):
        named(name).wrap(weight_normed(nn.Linear(3, 1)))
    with pytest.raises(UserError, match="whose weights are normalised already"):
        clustergan(Task((1, 8, 8), 10, 240), name, networks="triple-gan")


def clustergan(task: Task, critic: str, **options: object) -> ClusterGAN:
    return ClusterGAN(configure(ClusterGAN, task, "smoke", {"critic": critic, **options}), task)


def game(digits: Dataset, critic: str) -> Game:
    return Game(clustergan(Task(digits.shape, 10, len(digits)), critic), Batches(digits.unlabelled()), seed=0)


def test_after_every_step_a_clipped_discriminator_is_within_its_bound_and_nobody_else(digits: Dataset) -> None:
    one = game(digits, "wgan:clip=0.02")
    for moment in play(one):
        players = {name: tree.values() for name, tree in one.state.players.items()}
        largest = {
            name: max(float(value.abs().max()) for value in values) for name, values in players.items() if values
        }
        if moment.phase == "adversarial" and moment.row is None:
            assert largest["discriminator"] <= 0.02 + 1e-8
            assert min(largest["generator"], largest["clusterer"]) > 0.05
    assert moment.played == moment.total


def test_through_a_game_sn_gan_keeps_up_with_the_weights_as_they_move(digits: Dataset) -> None:
    one = game(digits, "sn-gan")
    start = {name: value.clone() for name, value in one.state.buffers["discriminator"].items()}
    list(play(one))
    end, module = one.state.buffers["discriminator"], one.modules["discriminator"]
    assert not any(torch.equal(value, end[name]) for name, value in start.items() if value.numel() > 1)
    module.load_state_dict(one.state.players["discriminator"] | end)
    for weight in weights(module):
        assert float(torch.linalg.svdvals(weight)[0]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("critic", ["wgan", "sn-gan"])
def test_stopped_and_resumed_it_comes_to_the_same_bytes(critic: str, digits: Dataset, tmp_path: Path) -> None:
    straight, stopped, resumed = (game(digits, critic) for _ in range(3))
    list(play(straight))
    next(moment for moment in play(stopped) if moment.played == 4)
    checkpoint.save(stopped, tmp_path / "half")
    checkpoint.load(resumed, tmp_path / "half")
    list(play(resumed))
    for name, one in (("straight", straight), ("resumed", resumed)):
        checkpoint.save(one, tmp_path / name)
    assert (tmp_path / "straight").read_bytes() == (tmp_path / "resumed").read_bytes()
    assert (tmp_path / "straight").read_bytes() != (tmp_path / "half").read_bytes()


def test_a_critic_changes_nothing_unless_it_says_so() -> None:
    class Plain(Critic):
        def generator_loss(self, fake: Tensor) -> Tensor:
            return -fake.mean()

    module = net()
    parameters, buffers = trees(module)
    Plain().after_step(parameters, buffers)
    assert Plain().wrap(module) is module
    assert all(torch.equal(parameters[name], value) for name, value in module.named_parameters())
