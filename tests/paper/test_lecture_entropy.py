"""Maximum-entropy generators: what a statistics network can say of the information, and what its term does to G."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gancluster.critics import MaximumEntropy, dependence
from gancluster.networks.statistics import Statistics

MADE = torch.tensor([0, 0, 0, 1, 1, 2])  # the sample that each of six values of the noise makes


def every_pair(n: int) -> Tensor:
    """Values 0 … n - 1 in a circle of n² in which each stands behind each exactly once (de Bruijn)."""
    return torch.tensor([v for a in range(n) for v in [a, *(w for b in range(a + 1, n) for w in (a, b))]])


def exactly(table: Tensor) -> tuple[Tensor, Tensor]:
    """`dependence` of a T `(samples, noise)` where all pairs are as frequent as they are likely."""
    z = every_pair(len(MADE))
    return dependence(lambda x, z: table[x, z], MADE[z], z)


def distributions() -> tuple[Tensor, Tensor]:
    """The joint distribution `(samples, noise)` of the six, and the product of its margins."""
    joint = (torch.arange(3)[:, None] == MADE).double() / len(MADE)
    return joint, joint.sum(1, keepdim=True) * joint.sum(0)


def test_the_circle_has_every_pair_once() -> None:
    z = every_pair(4)
    assert sorted(zip(z.tolist(), z.roll(1).tolist(), strict=True)) == [(a, b) for a in range(4) for b in range(4)]


def test_no_statistics_network_says_more_than_the_information_and_the_best_says_twice_jensen_shannon() -> None:
    joint, product = distributions()
    middle = (joint + product) / 2
    jensen_shannon = (torch.xlogy(joint, joint / middle) + torch.xlogy(product, product / middle)).sum() / 2
    entropy = -torch.xlogy(joint.sum(1), joint.sum(1)).sum()  # of the samples: noise decides them
    assert 2 * jensen_shannon < entropy
    for seed in range(20):
        table = 4 * torch.randn(3, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert exactly(table)[1] < 2 * jensen_shannon
    table = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    assert float(exactly(table.detach())[1]) == pytest.approx(0)
    optimizer = torch.optim.LBFGS([table], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        cross_entropy, _ = exactly(table)
        cross_entropy.backward()
        return cross_entropy

    optimizer.step(loss)
    assert float(exactly(table.detach())[1]) == pytest.approx(float(2 * jensen_shannon), abs=1e-5)
    assert float((joint * table.detach()).sum()) == pytest.approx(float(entropy), abs=1e-3)  # T is the log-ratio


def test_a_trained_network_says_of_a_gaussian_pair_what_the_log_ratio_says_and_never_the_whole_information() -> None:
    torch.manual_seed(0)
    r, statistics = 0.8, Statistics(nn.Linear(1, 64), 64, 1)
    information = -math.log(1 - r**2) / 2  # .51

    def pair(seed: int) -> tuple[Tensor, Tensor]:
        z, e = torch.randn(2, 500, 1, generator=torch.Generator().manual_seed(seed))
        return r * z + (1 - r**2) ** 0.5 * e, z

    def log_ratio(x: Tensor, z: Tensor) -> Tensor:
        return (information + (x**2 + z**2) / 2 - (x**2 - 2 * r * x * z + z**2) / (2 - 2 * r**2))[:, 0]

    optimizer = torch.optim.Adam(statistics.parameters(), 3e-3)
    for step in range(80):
        optimizer.zero_grad()
        dependence(statistics, *pair(step))[0].backward()
        optimizer.step()
    fresh = [pair(seed) for seed in range(1000, 1040)]
    with torch.no_grad():
        trained, best = (
            float(torch.stack([dependence(T, *one)[1] for one in fresh]).mean()) for T in (statistics, log_ratio)
        )
    assert best - 0.03 < trained < best < information


@pytest.mark.parametrize("entropy", [1.0, 0.0])
def test_l22_a_generator_that_forgets_its_entropy_draws_one_point(entropy: float) -> None:
    """`x = a z` where the energy is `x²/20`, from a = .05."""
    torch.manual_seed(0)
    a = torch.tensor(0.05, requires_grad=True)
    statistics, critic = Statistics(nn.Linear(1, 32), 32, 1), MaximumEntropy(entropy=entropy)
    optimizer = torch.optim.Adam([a, *statistics.parameters()], 1e-2)
    for _ in range(100):
        z = torch.randn(128, 1)
        score = -(a * z)[:, 0].square() / 20  # f = -U
        loss = critic.generator_loss(score) + critic.entropy * dependence(statistics, a * z, z)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    spread = float(a.detach().abs())
    assert spread > 0.2 if entropy else spread < 0.01


def test_the_penalty_is_zero_centred_and_on_real_samples_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    real = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    fake = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(net(real).sum(), real)

    def score(x: Tensor) -> Tensor:
        return net(x)[:, 0]

    penalty = MaximumEntropy(weight=0.3).penalty(score, (real,), (fake,), torch.rand(5))
    assert float(penalty.detach()) == pytest.approx(0.3 * float(slope.detach().square().sum(1).mean()))
    of_real, of_fake = torch.autograd.grad(penalty, (real, fake), allow_unused=True)
    assert of_real.abs().max() > 0
    assert of_fake is None


@pytest.mark.parametrize("seed", range(5))
def test_l24_the_lemma_is_about_pairs_drawn_from_their_joint_distribution(seed: int) -> None:
    """`E f(x, y) = E f(x', y)`, where x' is drawn anew given y (InfoGAN's Lemma 5.1); not where x' is drawn by f."""
    rng = torch.Generator().manual_seed(seed)
    joint = torch.randn(4, 3, generator=rng, dtype=torch.float64).flatten().softmax(0).view(4, 3)
    f = torch.rand(4, 3, generator=rng, dtype=torch.float64)
    expected = (joint * f).sum()
    again = (joint.sum(0) * (joint / joint.sum(0) * f).sum(0)).sum()
    by_f = (joint.sum(0) * (f / f.sum(0) * f).sum(0)).sum()
    assert torch.isclose(again, expected)
    assert not torch.isclose(by_f, expected, rtol=0.01)
