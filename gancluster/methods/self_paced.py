"""Balanced self-paced learning: which samples' entropy is minimised when (ClusterGAN paper, sections 3.2-3.3).

Easy samples (small loss) come first, and a cluster that already gives many samples must offer easier ones to give more.
For each cluster k with losses l and weights nu the step solves

    min over nu in [0, 1]^n    sum_i nu_i (l_i - lambda) + gamma (sum_i nu_i)²                            (Eq. 5, 6)

All functions are sums and sorts over the whole batch at once: no loop over clusters, and they work under `vmap`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Form = Literal["corrected", "printed"]
Schedule = Literal["fraction", "threshold"]


def pairwise_entropy(codes: Tensor, form: Form = "corrected") -> Tensor:
    """`l_i = mean over j != i of h(a_ij)`, in [0, log 2], for codes `(n, m)` in (0, 1) (Eq. 3).

    `a_ij` is the cosine of codes i and j and `h` the binary entropy: small when every other sample is clearly alike or
    clearly different. The printed sum grows with the batch, and runs over j = i as well (erratum B11).
    """
    with torch.autocast(codes.device.type, enabled=False):  # 1 - 1e-6 is 1 in bfloat16, and h(1) no number
        codes = codes.to(torch.promote_types(codes.dtype, torch.float32))
        unit = codes / codes.norm(dim=1, keepdim=True).clamp_min(1e-12)
        similarity = (unit @ unit.T).clamp(1e-6, 1 - 1e-6)  # the slope of h is infinite at 0 and 1
    entropy: Tensor = -similarity * similarity.log() - (1 - similarity) * (1 - similarity).log()
    if form == "printed":
        return entropy.sum(1)
    n = len(codes)
    others = 1 - torch.eye(n, dtype=codes.dtype, device=codes.device)
    return (entropy * others).sum(1) / max(n - 1, 1)


def rank_in_group(by_loss: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """Place `0, 1, 2, …` of each sample in its group `(n,)`; `by_loss` `(n,)`: all samples, ascending by loss."""
    small = torch.uint8 if n_groups <= 256 else torch.int32  # narrow integers sort several times as fast
    grouped = torch.sort(groups.to(small).gather(0, by_loss), stable=True)
    places = torch.arange(len(groups), dtype=torch.int32, device=groups.device)
    first = torch.cat([places[:1] == 0, grouped.values[1:] != grouped.values[:-1]])
    before = torch.where(first, places, 0).cummax(0).values
    return torch.zeros_like(places).scatter(0, by_loss.gather(0, grouped.indices), places - before)


def weights(losses: Tensor, ranks: Tensor, threshold: Tensor, gamma: Tensor, form: Form = "corrected") -> Tensor:
    """Minimiser nu `(n,)` of Eq. 5 (Theorem 1), given each sample's rank q = 0, 1, … in its cluster.

    `nu_q = clip((lambda - l_q) / (2 gamma) - q, 0, 1)`; gamma → 0 selects `l < lambda`, plain self-paced learning.
    The printed theorem counts q from 1 in its middle case, which gives weights in [-1, 0] there (erratum B1).
    """
    room = (threshold - losses) / (2 * gamma.clamp_min(1e-12)) - ranks
    if form == "printed":
        return torch.where(room >= 1, 1.0, torch.where(room > 0, room - 1, 0.0))
    return room.clamp(0.0, 1.0)


def balance(ordered: Tensor, n_clusters: int, kappa: float) -> Tensor:
    """gamma such that, over an average cluster, the balance penalty is `kappa` times the losses' 10-90 % spread.

    `ordered` `(n,)`: the losses, ascending. How gamma is set is not printed; this form keeps its effect whatever their
    scale.
    """
    last = len(ordered) - 1
    spread = ordered[round(0.9 * last)] - ordered[round(0.1 * last)]
    return kappa * spread * n_clusters / (2 * len(ordered))


def threshold_for(fraction: Tensor, losses: Tensor, ranks: Tensor, gamma: Tensor) -> Tensor:
    """lambda at which the mean weight is `fraction` (0 .. 1), by bisection: the mean weight only grows with lambda."""
    low, high = losses.min(), (losses + 2 * gamma * (ranks + 1)).max()
    for _ in range(30):
        middle = (low + high) / 2
        enough = weights(losses, ranks, middle, gamma).mean() >= fraction
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high + 1e-6 * (1 + high.abs())


def paced_weights(
    losses: Tensor,
    groups: Tensor,
    n_clusters: int,
    progress: Tensor,
    kappa: float = 1.0,
    form: Form = "corrected",
    schedule: Schedule = "fraction",
) -> Tensor:
    """nu `(n,)` at `progress` (0 → 1) of training: 1 % of the samples at first, all of them from 3/4 on.

    `schedule`: the selected *fraction* grows linearly, or, as printed, the *threshold* lambda does between its values
    for 1 % and for all. `kappa = 0` is plain self-paced learning. `groups` `(n,)`: each sample's cluster.
    """
    ordered, by_loss = torch.sort(losses, stable=True)  # the one long sort of the step
    ranks = rank_in_group(by_loss, groups, n_clusters).to(losses.dtype)
    gamma = balance(ordered, n_clusters, kappa)
    share = (progress / 0.75).clamp(0.0, 1.0)
    if schedule == "fraction":
        threshold = threshold_for(0.01 + 0.99 * share, losses, ranks, gamma)
    else:
        first = threshold_for(torch.full_like(share, 0.01), losses, ranks, gamma)
        everything = threshold_for(torch.ones_like(share), losses, ranks, gamma)
        threshold = first + (everything - first) * share
    return weights(losses, ranks, threshold, gamma, form)
