"""InfoGAN: the bound on the information, who is moved by which loss, what every option does, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gancluster import metrics, registry
from gancluster.cli.results import show
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.data.embedded import gaussians_8
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.errors import UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Loss, Nets, Task
from gancluster.methods.infogan import Config, InfoGAN, Noise
from gancluster.networks.blocks import BatchNorm
from gancluster.networks.info_gan import Reading
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train

DIGITS = EXAMPLES["small images"]
VECTORS = Task((6,), 3, 200)
CLOCK = Clock(torch.zeros(()))
FAST: dict[str, Any] = {"epochs": 2, "batch_size": 60, "width": 0.125}


def game(task: Task = DIGITS, **options: Any) -> InfoGAN:
    return InfoGAN(Config(**FAST | options), task)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def noise_of(c: Tensor, v: Tensor) -> Noise:
    warps: Any = ()
    return Noise(c, v, torch.zeros(len(c), 1), warps, torch.zeros(len(c)))


# The bound ------------------------------------------------------------------------------------------------------------


def test_the_bound_is_never_above_the_information_and_reaches_it_at_the_posterior() -> None:
    k, n_points = 4, 6
    likelihood = torch.softmax(torch.randn(k, n_points, generator=rng(), dtype=torch.float64), 1)  # P(x | c)
    joint = likelihood / k
    posterior = joint / joint.sum(0)
    information = float((joint * (posterior * k).log()).sum())
    method = game(Task((6,), k, 200), code_weight=0.0)

    def bound(logits: Tensor) -> float:
        """L_I where x is drawn from the model: logits `(n_points, K)` are Q's."""
        total, classes = 0.0, torch.eye(k, dtype=torch.float64)
        for c in range(k):
            for x in range(n_points):
                read = Reading(torch.zeros(1, 1), logits[x : x + 1], torch.zeros(1, 2))
                told = method.information(read, noise_of(classes[c : c + 1], torch.zeros(1, 2)))
                total += float(joint[c, x]) * float(told.watched["bound"])
        return total

    assert bound(posterior.T.log()) == pytest.approx(information, abs=1e-9)
    for seed in range(10):
        other = torch.randn(n_points, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert bound(other) < information
    assert bound(torch.zeros(n_points, k, dtype=torch.float64)) == pytest.approx(0)


def test_continuous_codes_cost_their_negative_log_likelihood_under_unit_gaussians() -> None:
    v, means = torch.rand(2, 5, 2, generator=rng())
    told = game(code_weight=0.7).information(Reading(v, torch.zeros(5, 10), means), noise_of(torch.eye(10)[:5], v))
    expected = -0.7 * torch.distributions.Normal(means, 1.0).log_prob(v).sum(1).mean()
    assert float(told.terms["codes"]) == pytest.approx(float(expected))
    assert float(told.terms["class"]) == pytest.approx(math.log(10))


# Who is moved ---------------------------------------------------------------------------------------------------------


def moved(term: str, loss: str, **options: Any) -> set[str]:
    """The parts that a term of a loss has a gradient in."""
    torch.manual_seed(0)
    method = game(**options)
    players = method.players()
    nets = Nets(players, {"recogniser": players["recogniser"]})
    made: Loss = getattr(method, loss)(nets, Batch(torch.rand(60, *DIGITS.shape)), method.draw(60, rng()), CLOCK)
    names = [(f"{p}.{n}", w) for p, module in players.items() for n, w in module.named_parameters()]
    gradients = torch.autograd.grad(made.terms[term], [w for _, w in names], allow_unused=True)
    found = {n for (n, _), g in zip(names, gradients, strict=True) if g is not None and bool(g.abs().max() > 0)}
    parts = {n.split(".")[0] if not n.startswith("recogniser") else n.split(".")[1] for n in found}
    return parts


@pytest.mark.parametrize(
    ("loss", "term", "movers", "parts"),
    [
        ("discriminator_loss", "adversarial", {"discriminator", "recogniser"}, {"trunk", "discriminator"}),
        ("discriminator_loss", "class", {"discriminator", "recogniser"}, {"trunk", "head", "top"}),
        ("discriminator_loss", "codes", {"discriminator", "recogniser"}, {"trunk", "head", "codes"}),
        ("generator_loss", "adversarial", {"generator"}, {"generator"}),
        ("generator_loss", "class", {"generator"}, {"generator"}),
        ("generator_loss", "codes", {"generator"}, {"generator"}),
    ],
)
def test_a_turn_moves_what_its_terms_are_about(loss: str, term: str, movers: set[str], parts: set[str]) -> None:
    own = {"trunk", "head", "top", "codes"} if "recogniser" in movers else set()
    assert moved(term, loss) & (movers | own) == parts
    turn = game().phases()[-1].rounds[0][int(loss == "generator_loss")]
    assert set(turn.movers) == movers


def test_clipping_spares_the_recognisers_own_layers(digits: Dataset) -> None:
    training = started(digits, critic="wgan:clip=0.0009765625,repeat=1")
    list(play(training))
    largest = {name: float(w.abs().max()) for name, w in training.state.players["recogniser"].items()}
    assert all((value <= 2**-10) == name.startswith("trunk.") for name, value in largest.items() if "weight" in name)
    assert max(float(w.abs().max()) for w in training.state.players["discriminator"].values()) <= 2**-10


# Options and refusals -------------------------------------------------------------------------------------------------


def started(dataset: Dataset, k: int = 10, **options: Any) -> Game:
    return Game(game(Task(dataset.shape, k, len(dataset)), **options), Batches(dataset.unlabelled()), 0)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "rmsprop", "norm": "none", "noise": "normal", "noise_size": 3, "code_size": 1, "lr_end": 0.0},
        {"warp": 1.0, "pixel_noise": 0.1, "consistency_weight": 1.0, "average": 0.1},
        {"warmup_epochs": 1, "warmup_batch_size": 60, "info_weight": 0.5, "code_weight": 0.0, "leak": 0.01},
    ],
    ids=str,
)
def test_every_option_plays_to_the_end(options: dict[str, Any], digits: Dataset) -> None:
    training = started(digits, **options)
    rows = [moment.row for moment in play(training) if moment.row]
    assert np.isfinite([value for row in rows for value in row.values() if not isinstance(value, str)]).all()
    embedding = settle(training).embed(training.batches)
    assert np.allclose(embedding.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["infogan", "wgan", "wgan-gp", "sn-gan", "meg"])
@pytest.mark.parametrize("k", [2, 13])
def test_a_smoke_run_of_any_number_of_clusters_plays_to_the_end(name: str, k: int, digits: Dataset) -> None:
    made = registry.find("methods", name)
    task = Task(digits.shape, k, len(digits))
    training = Game(made(Config(**made.presets(task)["smoke"].values), task), Batches(digits.unlabelled()), 0)
    rows = [moment.row for moment in play(training) if moment.row]
    assert len(rows) == 2
    players = settle(training)
    embedding = players.embed(training.batches)
    (found,) = training.method.assign(embedding, training.method.centres(embedding, 0)).values()
    assert 0 <= found.min() <= found.max() < k
    assert players.features(training.batches).shape == (len(digits), 128)
    samples = players.generate(3, seed=0)
    assert samples is not None
    assert samples.shape == (k, 3, *digits.shape)


def test_the_papers_settings() -> None:
    task = EXAMPLES["grey images"]
    paper = Config(**InfoGAN.presets(task)["paper"].values)
    assert (paper.lr_generator, paper.lr_discriminator, paper.beta1, paper.batch_size) == (1e-3, 2e-4, 0.5, 128)
    assert (paper.leak, paper.noise_size, paper.code_size, paper.critic) == (0.01, 62, 2, "ns-gan")
    assert InfoGAN(paper, task).extensions() == []


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 16, 16), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2,)], ids=str)
def test_generated_samples_have_the_shape_of_real_ones(shape: tuple[int, ...]) -> None:
    method = game(Task(shape, 5, 100))
    players = method.players()
    made = method.generated(Nets(players, {}), method.draw(6, rng()))
    assert made.shape == (6, *shape)
    read = method.read(Nets(players, {}), made)
    assert (read.logits.shape, read.means.shape) == ((6, 5), (6, 2))
    assert players["discriminator"](read.trunk).shape == (6,)


@pytest.mark.parametrize(("critic", "norm"), [("ns-gan", True), ("gan", True), ("r1", False), ("sn-gan", False)])
def test_batch_norm_fits_critics_that_leave_d_unbounded(critic: str, norm: bool) -> None:
    trunk = game(EXAMPLES["grey images"], critic=critic).players()["recogniser"].get_submodule("trunk")
    assert any(isinstance(layer, BatchNorm) for layer in trunk.modules()) == norm
    vectors = game(VECTORS, critic=critic).players()["recogniser"].get_submodule("trunk")
    assert not any(isinstance(layer, BatchNorm) for layer in vectors.modules())


@pytest.mark.parametrize(
    ("task", "options", "says"),
    [
        (DIGITS, {"critic": "wgan-gp", "norm": "batch"}, "--norm batch has no meaning with --critic wgan-gp"),
        (DIGITS, {"batch_size": 9}, "--batch-size 9 is less than the 10 clusters: make it 10 or more"),
        (Task((1, 30, 30), 10, 100), {}, "images with sides divisible by 4, not 30x30"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(task: Task, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        game(task, **options).players()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_batch_has_each_class_equally_often_and_codes_in_their_range() -> None:
    noise = game().draw(60, rng())
    assert noise.c.sum(0).tolist() == [6.0] * 10
    assert noise.v.shape == (60, 2)
    assert -1 <= float(noise.v.min()) < -0.5 < 0.5 < float(noise.v.max()) <= 1


def test_a_generator_that_ignores_its_class_is_a_symptom() -> None:
    row: dict[str, Any] = {"phase": "adversarial", "epoch": 5, "discriminator.bound": 0.1}
    assert "G ignores its class" in game().symptoms(row)[0]
    assert game().symptoms(row | {"epoch": 4}) == game().symptoms(row | {"discriminator.bound": 1.0}) == []
    assert game(Task((1, 8, 8), 1, 240)).symptoms(row | {"discriminator.bound": 0.0}) == []  # there is none to ignore


def test_the_warm_up_and_its_start_find_digits_that_the_game_keeps(digits: Dataset) -> None:
    training = started(digits, warmup_epochs=40, warmup_batch_size=120, epochs=3, width=0.25, consistency_weight=1.0)
    list(play(training))
    found = settle(training).embed(training.batches).argmax(1)
    assert digits.labels is not None
    assert metrics.scores(digits.labels, found, 10)["acc"] > 0.6


@pytest.mark.parametrize("labelled", [True, False])
def test_a_run_on_the_plane_judges_its_generated_points_without_labels(
    labelled: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = gaussians_8(Path(), "all")
    toy = toy if labelled else replace(toy, labels=None)
    run = Run.place(tmp_path, plan("infogan", toy, TrainOptions(preset="smoke", dataset=toy.name, clusters=8), {})[0])
    found = train(run, toy)["generated"]
    assert found["modes"] == 8
    assert 0 <= found["modes_covered"] <= 8
    assert 0 <= found["high_quality_share"] <= 1
    assert 0 < found["w1_of_real"] < found["w1"]  # two epochs are too few
    show([run], as_json=False)
    assert f"{found['modes_covered']} of 8 modes covered" in capsys.readouterr().out
