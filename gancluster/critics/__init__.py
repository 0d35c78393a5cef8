"""How a discriminator is trained and kept honest, whatever method uses it: one small class per objective.

A discriminator gives logits `(b,)` (a Wasserstein critic: scores). It is pushed up on real samples and down on fake
ones; the generator, conversely, lifts its fakes. ClusterGAN has two sides who both move (its "real" side is the
clusterer's pairs), and lowers real scores by the generator's loss of the negated scores: every objective here is
symmetric in that. docs/lecture.md goes through them in the GAN lecture's order.
"""

from gancluster.critics.base import Critic, Inputs, squared_gradient
from gancluster.critics.divergences import R1, MaximumLikelihood, Minimax, NonSaturating
from gancluster.critics.energy import MaximumEntropy, dependence
from gancluster.critics.lipschitz import (
    FrobeniusNorm,
    SpectralNorm,
    WassersteinClipped,
    WassersteinGP,
    WassersteinLP,
    power_iteration,
)
from gancluster.critics.named import HELP, named

__all__ = [
    "HELP",
    "R1",
    "Critic",
    "FrobeniusNorm",
    "Inputs",
    "MaximumEntropy",
    "MaximumLikelihood",
    "Minimax",
    "NonSaturating",
    "SpectralNorm",
    "WassersteinClipped",
    "WassersteinGP",
    "WassersteinLP",
    "dependence",
    "named",
    "power_iteration",
    "squared_gradient",
]
