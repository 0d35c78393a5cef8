"""Adversarial objectives: their values, who pushes where, and their penalties against plain autograd."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancluster import registry
from gancluster.critics import R1, Critic, Minimax, NonSaturating, WassersteinGP, squared_gradient
from gancluster.errors import UnknownName

NAMES = ["gan", "ns-gan", "wgan-gp", "r1"]
Pair = tuple[Tensor, Tensor]


def found(name: str) -> Critic:
    critic: Critic = registry.find("critics", name)()
    return critic


@pytest.fixture
def logits() -> Pair:
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 20, generator=rng, dtype=torch.float64)
    return real, fake


@pytest.fixture
def pairs() -> tuple[Pair, Pair]:
    """A real and a fake pair of a code of 3 and an image of 1x2x2, for 6 samples."""
    rng = torch.Generator().manual_seed(1)

    def pair() -> Pair:
        codes = torch.rand(6, 3, generator=rng, dtype=torch.float64)
        return codes, torch.rand(6, 1, 2, 2, generator=rng, dtype=torch.float64)

    return pair(), pair()


@pytest.fixture
def net() -> nn.Module:
    """A curved function of both inputs."""

    class Curved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 1))

        def forward(self, code: Tensor, image: Tensor) -> Tensor:
            out: Tensor = self.layers(torch.cat([code, image.flatten(1)], 1))[:, 0]
            return out

    torch.manual_seed(2)
    return Curved().double()


def slopes(net: nn.Module, inputs: Pair) -> Tensor:
    """||grad net|| of each sample by textbook autograd."""
    inputs = (inputs[0].clone().requires_grad_(), inputs[1].clone().requires_grad_())
    gradients = torch.autograd.grad(net(*inputs).sum(), inputs, create_graph=True)
    return torch.cat([gradient.flatten(1) for gradient in gradients], 1).norm(dim=1)


@pytest.mark.parametrize("name", ["gan", "ns-gan", "r1"])
def test_a_discriminator_minimises_its_cross_entropy(name: str, logits: Pair) -> None:
    real, fake = logits
    expected = F.binary_cross_entropy(real.sigmoid(), torch.ones_like(real))
    expected = expected + F.binary_cross_entropy(fake.sigmoid(), torch.zeros_like(fake))
    assert torch.allclose(found(name).discriminator_loss(real, fake), expected)
    resting = torch.zeros(5)
    assert float(found(name).discriminator_loss(resting, resting)) == pytest.approx(2 * math.log(2))


def test_generators_minimise_what_their_papers_say(logits: Pair) -> None:
    _, fake = logits
    assert torch.allclose(Minimax().generator_loss(fake), (1 - fake.sigmoid()).log().mean())
    assert torch.allclose(NonSaturating().generator_loss(fake), -fake.sigmoid().log().mean())
    assert torch.allclose(R1().generator_loss(fake), NonSaturating().generator_loss(fake))
    assert torch.allclose(WassersteinGP().generator_loss(fake), -fake.mean())


@pytest.mark.parametrize("name", NAMES)
def test_discriminator_and_generator_pull_every_logit_in_opposite_directions(name: str, logits: Pair) -> None:
    critic, (real, fake) = found(name), logits
    of_real, of_fake = torch.func.grad(critic.discriminator_loss, argnums=(0, 1))(real, fake)
    assert (of_real < 0).all()
    assert (of_fake > 0).all()
    assert (torch.func.grad(critic.generator_loss)(fake) < 0).all()
    lowered = torch.func.grad(lambda real: critic.generator_loss(-real))(real)
    assert (lowered > 0).all()  # the clusterer lowers its real pairs


@pytest.mark.parametrize("name", NAMES)
def test_losses_do_not_overflow_when_the_discriminator_is_sure(name: str) -> None:
    critic, extreme = found(name), torch.tensor([-1e4, 1e4])
    assert critic.discriminator_loss(extreme, extreme).isfinite()
    assert critic.generator_loss(extreme).isfinite()


def test_squared_gradient_is_over_all_inputs_of_a_sample(net: nn.Module, pairs: tuple[Pair, Pair]) -> None:
    assert torch.allclose(squared_gradient(net, pairs[0]), slopes(net, pairs[0]).square(), atol=1e-14)


def test_r1_takes_real_and_fake_samples_alike(net: nn.Module, pairs: tuple[Pair, Pair]) -> None:
    real, fake = pairs
    expected = torch.cat([slopes(net, real), slopes(net, fake)]).square().mean()
    penalty = R1(weight=0.8).penalty(net, real, fake, torch.rand(6))
    assert torch.allclose(penalty, 0.8 / 2 * expected, atol=1e-14)


def test_wgan_gp_asks_for_slope_one_between_real_and_fake(net: nn.Module, pairs: tuple[Pair, Pair]) -> None:
    real, fake = pairs
    mix = torch.rand(6, dtype=torch.float64)
    between = real[0] + mix[:, None] * (fake[0] - real[0]), real[1] + mix.view(-1, 1, 1, 1) * (fake[1] - real[1])
    penalty = WassersteinGP(weight=10.0).penalty(net, real, fake, mix)
    assert torch.allclose(penalty, 10 * (slopes(net, between) - 1).square().mean(), atol=1e-9)
    at_real = WassersteinGP(weight=1.0).penalty(net, real, fake, torch.zeros(6, dtype=torch.float64))
    assert torch.allclose(at_real, (slopes(net, real) - 1).square().mean(), atol=1e-9)


def test_wgan_gp_has_a_gradient_where_the_critic_is_flat(pairs: tuple[Pair, Pair]) -> None:
    def loss(scale: Tensor) -> Tensor:
        def flat(code: Tensor, image: Tensor) -> Tensor:
            return scale * (code.sum(1) + image.flatten(1).sum(1))

        return WassersteinGP().penalty(flat, *pairs, torch.rand(6, dtype=torch.float64))

    assert torch.func.grad(loss)(torch.zeros((), dtype=torch.float64)).isfinite()


@pytest.mark.parametrize(
    ("name", "repeat", "every"), [("gan", 1, 1), ("ns-gan", 1, 1), ("wgan-gp", 5, 1), ("r1", 1, 4)]
)
def test_how_often_each_is_played(name: str, repeat: int, every: int, net: nn.Module, pairs: tuple[Pair, Pair]) -> None:
    critic = found(name)
    assert (critic.repeat, critic.every) == (repeat, every)
    penalty = critic.penalty(net, *pairs, torch.rand(6, dtype=torch.float64))
    assert (penalty is None) == (name in ("gan", "ns-gan"))


def test_an_unknown_critic_is_refused_with_a_hint() -> None:
    with pytest.raises(UnknownName, match="did you mean wgan-gp"):
        registry.find("critics", "wgangp")
