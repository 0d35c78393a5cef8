"""Critics whose game descends an f-divergence when D is the best one, `D* = p_r / (p_r + p_g)`.

All share D's loss, the cross-entropy of `Critic`; at D* it is `2 log 2 - 2 JS(p_r, p_g)` (Goodfellow et al. 2014,
section 4.1; the lecture's steps have errata L3, L4). They differ in what the generator minimises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gancluster.critics.base import Critic, Inputs, NotNegative, Positive, Times, squared_gradient


@dataclass(frozen=True)
class Minimax(Critic):
    """The game as first printed (Goodfellow et al. 2014): `min_G E log(1 - D(G))`. Saturates when D is sure.

    At D* its gradient is that of `2 JS(p_r, p_g)`.
    """

    repeat: Times = 1

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -F.softplus(fake).mean()


@dataclass(frozen=True)
class NonSaturating(Critic):
    """The usual remedy (same paper, section 3): `min_G -E log D(G)`, which changes G's loss alone (erratum L1).

    At D* its gradient, D* held, is that of `KL(p_g, p_r) - 2 JS(p_r, p_g)` (errata L5, L6).
    """

    repeat: Times = 1

    def generator_loss(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()


@dataclass(frozen=True)
class MaximumLikelihood(Critic):
    """`min_G -1/2 E exp(logit D(G))` (Goodfellow 2014, *On distinguishability criteria*).

    At D*, where exp(logit) = p_r / p_g, its gradient is half that of `KL(p_r, p_g)`. Single samples may outweigh all
    others: logits above `cap` count as `cap`, and have no gradient.
    """

    repeat: Times = 1
    cap: Positive = 10.0

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.clamp(max=self.cap).exp().mean() / 2


@dataclass(frozen=True)
class R1(NonSaturating):
    """Non-saturating with a zero-centred gradient penalty (Mescheder et al. 2018): `weight/2 E ||grad D||²`.

    Taken on real and fake samples alike (R1 and R2), since ClusterGAN's two sides both move.
    """

    weight: NotNegative = 0.6
    every: Times = 4

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        both = tuple(torch.cat(sides) for sides in zip(real, fake, strict=True))
        return self.weight / 2 * squared_gradient(net, both).mean()
