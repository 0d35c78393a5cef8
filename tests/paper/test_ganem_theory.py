"""GAN-EM against the paper, on spaces of a few points: the best D and E, the divergences, Eq. 1's gradient.

Every loss is the method's own. Samples are one-hot points; D and E are tables of logits, a row a point; z names the
point that G makes. So a batch in which points come as often as P_r and P_f say gives expectations, not estimates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from gancluster.methods.base import Batch, Clock, Loss, Nets, Task, TurnLoss
from gancluster.methods.ganem import GANEM, Config, Noise
from gancluster.networks.gan_em import Prior

K, POINTS = 3, 5
CLOCK = Clock(torch.zeros((), dtype=torch.float64))
repeatable = settings(derandomize=True, deadline=None, max_examples=15)
seeds = st.integers(0, 10_000)


class Space:
    """Real points and fakes, `per_class` of each class, every point at least once; and w of every point."""

    def __init__(self, seed: int = 0, per_class: tuple[int, ...] = (40, 40, 40), disjoint: bool = False) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.real = counts(rng, sum(per_class))
        home = torch.arange(POINTS) % K == torch.arange(K)[:, None] if disjoint else torch.ones(K, POINTS).bool()
        self.fakes = torch.stack([counts(rng, n, home[c]) for c, n in enumerate(per_class)])
        self.w = torch.randn(POINTS, K, generator=rng, dtype=torch.float64).softmax(1)
        self.w = home.T.double() if disjoint else self.w
        self.p_real, self.p_fake = (often.double() / often.sum(-1, keepdim=True) for often in (self.real, self.fakes))
        self.phi = self.fakes.sum(1).double() / self.fakes.sum()
        self.batch = Batch(torch.eye(POINTS, dtype=torch.float64).repeat_interleave(self.real, 0))
        points = torch.arange(POINTS).repeat(K).repeat_interleave(self.fakes.flatten())
        # places that phi turns into as many fakes of each class as there are
        self.noise = noise((torch.arange(len(points)) + 0.5) / len(points), points)

    def nets(self, **tables: Tensor) -> Nets:
        prior = Prior(K)
        prior.phi = self.phi
        tables = {"encoder": self.w.log().clamp(min=-200)} | tables
        players = {name: partial(read, table) for name, table in tables.items()}
        return Nets({**players, "generator": made_point, "prior": prior}, {})


def noise(places: Tensor, points: Tensor) -> Noise:
    drawn = method().draw(len(points), torch.Generator().manual_seed(0))
    return drawn._replace(places=places, z=points.double()[:, None])


def counts(rng: torch.Generator, n: int, home: Tensor | None = None) -> Tensor:
    """How often each point comes among n; points away from `home` never."""
    where = torch.ones(POINTS).bool() if home is None else home
    share = torch.where(where, 2 * torch.randn(POINTS, generator=rng), -torch.inf).softmax(0)
    return torch.bincount(torch.multinomial(share, n - int(where.sum()), True, generator=rng), minlength=POINTS) + where


def read(table: Tensor, points: Tensor) -> Tensor:
    return points @ table


def made_point(code: Tensor) -> Tensor:
    return F.one_hot(code[:, K].long(), POINTS).double()


def method(**options: Any) -> GANEM:
    return GANEM(Config(m_batch_size=K, e_batch_size=K, noise_size=1, **options), Task((POINTS,), K, 100))


def minimum(loss: Callable[[Tensor], Tensor], outputs: int) -> Tensor:
    """The table of logits at which `loss` is least, found by a solver that knows nothing of the paper."""

    def of(differentiated: Callable[..., Tensor]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda flat: differentiated(torch.from_numpy(flat).view(POINTS, outputs)).numpy()

    def slope(table: Tensor) -> Tensor:
        return torch.func.grad(loss)(table).flatten()

    def bent(table: Tensor) -> Tensor:
        return torch.func.hessian(loss)(table).view(POINTS * outputs, -1)

    start, options = np.zeros(POINTS * outputs), {"gtol": 1e-10}
    found = minimize(of(loss), start, method="trust-exact", jac=of(slope), hess=of(bent), options=options)
    return torch.from_numpy(found.x).view(POINTS, outputs)


def of_discriminator(space: Space, table: Tensor, **options: Any) -> Loss:
    return method(**options).discriminator_loss(space.nets(discriminator=table), space.batch, space.noise, CLOCK)


def best_discriminator(space: Space) -> Tensor:
    """Logits of D* under Eq. 2, fake unit of weight 2 last (erratum G3)."""
    real, fake = space.p_real[:, None], space.p_fake.mean(0)[:, None]
    return torch.cat([(space.w * real / fake).log(), (fake / (2 * real)).log()], 1)


# The discriminator ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_each_unit_of_the_best_discriminator_weighs_real_samples_against_fakes_of_every_class(seed: int) -> None:
    space = Space(seed)
    found = minimum(lambda table: of_discriminator(space, table).total, K + 1).sigmoid()
    real, fake = space.p_real, space.p_fake.mean(0)
    for i in range(K):
        own = space.w[:, i] * real
        assert torch.allclose(found[:, i], own / (own + fake), atol=1e-5)
    assert torch.allclose(found[:, K], 1 - 2 * real / (2 * real + fake), atol=1e-5)
    assert torch.allclose(found, best_discriminator(space).sigmoid(), atol=1e-5)


def test_the_printed_best_discriminator_who_meets_only_his_own_fakes_is_another() -> None:
    space = Space(0)
    own = space.w * space.p_real[:, None]
    printed, right = own / (own + space.p_fake.T), best_discriminator(space)[:, :K].sigmoid()
    assert (printed - right).abs().max() > 0.2
    slope = torch.func.grad(lambda table: of_discriminator(space, table).total)(
        torch.cat([printed.logit(), best_discriminator(space)[:, K:]], 1)
    )
    assert slope[:, :K].abs().max() > 1e-3
    assert slope[:, K].abs().max() < 1e-12


@pytest.mark.parametrize("weight", [0.5, 2.0, 3.0])
def test_real_weight_is_that_of_real_samples_in_the_fake_unit_alone(weight: float) -> None:
    space = Space(1)
    found, usual = (
        minimum(lambda table, r=r: of_discriminator(space, table, real_weight=r).total, K + 1).sigmoid()
        for r in (weight, 2.0)
    )
    real, fake = space.p_real, space.p_fake.mean(0)
    assert torch.allclose(found[:, K], fake / (weight * real + fake), atol=1e-5)
    assert torch.allclose(found[:, :K], usual[:, :K], atol=1e-5)


def test_in_the_first_m_step_every_class_counts_alike_and_later_as_the_encoder_says() -> None:
    space, table = Space(2), torch.zeros(POINTS, K + 1, dtype=torch.float64)
    uniform, known = (slope_of(method().m_step(t).rounds[0][0].loss, space, table) for t in (0, 1))
    real, fake = space.p_real[:, None], space.p_fake.mean(0)[:, None]
    assert torch.allclose(uniform[:, :K], (fake - real / K).expand(-1, K) / (2 * (K + 1)))
    assert torch.allclose(known[:, :K], (fake - space.w * real) / (2 * (K + 1)))
    assert torch.allclose(uniform[:, K], known[:, K])


def slope_of(loss: TurnLoss, space: Space, table: Tensor) -> Tensor:
    return torch.func.grad(lambda table: loss(space.nets(discriminator=table), space.batch, space.noise, CLOCK).total)(
        table
    )


# What the game is worth -----------------------------------------------------------------------------------------------


def divergence(p: Tensor, q: Tensor, share: float) -> Tensor:
    """Jensen-Shannon of p, with `share` of the weight, and q."""
    mean = share * p + (1 - share) * q
    return share * (p * (p / mean).log()).sum() + (1 - share) * (q * (q / mean).log()).sum()


def worth(p: Tensor, q: Tensor, z: float) -> float:
    """(1 + Z) [JSD_pi - h(pi)], pi = Z / (1 + Z): of reals p of total weight Z against fakes q (erratum G5)."""
    share = z / (1 + z)
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    return (1 + z) * (float(divergence(p, q, share)) - entropy)


@repeatable
@given(seeds)
def test_against_the_best_discriminator_every_unit_is_worth_a_skewed_divergence(seed: int) -> None:
    space = Space(seed)
    value = -(K + 1) * float(of_discriminator(space, best_discriminator(space)).total)
    own, fake = space.w * space.p_real[:, None], space.p_fake.mean(0)
    units = [worth(own[:, i] / own[:, i].sum(), fake, float(own[:, i].sum())) for i in range(K)]
    assert value == pytest.approx(sum(units) + worth(space.p_real, fake, 2.0), abs=1e-12)


def test_the_printed_worth_is_right_for_weight_one_and_wrong_below() -> None:
    p, q = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=torch.float64)

    def printed(z: float) -> float:
        return -(z + 1) * math.log(2) + 2 * float(divergence(p, q, 0.5))

    def played(z: float) -> float:
        best = z * p / (z * p + q)
        return float((z * p * best.log() + q * (1 - best).log()).sum())

    assert played(1.0) == pytest.approx(printed(1.0)) == pytest.approx(worth(p, q, 1.0))
    assert played(1 / 3) == pytest.approx(worth(p, q, 1 / 3))
    assert (played(1 / 3), printed(1 / 3)) == pytest.approx((-0.6603, -0.7431), abs=5e-5)


# The generator --------------------------------------------------------------------------------------------------------


def of_generator(space: Space, table: Tensor, **options: Any) -> Tensor:
    """G's loss `(K, POINTS)` for each class and each point that could be made of it."""
    game, nets = method(**options), space.nets(discriminator=table)
    single = [noise(torch.tensor([(c + 0.5) / K]), torch.tensor([x])) for c in range(K) for x in range(POINTS)]
    losses = [game.generator_loss(nets, space.batch, each, CLOCK).total for each in single]
    return torch.stack(losses).view(K, POINTS)


def lowered(table: Tensor, space: Space) -> Tensor:
    """Gradient of G's expected Eq. 1 in the logits of each class's distribution `(K, POINTS)`, D held."""
    losses = of_generator(space, table, form="kl", clamp=200.0)
    return torch.func.grad(lambda made: (made.softmax(1) * losses).sum() / K)(space.p_fake.log().clamp(min=-200))


def kl_gradient(space: Space) -> Tensor:
    """Gradient of KL(P_r,c || P_f,c) for every class, each weighted by Z_c / K: EM's M-step for the mixture."""
    own = space.w * space.p_real[:, None]

    def divergences(made: Tensor) -> Tensor:
        return -(own.T * made.log_softmax(1)).sum() / K

    return torch.func.grad(divergences)(space.p_fake.log().clamp(min=-200))


@repeatable
@given(seeds)
def test_eq_1_descends_half_the_divergence_if_every_unit_meets_its_own_fakes(seed: int) -> None:
    space = Space(seed)
    own_fakes_only = (space.w * space.p_real[:, None] / space.p_fake.T).log()
    logits = torch.cat([own_fakes_only, torch.zeros(POINTS, 1, dtype=torch.float64)], 1)
    assert torch.allclose(lowered(logits, space), kl_gradient(space) / 2, rtol=1e-10, atol=1e-14)


@repeatable
@given(seeds)
def test_against_eq_2_s_best_discriminator_eq_1_counts_each_sample_once_more_by_its_class(seed: int) -> None:
    space = Space(seed)
    shared = space.p_fake / space.p_fake.sum(0)  # P(c | x) under the mixture that G makes
    own = K * shared * (space.w * space.p_real[:, None]).T

    def divergences(made: Tensor) -> Tensor:
        return -(own * made.log_softmax(1)).sum() / K

    assert torch.allclose(
        lowered(best_discriminator(space), space), torch.func.grad(divergences)(space.p_fake.log()) / 2, atol=1e-14
    )


def test_where_classes_share_no_point_both_discriminators_give_one_direction() -> None:
    space = Space(3, disjoint=True)
    found, half = lowered(best_discriminator(space).clamp(-100, 100), space), kl_gradient(space) / 2
    assert torch.allclose(found, K * half, atol=1e-12)


def test_the_units_form_lifts_the_class_and_lowers_every_other_unit_and_the_fake_one() -> None:
    space, rng = Space(4), torch.Generator().manual_seed(0)
    logits = torch.randn(POINTS, K + 1, generator=rng, dtype=torch.float64)
    losses = of_generator(space, logits, form="units")
    for c in range(K):
        up, down = logits[:, c].sigmoid().log(), (1 - logits.sigmoid()).log()
        expected = -(up + down.sum(1) - down[:, c]) / (K + 1)
        assert torch.allclose(losses[c], expected)


def test_eq_1_is_bounded_by_its_clamp_and_the_class_s_unit_alone_counts() -> None:
    space = Space(5)
    logits = torch.full((POINTS, K + 1), 500.0, dtype=torch.float64)
    logits[:, 1], logits[:, 2] = 9.0, -3.0
    losses = of_generator(space, logits, form="kl", clamp=10.0)
    assert losses.mean(1).tolist() == pytest.approx([-math.exp(10) / 2, -math.exp(9) / 2, -math.exp(-3) / 2])
    assert torch.equal(losses, losses[:, :1].expand(-1, POINTS))


# The encoder ----------------------------------------------------------------------------------------------------------


def of_encoder(space: Space, table: Tensor) -> Tensor:
    return method().encoder_loss(space.nets(encoder=table), space.batch, space.noise, CLOCK).total


@pytest.mark.parametrize("per_class", [(64, 64, 64), (128, 48, 16)], ids=["uniform", "uneven"])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_encoder_is_bayes_posterior_of_the_mixture_that_g_makes(seed: int, per_class: tuple[int, ...]) -> None:
    space = Space(seed, per_class)
    joint = space.phi * space.p_fake.T
    posterior = joint / joint.sum(1, keepdim=True)
    found = minimum(lambda table: of_encoder(space, table), K)
    assert torch.allclose(found.softmax(1), posterior, atol=1e-5)
    uncertainty = -(joint * posterior.log()).sum()
    assert float(of_encoder(space, found)) == pytest.approx(float(uncertainty), abs=1e-9)


def test_the_encoder_s_loss_is_log_k_where_g_ignores_the_class() -> None:
    space = Space(0)
    space.noise = noise(space.noise.places, torch.arange(POINTS).repeat(K).repeat_interleave(8))
    found = minimum(lambda table: of_encoder(space, table), K)
    assert float(of_encoder(space, found)) == pytest.approx(math.log(K), abs=1e-9)
