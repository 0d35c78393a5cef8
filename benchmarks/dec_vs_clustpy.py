"""Claim: DEC on this engine finds no less than clustpy's, in no more time and memory.

Trains DEC by both on the same samples: the same networks from the same weights, Adam at the same rates, the same epochs
and whole batches, K-means from as many starts, one thread. Each training has a process of its own, in turn. One
difference stays, for it is the libraries': here the target is made from all samples before every epoch, as the paper
has it, in clustpy from every batch alone. Prints ACC, seconds on the clock and of the processor (the second hardly
depend on what else the machine does; data and imports are not counted) and peak memory (above that of the process
before), medians over seeds, and ratios, medians over pairs; writes JSON.

    python benchmarks/dec_vs_clustpy.py [--dataset digits] [--data-dir DIR] [--samples 1792] [--width 1] [--seeds 5]
                                        [--pretrain-epochs 100] [--epochs 50] [--output dec_vs_clustpy.json]

Needs clustpy: `pip install -e ".[baselines]"`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clustpy.deep import DEC as ClustpyDEC
from clustpy.deep.neural_networks import FeedforwardAutoencoder
from torch import nn

from gancluster import metrics
from gancluster.data import catalogue
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.engine.device import machine, use_threads
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.methods.dec import DEC, Config
from gancluster.runs.training import task_of

SIDES = ("gancluster", "clustpy")
BATCH, LR_PRETRAIN, LR = 256, 1e-3, 1e-4


def game_of(dataset: Dataset, options: argparse.Namespace, seed: int) -> Game:
    """DEC with clustpy's defaults: Adam, at a tenth of the rate in the refinement, and no early end."""
    config = Config(
        pretrain_epochs=options.pretrain_epochs,
        epochs=options.epochs,
        batch_size=BATCH,
        width=options.width,
        lr_pretrain=LR_PRETRAIN,
        lr=LR,
        optimizer="adam",
        interval=None,
        tolerance=0.0,
    )
    return Game(DEC(config, task_of(dataset, None)), Batches(dataset.unlabelled()), seed)


def by_gancluster(game: Game) -> np.ndarray:
    for _ in play(game):
        pass
    embedding = settle(game).embed(game.batches)
    return game.method.assign(embedding, game.method.centres(embedding, game.seed))["student"]


def by_clustpy(game: Game) -> np.ndarray:
    """The same, from the game's own samples and first weights."""
    samples = game.batches.at(torch.arange(len(game.batches))).flatten(1).numpy()
    found = ClustpyDEC(
        game.method.task.n_clusters,
        batch_size=BATCH,
        pretrain_optimizer_params={"lr": LR_PRETRAIN},
        clustering_optimizer_params={"lr": LR},
        pretrain_epochs=game.phases[0].epochs,
        clustering_epochs=game.phases[1].epochs,
        neural_network=autoencoder_of(game),
        initial_clustering_params={"n_init": 20},
        device="cpu",
        random_state=game.seed,
    ).fit(samples)
    return np.asarray(found.dec_labels_, np.int64)


def autoencoder_of(game: Game) -> Any:
    """clustpy's auto-encoder with the sizes, nonlinearities and weights of the game's."""
    ours = [layer for name in ("encoder", "decoder") for layer in linears(game.modules[name])]
    sizes = [layer.in_features for layer in ours]
    middle = len(ours) // 2
    squash = nn.Sigmoid if game.method.task.is_images else None
    theirs = FeedforwardAutoencoder(sizes[: middle + 1], activation_fn=nn.ReLU, decoder_output_fn=squash)
    copies = linears(theirs.encoder) + linears(theirs.decoder)
    for copy, layer in zip(copies, ours, strict=True):
        copy.load_state_dict(layer.state_dict())
    return theirs


def linears(net: nn.Module) -> list[nn.Linear]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


def peak() -> float:
    """The most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(side: str, dataset: Dataset, options: argparse.Namespace, seed: int) -> dict[str, float]:
    """ACC, seconds of clock and processor, and peak memory of one training, in this process."""
    game = game_of(dataset, options, seed)
    before, clock, processor = peak(), time.perf_counter(), time.process_time()
    clusters = by_gancluster(game) if side == "gancluster" else by_clustpy(game)
    seconds, processor, memory = time.perf_counter() - clock, time.process_time() - processor, peak() - before
    assert dataset.labels is not None
    acc = metrics.scores(dataset.labels, clusters, game.method.task.n_clusters)["acc"]
    return {"acc": acc, "seconds": seconds, "processor": processor, "memory": memory}


def alone(*training: Any) -> dict[str, float]:
    """The same, in a process of its own, which has everything imported when it begins."""
    with get_context("fork").Pool(1) as pool:
        return pool.apply(one, training)


def compared(dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """All trainings, side by side and in turn; medians, and medians of the pairs' ratios clustpy / gancluster."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for seed in range(options.seeds):
        for side in SIDES if seed % 2 == 0 else reversed(SIDES):
            found[side].append(alone(side, dataset, options, seed))
            print(side, seed, {key: round(value, 3) for key, value in found[side][-1].items()}, flush=True)
    medians = {
        side: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for side, runs in found.items()
    }
    pairs = list(zip(found["clustpy"], found["gancluster"], strict=True))
    ratios = {
        key: statistics.median(theirs[key] / ours[key] for theirs, ours in pairs)
        for key in ("seconds", "processor", "memory")
    }
    difference = statistics.median(ours["acc"] - theirs["acc"] for theirs, ours in pairs)
    return {"medians": medians, "clustpy_to_gancluster": ratios, "acc_difference": difference, "all": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--samples", type=int, default=7 * BATCH, help=f"a multiple of {BATCH}: whole batches")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pretrain-epochs", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--output", type=Path, default=Path("dec_vs_clustpy.json"))
    options = parser.parse_args()
    if options.samples % BATCH:
        parser.error(f"--samples {options.samples}: make it a multiple of {BATCH}, so that both see whole batches")
    use_threads(1)
    import_module("torch._dynamo")  # torch's optimisers do, when first used
    dataset = catalogue.load(options.dataset, catalogue.data_folder(options.data_dir), limit=options.samples)
    report = compared(dataset, options)
    for side, median in report["medians"].items():
        seconds = f"{median['seconds']:.1f} s, {median['processor']:.1f} s of the processor"
        print(f"  {side:10} ACC {median['acc']:.3f}, {seconds}, {median['memory']:.0f} MB (medians)")
    ratios = ", ".join(f"{key} {ratio:.2f}" for key, ratio in report["clustpy_to_gancluster"].items())
    print(f"  clustpy / gancluster: {ratios}; ACC of gancluster {report['acc_difference']:+.3f}")
    asked = {name: str(value) for name, value in vars(options).items()}
    setting = {"options": asked, "clustpy": version("clustpy"), "machine": machine(torch.device("cpu"))}
    options.output.write_text(json.dumps(setting | report, indent=2) + "\n")


if __name__ == "__main__":
    main()
