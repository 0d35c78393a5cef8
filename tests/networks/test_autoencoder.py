"""The auto-encoder: DEC's sizes, mirrored; ranges, signals at any width; one logit a latent, which is its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gancluster.methods.base import EXAMPLES
from gancluster.networks import autoencoder

everywhere = pytest.mark.parametrize("shape", [(2,), (2000,), (1, 8, 8), (1, 28, 28), (3, 32, 32)], ids=str)


def sizes(net: nn.Module) -> list[tuple[int, int]]:
    """Inputs and outputs of each linear map."""
    return [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]


def test_at_full_width_the_sizes_are_those_of_dec() -> None:
    shape = EXAMPLES["grey images"].shape
    with torch.device("meta"):
        E, D = autoencoder.encoder(shape), autoencoder.decoder(shape)
    assert sizes(E) == [(784, 500), (500, 500), (500, 2000), (2000, 10)]
    assert sizes(D) == [(outputs, inputs) for inputs, outputs in reversed(sizes(E))]


@everywhere
def test_a_sample_is_redrawn_in_its_own_shape_and_range(shape: tuple[int, ...]) -> None:
    E, D = autoencoder.encoder(shape, 7, width=0.25), autoencoder.decoder(shape, 7, (-1.0, 1.0), width=0.25)
    z = E(torch.rand(5, *shape))
    assert z.shape == (5, 7)
    redrawn = D(100 * z)
    assert redrawn.shape == (5, *shape)
    assert bool((redrawn.abs() <= 1).all()) == (len(shape) == 3)


@pytest.mark.parametrize("width", [0.1, 1.0])
def test_signals_of_new_networks_keep_their_size(width: float) -> None:
    torch.manual_seed(0)
    E, D = autoencoder.encoder((500,), 50, width), autoencoder.decoder((500,), 50, width=width)
    x = torch.randn(500, 500)
    z = E(x)
    assert 0.5 < float(z.detach().std()) < 2.5
    assert 0.3 < float((D(z).std() / z.std()).detach()) < 3


def test_a_latent_s_logit_is_its_own() -> None:
    D = autoencoder.latent_discriminator(10)
    z = torch.randn(6, 10)
    assert D(z).shape == (6,)
    assert torch.allclose(D(z)[2:3], D(z[2:3]), atol=1e-6)
    assert sizes(D) == [(10, 256), (256, 256), (256, 1)]
