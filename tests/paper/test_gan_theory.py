"""What the adversarial game is said to do, on spaces small enough to know: optima, divergences, gradients, codes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gancluster.critics import R1, Critic, Minimax, NonSaturating, WassersteinGP
from gancluster.methods import codes, self_paced

repeatable = settings(derandomize=True, deadline=None, max_examples=50)
seeds = st.integers(0, 10_000)


def distributions(seed: int, points: int = 7) -> tuple[Tensor, Tensor]:
    """P_C and P_G over a few points, all of them possible."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, points, generator=rng, dtype=torch.float64)
    p, q = logits.softmax(1)
    return p, q


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum()


def jsd(p: Tensor, q: Tensor) -> Tensor:
    return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2


def played(critic: Critic, logits: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The discriminator's expected loss when real points come from p, fakes from q, and D is a table of logits."""
    real, fake = (
        torch.func.vmap(torch.func.vmap(critic.discriminator_loss, in_dims=(None, 0)), in_dims=(0, None)),
        logits[:, None],
    )
    return (p[:, None] * q * real(fake, fake)).sum()


def lifted(critic: Critic, logits: Tensor, q: Tensor) -> Tensor:
    """The expected loss of the fakes' maker, whose points come from q."""
    return (q * torch.func.vmap(critic.generator_loss)(logits[:, None])).sum()


@repeatable
@given(seeds)
def test_the_best_discriminator_is_the_share_of_real_pairs(seed: int) -> None:
    p, q = distributions(seed)
    best = (p / q).log()
    assert torch.allclose(best.sigmoid(), p / (p + q))
    slope, curve = (f(played, argnums=1)(NonSaturating(), best, p, q) for f in (torch.func.grad, torch.func.hessian))
    assert slope.abs().max() < 1e-12
    assert torch.linalg.eigvalsh(curve).min() > 0  # the loss is convex: there is no other


@repeatable
@given(seeds)
def test_against_the_best_discriminator_the_game_is_worth_a_jensen_shannon_divergence(seed: int) -> None:
    p, q = distributions(seed)
    value = -played(Minimax(), (p / q).log(), p, q)
    assert float(value) == pytest.approx(-math.log(4) + 2 * float(jsd(p, q)), abs=1e-12)
    assert float(played(Minimax(), torch.zeros(7, dtype=torch.float64), p, p)) == pytest.approx(2 * math.log(2))


def fake_gradient(critic: Critic, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of the maker's loss in the logits of his distribution, D being the best one; P and those logits."""
    p, q = distributions(seed)
    made = q.log()
    gradient = torch.func.grad(lambda made: lifted(critic, (p / q).log(), made.softmax(0)))(made)
    return gradient, p, made


@repeatable
@given(seeds)
def test_the_minimax_generator_descends_the_jensen_shannon_divergence(seed: int) -> None:
    gradient, p, made = fake_gradient(Minimax(), seed)
    assert torch.allclose(gradient, torch.func.grad(lambda made: 2 * jsd(p, made.softmax(0)))(made), atol=1e-12)


@repeatable
@given(seeds)
def test_the_non_saturating_generator_descends_the_reverse_divergence_less_two_jensen_shannon(seed: int) -> None:
    gradient, p, made = fake_gradient(NonSaturating(), seed)
    expected = torch.func.grad(lambda made: kl(made.softmax(0), p) - 2 * jsd(p, made.softmax(0)))(made)
    assert torch.allclose(gradient, expected, atol=1e-12)


@repeatable
@given(seeds)
def test_the_clusterer_on_the_real_side_plays_the_mirrored_game(seed: int) -> None:
    p, q = distributions(seed)
    best, found = (p / q).log(), p.log()
    for critic, divergence in (
        (Minimax(), lambda p: 2 * jsd(p, q)),
        (NonSaturating(), lambda p: kl(p, q) - 2 * jsd(p, q)),
    ):
        gradient = torch.func.grad(lambda found, critic=critic: lifted(critic, -best, found.softmax(0)))(found)
        expected = torch.func.grad(lambda found, divergence=divergence: divergence(found.softmax(0)))(found)
        assert torch.allclose(gradient, expected, atol=1e-12)


def test_a_sure_discriminator_stops_the_minimax_generator_and_not_the_other() -> None:
    rejected = torch.tensor([-20.0], dtype=torch.float64)
    slopes = [float(torch.func.grad(critic.generator_loss)(rejected)) for critic in (Minimax(), NonSaturating())]
    assert slopes[0] == pytest.approx(0, abs=1e-8)
    assert slopes[1] == pytest.approx(-1, abs=1e-8)


def linear(weights: tuple[Tensor, Tensor], z: Tensor, x: Tensor) -> Tensor:
    """A critic whose slope is the same everywhere."""
    return z @ weights[0] + x @ weights[1]


def test_the_best_linear_critic_points_from_fake_to_real_with_slope_one_and_a_little() -> None:
    rng = torch.Generator().manual_seed(0)
    real = (
        torch.randn(50, 3, generator=rng, dtype=torch.float64),
        torch.randn(50, 4, generator=rng, dtype=torch.float64),
    )
    fake = real[0] + 1.0, real[1].flip(0) - 0.5
    mix, critic = torch.rand(50, generator=rng, dtype=torch.float64), WassersteinGP(weight=10.0)

    def loss(weights: tuple[Tensor, Tensor]) -> Tensor:
        def net(*pair: Tensor) -> Tensor:
            return linear(weights, *pair)

        return critic.discriminator_loss(net(*real), net(*fake)) + critic.penalty(net, real, fake, mix)

    apart = torch.cat([r.mean(0) - f.mean(0) for r, f in zip(real, fake, strict=True)])
    best = apart / apart.norm() * (1 + apart.norm() / 20)
    slopes = torch.func.grad(loss)((best[:3], best[3:]))
    assert torch.cat(slopes).abs().max() < 1e-9


def test_r1_of_a_linear_critic_is_its_squared_slope_over_both_inputs() -> None:
    weights = torch.tensor([1.0, 2.0]), torch.tensor([3.0])
    pair = torch.rand(5, 2), torch.rand(5, 1)
    penalty = R1(weight=0.6).penalty(lambda *pair: linear(weights, *pair), pair, pair, torch.rand(5))
    assert float(penalty) == pytest.approx(0.6 / 2 * 14)


@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize("blur", ["additive", "scaled"])
@pytest.mark.parametrize(("width", "same", "different"), [(0.5, 0.91, 0.48), (0.1, 0.99, 0.11)])
def test_cosines_of_noisy_codes_are_those_the_noise_gives(
    width: float, same: float, different: float, blur: codes.Blur, size: int
) -> None:
    rng = torch.Generator().manual_seed(0)
    clusters = codes.balanced_clusters(2000, 10, rng)
    clean = codes.block_table(10, size)[clusters]
    noisy = codes.blurred(clean, torch.rand(2000, size, generator=rng), width, blur)
    unit = noisy / noisy.norm(dim=1, keepdim=True)
    cosines, alike = unit @ unit.T, clusters[:, None] == clusters
    alike_not_itself = alike & ~torch.eye(2000, dtype=torch.bool)
    assert float(cosines[alike_not_itself].mean()) == pytest.approx(same, abs=0.015)
    assert float(cosines[~alike].mean()) == pytest.approx(different, abs=0.015)


def test_collapse_into_one_cluster_is_a_global_minimum_of_the_entropy() -> None:
    rng = torch.Generator().manual_seed(0)
    collapsed = torch.rand(1, 20, generator=rng, dtype=torch.float64).expand(30, 20)
    blocks = codes.block_table(10, 20).double()[torch.arange(30) % 10]
    entropies = [self_paced.pairwise_entropy(found).mean() for found in (collapsed, blocks)]
    assert float(entropies[0]) == pytest.approx(float(entropies[1]))
    anything = torch.rand(200, 30, 20, generator=rng, dtype=torch.float64) ** 8
    assert torch.func.vmap(self_paced.pairwise_entropy)(anything).mean(1).min() > entropies[0]
