"""The phase that deep clustering begins with: an auto-encoder learns to redraw samples from their latents."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from gancluster.methods.base import Batch, Clock, Loss, Nets, Phase, Turn
from gancluster.optim import Adam, Linear

PRETRAINING = "pre-training"


def pretraining(epochs: int, batch_size: int, lr: float) -> Phase:
    """Players `encoder` and `decoder` lower the error of redrawn samples together, by Adam."""
    turns = [Turn(("encoder", "decoder"), reconstruction_loss)]
    return Phase(PRETRAINING, epochs, batch_size, [turns], Adam(Linear(lr, lr), betas=(0.9, 0.999)))


def reconstruction_loss(nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
    """Mean squared error of `decoder(encoder(x))`, over samples and values."""
    redrawn = nets["decoder"](nets["encoder"](batch.inputs))
    return Loss({"reconstruction": F.mse_loss(redrawn, batch.inputs)})
