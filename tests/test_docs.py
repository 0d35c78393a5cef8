"""The documentation against the code: its example plug-ins run, and the tests, functions and options it names exist."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances_argmin

from gancluster import metrics, registry
from gancluster.data.batches import Batches
from gancluster.data.catalogue import checked
from gancluster.data.dataset import Dataset
from gancluster.data.embedded import gaussians_8
from gancluster.engine.game import Game
from gancluster.engine.play import play
from gancluster.engine.trained import settle
from gancluster.methods.base import Method
from gancluster.methods.clustergan import ClusterGAN
from gancluster.runs.training import TrainOptions, configure, task_of

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])


@pytest.fixture
def plugin() -> Any:
    """Makes a module of the example package's file, or of the block of `docs/extending.md`, that is called so."""

    def module(title: str) -> ModuleType:
        file = ROOT / f"docs/examples/gancluster-example/gancluster_example/{title}.py"
        blocks = rf'^```python title="{title}\.py"\n(.*?)^```'
        page = (ROOT / "docs/extending.md").read_text()
        (code,) = [file.read_text()] if file.exists() else re.findall(blocks, page, re.DOTALL | re.MULTILINE)
        made = ModuleType(title)
        exec(compile(code, f"{title}.py", "exec"), made.__dict__)
        return made

    return module


def play_through(method_type: Any, dataset: Dataset, **options: Any) -> tuple[dict[str, Any], dict[str, float]]:
    """The last row of a game's log, and the scores of what it found."""
    task = task_of(dataset, None)
    method = method_type(configure(method_type, task, "default", options), task)
    game = Game(method, Batches(dataset.unlabelled()), seed=0)
    rows = [moment.row for moment in play(game) if moment.row]
    embedding = settle(game).embed(game.batches)
    found = next(iter(method.assign(embedding, method.centres(embedding, 0)).values()))
    return rows[-1], metrics.scores(dataset.labels, found, task.n_clusters)


def test_the_example_method_is_played_and_finds_the_blobs(plugin: Any) -> None:
    blobs = gaussians_8(Path(), "all")
    every_second = blobs.take(np.arange(0, len(blobs), 2))
    row, scores = play_through(plugin("tiny_aae").TinyAAE, every_second, epochs=20)
    assert {"discriminator.adversarial", "encoder.reconstruction", "encoder.adversarial"} < row.keys()
    assert scores["acc"] > 0.6


def test_the_example_fit_finds_the_blobs(plugin: Any) -> None:
    blobs = gaussians_8(Path(), "all")
    method, task = plugin("farthest").Farthest, task_of(blobs, None)
    found = method(configure(method, task, "default", {}), task).fit(np.asarray(blobs.inputs), 0)
    assert blobs.labels is not None
    assert metrics.scores(blobs.labels, found.clusters, 8)["acc"] > 0.95
    assert pairwise_distances_argmin(blobs.inputs, found.centres).tolist() == found.clusters.tolist()


def test_the_example_data_set_keeps_the_promises_of_one(plugin: Any) -> None:
    rings = checked(plugin("rings").RINGS.read(Path(), "all"))
    radius = np.linalg.norm(rings.inputs, axis=1)
    assert ((radius > 1.5) == rings.labels).mean() > 0.99


def test_the_example_objective_fits_clustergan(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancluster.registry.find", lambda kind, name: plugin("hinge").Hinge)
    rings = plugin("rings").RINGS.read(Path(), "all")
    row, _ = play_through(ClusterGAN, rings, epochs=1, warmup_epochs=0, critic="hinge")
    assert np.isfinite([value for value in row.values() if not isinstance(value, str)]).all()
    assert 0 < float(row["discriminator.adversarial"]) < 4  # 2 when it cannot tell


def texts(pattern: str) -> list[tuple[str, str]]:
    """Every match of `pattern` in a page's code, with the page's name."""
    return [
        (page.name, match)
        for page in PAGES
        for code in re.findall(r"`([^`\n]+)`", page.read_text())
        for match in re.findall(pattern, code)
    ]


def test_every_test_that_a_page_names_exists() -> None:
    sources = "".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
    named = texts(r"\b(test_\w+)(?![\w.])")
    assert len(named) > 10
    assert [name for name in named if f"def {name[1]}(" not in sources] == []


def test_every_file_that_a_page_shows_is_marked_as_the_page_s_maker_reads_it() -> None:
    """A formatter of Python once read `--8<-- "file"` as a comparison, and spaced it."""
    marks = [line for page in PAGES for line in page.read_text().splitlines() if line.startswith("--8")]
    assert len(marks) >= 4
    assert [mark for mark in marks if not re.fullmatch('--8<--( "[^"]+")?', mark)] == []


def test_every_function_that_a_page_names_exists() -> None:
    rooms = ("codes", "self_paced", "critics", "blocks", "data", "methods", "networks", "metrics", "report", "engine")
    named = texts(rf"^(?:gancluster\.)?((?:{'|'.join(rooms)})\.[\w.]+)$")
    assert len(named) > 10
    assert [name for name in named if not exists(name[1])] == []


def exists(name: str) -> bool:
    """Whether `codes.block_table`, say, is a module or lives in one, in the package or in one of its rooms."""
    for room in ("gancluster.", "gancluster.methods.", "gancluster.networks.", "gancluster.data."):
        with suppress(ImportError, AttributeError):
            return bool(resolve_name(room + name))
    return False


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "methods" or page.stem == "errata"])
def test_every_option_that_a_method_s_page_names_exists(page: Path) -> None:
    own = [page.stem] if page.stem in registry.BUILT_IN["methods"] else registry.BUILT_IN["methods"]
    methods: list[type[Method]] = [registry.find("methods", name) for name in own]
    commands = {"--networks", "--data-dir", "--dataset", "--preset"}
    fields = set(TrainOptions.model_fields).union(*(method.config_type.model_fields for method in methods))
    known = {"--" + name.replace("_", "-") for name in fields} | commands
    known |= {option.replace("--", "--no-") for option in known}
    named = [option for where, option in texts(r"--[a-z][a-z-]+") if where == page.name]
    assert named
    assert [option for option in named if option not in known] == []
