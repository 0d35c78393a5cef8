"""Layers that a pure loss can use: their statistics are the batch's, and their noise comes with the call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) of `(b, features, …)`.

    While training: the batch's own mean and variance, nothing remembered. When evaluating: those that `calibrated` took
    from the data. `centre_only` leaves the variance alone (Salimans & Kingma 2016), for use with weight normalisation.
    """

    def __init__(self, features: int, centre_only: bool = False) -> None:
        super().__init__()
        self.weight = None if centre_only else nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("var", torch.ones(features))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and (biased) variance `(features,)` of a batch."""
        var, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
        return mean, var

    def forward(self, x: Tensor) -> Tensor:
        if self.weight is not None and self.training:
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True)
        mean, var = self.statistics(x) if self.training else (self.mean, self.var)
        if self.weight is None:
            return x + (self.bias - mean).view(1, -1, *[1] * (x.ndim - 2))
        return F.batch_norm(x, mean, var, self.weight, self.bias)


class GaussianNoise(nn.Module):
    """Adds noise of standard deviation `sd` to features of `shape`; the standard normal numbers come with the call."""

    def __init__(self, sd: float, *shape: int) -> None:
        super().__init__()
        self.sd, self.shape = sd, shape

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, *self.shape, generator=rng, device=rng.device)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        return x + self.sd * numbers


class Dropout(nn.Module):
    """Keeps each of the features of `shape` with probability `1 - p`; the mask comes with the call."""

    def __init__(self, p: float, *shape: int) -> None:
        super().__init__()
        self.p, self.shape = p, shape

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        return (torch.rand(n, *self.shape, generator=rng, device=rng.device) >= self.p).float()

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        return x * numbers / (1 - self.p)


class Conditioned(nn.Module):
    """A linear map or convolution whose input is joined by a code `(b, m)`, tiled over space for feature maps."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        tiled = code.view(*code.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
        out: Tensor = self.layer(torch.cat([x, tiled], 1))
        return out


class Chain(nn.Module):
    """Layers one after the other; those that are conditioned get the code, those that are noisy their random numbers.

    Without random numbers the noisy layers do nothing: a chain is deterministic unless it is handed its noise.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """The random numbers of one pass of `n` samples, in the order of the noisy layers."""
        return tuple(layer.draw(n, rng) for layer in self.layers if isinstance(layer, GaussianNoise | Dropout))

    def forward(self, x: Tensor, code: Tensor | None = None, numbers: Sequence[Tensor] = ()) -> Tensor:
        remaining = iter(numbers)
        for layer in self.layers:
            if isinstance(layer, GaussianNoise | Dropout):
                x = layer(x, next(remaining)) if numbers else x
            elif isinstance(layer, Conditioned):
                assert code is not None
                x = layer(x, code)
            else:
                x = layer(x)
        return x


class UnitNorm(nn.Module):
    """Parametrisation of a weight whose vector into each output unit has length 1, times a learnt scale if asked."""

    def __init__(self, outputs: int, dim: int, learnt: bool) -> None:
        super().__init__()
        self.dim = dim
        self.scale = nn.Parameter(torch.ones(outputs)) if learnt else None

    def forward(self, weight: Tensor) -> Tensor:
        others = [d for d in range(weight.ndim) if d != self.dim]
        unit = weight / weight.square().sum(others, keepdim=True).add(1e-12).sqrt()
        if self.scale is None:
            return unit
        return unit * self.scale.view([-1 if d == self.dim else 1 for d in range(weight.ndim)])


def weight_normed(layer: nn.Module, learnt: bool = True) -> nn.Module:
    """`layer` with normalised weights (Salimans & Kingma 2016), the scale learnt or fixed at 1."""
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return nn.utils.parametrize.register_parametrization(layer, "weight", UnitNorm(weight.shape[dim], dim, learnt))


class ZCA(nn.Module):
    """Whitening `(b, c, h, w)`: uncorrelated pixels of unit variance that still look like images (eps 1e-5).

    `fit` takes mean and transform from the data; until then the layer changes nothing.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        size = torch.Size(shape).numel()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("transform", torch.eye(size))

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        flat = images.flatten(1)
        values, vectors = torch.linalg.eigh(torch.cov(flat.T))
        self.mean.copy_(flat.mean(0))
        self.transform.copy_(vectors @ ((values.clamp_min(0) + 1e-5).rsqrt()[:, None] * vectors.T))

    def forward(self, x: Tensor) -> Tensor:
        return ((x.flatten(1) - self.mean) @ self.transform).view_as(x)


class View(nn.Module):
    """Gives each sample the shape `shape`."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)


class SpaceMean(nn.Module):
    """Global average pooling: `(b, c, h, w)` → `(b, c)`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


@torch.no_grad()
def calibrate(net: nn.Module, batches: Iterator[Tensor]) -> None:
    """Give every batch norm of `net` the data's statistics: the mean over `batches` of each batch's own."""
    norms = [layer for layer in net.modules() if isinstance(layer, BatchNorm)]
    seen: dict[BatchNorm, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in norms}
    hooks = [n.register_forward_pre_hook(lambda n, x: seen[n].append(n.statistics(x[0]))) for n in norms]
    net.train()
    for batch in batches:
        net(batch)
    for hook in hooks:
        hook.remove()
    for layer, found in seen.items():
        means, variances = zip(*found, strict=True)
        layer.mean.copy_(torch.stack(means).mean(0))
        layer.var.copy_(torch.stack(variances).mean(0))
