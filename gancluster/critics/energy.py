"""Maximum-entropy generators: a critic that is an energy, and what keeps its generator from settling in one minimum.

The generator G lowers the energy U of its samples, so that alone it would draw one point of least energy. It is held
apart by its entropy. A sample is a function of G's noise z, hence `H(G(z)) = I(G(z); z)` (in nats, where noise and
samples are finite), and a *statistics network* T bounds that from below: trained to tell (G(z), z) from (G(z), the z of
another sample) by cross-entropy,

    2 log 2 - 2 cross-entropy ≤ 2 JS(joint, product) ≤ I(G(z); z)

with equality on the left at the best T. G moves with T: it makes their task easy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from gancluster.critics.base import Inputs, NotNegative, Times, squared_gradient
from gancluster.critics.lipschitz import Wasserstein


@dataclass(frozen=True)
class MaximumEntropy(Wasserstein):
    """MEG (Kumar et al. 2019): an energy `U = -f`, `min_U E U(real) - E U(fake)`, `min_G E U(G) - H(G)`.

    As in the released code G is given `entropy` times T's cross-entropy, half of the bound above with its sign changed.
    The penalty is `weight E ||grad U||²`, on real samples alone; printed weights: 10 for images, .1 for points of the
    plane. `entropy=0` is the generator of the lecture, which forgets the entropy (erratum L22).
    """

    repeat: Times = 5
    weight: NotNegative = 10.0
    entropy: NotNegative = 1.0

    def penalty(self, net: Callable[..., Tensor], real: Inputs, fake: Inputs, mix: Tensor) -> Tensor:
        return self.weight * squared_gradient(net, real).mean()


def dependence(statistics: Callable[..., Tensor], samples: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of T on samples `(b, *shape)` and the noise `(b, d)` that made them; the bound on I, in nats.

    Noise is drawn independently, so that of the sample before serves as anybody's. A T that cannot tell: log 2 and 0.
    """
    own, others = statistics(samples, noise), statistics(samples, noise.roll(1, 0))
    cross_entropy = (F.softplus(-own).mean() + F.softplus(others).mean()) / 2
    return cross_entropy, 2 * (math.log(2) - cross_entropy)
