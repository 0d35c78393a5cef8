"""ClusterGAN's turns against the paper written out once more, in plain modules and textbook autograd, in float64."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from gancluster.data.warp import warp
from gancluster.methods.base import Batch, Clock, Loss, Nets, Task, Turn
from gancluster.methods.clustergan import ClusterGAN, Config, Noise
from gancluster.methods.self_paced import paced_weights
from gancluster.optim import Tree

N, K, M, PROGRESS = 9, 3, 6, 0.6
WIDTH = 0.5 + (0.1 - 0.5) * PROGRESS
PLAIN = {
    "separate_noise": False,
    "warp_discriminator": False,
    "pairs_weight": 0.0,
    "adversarial_weight_end": 1.0,
    "consistency_with": "itself",
    "blur": "additive",
}


class Scene:
    """A game of 9 samples and 3 clusters, its players, their averages and one step's numbers, all in float64."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0, **options: Any) -> None:
        torch.manual_seed(seed)
        common = {"batch_size": N, "code_size": M, "entropy_weight": 0.7, "pairs_weight": 0.4, "warp": 0.5}
        common |= {"consistency_with": "teacher"}
        self.method = ClusterGAN(Config(**common | options), Task(shape, K, 100))
        self.modules = {name: module.double() for name, module in self.method.players().items()}
        self.teacher = self.method.players()["clusterer"].double()
        drawn = self.method.draw(N, torch.Generator().manual_seed(seed))
        self.noise: Noise = tree_map(lambda value: value.double(), drawn)
        self.inputs = torch.rand(N, *shape, dtype=torch.float64)
        self.clock = Clock(torch.tensor(PROGRESS, dtype=torch.float64))

    def turn(self, player: str, penalised: bool = False) -> Turn:
        turns = [turn for turns in self.method.phases()[-1].rounds for turn in turns if turn.movers == (player,)]
        return turns[0 if penalised or player != "discriminator" else -1]

    def loss(self, turn: Turn, moving: Tree, standing: dict[str, nn.Module] | None = None) -> Loss:
        """The turn's loss as the engine takes it: players as pure functions, the mover's weights among the inputs."""
        modules = standing or self.modules
        mover = turn.movers[0]
        nets = {name: partial(pure, module, weights(module)) for name, module in modules.items()}
        averages = {"clusterer": partial(pure, self.teacher, weights(self.teacher))}
        nets[mover] = partial(pure, modules[mover], moving)
        return turn.loss(Nets(nets, averages), Batch(self.inputs), self.noise, self.clock)

    def gradient(self, turn: Turn) -> Tree:
        moving = {name: value.requires_grad_() for name, value in weights(self.modules[turn.movers[0]]).items()}
        gradients = torch.autograd.grad(self.loss(turn, moving).total, list(moving.values()), materialize_grads=True)
        return dict(zip(moving, gradients, strict=True))


def pure(module: nn.Module, parameters: Tree, *inputs: Any, **options: Any) -> Tensor:
    out: Tensor = functional_call(module, parameters, inputs, options)
    return out


def weights(module: nn.Module) -> Tree:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


class Textbook:
    """The same losses from the paper's equations, by calling modules."""

    def __init__(self, scene: Scene) -> None:
        self.s, self.c, self.noise = scene, scene.method.config, scene.noise
        self.C, self.G, self.D = (scene.modules[name] for name in ("clusterer", "generator", "discriminator"))

    def noisy(self, code: Tensor, which: int) -> Tensor:
        added = code + WIDTH * self.noise.uniform[which]
        return added / (1 + WIDTH) if self.c.blur == "scaled" else added

    def warped(self, samples: Tensor, which: int) -> Tensor:
        return warp(samples, self.noise.warps[which], 0.5, 0.1)

    def real_pair(self) -> tuple[Tensor, Tensor]:
        code = self.C(self.s.inputs, self.noise.clusterer[0])
        code = self.noisy(code, 2) if self.c.separate_noise else code
        return code, self.warped(self.s.inputs, 0) if self.c.warp_discriminator else self.s.inputs

    def fake_pair(self) -> tuple[Tensor, Tensor]:
        sample = self.G(self.noisy(self.noise.codes, 0))
        code = self.noisy(self.noise.codes, 1 if self.c.separate_noise else 0)
        return code, self.warped(sample, 1) if self.c.warp_discriminator else sample

    def discriminator(self, penalised: bool) -> Tensor:
        real, fake = ([part.detach() for part in pair] for pair in (self.real_pair(), self.fake_pair()))
        on_real, on_fake = self.noise.discriminator
        of_real, of_fake = self.D(*real, on_real), self.D(*fake, on_fake)
        if self.c.critic == "wgan-gp":
            loss = of_fake.mean() - of_real.mean()
            mixes = [self.noise.mix.view(-1, *[1] * (part.ndim - 1)) for part in real]
            between = [mix * f + (1 - mix) * r for mix, r, f in zip(mixes, real, fake, strict=True)]
            return loss + 10 * ((self.slope(between) + 1e-12).sqrt() - 1).square().mean() if penalised else loss
        loss = -of_real.sigmoid().log().mean() - (1 - of_fake.sigmoid()).log().mean()
        penalty = 4 * 0.3 * (self.slope(real).mean() + self.slope(fake).mean()) / 2
        return loss + penalty if penalised else loss

    def slope(self, pair: list[Tensor]) -> Tensor:
        inputs = [part.clone().requires_grad_() for part in pair]
        gradients = torch.autograd.grad(self.D(*inputs).sum(), inputs, create_graph=True)
        return torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0)

    def generator(self) -> Tensor:
        logit = self.D(*self.fake_pair(), self.noise.discriminator[1])
        return -logit.mean() if self.c.critic == "wgan-gp" else -logit.sigmoid().log().mean()

    def clusterer(self) -> Tensor:
        logit = self.D(*self.real_pair(), self.noise.discriminator[0])
        adversarial = logit.mean() if self.c.critic == "wgan-gp" else -(1 - logit.sigmoid()).log().mean()
        code = self.C(self.s.inputs, self.noise.clusterer[0])
        augmented = self.C(self.warped(self.s.inputs, 0), self.noise.clusterer[1])
        target = self.s.teacher(self.s.inputs).detach() if self.c.consistency_with == "teacher" else code
        consistency = ((augmented - target) ** 2).sum() / N / (M / K)
        generated = self.G(self.noisy(self.noise.codes, 0)).detach()
        answer, truth = self.C(self.warped(generated, 1), self.noise.clusterer[2]), self.noise.codes
        pairs = -(truth * answer.log() + (1 - truth) * (1 - answer).log()).mean()
        start, end = self.c.adversarial_weight, self.c.adversarial_weight_end
        fading = start - (start - end) * (PROGRESS - 0.5) / 0.5
        return fading * adversarial + 0.7 * self.entropy(code) + consistency + self.c.pairs_weight * pairs

    def entropy(self, code: Tensor) -> Tensor:
        per_sample = []
        for i in range(N):
            a = torch.stack([F.cosine_similarity(code[i], code[j], dim=0) for j in range(N) if j != i])
            per_sample.append((-a * a.log() - (1 - a) * (1 - a).log()).mean())
        losses = torch.stack(per_sample)
        clusters = code.view(N, K, M // K).mean(2).argmax(1)
        nu = paced_weights(losses.detach(), clusters, K, self.s.clock.progress)
        assert 0 < nu.sum() < N
        return (nu * losses).mean()

    def gradient(self, player: str, penalised: bool) -> list[Tensor]:
        loss = self.discriminator(penalised) if player == "discriminator" else getattr(self, player)()
        module = self.s.modules[player]
        return list(torch.autograd.grad(loss, list(module.parameters()), materialize_grads=True))


@pytest.mark.parametrize("options", [{}, PLAIN], ids=["default", "plain"])
@pytest.mark.parametrize("shape", [(5,), (1, 8, 8)], ids=["vectors", "images"])
@pytest.mark.parametrize("networks", ["compact", "triple-gan"])
@pytest.mark.parametrize("critic", ["r1", "wgan-gp"])
def test_every_turns_gradient_is_the_textbooks(
    critic: str, networks: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    scene = Scene(shape, critic=critic, networks=networks, **options)
    for player, penalised in (
        ("discriminator", True),
        ("discriminator", critic == "wgan-gp"),
        ("generator", False),
        ("clusterer", False),
    ):
        found = scene.gradient(scene.turn(player, penalised))
        expected = Textbook(scene).gradient(player, penalised)
        assert sum(float(gradient.abs().sum()) for gradient in expected) > 1e-3
        for (name, ours), theirs in zip(found.items(), expected, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12), (player, name)


def total(
    scene: Scene, turn: Turn, players: dict[str, Tree], teacher: Tree, noise: Noise, inputs: Tensor, moving: Tree
) -> Tensor:
    """The turn's loss with everything that depends on the seed handed in."""
    nets = {name: partial(pure, scene.modules[name], tree) for name, tree in players.items()}
    nets[turn.movers[0]] = partial(pure, scene.modules[turn.movers[0]], moving)
    averages = {"clusterer": partial(pure, scene.teacher, teacher)}
    return turn.loss(Nets(nets, averages), Batch(inputs), noise, scene.clock).total


@pytest.mark.parametrize("player", ["discriminator", "generator", "clusterer"])
@pytest.mark.parametrize("shape", [(5,), (1, 8, 8)], ids=["vectors", "images"])
@pytest.mark.parametrize("networks", ["compact", "triple-gan"])
@pytest.mark.parametrize("critic", ["r1", "wgan-gp"])
def test_two_seeds_stacked_have_the_gradients_of_each(
    critic: str, networks: str, shape: tuple[int, ...], player: str
) -> None:
    scenes = [Scene(shape, seed, critic=critic, networks=networks) for seed in (0, 1)]
    gradient = torch.func.grad(partial(total, scenes[0], scenes[0].turn(player, penalised=True)), argnums=4)
    each = []
    for scene in scenes:
        players = {name: weights(module) for name, module in scene.modules.items()}
        each.append((players, weights(scene.teacher), scene.noise, scene.inputs, players[player]))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "There is a performance drop")
        together = torch.func.vmap(gradient)(*tree_map(lambda *values: torch.stack(values), *each))
    for k, arguments in enumerate(each):
        for name, alone in gradient(*arguments).items():
            assert torch.allclose(together[name][k], alone, rtol=1e-9, atol=1e-12), name
