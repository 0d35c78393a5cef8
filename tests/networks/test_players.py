"""Both architectures: one call form, the published sizes of maps, ranges, noise, and shapes that are refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gancluster.errors import UserError
from gancluster.networks import compact, triple_gan
from gancluster.networks.blocks import ZCA, BatchNorm, Dropout, GaussianNoise, draw_numbers
from gancluster.networks.players import Players

BUILDERS = {"compact": compact.players, "triple-gan": triple_gan.players}
SHAPES = [(2,), (30,), (1, 4, 4), (1, 8, 8), (1, 16, 16), (3, 28, 28), (3, 32, 32), (3, 40, 56), (3, 96, 96)]
M, K, N = 12, 4, 2

everywhere = pytest.mark.parametrize("shape", SHAPES, ids=str)
both = pytest.mark.parametrize("networks", BUILDERS)


def built(networks: str, shape: tuple[int, ...], pixel_range: tuple[float, float] = (0.0, 1.0)) -> Players:
    torch.manual_seed(0)
    return BUILDERS[networks](shape, M, K, pixel_range)


def sides(net: nn.Module, *inputs: Tensor) -> list[int]:
    """Sides of the maps that leave each convolution and pooling."""
    found: list[int] = []
    kinds = nn.Conv2d | nn.ConvTranspose2d | nn.MaxPool2d
    for layer in net.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(lambda layer, x, out: found.append(out.shape[-1]))
    net(*inputs)
    return found


@both
@everywhere
def test_players_take_and_give_the_shapes_they_promise(networks: str, shape: tuple[int, ...]) -> None:
    C, G, D = built(networks, shape)
    x, z = torch.rand(N, *shape), torch.rand(N, M)
    code, sample, logit = C(x), G(z), D(z, x)
    assert code.shape == (N, M)
    assert ((code > 0) & (code < 1)).all()
    assert sample.shape == (N, *shape)
    assert logit.shape == (N,)
    assert C(x, features=True).shape == (N, C.n_features)


@both
@everywhere
def test_players_take_the_noise_that_is_drawn_for_them(networks: str, shape: tuple[int, ...]) -> None:
    C, G, D = built(networks, shape)
    x, z, rng = torch.rand(N, *shape), torch.rand(N, M), torch.Generator().manual_seed(0)
    for net, inputs in ((C, (x,)), (G, (z,)), (D, (z, x))):
        numbers = draw_numbers(net, N, rng)
        noisy, quiet = net(*inputs, numbers), net(*inputs)
        assert torch.equal(net(*inputs, numbers), noisy)
        assert torch.allclose(noisy, quiet) == (len(numbers) == 0)
        assert bool(numbers) == (networks == "triple-gan" and net is not G)


@both
@pytest.mark.parametrize("pixel_range", [(0.0, 1.0), (-1.0, 1.0)])
def test_generated_images_lie_in_the_pixel_range_and_use_both_halves(
    networks: str, pixel_range: tuple[float, float]
) -> None:
    low, high = pixel_range
    for shape in ((1, 8, 8), (3, 32, 32)):
        sample = built(networks, shape, pixel_range).generator(torch.rand(8, M)).detach()
        assert low < float(sample.min()) < (low + high) / 2 < float(sample.max()) < high


@both
def test_generated_vectors_are_unbounded(networks: str) -> None:
    generator = built(networks, (30,)).generator
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(5)
    assert float(generator(torch.rand(50, M)).detach().abs().max()) > 1


@both
@everywhere
def test_a_logit_is_its_own_samples_and_depends_on_code_and_sample(networks: str, shape: tuple[int, ...]) -> None:
    D = built(networks, shape).discriminator
    x, z = torch.rand(3, *shape), torch.rand(3, M)
    assert torch.allclose(D(z, x)[1:2], D(z[1:2], x[1:2]), atol=1e-5)
    of_code, of_sample = torch.func.grad(lambda z, x: D(z, x).sum(), argnums=(0, 1))(z, x)
    assert (of_code.flatten(1).abs().sum(1) > 0).all()
    assert (of_sample.flatten(1).abs().sum(1) > 0).all()
    assert not [layer for layer in D.modules() if isinstance(layer, BatchNorm)]


@pytest.mark.parametrize(
    ("side", "maps"),
    [(28, [24, 12, 12, 10, 5, 5, 5]), (16, [12, 6, 6, 4, 2, 2, 2]), (8, [8, 4, 4, 4, 2, 2, 2])],
)
def test_triple_gans_clusterer_of_digits_has_the_published_maps(side: int, maps: list[int]) -> None:
    assert sides(built("triple-gan", (1, side, side)).clusterer, torch.rand(2, 1, side, side)) == maps


@pytest.mark.parametrize("side", [32, 48, 96])
def test_triple_gans_networks_of_photographs_have_the_published_maps_or_their_like(side: int) -> None:
    C, G, D = built("triple-gan", (3, side, side), (-1.0, 1.0))
    x, seen = torch.rand(2, 3, side, side), min(side, 48)
    of_clusterer = [seen] * 3 + [seen // 2] * 4 + [seen // 4] + [seen // 4 - 2] * 3
    assert sides(C, x) == of_clusterer
    assert sides(D, torch.rand(2, M), x) == [seen, seen // 2, seen // 2, seen // 4, seen // 4 - 2, seen // 4 - 4]
    assert sides(G, torch.rand(2, M)) == [seen // 4, seen // 2, seen]
    if side == 32:
        assert [of_clusterer[k] for k in (0, 3, 7, 8, 9, 10)] == [32, 16, 8, 6, 6, 6]


def test_large_photographs_are_seen_and_made_at_half_their_side() -> None:
    C, G, D = built("triple-gan", (3, 96, 96))
    x, z = torch.rand(2, 3, 96, 96), torch.rand(2, M)
    coarse = nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), scale_factor=2)
    assert torch.allclose(C(x), C(coarse), atol=1e-5)
    assert torch.allclose(D(z, x), D(z, coarse), atol=1e-5)
    made = G(z)
    assert torch.equal(made, nn.functional.interpolate(made[..., ::2, ::2], scale_factor=2))


def test_triple_gans_noise_is_as_strong_as_published() -> None:
    def strengths(net: nn.Module) -> list[float]:
        noisy = [layer for layer in net.modules() if isinstance(layer, GaussianNoise | Dropout)]
        return [layer.sd if isinstance(layer, GaussianNoise) else layer.p for layer in noisy]

    digits, photographs = built("triple-gan", (1, 28, 28)), built("triple-gan", (3, 32, 32))
    assert strengths(digits.discriminator) == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert strengths(digits.clusterer) == [0.5, 0.5]
    assert strengths(photographs.discriminator) == [0.2, 0.2, 0.2]
    assert strengths(photographs.clusterer) == [0.15, 0.5, 0.5]


def test_only_photographs_of_32_pixels_are_whitened_and_before_the_noise() -> None:
    kinds = {
        shape: [type(layer) for layer in built("triple-gan", shape).clusterer.body.layers]
        for shape in ((1, 28, 28), (3, 32, 32), (3, 48, 48))
    }
    assert kinds[3, 32, 32][:2] == [ZCA, GaussianNoise]
    assert ZCA not in kinds[1, 28, 28] + kinds[3, 48, 48]


@pytest.mark.parametrize(
    ("networks", "shape"),
    [
        ("compact", (1, 3, 8)),
        ("triple-gan", (1, 3, 28)),
        ("triple-gan", (3, 33, 32)),
        ("triple-gan", (3, 32, 72)),
        ("triple-gan", (3, 160, 160)),
    ],
)
def test_sides_that_do_not_fit_are_refused_in_one_line(networks: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=f"{shape[1]}x{shape[2]}") as refusal:
        built(networks, shape)
    assert "\n" not in str(refusal.value)
