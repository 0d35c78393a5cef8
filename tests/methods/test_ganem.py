"""GAN-EM's game: the course of EM, what every option changes, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from em import DIGITS, game, started
from torch import Tensor, nn

from gancluster.data.dataset import Dataset
from gancluster.engine.play import play
from gancluster.errors import UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Loss, Nets, Phase, Task
from gancluster.networks.blocks import BatchNorm
from gancluster.networks.gan_em import Affine
from gancluster.optim import Adam, RMSprop

VECTORS = Task((6,), 3, 200)
CLOCK = Clock(torch.zeros(()))
kinds = pytest.mark.parametrize("kind", EXAMPLES)


def movers(phase: Phase) -> list[list[str]]:
    return [[player for turn in turns for player in turn.movers] for turns in phase.rounds]


# The course of EM -----------------------------------------------------------------------------------------------------


def test_em_alternates_m_steps_on_the_data_and_e_steps_of_so_many_steps() -> None:
    phases = game(iterations=3, m_epochs=4, m_batch_size=50, e_steps=7, e_batch_size=60).phases()
    assert [phase.name for phase in phases] == [f"{kind}-step {t}" for t in (1, 2, 3) for kind in "ME"]
    for m, e in (phases[:2], phases[2:4], phases[4:]):
        assert (m.epochs, m.batch_size, m.steps, movers(m)) == (4, 50, None, [["discriminator", "generator"]])
        assert (e.epochs, e.batch_size, e.steps, movers(e)) == (1, 60, 7, [["encoder"]])


def test_the_paper_moves_the_generator_first() -> None:
    assert movers(game(order="generator").phases()[0]) == [["generator", "discriminator"]]


@pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("rmsprop", RMSprop)])
def test_learning_rates_are_three_and_decay_with_every_iteration(name: str, kind: type) -> None:
    rates = {"lr_discriminator": 1e-3, "lr_generator": 2e-3, "lr_encoder": 3e-3}
    phases = game(iterations=4, optimizer=name, lr_decay=0.5, **rates).phases()
    for t, (m, e) in enumerate(zip(phases[::2], phases[1::2], strict=True)):
        for player, phase in (("discriminator", m), ("generator", m), ("encoder", e)):
            optimizer = phase.optimizer_of(player)
            assert isinstance(optimizer, kind)
            lr = rates["lr_" + player] * 0.5**t
            assert (optimizer.lr.at(0), optimizer.lr.at(1)) == pytest.approx((lr, lr))


def test_optimisers_begin_afresh_in_every_step(digits: Dataset) -> None:
    training = started(digits, iterations=2, m_epochs=1, m_batch_size=120, e_steps=3)
    counted = []
    for moment in play(training):
        if not training.is_over and training.state.step:  # a phase's last step shows the memories of the next
            memories = training.state.memories.items()
            counted.append((moment.phase, {name: max(map(int, memory["steps"].values())) for name, memory in memories}))
    m_step, e_steps = {"discriminator": 1, "generator": 1}, [{"encoder": 1}, {"encoder": 2}]
    expected = [[(f"M-step {t}", m_step), *[(f"E-step {t}", e_step) for e_step in e_steps]] for t in (1, 2)]
    assert counted == [*expected[0], *expected[1]]


# The networks ---------------------------------------------------------------------------------------------------------


@kinds
def test_the_discriminator_has_a_unit_more_than_the_encoder(kind: str) -> None:
    task = EXAMPLES[kind]
    players = game(task).players()
    assert set(players) == {"discriminator", "generator", "encoder", "prior"}
    x = torch.rand(3, *task.shape)
    assert players["discriminator"](x).shape == (3, task.n_clusters + 1)
    assert players["encoder"](x).shape == (3, task.n_clusters)


@pytest.mark.parametrize(("norm", "layer"), [("affine", Affine), ("batch", BatchNorm), ("none", None)])
def test_encoder_norm_is_the_encoders_alone(norm: str, layer: type | None) -> None:
    players = game(encoder_norm=norm).players()
    found = {type(module) for module in players["encoder"].modules()} & {Affine, BatchNorm}
    assert found == ({layer} if layer else set())
    assert {type(module) for module in players["discriminator"].modules()} & {Affine, BatchNorm} == {BatchNorm}


def test_width_and_noise_size_and_bottleneck_make_the_networks_they_name() -> None:
    players = game(width=0.25, noise_size=5, bottleneck=2).players()
    first = {name: layer_of(players[name], 0) for name in ("discriminator", "generator", "encoder")}
    assert [layer.out_features for layer in first.values()] == [256, 256, 256]
    assert first["generator"].in_features == 10 + 5
    assert (layer_of(players["encoder"], -2).out_features, layer_of(players["discriminator"], -1).in_features) == (
        2,
        256,
    )
    assert game(noise_size=5).draw(20, rng()).z.shape == (20, 5)


def layer_of(net: nn.Module, place: int) -> nn.Linear:
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)][place]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Noise and classes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "moments"), [("uniform", (0.5, 1 / 12)), ("normal", (0.0, 1.0))])
def test_z_has_the_distribution_asked_for(noise: str, moments: tuple[float, float]) -> None:
    z = game(VECTORS, noise=noise).draw(3000, rng()).z
    assert (float(z.mean()), float(z.var())) == pytest.approx(moments, abs=0.01)
    assert bool(((z >= 0) & (z < 1)).all()) == (noise == "uniform")


def test_noise_is_a_function_of_the_generator_alone_and_describing_a_game_draws_none() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (game().draw(20, rng(seed)) for seed in (4, 4, 5))
    game(warmup_epochs=1).phases()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.places, same.places)
    assert torch.equal(one.z, same.z)
    assert not torch.equal(one.z, other.z)


@pytest.mark.parametrize(
    ("k", "options", "words"),
    [
        (20, {"m_batch_size": 70}, "--m-batch-size 70 cannot hold 20 clusters equally often: make it 80"),
        (30, {"m_batch_size": 70}, "--m-batch-size 70 cannot hold 30 clusters equally often: make it 90"),
        (30, {"e_batch_size": 200}, "--e-batch-size 200 cannot hold 30 clusters equally often: make it 210"),
    ],
)
def test_batches_that_do_not_hold_the_clusters_equally_often_are_refused(
    k: int, options: dict[str, Any], words: str
) -> None:
    task = DIGITS._replace(n_clusters=k)
    with pytest.raises(UserError, match=words) as refusal:
        game(task, **options)
    assert "\n" not in str(refusal.value)
    assert game(task, codes="drawn", **options).phases()


# Losses ---------------------------------------------------------------------------------------------------------------


class Scene:
    """One step of a game: players just made, real samples, noise; and what D and E were shown."""

    def __init__(self, task: Task = DIGITS, **options: Any) -> None:
        torch.manual_seed(0)
        self.method = game(task, **options)
        players = self.method.players()
        self.shown: dict[str, list[Tensor]] = {"discriminator": [], "encoder": []}
        for name, inputs in self.shown.items():
            players[name].register_forward_pre_hook(lambda net, x, inputs=inputs: inputs.append(x[0]))
        self.nets = Nets(players, {"encoder": players["encoder"]})
        n = 4 * task.n_clusters
        self.batch, self.noise = Batch(torch.rand(n, *task.shape)), self.method.draw(n, rng())

    @torch.no_grad()
    def losses(self) -> dict[str, Loss]:
        m, given = self.method, (self.nets, self.batch, self.noise, CLOCK)
        return {
            "discriminator": m.discriminator_loss(*given),
            "generator": m.generator_loss(*given),
            "encoder": m.encoder_loss(*given),
        }


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({}, [{"real", "fake"}, {"units"}, {"classes"}]),
        ({"form": "kl"}, [{"real", "fake"}, {"kl"}, {"classes"}]),
        ({"consistency_weight": 1.0}, [{"real", "fake"}, {"units"}, {"classes", "consistency"}]),
    ],
)
def test_losses_have_the_terms_of_their_form(options: dict[str, Any], terms: list[set[str]]) -> None:
    losses = Scene(**options).losses()
    assert [set(loss.terms) for loss in losses.values()] == terms
    assert all(torch.isfinite(loss.total) for loss in losses.values())
    assert set(losses["encoder"].watched) == {"correct"}


def test_consistency_has_its_weight_and_follows_the_average_unmoved() -> None:
    light, heavy = (Scene(consistency_weight=weight).losses()["encoder"].terms for weight in (0.5, 2.0))
    assert float(heavy["consistency"]) == pytest.approx(4 * float(light["consistency"]))
    assert torch.equal(heavy["classes"], light["classes"])
    assert game(consistency_weight=1.0, average=0.2).averages() == {"encoder": 0.2}
    assert game().averages() == {}


@pytest.mark.parametrize("options", [{"warp": 1.0}, {"pixel_noise": 0.1}], ids=str)
def test_under_warps_discriminator_and_encoder_see_other_samples_and_w_is_of_the_true_ones(
    options: dict[str, float],
) -> None:
    for scene, alike in ((Scene(), True), (Scene(**options), False)):
        scene.losses()
        of_d, of_e = scene.shown["discriminator"], scene.shown["encoder"]
        made = scene.method.generated(scene.nets, scene.noise)[0]
        assert torch.equal(of_e[0], scene.batch.inputs)  # w of D's loss
        for seen, true in ((of_d[0], scene.batch.inputs), (of_d[1], made), (of_d[2], made), (of_e[1], made)):
            assert torch.allclose(seen, true) == alike


def test_the_discriminator_sees_real_and_generated_samples_apart() -> None:
    scene = Scene()
    scene.losses()
    assert [len(shown) for shown in scene.shown["discriminator"]] == [40, 40, 40]  # D's turn, then G's


@pytest.mark.parametrize(
    ("labels", "options"), [(0, {}), (20, {}), (0, {"warmup_epochs": 1, "warmup_batch_size": 100})], ids=str
)
def test_only_a_first_m_step_that_nothing_came_before_weighs_all_classes_alike(
    labels: int, options: dict[str, Any]
) -> None:
    scene = Scene(DIGITS._replace(n_labels=labels), **options)
    for t, asks in ((0, bool(labels or options)), (1, True)):
        turn = scene.method.m_step(t).rounds[0][0]
        scene.shown["encoder"].clear()
        with torch.no_grad():
            turn.loss(scene.nets, scene.batch, scene.noise, CLOCK)
        assert bool(scene.shown["encoder"]) == asks


# Before a step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [True, False])
def test_in_e_steps_a_frozen_generator_makes_a_sample_whatever_its_batch(frozen: bool, digits: Dataset) -> None:
    training = started(digits, frozen_generator=frozen)
    method, G = training.method, training.modules["generator"]
    (e_step,) = [phase for phase in training.phases if phase.name == "E-step 1"]
    assert e_step.frozen == ({"generator"} if frozen else set())
    with torch.no_grad():
        method.enter("E-step 1", training.modules, training.batches, 0)
        G.train("generator" not in e_step.frozen)
        code = method.conditioned(torch.arange(10), torch.rand(10, 62))
        together, half = G(code)[:5], G(code[:5])
    assert torch.allclose(together, half, atol=1e-5) == frozen


def test_a_frozen_generators_samples_are_as_those_of_the_m_step(digits: Dataset) -> None:
    training = started(digits)
    method, G = training.method, training.modules["generator"]
    with torch.no_grad():
        method.enter("E-step 1", training.modules, training.batches, 0)
        noise = method.draw(1000, rng(5))
        code = method.conditioned(training.modules["prior"](noise.places), noise.z)
        assert torch.allclose(G.eval()(code), G.train()(code), atol=0.05)


def test_the_warm_up_comes_first_and_leaves_k_means_in_the_encoders_last_layer(digits: Dataset) -> None:
    training = started(digits, warmup_epochs=2, warmup_batch_size=80, lr_warmup=4e-3, iterations=1)
    first, second, *_ = training.phases
    assert (first.name, first.epochs, first.batch_size, movers(first)) == ("warm-up", 2, 80, [["encoder", "head"]])
    assert first.optimizer_of("head").lr.at(0.5) == pytest.approx(4e-3)
    encoder, samples = training.modules["encoder"], training.batches.at(torch.arange(240))
    with torch.no_grad():
        before = encoder(samples).softmax(1)
        training.method.enter(second.name, training.modules, training.batches, 0)
        after = encoder(samples).softmax(1)
    assert before.max() < 0.3
    assert (after.max(1).values > 0.4).float().mean() > 0.5
    assert len(after.argmax(1).unique()) == 10


# Labels ---------------------------------------------------------------------------------------------------------------


def test_labels_are_learnt_before_the_first_m_step_and_after_every_e_step() -> None:
    phases = game(DIGITS._replace(n_labels=150), iterations=2, label_epochs=6, lr_labels=2e-3, lr_decay=0.5).phases()
    rounds = [["M-step 1", "E-step 1", "labels 1"], ["M-step 2", "E-step 2", "labels 2"]]
    assert [phase.name for phase in phases] == ["labels 0", *rounds[0], *rounds[1]]
    for phase in phases[::3]:
        assert (phase.steps, phase.epochs, phase.batch_size, phase.until is None) == (10, 6, 100, False)
        assert phase.optimizer_of("encoder").lr.at(0) == pytest.approx(2e-3)
    assert not any(phase.name.startswith("labels") for phase in game().phases())


@pytest.mark.parametrize(("wrong", "bound", "enough"), [(1, 0.05, True), (2, 0.05, False), (0, 0.0, True)])
def test_labels_are_known_when_the_error_on_them_is_small_enough(
    wrong: int, bound: float, enough: bool, digits: Dataset
) -> None:
    training = started(digits, labels=20, label_error=bound)
    said = training.batches.labels.clone()
    said[:wrong] = (said[:wrong] + 1) % 10
    nets = Nets({"encoder": lambda x: (said[:, None] == torch.arange(10)).float()}, {})
    assert training.method.knows_labels(nets, training.batches) == enough


def test_m_steps_draw_classes_uniformly_whatever_the_prior_of_e_steps(digits: Dataset) -> None:
    training = started(digits, prior="estimated", iterations=2, m_epochs=1, e_steps=1)
    training.state.players["encoder"]["top.bias"] += torch.arange(10) / 4.0
    shares: dict[str, Tensor] = {}
    places = (torch.arange(1000) + 0.5) / 1000
    for moment in play(training):
        prior = training.nets({})["prior"]
        if not training.is_over and moment.row is None:
            shares[moment.phase] = prior(places).bincount(minlength=10) / 1000
    assert torch.allclose(shares["M-step 2"], torch.full((10,), 0.1), atol=0.002)


def test_the_first_prior_is_uniform_while_the_encoder_has_said_nothing(digits: Dataset) -> None:
    training = started(digits, prior="estimated", iterations=1, m_epochs=1, e_steps=1)
    training.state.players["encoder"]["top.bias"] += torch.arange(10) / 4.0
    list(play(training))
    assert torch.equal(training.state.buffers["prior"]["phi"], torch.full((10,), 0.1))


def test_the_encoder_starts_from_clusters_once_even_where_labels_follow(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[str] = []
    monkeypatch.setattr("gancluster.methods.pretraining.start_from_clusters", lambda *given: starts.append(given[-1]))
    options = {"warmup_epochs": 1, "warmup_batch_size": 60, "iterations": 2, "m_epochs": 1, "e_steps": 2}
    list(play(started(digits, labels=20, label_epochs=1, **options)))
    assert starts == ["communities"]
