"""The GAN lecture's first half: the best discriminator, what each generator then descends, and two bars apart."""

from __future__ import annotations

import math

import pytest
import torch
from finite import distributions, jsd, kl, lifted, played
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gancluster.critics import Critic, MaximumLikelihood, Minimax, NonSaturating

repeatable = settings(derandomize=True, deadline=None, max_examples=50)
seeds = st.integers(0, 10_000)


@repeatable
@given(seeds)
def test_the_best_discriminator_is_the_share_of_real_pairs(seed: int) -> None:
    p, q = distributions(seed)
    best = (p / q).log()
    assert torch.allclose(best.sigmoid(), p / (p + q))
    slope, curve = (f(played, argnums=1)(NonSaturating(), best, p, q) for f in (torch.func.grad, torch.func.hessian))
    assert slope.abs().max() < 1e-12
    assert torch.linalg.eigvalsh(curve).min() > 0  # the loss is convex: there is no other


@pytest.mark.parametrize("critic", [Minimax(), NonSaturating(), MaximumLikelihood()], ids=repr)
def test_a_discriminator_that_is_trained_finds_the_share_of_real_points(critic: Critic) -> None:
    p, q = distributions(3)
    logits = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=300, tolerance_change=0, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = played(critic, logits, p, q)
        value.backward()
        return value

    optimizer.step(loss)
    assert torch.allclose(logits.detach().sigmoid(), p / (p + q), atol=1e-6)


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
def test_the_kl_generator_descends_half_the_divergence_of_maximum_likelihood(seed: int) -> None:
    gradient, p, made = fake_gradient(MaximumLikelihood(cap=50.0), seed)
    assert torch.allclose(gradient, torch.func.grad(lambda made: kl(p, made.softmax(0)) / 2)(made), atol=1e-12)


def test_a_sure_discriminator_stops_the_minimax_generator_and_not_the_other() -> None:
    rejected = torch.tensor([-20.0], dtype=torch.float64)
    slopes = [float(torch.func.grad(critic.generator_loss)(rejected)) for critic in (Minimax(), NonSaturating())]
    assert slopes[0] == pytest.approx(0, abs=1e-8)
    assert slopes[1] == pytest.approx(-1, abs=1e-8)


# Slips ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [10.0, 100.0, 1000.0])
def test_l1_a_discriminator_without_one_minus_has_no_bound(height: float) -> None:
    """Printed: D maximises `E log D(real) - E log D(fake)`; one point that fakes visit more often is enough."""
    p, q = torch.tensor([[0.3, 0.7], [0.6, 0.4]], dtype=torch.float64)
    logits = torch.tensor([-height, 0.0], dtype=torch.float64)
    printed = lifted(NonSaturating(), logits, q) - lifted(NonSaturating(), logits, p)
    assert float(printed) == pytest.approx(0.3 * height + 0.3 * math.log(1 / 2), abs=1e-4)
    assert float(-played(NonSaturating(), logits, p, q)) <= 0  # the loss it should have


@repeatable
@given(seeds)
def test_l5_the_non_saturating_loss_at_the_best_discriminator_is_what_the_corrected_line_says(seed: int) -> None:
    p, q = distributions(seed)
    share = p / (p + q)
    loss = lifted(NonSaturating(), (p / q).log(), q)
    assert torch.allclose(loss, kl(q, p) - 2 * jsd(p, q) + 2 * math.log(2) + (p * share.log()).sum())
    assert float(loss + (q * share).sum()) > 0.1  # printed: the mean of -D*, without its logarithm


def test_l6_the_last_term_moves_with_the_generator_unless_the_discriminator_is_held() -> None:
    p, q = distributions(0)
    last = torch.func.grad(lambda made: (p * (p / (p + made.softmax(0))).log()).sum())(q.log())
    assert last.abs().max() > 0.05


# Two bars -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [0.0, 0.01, 3.0])
def test_bars_that_do_not_touch_are_equally_far_for_both_divergences_however_near(apart: float) -> None:
    """L8: one side's half of JS is `log(1 / (1/2))`."""
    joint = sorted({0.0, apart})
    left, right = (torch.tensor([float(at == bar) for at in joint], dtype=torch.float64) for bar in (0.0, apart))
    assert float(jsd(left, right)) == pytest.approx(math.log(2) if apart else 0.0)
    assert float(kl(left, right)) == (math.inf if apart else 0.0)
    assert float(kl(right, left)) == (math.inf if apart else 0.0)
