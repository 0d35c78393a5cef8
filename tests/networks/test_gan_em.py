"""GAN-EM's networks: the published maps and sizes at full width, ranges, signals at any width, shapes refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gancluster.errors import UserError
from gancluster.methods.base import EXAMPLES
from gancluster.networks import gan_em
from gancluster.networks.blocks import BatchNorm

MNIST, SVHN, CELEBA = (1, 28, 28), (3, 32, 32), (3, 64, 64)
SMALL = [(1, 8, 8), (1, 16, 16), (3, 16, 24), (2000,), (2,)]
everywhere = pytest.mark.parametrize("shape", [*SMALL, MNIST, SVHN, CELEBA], ids=str)


def maps(net: nn.Module, *inputs: Tensor) -> list[tuple[int, ...]]:
    """Channels and side of what leaves each layer of weights; features where it has no side."""
    found: list[tuple[int, ...]] = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(lambda layer, x, out: found.append(tuple(out.shape[1:3])))
    net(*inputs)
    return found


@pytest.mark.parametrize(
    ("shape", "down", "up"),
    [
        (
            MNIST,
            [(64, 14), (128, 7), (256, 3), (1024,), (11,)],
            [(1024,), (128 * 49,), (64, 14), (1, 28)],
        ),
        (
            SVHN,
            [(64, 16), (128, 8), (256, 4), (1024,), (11,)],
            [(128 * 16,), (64, 8), (32, 16), (3, 32)],
        ),
        (
            CELEBA,
            [(128, 32), (256, 16), (512, 8), (1024, 4), (3,), (11,)],
            [(1024 * 16,), (512, 8), (256, 16), (128, 32), (3, 64)],
        ),
    ],
    ids=["MNIST", "SVHN", "CelebA"],
)
def test_at_full_width_the_maps_are_the_published_ones(
    shape: tuple[int, ...], down: list[tuple[int, ...]], up: list[tuple[int, ...]]
) -> None:
    with torch.device("meta"):
        D, G = gan_em.classifier(shape, 11), gan_em.generator(shape, 72, (0.0, 1.0))
        assert maps(D, torch.empty(2, *shape)) == down
        assert maps(G, torch.empty(2, 72)) == up


def test_the_networks_of_mnist_have_as_many_weights_as_the_released_ones() -> None:
    with torch.device("meta"):
        D, E = gan_em.classifier(MNIST, 11), gan_em.classifier(MNIST, 10, "affine")
        G = gan_em.generator(MNIST, 72, (0.0, 1.0))
    # per layer: weights and biases, then scale and shift of its batch norm
    body = (16 * 64 + 3 * 64) + (64 * 16 * 128 + 3 * 128) + (128 * 16 * 256 + 3 * 256) + (2304 * 1024 + 3 * 1024)
    up = (72 * 1024 + 3 * 1024) + (1024 * 6272 + 3 * 6272) + (128 * 16 * 64 + 3 * 64) + (64 * 16 + 1)
    assert [size(net) for net in (D, E, G)] == [body + 1025 * 11, body + 1025 * 10, up]


def size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_plain_classifier_has_no_norm_and_the_frozen_one_no_statistics() -> None:
    kinds = {
        norm: {type(layer) for layer in gan_em.classifier(MNIST, 3, norm, 0.125).modules()}
        for norm in ("batch", "affine", "none")
    }
    assert BatchNorm in kinds["batch"]
    assert gan_em.Affine in kinds["affine"]
    assert not kinds["none"] & {BatchNorm, gan_em.Affine}
    assert not kinds["affine"] & {BatchNorm}
    assert not list(gan_em.classifier(MNIST, 3, "affine", 0.125).buffers())


@everywhere
def test_players_take_and_give_the_shapes_they_promise(shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        E = gan_em.classifier(shape, 4, "affine", 0.25, bottleneck=2)
        x = torch.empty(5, *shape)
        assert E(x).shape == (5, 4)
        assert E(x, features=True).shape == (5, E.n_features)
        assert E(x, narrow=True).shape == (5, 2)
        assert gan_em.generator(shape, 7, (0.0, 1.0), 0.25)(torch.empty(5, 7)).shape == x.shape


@pytest.mark.parametrize("pixel_range", [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)], ids=str)
def test_generated_images_lie_in_the_pixel_range_and_use_both_halves(
    shape: tuple[int, ...], pixel_range: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    low, high = pixel_range
    net = gan_em.generator(shape, 7, pixel_range, 0.25)
    with torch.no_grad():
        for parameter in net[-2 if shape[1] >= 16 else -3].parameters():
            parameter.mul_(100)
        sample = net(torch.rand(8, 7))
    assert low <= float(sample.min()) < 0.8 * low + 0.2 * high
    assert 0.2 * low + 0.8 * high < float(sample.max()) <= high


def test_generated_vectors_are_unbounded() -> None:
    net = gan_em.generator((30,), 7, (0.0, 1.0), 0.125)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(100)
    assert float(net(torch.rand(50, 7)).detach().abs().max()) > 1


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3, 4)])
def test_an_affine_map_is_batch_norm_frozen_at_mean_zero_and_variance_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    frozen, affine, x = BatchNorm(5), gan_em.Affine(5), 3 * torch.randn(shape) + 1
    with torch.no_grad():
        for layer in (frozen, affine):
            layer.get_parameter("weight").copy_(torch.arange(5.0))
            layer.get_parameter("bias").copy_(torch.arange(5.0) - 2)
    assert torch.allclose(affine(x), frozen.eval()(x), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(affine(x), frozen.train()(x), atol=0.1)


@pytest.mark.parametrize("units", [1, 2, 100])
def test_a_bottleneck_is_a_linear_layer_between_the_hidden_one_and_the_last(units: int) -> None:
    with torch.device("meta"):
        E = gan_em.classifier(MNIST, 10, "affine", bottleneck=units)
        assert maps(E, torch.empty(2, *MNIST))[-3:] == [(1024,), (units,), (10,)]
        assert isinstance(E.bottleneck, nn.Linear)


@pytest.mark.parametrize(("k", "units"), [(10, 2), (10, 1), (10, 100), (3, 3)])
def test_of_a_cluster_s_place_in_the_bottleneck_the_last_layer_says_that_cluster(k: int, units: int) -> None:
    E = gan_em.classifier((1, 16, 16), k, "none", 0.25, units)
    logits = E.top(E.places()).detach()
    assert logits.argmax(1).tolist() == list(range(k))
    if units == 2:
        second = logits.topk(2).values[:, 1]
        assert (logits.max(1).values - second).tolist() == pytest.approx([1.91] * 10, abs=0.01)


@pytest.mark.parametrize("width", [1.0, 0.25])
def test_weights_are_drawn_from_n_0_02_wider_after_narrower_layers_and_biases_are_0(width: float) -> None:
    torch.manual_seed(0)
    for net in (gan_em.classifier(MNIST, 11, width=width), gan_em.generator(SVHN, 72, (-1.0, 1.0), width)):
        layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        for layer in layers:
            weight, expected = layer.weight.detach(), 0.02 if layer is layers[0] else 0.02 / width**0.5
            assert float(weight.std()) == pytest.approx(expected, rel=0.15)
            assert float(weight.mean()) == pytest.approx(0, abs=4 * expected / weight.numel() ** 0.5)
            assert not layer.get_parameter("bias").any()


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 16, 16), MNIST, (200,)], ids=str)
@pytest.mark.parametrize("norm", ["batch", "affine"])
def test_narrower_networks_keep_the_size_of_their_signals(norm: gan_em.Norm, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.rand(20, *shape)
    full, *narrow = (logit_size(x, norm, width) for width in (1.0, 0.5, 0.25, 0.125))
    assert all(full / 1.7 < other < full * 1.7 for other in narrow)


@torch.no_grad()
def logit_size(x: Tensor, norm: gan_em.Norm, width: float) -> float:
    """Root mean square logit of a few fresh networks."""
    said = [gan_em.classifier(tuple(x.shape[1:]), 10, norm, width)(x) for _ in range(4)]
    return float(torch.stack(said).square().mean().sqrt())


@pytest.mark.parametrize("width", [0.01, 0.125, 0.5])
def test_no_layer_becomes_narrower_than_eight_and_none_grows(width: float) -> None:
    assert gan_em.scaled((3, 8, 64, 1024), width) == [3, 8, max(8, round(64 * width)), max(8, round(1024 * width))]
    assert gan_em.scaled((64, 128), 2.0) == [128, 256]


@pytest.mark.parametrize("shape", [(1, 30, 28), (1, 28, 50), (3, 36, 32), (3, 70, 64), (3, 64, 72)], ids=str)
def test_sides_that_do_not_divide_are_refused_in_one_line(shape: tuple[int, ...]) -> None:
    for make in (lambda: gan_em.classifier(shape, 11), lambda: gan_em.generator(shape, 72, (0.0, 1.0))):
        with pytest.raises(UserError, match=f"divisible by .*{shape[1]}x{shape[2]}") as refusal:
            make()
        assert "\n" not in str(refusal.value)


def test_every_kind_of_task_has_a_plan_and_only_small_images_and_vectors_are_dense() -> None:
    dense = {kind for kind, task in EXAMPLES.items() if gan_em.plan_for(task.shape) == gan_em.DENSE}
    assert dense == {"small images", "vectors"}
