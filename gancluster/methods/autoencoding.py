"""How deep clustering begins, with an auto-encoder that learns to redraw samples from their latents, and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.methods.base import Batch, Clock, Loss, Nets, Phase, Turn, TurnLoss
from gancluster.optim import Adam, Linear

PRETRAINING = "pre-training"


def pretraining(epochs: int, batch_size: int, lr: float, loss: TurnLoss | None = None) -> Phase:
    """Players `encoder` and `decoder` lower the error of redrawn samples together, by Adam; `loss`: by another one."""
    turns, adam = [Turn(("encoder", "decoder"), loss or reconstruction_loss)], Adam(Linear(lr, lr), betas=(0.9, 0.999))
    return Phase(PRETRAINING, epochs, batch_size, [turns], adam, pretrains=True)


def settled(player: str, tolerance: float) -> Callable[[Nets, Batches], bool]:
    """The rule that a game is over once hardly any sample changes its cluster; which share did, `player` tells."""
    return lambda nets, batches: bool(nets[player]() < tolerance)


def reconstruction_loss(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    """Mean squared error of `decoder(encoder(x))`, over samples and values."""
    redrawn = nets["decoder"](nets["encoder"](batch.inputs))
    return Loss({"reconstruction": F.mse_loss(redrawn, batch.inputs)})


def direction_loss(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    """How far redrawn samples point astray: neither their length nor what is 0 in most of them counts."""
    return Loss({"reconstruction": astray(nets["decoder"](nets["encoder"](batch.inputs)), batch.inputs)})


def astray(redrawn: Tensor, x: Tensor) -> Tensor:
    """1 - the cosine of each sample and what is redrawn of it, both `(b, *shape)`: their mean, 0 to 2."""
    return 1 - F.cosine_similarity(redrawn.flatten(1), x.flatten(1)).mean()


def encoded(encoder: nn.Module, batches: Batches) -> Tensor:
    """Latents of all samples, in the order they are stored: `(n, d)`."""
    return torch.cat([encoder(part) for part in batches.parts()])


@torch.no_grad()
def standardise(encoder: nn.Module, decoder: nn.Module, latents: Tensor) -> None:
    """Let the encoder's `latents` have mean 0, and deviation 1 over samples and dimensions.

    The decoder makes up for it: both together redraw what they did.
    """
    first, last = next(iter(decoder.children())), list(encoder.children())[-1]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    mean = latents.mean(0)
    deviation = (latents - mean).square().mean().sqrt().clamp_min(1e-12)
    first.bias.add_(first.weight @ mean)
    first.weight.mul_(deviation)
    last.bias.sub_(mean).div_(deviation)
    last.weight.div_(deviation)
