"""What games between a discriminator and a generator that draws from noise share: rounds, G's entropy, scored pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor

from gancluster.critics import Critic, Inputs, dependence
from gancluster.methods.base import AfterStep, Loss, Net, Nets, Turn


def makers(critic: Critic) -> tuple[str, ...]:
    """Who takes G's turn: G, and the statistics network where the critic weighs G's entropy."""
    return ("generator", "statistics") if critic.entropy else ("generator",)


def rounds(
    critic: Critic,
    discriminators: str | tuple[str, ...],
    discriminator_loss: Callable[..., Loss],
    *others: Turn,
    after: AfterStep | None = None,
) -> list[list[Turn]]:
    """D's turn, then those of the `others`; of `critic.every` rounds the first has D's loss `penalised=True`."""
    free = Turn(discriminators, discriminator_loss, critic.repeat, after or critic.after_step)
    held = replace(free, loss=partial(discriminator_loss, penalised=True))
    return [[held, *others], *[[free, *others]] * (critic.every - 1)]


def discriminator_loss(critic: Critic, score: Net, real: Inputs, fake: Inputs, mix: Tensor | None) -> Loss:
    """The critic's loss of D; with `mix` `(b,)` its penalty too, as many times as strong as it is rare."""
    terms = {"adversarial": critic.discriminator_loss(score(*real), score(*fake))}
    penalty = None if mix is None else critic.penalty(score, real, fake, mix)
    return Loss(terms if penalty is None else terms | {"penalty": critic.every * penalty})


def generator_loss(critic: Critic, nets: Nets, score: Net, fake: Inputs, samples: Tensor, noise: Tensor) -> Loss:
    """The critic's loss of G on `fake` inputs of D, and `entropy_loss` of the samples that noise made."""
    entropy = entropy_loss(critic, nets, samples, noise)
    return Loss({"adversarial": critic.generator_loss(score(*fake))} | entropy.terms, entropy.watched)


def entropy_loss(critic: Critic, nets: Nets, samples: Tensor, noise: Tensor) -> Loss:
    """T's cross-entropy for G and T, half the bound on `-H(G)` but for a constant; nothing if the critic asks for none.

    `samples` `(b, *shape)` that `noise` `(b, d)`, all of G's input, made. Watched: `entropy_bound`, in nats.
    """
    if not critic.entropy:
        return Loss({})
    cross_entropy, bound = dependence(nets["statistics"], samples, noise)
    return Loss({"entropy": critic.entropy * cross_entropy}, {"entropy_bound": bound})


def scored(discriminator: Net) -> Net:
    """(w `(b, K)`, x `(b, *shape)`) → `Σ_i w_i d_i(x) − d_{K+1}(x)` `(b,)`, for a discriminator of K + 1 units."""

    def score(w: Tensor, x: Tensor) -> Tensor:
        units = discriminator(x)
        return (w * units[:, :-1]).sum(1) - units[:, -1]

    return score
