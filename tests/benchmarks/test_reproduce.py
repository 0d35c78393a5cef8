"""The files of the headline rows: each can be run as it stands and says what is published, measured and paid for it."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from here import Here

from gancluster.bench import grid, local, own, published, sheets, worker
from gancluster.bench.tables import DATASETS
from gancluster.cli.app import run
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.methods.infogan import InfoGAN
from gancluster.report import pictures

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "reproduce"
FILES = sorted(FOLDER.glob("*.toml"))
SHAPES = {"mnist": (1, 28, 28), "usps": (1, 16, 16), "cifar10-compact": (3, 32, 32), "reuters-r8": (50,)}

each = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def stand_in(name: str, *_: Any) -> Dataset:
    """A data set's name and shape with 1,200 random samples of ten classes."""
    shape = SHAPES.get(name, (1, 8, 8))
    values = np.random.default_rng(0).integers(0, 256, (1200, *shape), dtype=np.uint8)
    inputs = values if len(shape) == 3 else values.astype(np.float32)
    return Dataset(name, inputs, np.arange(1200) % 10, 10)


@each
def test_every_cell_of_a_file_can_be_run(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "load", stand_in)
    cells = own.read(file).cells("full", seeds=1)
    planned = grid.look(cells, grid.Folders(tmp_path, tmp_path))
    assert len(planned) >= 1
    assert [one.outcome.reason for one in planned if one.outcome.status != "waiting"] == []


@each
def test_a_file_says_what_is_published_measured_and_paid(file: Path) -> None:
    head = file.read_text().partition("\ntitle = ")[0]
    assert all(line.startswith("# ") and len(line) <= 120 for line in head.splitlines())
    told = dict(re.findall(r"^# (published|measured|machine|cost): (.+)$", head, re.MULTILINE))
    assert {"published", "measured", "cost"} <= told.keys()
    assert ("machine" in told) == (told["measured"] != "not run here.")


@each
def test_a_published_figure_of_a_file_is_printed_in_a_paper(file: Path) -> None:
    figures = [figure for figure in published.figures() if figure.units in ("fraction", "percent")]
    printed = {(DATASETS.get(figure.dataset), round(figure.mean.mean, 4)) for figure in figures if figure.value}
    printed |= {(dataset, round(1 - value, 4)) for dataset, value in printed}
    given = [(figure.dataset, round(figure.mean.mean, 4)) for figure in own.read(file).figures.values()]
    assert set(given) <= printed


def test_the_list_and_the_results_name_every_file() -> None:
    names = {file.name for file in FILES}
    assert set(re.findall(r"`(\w+\.toml)`", (FOLDER / "README.md").read_text())) == names
    named = re.findall(r"benchmarks/reproduce/(\w+\.toml)", "".join(p.read_text() for p in ROOT.glob("docs/**/*.md")))
    assert set(named) == names


def test_a_file_stopped_half_way_goes_on_and_becomes_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, draw, steps = list[Here](), InfoGAN.draw, 0

    def make(n: int) -> Here:
        made.append(Here(n))
        return made[-1]

    def pressed(self: InfoGAN, *given: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(self, *given)

    monkeypatch.setattr(local, "Processes", make)
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    monkeypatch.setattr(InfoGAN, "draw", pressed)
    monkeypatch.chdir(tmp_path)
    worker.load.cache_clear()
    line = ["bench", str(FOLDER / "infogan_usps.toml"), "--budget=smoke", "--seeds=1", "--data-dir=none"]
    assert run(line) == 130
    before = steps
    assert run(line) == 0
    assert [one.begun for one in made] == [1, 2]
    assert before < steps
    sheet = sheets.read(tmp_path / "results" / "infogan_usps-smoke.json")
    infogan = sheet.lines[0].entries
    assert [entry.measured is not None for entry in infogan] == [False, False, True, True]
    assert infogan[0].missing
    assert run(["bench", "docs", "results", "pages"]) == 0
    assert "InfoGAN on USPS and digits" in (tmp_path / "pages" / "infogan_usps-smoke.md").read_text()
