"""Adversarial objectives: their values, who pushes where, their penalties against plain autograd, their names."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancluster import registry
from gancluster.critics import (
    R1,
    Critic,
    FrobeniusNorm,
    MaximumEntropy,
    MaximumLikelihood,
    Minimax,
    NonSaturating,
    SpectralNorm,
    WassersteinClipped,
    WassersteinGP,
    WassersteinLP,
    named,
    squared_gradient,
)
from gancluster.errors import UnknownName, UserError

NAMES = list(registry.BUILT_IN["critics"])
Pair = tuple[Tensor, Tensor]


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


@pytest.mark.parametrize("name", ["gan", "ns-gan", "kl-gan", "sn-gan", "r1"])
def test_a_discriminator_minimises_its_cross_entropy(name: str, logits: Pair) -> None:
    real, fake = logits
    expected = F.binary_cross_entropy(real.sigmoid(), torch.ones_like(real))
    expected = expected + F.binary_cross_entropy(fake.sigmoid(), torch.zeros_like(fake))
    assert torch.allclose(named(name).discriminator_loss(real, fake), expected)
    resting = torch.zeros(5)
    assert float(named(name).discriminator_loss(resting, resting)) == pytest.approx(2 * math.log(2))


def test_generators_minimise_what_their_papers_say(logits: Pair) -> None:
    _, fake = logits
    assert torch.allclose(Minimax().generator_loss(fake), (1 - fake.sigmoid()).log().mean())
    assert torch.allclose(NonSaturating().generator_loss(fake), -fake.sigmoid().log().mean())
    assert torch.allclose(R1().generator_loss(fake), NonSaturating().generator_loss(fake))
    assert torch.allclose(SpectralNorm().generator_loss(fake), NonSaturating().generator_loss(fake))
    assert torch.allclose(
        MaximumLikelihood().generator_loss(fake), -0.5 * (fake.sigmoid() / (1 - fake.sigmoid())).mean()
    )


@pytest.mark.parametrize(
    "critic", [WassersteinClipped(), WassersteinGP(), WassersteinLP(), FrobeniusNorm(), MaximumEntropy()], ids=repr
)
def test_wasserstein_critics_have_no_logarithm(critic: WassersteinGP, logits: Pair) -> None:
    real, fake = logits
    assert torch.allclose(critic.discriminator_loss(real, fake), fake.mean() - real.mean())
    assert torch.allclose(critic.generator_loss(fake), -fake.mean())


def test_the_hinge_pushes_no_sample_beyond_its_margin(logits: Pair) -> None:
    critic, (real, fake) = SpectralNorm(loss="hinge"), logits
    of_real, of_fake = torch.func.grad(critic.discriminator_loss, argnums=(0, 1))(real, fake)
    assert torch.equal(of_real, -(real < 1).double() / 20)
    assert torch.equal(of_fake, (fake > -1).double() / 20)
    assert torch.allclose(critic.generator_loss(fake), -fake.mean())


def test_kl_gan_counts_logits_above_its_cap_as_the_cap() -> None:
    fake = torch.tensor([0.0, 3.0])
    loss = MaximumLikelihood(cap=2.0).generator_loss
    assert float(loss(fake)) == pytest.approx(-(1 + math.exp(2)) / 4)
    assert torch.func.grad(loss)(fake).tolist() == [-0.25, 0.0]


@pytest.mark.parametrize("name", NAMES)
def test_discriminator_and_generator_pull_every_logit_in_opposite_directions(name: str, logits: Pair) -> None:
    critic, (real, fake) = named(name, by_noise=True), logits
    of_real, of_fake = torch.func.grad(critic.discriminator_loss, argnums=(0, 1))(real, fake)
    assert (of_real < 0).all()
    assert (of_fake > 0).all()
    assert (torch.func.grad(critic.generator_loss)(fake) < 0).all()
    lowered = torch.func.grad(lambda real: critic.generator_loss(-real))(real)
    assert (lowered > 0).all()  # the clusterer lowers its real pairs


@pytest.mark.parametrize("name", NAMES)
def test_losses_do_not_overflow_when_the_discriminator_is_sure(name: str) -> None:
    critic, extreme = named(name, by_noise=True), torch.tensor([-1e4, 1e4])
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


def test_wgan_lp_is_wgan_gp_without_the_slopes_below_one(net: nn.Module, pairs: tuple[Pair, Pair]) -> None:
    real, fake = pairs
    mix = torch.zeros(6, dtype=torch.float64)
    steepness = slopes(net, real).median()

    def scaled(code: Tensor, image: Tensor) -> Tensor:
        return net(code, image) / steepness

    excess = (slopes(net, real) / steepness - 1).clamp_min(0)
    assert 0 < (excess > 0).sum() < 6
    assert torch.allclose(WassersteinLP(weight=3.0).penalty(scaled, real, fake, mix), 3 * excess.square().mean())


def test_wgan_gp_has_a_gradient_where_the_critic_is_flat(pairs: tuple[Pair, Pair]) -> None:
    def loss(scale: Tensor) -> Tensor:
        def flat(code: Tensor, image: Tensor) -> Tensor:
            return scale * (code.sum(1) + image.flatten(1).sum(1))

        return WassersteinGP().penalty(flat, *pairs, torch.rand(6, dtype=torch.float64))

    assert torch.func.grad(loss)(torch.zeros((), dtype=torch.float64)).isfinite()


@pytest.mark.parametrize(
    ("name", "repeat", "every"),
    [
        ("gan", 1, 1),
        ("ns-gan", 1, 1),
        ("kl-gan", 1, 1),
        ("wgan", 5, 1),
        ("wgan-gp", 5, 1),
        ("wgan-lp", 5, 1),
        ("frobenius", 5, 1),
        ("sn-gan", 1, 1),
        ("r1", 1, 4),
        ("meg", 5, 1),
    ],
)
def test_how_often_each_is_played(name: str, repeat: int, every: int, net: nn.Module, pairs: tuple[Pair, Pair]) -> None:
    critic = named(name, by_noise=True)
    assert (critic.repeat, critic.every) == (repeat, every)
    penalty = critic.penalty(net, *pairs, torch.rand(6, dtype=torch.float64))
    assert (penalty is None) == (name not in ("wgan-gp", "wgan-lp", "r1", "meg"))


def test_an_unknown_critic_is_refused_with_a_hint() -> None:
    with pytest.raises(UnknownName, match="did you mean wgan-gp"):
        named("wgangp:weight=1")


def test_a_weight_on_entropy_is_for_generators_that_draw_from_noise() -> None:
    assert named("meg:weight=0.1", by_noise=True) == MaximumEntropy(weight=0.1)
    assert named("meg:entropy=0") == MaximumEntropy(entropy=0.0)
    with pytest.raises(UserError, match="weighs the entropy of a generator that draws from noise alone"):
        named("meg:entropy=0.5")


def test_options_follow_the_name() -> None:
    assert named("wgan-gp") == WassersteinGP()
    assert named("wgan-gp:weight=1,repeat=3") == WassersteinGP(weight=1.0, repeat=3)
    assert named("sn-gan:loss=hinge") == SpectralNorm(loss="hinge")
    assert named("r1:every=1") == R1(every=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wgan-gp:wieght=1", "there is no option of the critic wgan-gp 'wieght'; did you mean weight?"),
        ("wgan-gp:weight=heavy", "--critic wgan-gp:weight=heavy: input should be a valid number"),
        ("wgan-gp:weight=nan", "--critic wgan-gp:weight=nan: input should be a finite number"),
        ("wgan-gp:repeat=0", "--critic wgan-gp:repeat=0: input should be greater than or equal to 1"),
        ("wgan:clip=0", "--critic wgan:clip=0: input should be greater than 0"),
        ("sn-gan:loss=hing", "--critic sn-gan:loss=hing: input should be 'non-saturating' or 'hinge'"),
        ("wgan-gp:weight=1,weight=2", "--critic wgan-gp:weight=1,weight=2: weight is given twice"),
        ("wgan-gp:", "--critic wgan-gp:: '' is not OPTION=VALUE, as in wgan-gp:weight=1,repeat=3"),
        ("wgan-gp:weight", "'weight' is not OPTION=VALUE"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        named(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plug_in_without_options_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN["critics"], "plain", f"{__name__}:Plain")
    assert isinstance(named("plain"), Plain)
    with pytest.raises(UnknownName, match="the critic plain has no options: write --critic plain"):
        named("plain:weight=1")


class Plain(Critic):
    """Somebody's objective, without options."""

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.mean()


def test_penalties_are_single_precision_where_losses_are_not() -> None:
    """Slopes of a linear function, all of them exact in float32; with bfloat16's weights they would be off by 1 %."""
    net = torch.nn.Linear(3, 1)
    points = torch.randn(5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found = squared_gradient(lambda x: net(x)[:, 0], (points.bfloat16(),))
        assert net(points).dtype == torch.bfloat16
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, net.weight.square().sum().expand(5))
