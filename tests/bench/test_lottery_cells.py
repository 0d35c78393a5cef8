"""A row of a table whose runs are the best of several starts: asked for, marked, and told with the mean of all."""

from pathlib import Path

import games
import numpy as np
import pytest
from games import points
from here import Here

from gancluster.bench import capsule, costs, grid, own, render, sheets, verification, worker
from gancluster.bench.cells import Cell
from gancluster.bench.grid import Folders
from gancluster.bench.told import training
from gancluster.runs.run import Run

MINE = """
title = "Starts"
datasets = ["points.npz"]
scores = ["acc"]
seeds = 2

[[rows]]
method = "duel"

[[rows]]
method = "duel"
starts = 3
"""


def test_a_row_of_several_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duels: None) -> None:
    monkeypatch.setattr(games.Duel, "ranked_by", "maker.adversarial")
    monkeypatch.chdir(tmp_path)
    worker.load.cache_clear()
    np.savez("points.npz", inputs=points().inputs, labels=points().labels)
    Path("mine.toml").write_text(MINE)
    table, folders = own.read(Path("mine.toml")), Folders(tmp_path / "runs", tmp_path / "data")
    assert [row.title for row in table.rows] == ["duel", "duel, best of 3 starts"]

    outcomes = grid.carry_out(grid.look(table.cells(), folders), folders, Here())
    best = [outcome for outcome in outcomes if outcome.cell.starts == 3]
    assert [outcome.row for outcome in outcomes] == ["duel", "duel, best of 3 starts"] * 2
    means = [Run.open(folders.runs / outcome.run).result()["starts_mean"]["acc"] for outcome in best]
    sheet = sheets.filled(table, outcomes, "full")
    assert [line.entries[0].starts for line in sheet.lines] == [None, pytest.approx(np.mean(means))]
    (note,) = (note for note in render.notes(sheet) if "starts" in note)
    assert note.endswith(f"ACC {np.mean(means):.3f} in the mean of all starts, where they were ranked")
    assert training(best[0].cell, outcomes).endswith("--starts 3 --seeds 2")

    capsule.write(tmp_path / "a", capsule.pack(table, sheet, outcomes, folders.runs, folders.data))
    _, tallies = verification.verify(tmp_path / "a")
    assert [tally.differences for tally in tallies.values()] == [[]] * len(tallies)
    assert "duel, best of 3 starts" in {system for system, _ in tallies}


def test_several_starts_cost_what_several_starts_did() -> None:
    cell = Cell(method="duel", dataset="points")
    here = {costs.kind_of(cell): [costs.Cost(1.0, {"starts": 1}), costs.Cost(3.0, {"starts": 4})]}
    assert costs.estimate(cell, here) == 1.0
    assert costs.estimate(cell.model_copy(update={"starts": 4}), here) == 3.0
