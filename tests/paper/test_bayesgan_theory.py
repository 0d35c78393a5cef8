"""The Bayesian GAN's posteriors: what its players' steps climb, and the prior's place (erratum L25)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from gancluster.methods.base import Batch, Clock, Nets, Task
from gancluster.methods.bayesgan import BayesGAN, Config

N, K, PRIOR = 60, 3, 0.5
CLOCK = Clock(torch.zeros(()))
PLAIN: dict[str, Any] = {"width": 0.05, "members": 2, "info_weight": 0.0, "code_weight": 0.0, "prior_std": PRIOR}


def population(**options: Any) -> tuple[BayesGAN, dict[str, nn.Module], Batch, Any]:
    """A method, its players, all samples as one batch, and noise for as many fakes, all in double precision."""
    torch.manual_seed(0)
    method = BayesGAN(Config(**PLAIN | options), Task((6,), K, N))
    players = {name: module.double() for name, module in method.players().items()}
    torch.set_default_dtype(torch.float64)
    try:
        noise = method.draw(N, torch.Generator().manual_seed(1))
    finally:
        torch.set_default_dtype(torch.float32)
    rng = torch.Generator().manual_seed(2)
    return method, players, Batch(torch.randn(N, 6, generator=rng, dtype=torch.float64)), noise


def logits(method: BayesGAN, players: dict[str, nn.Module], member: int, samples: Tensor) -> Tensor:
    nets = Nets(players, {})
    return nets[f"discriminator-{member}"](
        method.game.read(method.pair(nets, member, nets["generator-1"]), samples).trunk
    )


def fakes(method: BayesGAN, players: dict[str, nn.Module], generator: int, noise: Any) -> Tensor:
    nets = Nets(players, {})
    return method.game.generated(method.pair(nets, 1, nets[f"generator-{generator}"]), noise)


def log_prior(player: nn.Module) -> Tensor:
    prior = Normal(0.0, PRIOR)
    return torch.stack([prior.log_prob(weight).sum() for weight in player.parameters()]).sum()


def stepped(method: BayesGAN, player: nn.Module, loss: Tensor) -> list[Tensor]:
    """By how much the sampler, at rest and without noise, moves each weight of a player."""
    sampler, weights = method.sampler(), {n: w.detach().clone() for n, w in player.named_parameters()}
    before = {n: w.clone() for n, w in weights.items()}
    slopes = torch.autograd.grad(loss, list(player.parameters()), materialize_grads=True, retain_graph=True)
    sampler.step(weights, dict(zip(weights, slopes, strict=True)), sampler.state(weights), lr=0.1)
    return [weights[n] - before[n] for n in weights]


def assert_climbs(steps: list[Tensor], player: nn.Module, log_posterior: Tensor) -> None:
    """Steps are η = lr / n times the gradient of the log posterior."""
    slopes = torch.autograd.grad(log_posterior, list(player.parameters()), materialize_grads=True, retain_graph=True)
    for step, slope in zip(steps, slopes, strict=True):
        torch.testing.assert_close(step, 0.1 / N * slope, rtol=1e-9, atol=1e-12)


def test_a_discriminator_climbs_its_posterior_given_all_generators() -> None:
    """∏ D(x) ∏ (1 - D(G_j(z))) N(d): of n fakes every generator makes a share, and the prior counts once."""
    method, players, batch, noise = population()
    made = torch.stack([fakes(method, players, m, noise[1]) for m in (1, 2)])
    mixed = torch.stack([made[i % 2, i] for i in range(N)])
    real, fake = logits(method, players, 2, batch.inputs), logits(method, players, 2, mixed)
    likelihood = torch.sigmoid(real).log().sum() + (1 - torch.sigmoid(fake)).log().sum()
    loss = method.discriminator_loss(Nets(players, {}), batch, noise, CLOCK, member=2).total
    for player in (players["discriminator-2"], players["recogniser-2"]):
        assert_climbs(stepped(method, player, loss), player, likelihood + log_prior(player))


def test_l25_with_the_generator_s_prior_in_its_place_a_discriminator_would_have_none() -> None:
    method, players, batch, noise = population()
    player, other = players["discriminator-1"], players["generator-1"]
    loss = method.discriminator_loss(Nets(players, {}), batch, noise, CLOCK, member=1).total
    printed = -N * loss + N * log_prior(other)
    slopes = torch.autograd.grad(printed, list(player.parameters()), retain_graph=True)
    without = torch.autograd.grad(-N * loss, list(player.parameters()), retain_graph=True)
    assert all(torch.equal(one, same) for one, same in zip(slopes, without, strict=True))
    missing = [step - 0.1 / N * slope for step, slope in zip(stepped(method, player, loss), slopes, strict=True)]
    for gap, weight in zip(missing, player.parameters(), strict=True):
        torch.testing.assert_close(gap, -0.1 / N * weight.detach() / PRIOR**2, rtol=1e-9, atol=1e-12)


def test_a_generator_climbs_the_mean_of_its_log_posteriors_over_all_discriminators() -> None:
    method, players, batch, noise = population()
    made = fakes(method, players, 1, noise[0])
    likelihoods = [torch.sigmoid(logits(method, players, d, made)).log().sum() for d in (1, 2)]
    player = players["generator-1"]
    loss = method.generator_loss(Nets(players, {}), batch, noise, CLOCK, member=1).total
    assert_climbs(stepped(method, player, loss), player, torch.stack(likelihoods).mean() + log_prior(player))


def test_the_code_is_one_more_factor_of_the_likelihood() -> None:
    method, players, batch, noise = population(info_weight=1.0)
    nets = Nets(players, {})
    mixed = method.game.generated(method.pair(nets, 1, method.mixture(nets)), noise[0])
    told = torch.log_softmax(players["recogniser-1"](mixed), 1)[noise[0].c.bool()].sum()
    loss = method.discriminator_loss(nets, batch, noise, CLOCK, member=1)
    assert float(loss.terms["class"].detach()) == pytest.approx(-float(told.detach()) / N)


def test_the_released_scaling_all_but_leaves_the_prior_out() -> None:
    method, players, batch, noise = population(sampler="released")
    player = players["recogniser-1"]
    loss = method.discriminator_loss(Nets(players, {}), batch, noise, CLOCK, member=1).total
    slopes = torch.autograd.grad(loss, list(player.parameters()), materialize_grads=True, retain_graph=True)
    for step, slope, weight in zip(stepped(method, player, loss), slopes, player.parameters(), strict=True):
        prior = 2 * weight.detach() / (N * PRIOR**2 * weight.numel())
        torch.testing.assert_close(step, -0.1 * (slope + prior), rtol=1e-9, atol=1e-12)


def test_members_are_initialised_apart_and_play_with_noise_of_their_own() -> None:
    _, players, _, noise = population()
    for name in ("generator", "discriminator", "recogniser"):
        pairs = zip(players[f"{name}-1"].parameters(), players[f"{name}-2"].parameters(), strict=True)
        assert not all(torch.equal(one, other) for one, other in pairs)
    assert not torch.equal(noise[0].z, noise[1].z)
