"""Layers that a pure loss can use: their statistics are the batch's, and their noise comes with the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

Numbers = Sequence[Tensor]


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) of `(b, features, …)`.

    While training: the batch's own mean and variance, nothing remembered. When evaluating: those that `calibrate` took
    from the data. `centre_only` leaves the variance alone (Salimans & Kingma 2016), for use with weight normalisation.
    `gather`: makes of a row `(d,)` those `(parts, d)` of all parts of a batch, while several processes have one each.
    """

    mean: Tensor
    var: Tensor
    gather: Callable[[Tensor], Tensor] | None = None

    def __init__(self, features: int, centre_only: bool = False) -> None:
        super().__init__()
        self.weight = None if centre_only else nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("var", torch.ones(features))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and (biased) variance `(features,)` of a batch."""
        var, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
        if self.gather is None:
            return mean, var
        rows = self.gather(torch.cat([mean, var, mean.new_tensor([len(x)])]))
        means, variances, sizes = torch.split(rows, [len(mean), len(mean), 1], 1)
        return pooled(means, variances, sizes / sizes.sum())

    def forward(self, x: Tensor) -> Tensor:
        """In the weights' type, and back: stacked, `F.batch_norm` has no slope for inputs of another one."""
        if self.weight is not None and self.training and self.gather is None:
            return F.batch_norm(x.to(self.bias), None, None, self.weight, self.bias, training=True).to(x)
        mean, var = self.statistics(x.to(self.bias)) if self.training else (self.mean, self.var)
        row = (1, -1, *[1] * (x.ndim - 2))
        if self.weight is None:
            return x + (self.bias - mean).view(row)
        if self.training:  # F.batch_norm has no slope in statistics that it is given
            scale = self.weight * (var + 1e-5).rsqrt()
            return (x * scale.view(row) + (self.bias - mean * scale).view(row)).to(x)
        return F.batch_norm(x.to(self.bias), mean, var, self.weight, self.bias).to(x)


def pooled(means: Tensor, variances: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance `(f,)` of a whole, from those of its parts `(p, f)` and the shares `(p, 1)` that these are."""
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0)


class GaussianNoise(nn.Module):
    """Adds noise of standard deviation `sd` to features of `shape`; the standard normal numbers come with the call."""

    def __init__(self, sd: float, *shape: int) -> None:
        super().__init__()
        self.sd, self.shape = sd, shape

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Standard normal `(n, *shape)`."""
        return torch.randn(n, *self.shape, generator=rng, device=rng.device)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        return x + self.sd * numbers


class Dropout(nn.Module):
    """Keeps each of the features of `shape` with probability `1 - p`; the mask comes with the call."""

    def __init__(self, p: float, *shape: int) -> None:
        super().__init__()
        self.p, self.shape = p, shape

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """1 where a feature is kept, else 0, `(n, *shape)`."""
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

    def forward(self, x: Tensor, code: Tensor | None = None, numbers: Numbers = ()) -> Tensor:
        remaining = iter(numbers)
        for layer in self.layers:
            if isinstance(layer, GaussianNoise | Dropout):
                x = layer(x, next(remaining)) if numbers else x
            elif isinstance(layer, Conditioned):
                x = layer(x, code)
            else:
                x = layer(x)
        return x


def draw_numbers(net: nn.Module, n: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    """The random numbers of one pass of `n` samples through `net`, in the order of its noisy layers; often none."""
    return tuple(layer.draw(n, rng) for layer in net.modules() if isinstance(layer, GaussianNoise | Dropout))


class UnitNorm(nn.Module):
    """Parametrisation of a weight whose vector into each output unit has length 1, times a learnt scale if asked."""

    def __init__(self, outputs: int, dim: int, scale: float | None) -> None:
        super().__init__()
        self.dim = dim
        self.scale = None if scale is None else nn.Parameter(torch.full((outputs,), scale))

    def forward(self, weight: Tensor) -> Tensor:
        others = [d for d in range(weight.ndim) if d != self.dim]
        unit = weight / weight.square().sum(others, keepdim=True).add(1e-12).sqrt()
        if self.scale is None:
            return unit
        return unit * self.scale.view([-1 if d == self.dim else 1 for d in range(weight.ndim)])


def weight_normed(layer: nn.Module, scale: float | None = 1.0) -> nn.Module:
    """`layer` with normalised weights (Salimans & Kingma 2016); `scale`: where the learnt one starts, None: fixed 1."""
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    weight = layer.get_parameter("weight")
    return parametrize.register_parametrization(layer, "weight", UnitNorm(weight.shape[dim], dim, scale))


class ZCA(nn.Module):
    """Whitening of `(b, c, h, w)`: uncorrelated pixels of unit variance that still look like images.

    `fit` takes mean and transform from the data; until then the layer changes nothing.
    """

    mean: Tensor
    transform: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        size = torch.Size(shape).numel()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("transform", torch.eye(size))

    @torch.no_grad()
    def fit(self, images: Tensor, eps: float = 1e-5) -> None:
        """Whiten `images` `(n, c, h, w)`; directions that so few samples do not span get the least variance seen."""
        flat = images.flatten(1).double()  # in single precision the small variances of natural images are noise
        values, vectors = torch.linalg.eigh(torch.cov(flat.T))
        spanned = min(len(flat) - 1, len(values))
        values = values.clamp_min(values[-spanned].clamp_min(0)) + eps
        self.mean.copy_(flat.mean(0))
        self.transform.copy_(vectors @ (values.rsqrt()[:, None] * vectors.T))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # sums of large numbers that nearly cancel
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


class Squash(nn.Module):
    """Any values into the range of pixels, by a sigmoid from `low` to `high`; from -1 to 1 it is `tanh(x / 2)`."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * torch.sigmoid(x)


@torch.no_grad()
def adapt(net: nn.Module, inputs: Tensor, first: int = 100) -> None:
    """What a net takes from its data `(n, *shape)` before it is trained.

    Whitening, from all of them; and learnt scales of normalised weights, such that the pre-activations of the `first`
    samples have mean 0 and variance 1 (Salimans & Kingma 2016, section 3).
    """
    hooks = []
    for layer in net.modules():
        if isinstance(layer, ZCA):
            layer.fit(inputs)
        if parametrize.is_parametrized(layer, "weight") and _norm_of(layer).scale is not None:
            hooks.append(layer.register_forward_hook(_to_unit_variance))
    if hooks:
        net(inputs[:first])
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def read_out(layer: nn.Module, features: Tensor, targets: Tensor, ridge: float = 0.01) -> None:
    """Set a linear `layer` to the ridge regression of `targets` `(n, outputs)` on `features` `(n, inputs)`.

    `ridge`: the penalty, in units of a feature's mean variance.
    """
    at, to = features.mean(0), targets.mean(0)
    centred = features - at
    covariance = centred.T @ centred / len(centred)
    covariance.diagonal().add_(ridge * covariance.diagonal().mean())
    weight = torch.linalg.solve(covariance, centred.T @ (targets - to) / len(centred)).T
    layer.get_parameter("bias").copy_(to - weight @ at)
    if parametrize.is_parametrized(layer, "weight"):
        layer.get_parameter("parametrizations.weight.0.scale").copy_(weight.norm(dim=1))
        layer.get_parameter("parametrizations.weight.original").copy_(weight)
    else:
        layer.get_parameter("weight").copy_(weight)


def _norm_of(layer: nn.Module) -> UnitNorm:
    norm = layer.get_submodule("parametrizations.weight.0")
    assert isinstance(norm, UnitNorm)
    return norm


def _to_unit_variance(layer: nn.Module, _: object, out: Tensor) -> Tensor:
    """Rescale the layer, and centre it where it has a bias, by its own output; gives the output it would have had."""
    across = [0, *range(2, out.ndim)]
    bias, scale = layer.bias, _norm_of(layer).scale
    assert scale is not None
    sd = out.std(across, correction=0).clamp_min(1e-6)
    scale.div_(sd)
    if isinstance(bias, Tensor):
        bias.sub_(out.mean(across)).div_(sd)
        out = out - out.mean(across, keepdim=True)
    return out / sd.view(1, -1, *[1] * (out.ndim - 2))


@torch.no_grad()
def calibrate(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every batch norm of `net` the mean and variance of all that reaches it from all `batches` together."""
    norms = [layer for layer in net.modules() if isinstance(layer, BatchNorm)]
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in norms}
    hooks = [n.register_forward_pre_hook(lambda n, x: seen[n].append(n.statistics(x[0]))) for n in norms]
    net.train()
    sizes = []
    for batch in batches:
        net(batch)
        sizes.append(float(len(batch)))
    for hook in hooks:
        hook.remove()
    for layer in norms:
        share = (torch.tensor(sizes) / sum(sizes)).to(layer.mean)[:, None]
        means, variances = (torch.stack(found) for found in zip(*seen[layer], strict=True))
        mean, var = pooled(means, variances, share)
        layer.mean.copy_(mean)
        layer.var.copy_(var)
