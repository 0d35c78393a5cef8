"""ClusterGAN's game: who plays when under every switch, what its noise is, what is refused, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.errors import UnknownName, UserError
from gancluster.methods.base import EXAMPLES, Batch, Clock, Loss, Nets, Task
from gancluster.methods.clustergan import ClusterGAN, Config
from gancluster.methods.codes import block_means, block_table, cross_entropy

DIGITS = EXAMPLES["small images"]
VECTORS = Task((6,), 3, 200)
kinds = pytest.mark.parametrize("kind", EXAMPLES)


def game(task: Task = DIGITS, **options: Any) -> ClusterGAN:
    return ClusterGAN(Config(**options), task)


@torch.no_grad()
def clusterer_loss(progress: float, task: Task = VECTORS, **options: Any) -> Loss:
    """C's loss at `progress` for players that have just been made."""
    torch.manual_seed(0)
    method = game(task, **{"code_size": 6, "batch_size": 12} | options)
    players = method.players()
    nets = Nets(players, {"clusterer": players["clusterer"]})
    noise = method.draw(12, torch.Generator().manual_seed(0))
    batch = Batch(torch.rand(12, *task.shape), where=torch.arange(12))
    return method.clusterer_loss(nets, batch, noise, Clock(torch.tensor(progress)))


# Players and turns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"warmup_epochs": 1}, {"clusterer", "generator", "discriminator", "head", "start"}),
        ({}, {"clusterer", "generator", "discriminator"}),
        ({"gan": False}, {"clusterer"}),
    ],
)
def test_only_those_who_play_are_made(options: dict[str, Any], names: set[str]) -> None:
    method = game(**options)
    assert set(method.players()) == names
    movers = {m for p in method.phases() for turns in p.rounds for turn in turns for m in turn.movers}
    assert movers == names - {"start"}


def test_algorithm_1_moves_discriminator_generator_clusterer() -> None:
    phase = game(critic="ns-gan").phases()[-1]
    assert [[turn.players for turn in turns] for turns in phase.rounds] == [["discriminator", "generator", "clusterer"]]


def test_r1_is_paid_every_fourth_step() -> None:
    method = game(critic="r1")
    held, *free = (turns[0].loss for turns in method.phases()[-1].rounds)
    assert (held.func, held.keywords) == (method.discriminator_loss, {"penalised": True})
    assert free == [method.discriminator_loss] * 3


def test_wgan_gp_has_five_penalised_critic_steps() -> None:
    method = game(critic="wgan-gp")
    ((first, *others),) = method.phases()[-1].rounds
    assert (first.loss.keywords, first.repeat) == ({"penalised": True}, 5)
    assert [turn.repeat for turn in others] == [1, 1]


def test_the_phases_are_as_long_and_as_fast_as_asked() -> None:
    warmup, *_, adversarial = game(warmup_epochs=3, epochs=7, lr=1e-2, lr_end=1e-3, clip=2.0).phases()
    assert (warmup.epochs, warmup.batch_size, adversarial.epochs, adversarial.batch_size) == (3, 250, 7, 100)
    adam = adversarial.optimizer_of("generator")
    assert (adam.lr.at(0), adam.lr.at(1), adam.clip) == pytest.approx((1e-2, 1e-3, 2.0))
    assert len(game().phases()) == 1


# Terms of the losses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({}, {"entropy", "adversarial", "consistency", "pairs"}),
        ({"pairs_weight": 0.0}, {"entropy", "adversarial", "consistency"}),
        ({"gan": False}, {"entropy", "consistency"}),
        ({"consistency": False}, {"entropy", "adversarial", "pairs"}),
        ({"gan": False, "consistency": False}, {"entropy"}),
    ],
)
def test_ablations_remove_their_terms(options: dict[str, Any], terms: set[str]) -> None:
    assert set(clusterer_loss(0.9, **options).terms) == terms


def test_the_game_fades_in_the_second_half() -> None:
    def adversarial(progress: float, end: float) -> float:
        return float(clusterer_loss(progress, adversarial_weight=1.0, adversarial_weight_end=end).terms["adversarial"])

    shares = [adversarial(t, end=0.0) / adversarial(t, end=1.0) for t in (0.0, 0.5, 0.75, 1.0)]
    assert shares == pytest.approx([1, 1, 0.5, 0], abs=1e-5)


def test_entropy_begins_and_consistency_grows_when_asked() -> None:
    losses = {t: clusterer_loss(t, entropy_from=0.5, consistency_ramp=0.5).terms for t in (0.0, 0.25, 0.5, 0.75)}
    assert [float(losses[t]["entropy"]) > 0 for t in losses] == [False, False, True, True]
    grown = [float(losses[t]["consistency"] / losses[0.75]["consistency"]) for t in losses]
    assert grown == pytest.approx([0, 0.5, 1, 1], abs=1e-5)
    at_once = clusterer_loss(0.0, entropy_from=0.0, consistency_ramp=0.0).terms
    assert float(at_once["entropy"]) > 0
    assert float(at_once["consistency"]) > 0


@pytest.mark.parametrize("pace", ["balanced", "plain", "none"])
def test_pace_decides_how_many_samples_count(pace: str) -> None:
    shares = [float(clusterer_loss(t, pace=pace, entropy_from=0.0).watched["selected"]) for t in (0.0, 0.375, 0.75)]
    assert shares[2] == 1
    if pace == "none":
        assert shares[:2] == [1, 1]
    else:
        assert shares[0] <= 1 / 12 + 1e-3
        assert shares[1] == pytest.approx(0.505, abs=0.1)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"warmup_epochs": 1}, 2),
        ({"warmup_epochs": 1, "consistency_with": "teacher"}, 1),
        ({"warmup_epochs": 1, "consistency_with": "itself"}, 0),
        ({}, 1),
    ],
    ids=str,
)
def test_a_cluster_other_than_asked_for_costs_two(options: Any, asked: int) -> None:
    method, table = game(VECTORS, code_size=6, **options), block_table(3, 6)
    for answer in range(3):
        players = {"clusterer": lambda x, numbers, a=answer: table[[a]], "start": lambda at: torch.tensor([0, 2])[at]}
        nets = Nets(players, {"clusterer": lambda x: table[[1]]})
        noise = method.draw(1, torch.Generator().manual_seed(0))
        batch = Batch(torch.rand(1, 6), where=torch.tensor([1]))
        loss = method.consistency_loss(nets, table[[0]], batch, noise)
        assert float(loss) == pytest.approx(0 if answer == asked else 2)


@pytest.mark.parametrize(("data", "times"), [("small images", 3), ("colour images", 3), ("vectors", None)])
def test_by_default_only_images_are_self_trained(data: str, times: int | None) -> None:
    assert ClusterGAN.presets(EXAMPLES[data])["default"].values.get("self_training") == times


def test_self_training_asks_augmented_samples_for_the_codes_of_the_clusters_they_started_in() -> None:
    method, table = game(VECTORS, code_size=6, warmup_epochs=1), block_table(3, 6)
    noise = method.draw(2, torch.Generator().manual_seed(0))
    told = torch.full((2, 6), 0.3)
    nets = Nets({"clusterer": lambda x, numbers: told, "start": lambda at: torch.tensor([0, 2, 1])[at]}, {})
    batch = Batch(torch.rand(2, 6), where=torch.tensor([1, 2]))
    loss = method.self_training_loss(nets, batch, noise, Clock(torch.tensor(0.5)))
    assert float(loss.total) == pytest.approx(float(cross_entropy(told, table[[2, 1]])))


def test_samples_start_where_c_says_they_are(digits: Dataset) -> None:
    method = game(Task(digits.shape, 10, 240), warmup_epochs=1, warmup_batch_size=240)
    batches = Batches(digits.unlabelled())
    training = Game(method, batches, seed=0)
    next(play(training))
    (codes,) = (training.nets({})["clusterer"](part) for part in batches.parts(240))
    clusters = training.nets({})["start"](torch.arange(240))
    assert len(clusters.unique()) == 10
    assert float((block_means(codes, method.table).argmax(1) == clusters).float().mean()) > 0.95


def test_the_printed_form_changes_the_entropy_alone() -> None:
    corrected, printed = (clusterer_loss(0.9, form=form).terms for form in ("corrected", "printed"))
    assert float(printed["entropy"]) > 5 * float(corrected["entropy"])
    assert all(torch.equal(printed[term], corrected[term]) for term in printed if term != "entropy")


def test_the_printed_game_is_a_tug_of_war() -> None:
    losses = {critic: clusterer_loss(0.9, critic=critic).terms["adversarial"] for critic in ("gan", "ns-gan")}
    assert float(losses["gan"]) < 0 < float(losses["ns-gan"])


# Noise ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separate", [False, True])
def test_the_generators_code_is_the_discriminators_unless_noise_is_separate(separate: bool) -> None:
    seen: list[Tensor] = []
    method = game(VECTORS, code_size=6, separate_noise=separate)
    nets = Nets({"generator": lambda z: seen.append(z) or torch.zeros(8, 6)}, {})  # type: ignore[func-returns-value]
    code, _ = method.fake_pair(nets, method.draw(8, torch.Generator().manual_seed(0)), Clock(torch.tensor(0.3)))
    assert torch.equal(seen[0], code) != separate
    assert ((code >= 0) & (code <= 1)).all()


def test_noisy_networks_get_fresh_numbers_for_every_pass_and_compact_ones_none() -> None:
    noise = game(networks="triple-gan").draw(10, torch.Generator().manual_seed(0))
    assert (len(noise.clusterer), len(noise.discriminator)) == (3, 2)
    for passes in (noise.clusterer, noise.discriminator):
        first, second = passes[:2]
        assert len(first) > 0
        assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    compact = game().draw(10, torch.Generator().manual_seed(0))
    assert compact.clusterer == ((), (), ())
    assert compact.discriminator == ((), ())


def test_noise_is_a_function_of_the_generator_alone() -> None:
    one, same = (game(networks="triple-gan").draw(10, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.codes, same.codes)
    assert torch.equal(one.warps[1].affine, same.warps[1].affine)
    assert torch.equal(one.clusterer[2][0], same.clusterer[2][0])


def test_describing_a_game_draws_nothing() -> None:
    before = torch.random.get_rng_state()
    game(networks="triple-gan")
    assert torch.equal(torch.random.get_rng_state(), before)


# Settings -------------------------------------------------------------------------------------------------------------


@kinds
def test_presets_are_there_for_every_kind_of_data_and_can_be_played(kind: str) -> None:
    presets = ClusterGAN.presets(EXAMPLES[kind])
    assert set(presets) == {"default", "paper", "smoke"}
    for preset in presets.values():
        assert "gancluster train clustergan" in preset.description
        assert game(EXAMPLES[kind], **preset.values).phases()


@kinds
def test_the_papers_preset_has_no_extension_and_the_default_says_which_it_has(kind: str) -> None:
    task = EXAMPLES[kind]
    presets = ClusterGAN.presets(task)
    assert game(task, **presets["paper"].values).extensions() == []
    used = game(task, **presets["default"].values).extensions()
    expected = {"warm-up", "start from communities", "critic r1", "separate noise", "warped discriminator"}
    expected |= {"generated pairs", "consistency with start"}
    assert expected <= set(used)
    assert ("warps beyond shifts" in used) == task.is_images


@kinds
def test_the_papers_preset_is_what_is_printed(kind: str) -> None:
    task = EXAMPLES[kind]
    config = Config(**ClusterGAN.presets(task)["paper"].values)
    assert (config.lr, config.lr_end, config.batch_size, config.code_size) == (1e-4, 1e-5, 100, 100)
    assert (config.code_noise, config.code_noise_end, config.schedule) == (0.5, 0.1, "threshold")
    assert config.consistency_weight * task.n_clusters / config.code_size == 1  # of Eq. 7's own sum
    assert config.adversarial_weight == config.adversarial_weight_end == 1
    assert (config.entropy_weight, config.entropy_from, config.consistency_with) == (1, 0, "itself")
    assert (config.warp > 0) == (kind == "colour images")
    assert (config.form, config.critic, config.networks) == ("corrected", "ns-gan", "triple-gan")


@kinds
def test_a_smoke_run_takes_few_steps(kind: str) -> None:
    task = EXAMPLES[kind]
    phases = game(task, **ClusterGAN.presets(task)["smoke"].values).phases()
    assert sum(phase.epochs * (task.n_samples // phase.batch_size) for phase in phases) <= 60


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"code_size": 8}, "--code-size 8 is less than the 10 clusters"),
        ({"batch_size": 9}, "--batch-size 9 is less than the 10 clusters"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        game(**options)
    assert "\n" not in str(refusal.value)


def test_unknown_critics_and_impossible_images_are_refused_at_once() -> None:
    with pytest.raises(UnknownName, match="did you mean wgan-lp or wgan-gp"):
        game(critic="wgan-pg")
    with pytest.raises(UserError, match="3x3"):
        game(Task((1, 3, 3), 10, 100))
    with pytest.raises(UserError, match="--networks compact"):
        game(Task((3, 50, 50), 10, 100), networks="triple-gan")


# After training -------------------------------------------------------------------------------------------------------


def test_generated_samples_come_cluster_by_cluster_or_not_at_all() -> None:
    method = game(VECTORS, code_size=6)
    nets = Nets({"generator": lambda z: z.view(-1, 3, 2).mean(2)}, {})  # a sample that shows its code's blocks
    samples = method.generate(nets, 5, torch.Generator().manual_seed(0))
    assert samples is not None
    assert samples.shape == (3, 5, 3)
    assert (samples.argmax(2) == torch.arange(3)[:, None]).all()
    assert game(gan=False).generate(Nets({}, {}), 5, torch.Generator()) is None


def test_clean_codes_are_assigned_to_their_blocks_and_to_one_centre_a_block() -> None:
    method, rng = game(VECTORS, code_size=6), np.random.default_rng(0)
    clusters = rng.integers(0, 3, 60)
    embedding = (0.9 * block_table(3, 6).numpy()[clusters] + 0.05 * rng.random((60, 6))).astype(np.float32)
    found = method.assign(embedding, method.centres(embedding, seed=0))
    assert list(found) == ["kmeans", "block"]
    assert np.array_equal(found["block"], clusters)
    assert np.array_equal(found["kmeans"], clusters)  # a cluster has the number of the block that G draws it from


@pytest.fixture(scope="module")
def played(digits: Dataset) -> tuple[Game, list[dict[str, Any]]]:
    """A short game on 240 digits, and its log."""
    options = {"epochs": 12, "warmup_epochs": 8, "batch_size": 40, "warmup_batch_size": 80, "lr": 2e-3, "warp": 0.5}
    method = game(Task(digits.shape, 10, len(digits)), **options)
    torch.manual_seed(0)
    training = Game(method, Batches(digits.unlabelled()), seed=0)
    return training, [moment.row for moment in play(training) if moment.row is not None]


def test_training_lowers_what_it_should(played: tuple[Game, list[dict[str, Any]]]) -> None:
    _, rows = played
    warmup, adversarial = ([row for row in rows if row["phase"] == name] for name in ("warm-up", "adversarial"))
    assert warmup[-1]["clusterer.instances"] < 0.9 * warmup[0]["clusterer.instances"]
    for term in ("clusterer.pairs", "clusterer.inconsistency"):
        assert min(row[term] for row in adversarial[1:]) < 0.8 * max(row[term] for row in adversarial)
    assert adversarial[0]["clusterer.entropy"] == 0 < adversarial[-1]["clusterer.entropy"]
    assert adversarial[-1]["clusterer.selected"] == pytest.approx(1)


def test_trained_codes_cluster_digits_far_better_than_chance(
    played: tuple[Game, list[dict[str, Any]]], digits: Dataset
) -> None:
    training, _ = played
    embedding = settle(training).embed(training.batches)
    assert embedding.shape == (240, 100)
    found = training.method.assign(embedding, training.method.centres(embedding, seed=0))
    assert digits.labels is not None
    assert metrics.scores(digits.labels, found["kmeans"], 10)["acc"] > 0.5


@pytest.mark.parametrize(
    "options",
    [
        {"critic": "wgan-gp"},
        {"critic": "gan", "form": "printed", "blur": "additive", "schedule": "threshold", "entropy_from": 0.0},
        {
            "networks": "triple-gan",
            "critic": "ns-gan",
            "consistency_with": "itself",
            "warmup_epochs": 1,
            "warmup_batch_size": 50,
        },
        {"gan": False, "pace": "none"},
        {"consistency": False, "pace": "plain", "average": 1.0, "clip": 0.5},
    ],
    ids=str,
)
def test_every_switch_plays_to_the_end(options: dict[str, Any], digits: Dataset) -> None:
    common = {"epochs": 1, "warmup_epochs": 0, "batch_size": 60}
    training = Game(game(Task(digits.shape, 10, 240), **common | options), Batches(digits.unlabelled()), seed=0)
    rows = [moment.row for moment in play(training) if moment.row is not None]
    assert len(rows) == sum(phase.epochs for phase in training.phases)
    assert np.isfinite(settle(training).embed(training.batches)).all()


def test_codes_have_a_bit_for_each_cluster_and_no_more_than_there_are_units() -> None:
    codes = np.random.default_rng(0).random((5, 100), dtype=np.float32)
    assert game().binary_codes(codes, codes, 32).shape == (5, 32)
    with pytest.raises(UserError, match="8 bits cannot hold a block for each of 10 clusters: ask for 10 or more"):
        game().binary_codes(codes, codes, 8)
    with pytest.raises(UserError, match="codes of 100 units have no 128 bits: train with --code-size 128"):
        game().binary_codes(codes, codes, 128)
