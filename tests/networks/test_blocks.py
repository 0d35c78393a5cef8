"""Layers whose statistics are the batch's and whose noise comes with the call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gancluster.networks.blocks import (
    ZCA,
    BatchNorm,
    Chain,
    Conditioned,
    Dropout,
    GaussianNoise,
    SpaceMean,
    Squash,
    View,
    adapt,
    calibrate,
    draw_numbers,
    read_out,
    weight_normed,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("shape", [(50, 3), (50, 3, 4, 5)])
def test_batch_norm_in_training_is_torchs_and_remembers_nothing(shape: tuple[int, ...]) -> None:
    ours, x = BatchNorm(3), torch.randn(shape) * 3 + 2
    theirs = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(3)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
            layer.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    assert torch.equal(ours.mean, torch.zeros(3))
    assert torch.equal(ours.var, torch.ones(3))


def test_mean_only_batch_norm_centres_and_keeps_the_spread() -> None:
    layer, x = BatchNorm(3, centre_only=True), torch.randn(50, 3, 4, 4) * 3 + 2
    assert layer(x).mean((0, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(layer(x).var(), x.var((0, 2, 3)).mean(), rtol=0.05)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


@pytest.mark.parametrize("centre_only", [False, True])
@pytest.mark.parametrize("sizes", [[60], [10, 30, 20]])
def test_calibration_gives_a_norm_the_populations_statistics(sizes: list[int], centre_only: bool) -> None:
    layer, data = BatchNorm(3, centre_only), torch.randn(60, 3, 4, 4) * torch.arange(1, 61).view(-1, 1, 1, 1) / 20 + 2
    calibrate(layer, data.split(sizes))
    layer.eval()
    assert torch.allclose(layer.mean, data.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(layer.var, data.var((0, 2, 3), correction=0), rtol=1e-4)
    together, alone = layer(data), torch.cat([layer(sample[None]) for sample in data])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_calibrated_net_answers_on_one_batch_as_it_did_in_training() -> None:
    net = Chain(nn.Linear(4, 6), BatchNorm(6), nn.ReLU(), nn.Linear(6, 3), BatchNorm(3))
    data = torch.randn(40, 4)
    trained = net(data)
    calibrate(net, [data])
    assert torch.allclose(net.eval()(data), trained, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [lambda: nn.Linear(6, 4), lambda: nn.Conv2d(6, 4, 3), lambda: nn.ConvTranspose2d(6, 4, 5, 2)],
    ids=["linear", "convolution", "transposed"],
)
def test_normalised_weights_have_length_one_into_every_output(make: Callable[[], nn.Module]) -> None:
    fixed, learnt = weight_normed(make(), None), weight_normed(make(), 0.1)

    def lengths(layer: nn.Module) -> Tensor:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        weight = weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
        return weight.flatten(1).norm(dim=1)

    assert torch.allclose(lengths(fixed), torch.ones(4), atol=1e-5)
    assert torch.allclose(lengths(learnt), torch.full((4,), 0.1), atol=1e-5)
    assert {name.rpartition(".")[2] for name, _ in fixed.named_parameters()} == {"bias", "original"}
    assert {name.rpartition(".")[2] for name, _ in learnt.named_parameters()} == {"bias", "original", "scale"}


def test_normalised_weights_do_not_depend_on_the_length_of_what_is_learnt() -> None:
    layer, x = weight_normed(nn.Linear(6, 4), None), torch.randn(5, 6)
    parameters = {name: value.detach() for name, value in layer.named_parameters()}
    longer = parameters | {"parametrizations.weight.original": 3 * parameters["parametrizations.weight.original"]}
    assert torch.allclose(functional_call(layer, longer, (x,)), layer(x), atol=1e-5)


def test_noise_adds_and_dropout_drops_what_the_numbers_say() -> None:
    x, numbers = torch.ones(2, 3), torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    assert GaussianNoise(0.5, 3)(x, numbers).tolist() == [[1.5, 1, 1], [1, 1.5, 1.5]]
    assert Dropout(0.2, 3)(x, numbers).tolist() == [[1.25, 0, 0], [0, 1.25, 1.25]]


def test_drawn_numbers_have_the_distributions_they_should() -> None:
    net = Chain(GaussianNoise(0.3, 5), nn.Linear(5, 2), Dropout(0.25, 2, 3))
    normal, kept = draw_numbers(net, 4000, rng())
    assert normal.shape == (4000, 5)
    assert kept.shape == (4000, 2, 3)
    assert (float(normal.mean()), float(normal.std())) == pytest.approx((0, 1), abs=0.02)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert float(kept.mean()) == pytest.approx(0.75, abs=0.02)
    assert draw_numbers(nn.Linear(5, 2), 10, rng()) == ()


def test_a_net_on_the_meta_device_draws_what_the_real_one_would() -> None:
    with torch.device("meta"):
        prototype = Chain(GaussianNoise(0.3, 5), Dropout(0.5, 5))
    drawn = [draw_numbers(net, 3, rng()) for net in (prototype, Chain(GaussianNoise(0.3, 5), Dropout(0.5, 5)))]
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))


def test_a_chain_hands_noise_and_code_to_the_layers_that_take_them() -> None:
    chain = Chain(GaussianNoise(1.0, 2), Conditioned(nn.Linear(5, 4)), nn.ReLU(), Dropout(0.5, 4))
    x, code = torch.randn(6, 2), torch.randn(6, 3)
    noise, kept = draw_numbers(chain, 6, rng())
    linear = chain.layers[1].layer
    expected = linear(torch.cat([x + noise, code], 1)).relu() * kept / 0.5
    assert torch.allclose(chain(x, code, (noise, kept)), expected)


def test_without_numbers_a_chain_is_without_noise() -> None:
    chain, x = Chain(GaussianNoise(1.0, 2), nn.Linear(2, 4), Dropout(0.5, 4)), torch.randn(6, 2)
    assert torch.equal(chain(x), chain.layers[1](x))


def test_a_code_joins_every_place_of_a_map() -> None:
    layer = Conditioned(nn.Conv2d(2 + 3, 4, 1))
    x, code = torch.randn(5, 2, 6, 7), torch.randn(5, 3)
    everywhere = layer(x, code)
    at_one_place = layer.layer(torch.cat([x[:, :, 2:3, 3:4], code[:, :, None, None]], 1))
    assert torch.allclose(everywhere[:, :, 2:3, 3:4], at_one_place, atol=1e-6)


def correlated(n: int, seed: int = 0) -> Tensor:
    """Images of 1x3x4 whose neighbours resemble each other, not centred."""
    return torch.randn(n, 1, 3, 4, generator=rng(seed)).cumsum(3).cumsum(2) * 0.3 + 1


def test_zca_whitens() -> None:
    layer, images = ZCA((1, 3, 4)), correlated(5000)
    assert torch.equal(layer(images), images)
    layer.fit(images)
    white = layer(images).flatten(1)
    assert white.mean(0).abs().max() < 1e-4
    assert torch.allclose(torch.cov(white.T), torch.eye(12), atol=5e-3)
    assert torch.allclose(layer.transform, layer.transform.T, atol=1e-5)  # which keeps images alike
    fresh = layer(correlated(5000, seed=1)).flatten(1)
    assert torch.allclose(torch.cov(fresh.T), torch.eye(12), atol=0.15)


def test_zca_of_few_samples_does_not_blow_up_what_it_never_saw() -> None:
    layer = ZCA((1, 3, 4))
    layer.fit(correlated(6))
    assert layer(correlated(1000, seed=1)).abs().max() < 1000
    assert torch.linalg.matrix_norm(layer.transform, 2) < 100


def test_adapting_whitens_and_gives_every_learnt_layer_unit_pre_activations() -> None:
    first = weight_normed(nn.Conv2d(1, 4, 2, bias=False))
    second, fixed = weight_normed(nn.Linear(4 * 2 * 3, 5)), weight_normed(nn.Linear(5, 2), None)
    layers = [ZCA((1, 3, 4)), first, BatchNorm(4, centre_only=True), View(24), second, nn.ReLU(), fixed]
    net, images = Chain(*layers), correlated(300)
    before = fixed.get_parameter("bias").clone()
    adapt(net, images, first=200)
    outputs: list[Tensor] = []
    for layer in (first, second):
        layer.register_forward_hook(lambda layer, x, out: outputs.append(out))
    net(images[:200])
    assert torch.allclose(outputs[0].std((0, 2, 3), correction=0), torch.ones(4), atol=1e-4)
    assert torch.allclose(outputs[1].std(0, correction=0), torch.ones(5), atol=1e-4)
    assert outputs[1].mean(0).abs().max() < 1e-4
    assert torch.equal(fixed.get_parameter("bias"), before)
    assert torch.cov(net.layers[0](images).flatten(1).T).diagonal().mean() == pytest.approx(1, abs=0.02)


def test_adapting_a_net_without_such_layers_changes_nothing() -> None:
    net = Chain(nn.Linear(3, 4), BatchNorm(4))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    adapt(net, torch.randn(10, 3))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_small_layers_do_what_they_say() -> None:
    x = torch.randn(5, 2, 3, 4)
    assert torch.allclose(SpaceMean()(x), x.flatten(2).mean(2), atol=1e-6)
    assert View(6, 4)(x).shape == (5, 6, 4)
    assert torch.allclose(Squash(-1.0, 1.0)(x), torch.tanh(x / 2), atol=1e-6)
    assert torch.allclose(Squash(0.0, 1.0)(x), torch.sigmoid(x))


@pytest.mark.parametrize("normed", [False, True])
def test_reading_out_is_linear_regression_and_shrinks_with_the_ridge(normed: bool) -> None:
    features = torch.randn(500, 4) * torch.tensor([1.0, 2, 3, 4]) + 5
    truth = nn.Linear(4, 3)
    targets = truth(features).detach()
    exact, shrunk = (weight_normed(nn.Linear(4, 3)) if normed else nn.Linear(4, 3) for _ in range(2))
    read_out(exact, features, targets, ridge=0.0)
    assert torch.allclose(exact(features), targets, atol=1e-3)
    read_out(shrunk, features, targets, ridge=1.0)
    assert (shrunk(features).std(0) < exact(features).std(0)).all()
    assert torch.allclose(shrunk(features).mean(0), targets.mean(0), atol=1e-3)


def test_batch_norms_that_are_stacked_have_the_slopes_of_each_in_bfloat16() -> None:
    norm, inputs = BatchNorm(3), torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0)).bfloat16()

    def slope(weight: Tensor, x: Tensor) -> Tensor:
        return torch.func.grad(lambda x: functional_call(norm, {"weight": weight}, x).float().pow(3).sum())(x)

    weights = torch.tensor([[1.0, 2.0, 3.0], [0.5, 1.0, 2.0]])
    alone = torch.stack([slope(*each) for each in zip(weights, inputs, strict=True)])
    torch.testing.assert_close(torch.func.vmap(slope)(weights, inputs), alone)
