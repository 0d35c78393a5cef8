"""What a method is: players, and the turns they take.

An adversarial method is a game. Players are networks by name; a turn says who moves and which loss he minimises. A
method only describes its game: it owns no optimiser state, no loop, no random state, no device and no label. The engine
plays it, and because every loss is a pure function of (parameters, batch, noise, clock) it may play it step by step,
compiled, or for many seeds at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from gancluster.data.batches import Batches
from gancluster.errors import UserError
from gancluster.methods.codes import block_table
from gancluster.optim import Optimizer, Tree

Net = Callable[..., Tensor]
Modules = dict[str, nn.Module]
Embedding = NDArray[np.float32]
Prediction = dict[str, NDArray[np.int64]]
Row = dict[str, float | int | str]


class Task(NamedTuple):
    """All that a method is told of the data beside its samples.

    `shape`: one sample, `(channels, height, width)` or `(d,)`. `pixel_range`: the range of an image's values.
    `flips`: whether a mirrored image is still the same kind of thing. `n_samples`: how many there are. `n_labels`: of
    how many of them a semi-supervised run is told the class; cluster k is class k then.
    """

    shape: tuple[int, ...]
    n_clusters: int
    n_samples: int
    pixel_range: tuple[float, float] = (0.0, 1.0)
    flips: bool = False
    n_labels: int = 0

    @property
    def is_images(self) -> bool:
        return len(self.shape) == 3


EXAMPLES = {
    "small images": Task((1, 8, 8), 10, 1797),
    "grey images": Task((1, 28, 28), 10, 70_000),
    "colour images": Task((3, 32, 32), 10, 60_000, (-1.0, 1.0), flips=True),
    "vectors": Task((2000,), 4, 10_000),
}  # one task of every kind that presets tell apart


class Labelled(NamedTuple):
    """Some of the samples `(b, *shape)` that a semi-supervised run is told the classes `(b,)` of."""

    inputs: Tensor
    classes: Tensor


class Batch(NamedTuple):
    """Real samples `(b, *shape)`, scaled to the pixel range, and `where` `(b,)` they are stored.

    In a semi-supervised run, `labelled` ones beside them.
    """

    inputs: Tensor
    labelled: Labelled | None = None
    where: Tensor | None = None


class Clock(NamedTuple):
    """`progress`: how much of the phase is played, 0 → 1, as a 0-d tensor (a number would recompile every step)."""

    progress: Tensor

    def ramp(self, start: float, end: float) -> Tensor:
        """0 up to `start`, 1 from `end` on, linear between (both are shares of the phase); a step where they meet."""
        if start == end:
            return (self.progress >= end).to(self.progress.dtype)
        return ((self.progress - start) / (end - start)).clamp(0.0, 1.0)


class Loss(NamedTuple):
    """What a turn minimises, as named terms already weighted, and what is only worth watching."""

    terms: dict[str, Tensor]
    watched: dict[str, Tensor] = {}  # noqa: RUF012 - a NamedTuple default, never mutated

    @property
    def total(self) -> Tensor:
        return torch.stack(tuple(self.terms.values())).sum()


class Nets(Mapping[str, Net]):
    """The players as functions of their inputs alone; `averaged` holds those whose weights are averaged over time."""

    def __init__(self, players: Mapping[str, Net], averaged: Mapping[str, Net]) -> None:
        self._players = players
        self.averaged = averaged

    def __getitem__(self, name: str) -> Net:
        return self._players[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._players)

    def __len__(self) -> int:
        return len(self._players)


TurnLoss = Callable[[Nets, Batch, Any, Clock], Loss]
AfterStep = Callable[[Tree, Tree], None]


@dataclass(frozen=True)
class Turn:
    """`players` (one, or several who move together) take a step down `loss`; `repeat` times, each on a fresh batch.

    `after`: what then changes each one's weights and buffers in place (`Critic.after_step`), a function of these alone.
    """

    players: str | tuple[str, ...]
    loss: TurnLoss
    repeat: int = 1
    after: AfterStep | None = None

    @property
    def movers(self) -> tuple[str, ...]:
        return (self.players,) if isinstance(self.players, str) else self.players


@dataclass(frozen=True)
class Phase:
    """A stretch of the game: `epochs` passes through the data, one round a batch, each round its turns in order.

    Rounds take turns too: with several, step t plays round t modulo their number (a costly penalty every fourth step,
    say). `optimizer`: one for all who move, or one by name; they start afresh with every phase. `steps`: the steps of
    an epoch where it is no pass through the data. `until`: asked before every epoch, given the players and the data;
    the phase is over once it says so. `frozen`: the players whose batch norm keeps to the statistics it was calibrated
    with. `pretrains`: comes before the game; the players it leaves are the start that the run's gain is counted from.
    """

    name: str
    epochs: int
    batch_size: int
    rounds: Sequence[Sequence[Turn]]
    optimizer: Optimizer | Mapping[str, Optimizer]
    steps: int | None = None
    until: Callable[[Nets, Batches], bool] | None = None
    frozen: Set[str] = frozenset()
    pretrains: bool = False

    def optimizer_of(self, player: str) -> Optimizer:
        return self.optimizer[player] if isinstance(self.optimizer, Mapping) else self.optimizer


class Config(BaseModel):
    """A method's options: frozen, unknown keys refused; the fields with their help are the command line's options."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Preset(NamedTuple):
    """A named set of options: what it is for, what it gave and cost where it was measured, and the values it sets."""

    description: str
    values: dict[str, Any]


class Method(ABC):
    """A game of adversarial clustering. Subclasses describe it; see `clustergan.py` for one that is complete.

    `ranked_by`: the log's column by which several starts are ranked, the lowest first (`--starts`); it sees no label.
    """

    name: ClassVar[str]
    semi_supervised: ClassVar[bool] = False  # whether it can learn from some labels
    paper: ClassVar[str]
    config_type: ClassVar[type[Config]]
    encoder: ClassVar[str]  # the player that embeds data; its batch norm is calibrated on them before it is used
    ranked_by: str | None = None  # none, unless the method sets one for its options

    def __init__(self, config: Any, task: Task) -> None:
        self.config = config
        self.task = task

    @classmethod
    @abstractmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        """Named settings for this kind of data; `default`, `paper` and `smoke` always exist."""

    @abstractmethod
    def players(self) -> Modules:
        """Freshly initialised networks by name (from the global random state, which the engine seeds)."""

    def enter(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:  # noqa: B027 - most need none
        """Set what players take from the data when `phase` begins: whitening, say, or a first partition.

        Any randomness comes from `seed`. The average of a player whose weights this changes begins anew.
        """

    def renew(self, phase: str, players: Modules, batches: Batches, seed: int) -> None:  # noqa: B027
        """Set what players take from the data before every epoch of `phase`, the first too: a target, a mixture.

        As `enter` otherwise; optimisers go on with what they remember.
        """

    def averages(self) -> dict[str, float]:
        """Rate of the exponential average of each player whose weights are averaged."""
        return {}

    def encoders(self) -> tuple[str, ...]:
        """The players that embed data, each calibrated before it is used: `encoder` alone, but for a population."""
        return (self.encoder,)

    @abstractmethod
    def phases(self) -> list[Phase]:
        """The game from beginning to end."""

    @abstractmethod
    def draw(self, n: int, rng: torch.Generator) -> Any:
        """Every random number that one step on a batch of `n` uses, as a tuple of tensors on `rng`'s device."""

    @abstractmethod
    def embed(self, nets: Nets, inputs: Tensor) -> Tensor:
        """Embedding `(b, m)` of real samples `(b, *shape)` by the trained players."""

    def features(self, nets: Nets, inputs: Tensor) -> Tensor:
        """What stands for real samples `(b, *shape)` outside of clustering, in pictures say: `(b, d)`; here `embed`."""
        return self.embed(nets, inputs)

    def centres(self, embedding: Embedding, seed: int) -> Embedding:
        """What `assign` needs beyond the players, learnt from the whole embedding `(n, m)`; here nothing, `(0, m)`."""
        return np.empty((0, embedding.shape[1]), np.float32)

    def assign(self, embedding: Embedding, centres: Embedding) -> Prediction:
        """Clusters `(n,)` in `0 .. n_clusters - 1`, one array a rule; the first rule is the paper's.

        Here `posterior`: the likeliest cluster, for an embedding that is the probability of each `(n, n_clusters)`.
        """
        return {"posterior": embedding.argmax(1)}

    def binary_codes(self, embedding: Embedding, centres: Embedding, bits: int) -> NDArray[np.bool_]:
        """Hash codes `(n, bits)` of embeddings `(n, m)`; here a cluster's block of ones, so all of a cluster are tied.

        Raises `UserError` where so many bits cannot be had.
        """
        k = self.task.n_clusters
        if bits < k:
            raise UserError(f"{bits} bits cannot hold a block for each of {k} clusters: ask for {k} or more")
        clusters = next(iter(self.assign(embedding, centres).values()))
        return block_table(k, bits).bool().numpy()[clusters]

    def generate(self, nets: Nets, per_cluster: int, rng: torch.Generator) -> Tensor | None:
        """Generated samples `(n_clusters, per_cluster, *shape)`; None where the game has no generator, as here."""
        return None

    def symptoms(self, row: Row) -> list[str]:
        """What a collapse looks like in an epoch's row of the log; none here.

        Each a short text that names what was seen and the option to try. `gancluster train` warns of them, and begins
        anew where `--restarts` allows.
        """
        return []

    def extensions(self) -> list[str]:
        """The ingredients in use that are not in the paper: they mark the run's row with a '+'."""
        return []


class Fitted(NamedTuple):
    """What a fit found: clusters `(n,)`, and the representation `(n, m)` that they were found in.

    Where that is the samples themselves, their principal components stand for them. `centres` `(n_clusters, d)` are
    points of the samples' space, where a sample belongs to the nearest; None where new samples cannot be placed.
    """

    clusters: NDArray[np.int64]
    embedding: Embedding
    centres: Embedding | None = None


class Fit(ABC):
    """A method without a game, fitted in one go: no players, nothing to resume, nothing drawn or generated.

    `as_printed`: the options, beside the defaults, of its paper. `smoke`: those of its quickest form.
    """

    name: ClassVar[str]
    semi_supervised: ClassVar[bool] = False
    paper: ClassVar[str]
    config_type: ClassVar[type[Config]]
    as_printed: ClassVar[dict[str, Any]] = {}
    smoke: ClassVar[dict[str, Any]] = {}

    def __init__(self, config: Any, task: Task) -> None:
        """Raises `UserError` where options and task do not fit: so many samples, say."""
        self.config = config
        self.task = task

    @classmethod
    def presets(cls, task: Task) -> dict[str, Preset]:
        """Named settings for this kind of data; `default`, `paper` and `smoke` always exist."""
        return {
            "default": Preset("as in the tables", {}),
            "paper": Preset("without extensions", cls.as_printed),
            "smoke": Preset("to see that it runs", cls.smoke),
        }

    @abstractmethod
    def fit(self, samples: Embedding, seed: int) -> Fitted:
        """Cluster flat samples `(n, d)`, scaled as batches scale them; any randomness comes from `seed`.

        Networks are initialised from the global random state, which whoever calls has seeded.
        """

    def extensions(self) -> list[str]:
        """The ingredients in use that are not in the paper: they mark the run's row with a '+'."""
        return []
