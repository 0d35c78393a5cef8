"""Two linear players on points of the plane: a game small enough to be played by hand; and how tests place runs.

The *seeker* tells true points from made ones; the *maker* makes points from noise. The seeker's sign is the cluster.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset, Known
from gancluster.engine import checkpoint
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.methods import base
from gancluster.methods.base import Batch, Clock, Loss, Modules, Nets, Phase, Prediction, Preset, Task, Turn
from gancluster.networks.blocks import BatchNorm, calibrate
from gancluster.optim import Adam, Linear
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan

N = 24
TIMES = ("seconds", "snapshot_seconds", "evaluation_seconds", "floor_seconds")
FAST = {"warmup_epochs": 1, "epochs": 2, "batch_size": 60, "warmup_batch_size": 120, "code_size": 20}
FAST |= {"self_training": 1, "self_training_steps": 2}


class Options(base.Config):
    """Options of the duel; the last three break it on purpose."""

    epochs: int = Field(2, ge=1, description="passes through the data")
    batch_size: int = Field(8, ge=2, description="samples in a batch")
    lr: float = Field(0.05, gt=0, description="Adam's learning rate")
    fails_from: float = Field(2.0, description="share of the game after which the seeker's loss is NaN")
    fails_for: int = Field(-1, description="the seed whose weights are NaN from the start")
    rare_term: bool = Field(False, description="a term that only every fourth step has")


class Duel(base.Method):
    """The game; `layout` gives its phases, for tests that want other ones."""

    name: ClassVar[str] = "duel"
    paper: ClassVar[str] = "two linear players"
    config_type: ClassVar[type[base.Config]] = Options
    encoder: ClassVar[str] = "seeker"
    config: Options
    layout: Callable[[], list[Phase]] | None = None
    rates: ClassVar[dict[str, float]] = {}

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        return {name: Preset("the only one", {}) for name in ("default", "paper", "smoke")}

    def players(self) -> Modules:
        return {"seeker": nn.Linear(2, 1), "maker": nn.Linear(2, 2)}

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        if seed == self.config.fails_for:
            players["maker"].get_parameter("bias").fill_(torch.nan)

    def averages(self) -> dict[str, float]:
        return dict(self.rates)

    def phases(self) -> list[Phase]:
        if self.layout is not None:
            return self.layout()
        c, maker = self.config, Turn("maker", self.maker_loss)
        free, held = Turn("seeker", self.seeker_loss), Turn("seeker", self.held_seeker_loss)
        rounds = [[held, maker], *[[free, maker]] * 3] if c.rare_term else [[free, maker]]
        return [Phase("duel", c.epochs, c.batch_size, rounds, Adam(Linear(c.lr, c.lr / 2)))]

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, 2, generator=rng, device=rng.device)

    def seeker_loss(self, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        real, fake = nets["seeker"](batch.inputs), nets["seeker"](nets["maker"](noise))
        broken = torch.where(clock.progress >= self.config.fails_from, torch.nan, 0.0)
        return Loss({"adversarial": F.softplus(-real).mean() + F.softplus(fake).mean() + broken}, {"real": real.mean()})

    def held_seeker_loss(self, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        terms, watched = self.seeker_loss(nets, batch, noise, clock)
        slope = torch.func.grad(lambda x: nets["seeker"](x).sum())(batch.inputs)
        return Loss({**terms, "penalty": slope.square().sum(1).mean() + 0 * terms["adversarial"]}, watched)

    def maker_loss(self, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        return Loss({"adversarial": F.softplus(-nets["seeker"](nets["maker"](noise))).mean()})

    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        return nets["seeker"](inputs)

    def centres(self, embedding: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        return np.median(embedding, axis=0, keepdims=True)

    def assign(self, embedding: NDArray[np.float32], centres: NDArray[np.float32]) -> Prediction:
        return {"side": (embedding[:, 0] > centres[0, 0]).astype(np.int64)}

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        points = nets["maker"](torch.randn(2 * per_cluster, 2, generator=rng, device=rng.device))
        return points.view(2, per_cluster, 2)


class Varied(Duel):
    """A duel of every kind of phase; some are over before they begin, the last among them."""

    name: ClassVar[str] = "varied"
    semi_supervised: ClassVar[bool] = True
    rates: ClassVar[dict[str, float]] = {"seeker": 0.1}

    def players(self) -> Modules:
        outputs = {"seeker": 1, "maker": 2}
        return {name: nn.Sequential(nn.Linear(2, 3), BatchNorm(3), nn.Linear(3, m)) for name, m in outputs.items()}

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:
        if phase == "held":
            calibrate(players["maker"], [self.draw(50, torch.Generator().manual_seed(seed))])

    def phases(self) -> list[Phase]:
        if self.layout is not None:
            return self.layout()
        adam, maker, seeker = Adam(Linear(0.1, 0.05)), Turn("maker", self.maker_loss), Turn("seeker", self.seeker_loss)
        labels = Phase("labels", 9, 3, [[Turn("seeker", self.label_loss, 2)]], adam, 2, self.knows_labels)
        over = Phase("over", 2, 8, [[maker]], adam, until=lambda nets, batches: True)
        counted = Phase("counted", 2, 7, [[seeker, maker], [maker]], adam, steps=5)
        return [over, labels, counted, Phase("held", 1, 8, [[seeker]], adam, frozen={"maker"}), labels, over, over]

    def label_loss(self, nets: Nets, batch: Batch, noise: Any, clock: Clock) -> Loss:
        assert batch.labelled is not None
        samples, classes = batch.labelled
        wrong = F.binary_cross_entropy_with_logits(nets["seeker"](samples)[:, 0], classes.to(samples))
        return Loss({"labels": wrong})

    def knows_labels(self, nets: Nets, batches: Batches) -> bool:
        found = nets["seeker"](batches.at(batches.known))[:, 0] > 0
        return bool((found == batches.labels.bool()).all())


def points(n: int = N, dtype: type = np.float32) -> Dataset:
    """`n` distinct labelled points of the plane."""
    drawn = np.random.default_rng(7).standard_normal((n, 2)).astype(dtype)
    return Dataset("points", drawn, (drawn[:, 0] > 0).astype(np.int64), 2)


def duel(layout: Callable[[Duel], list[Phase]] | None = None, n: int = N, **options: Any) -> Duel:
    method = Duel(Options(**options), Task((2,), 2, n))
    if layout is not None:
        method.layout = partial(layout, method)
    return method


def game(method: Duel | None = None, dataset: Dataset | None = None, seed: int = 0, known: Known | None = None) -> Game:
    return Game(method or duel(), Batches((dataset or points()).unlabelled(), known=known), seed)


def weights(one: Game) -> dict[str, Tensor]:
    """Copies of all weights of a game, by path."""
    return {f"{p}.{name}": w.clone() for p, tree in one.state.players.items() for name, w in tree.items()}


def stopped_and_resumed(begun: Callable[[], Game], places: tuple[int, ...], folder: Path) -> Iterator[bool]:
    """Of each step that a game is stopped at: whether, resumed from there, its end is that of one played through."""
    straight = begun()
    for moment in play(straight):
        if moment.played in places:
            checkpoint.save(straight, folder / f"{moment.played}")
    checkpoint.save(straight, folder / "straight")
    for played in places:
        again = begun()
        checkpoint.load(again, folder / f"{played}")
        list(play(again))
        checkpoint.save(again, folder / "again")
        yield (folder / "again").read_bytes() == (folder / "straight").read_bytes()


def placed(
    root: Path, dataset: Dataset, method: str = "clustergan", seed: int = 0, labels: int = 0, **options: Any
) -> Run:
    """A run of `method` on `dataset` below `root`, as `gancluster train` would place it."""
    asked = TrainOptions(dataset=dataset.name, preset="smoke", seed=seed, labels=labels)
    return Run.place(root, plan(method, dataset, asked, (FAST if method == "clustergan" else {}) | options)[0])


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what it took, which is never twice the same."""
    dropped = [{key: value for key, value in attempt.items() if key != "seconds"} for attempt in result["restarts"]]
    kept = {key: value for key, value in result.items() if key not in TIMES}
    return kept | {"restarts": dropped}


def outcome(run: Run) -> dict[str, Any]:
    """All that must not depend on how often a run was stopped: everything but the seconds."""
    lines = [line.split(",") for line in (run.folder / "log.csv").read_text().splitlines()]
    seconds = lines[0].index("seconds")
    return {
        "checkpoint": run.checkpoint.read_bytes(),
        "embedding": (run.folder / "embedding.npz").read_bytes(),
        "log": [line[:seconds] + line[seconds + 1 :] for line in lines],
        "result": timeless(run.result()),
        "files": sorted(file.name for file in run.folder.iterdir() if file.suffix != ".png"),
    }
