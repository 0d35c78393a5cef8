"""What a page tells of a table: printed beside measured, what is good or bad, bars, runs that wait, commands."""

from pathlib import Path

import numpy as np
import pytest
from games import points
from here import Here
from outcomes import USPS_ACC, filled_by, finished, usps

from gancluster.bench import grid, sheets, tables, told, worker
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.grid import Folders
from gancluster.bench.layout import Column, Row, Table
from gancluster.bench.sheets import Sheet
from gancluster.report import page
from gancluster.report.page import Bars, Commands, Confusion, Fold, Notes, Picture, Points


def told_of(sheet: Sheet, outcomes: list[Outcome], root: Path) -> dict[str, page.Section]:
    """The sections by their titles."""
    return {s.title: s for s in told.of_table(sheet, outcomes, Folders(root / "runs", root), ["gancluster bench x"])}


def grid_of(sheet: Sheet, title: str, root: Path) -> dict[str, list[page.Cell]]:
    """A data set's table: the cells of each column by its name."""
    section = told_of(sheet, [], root)[title]
    assert isinstance(section, page.Table)
    return {name: [row[i] for row in section.rows] for i, name in enumerate(section.columns)}


@pytest.mark.parametrize(
    ("scores", "verdict", "kind"),
    [
        ([0.970, 0.972, 0.969, 0.971, 0.968], "reproduced", "good"),
        ([0.990, 0.991, 0.989, 0.990, 0.992], "above", "good"),
        ([0.900, 0.905, 0.895, 0.900, 0.902], "below", "bad"),
        ([0.99, 0.85, 0.97, 0.99, 0.93], "undetermined at n = 5", ""),
    ],
)
def test_printed_and_measured_stand_in_columns_that_sort_by_number(
    tmp_path: Path, scores: list[float], verdict: str, kind: str
) -> None:
    columns = grid_of(usps(scores), "USPS", tmp_path)
    assert list(columns) == ["system", "NMI, printed", "NMI", "ACC, printed", "ACC"]
    assert columns["system"] == [page.Cell("ClusterGAN", more="clustergan+")]
    assert columns["ACC, printed"] == [page.Cell("0.970", 0.970)]
    (measured,) = columns["ACC"]
    assert (measured.order, measured.more, measured.kind) == (pytest.approx(np.mean(scores)), verdict, kind)


def test_a_lower_error_is_good(tmp_path: Path) -> None:
    table = tables.named("table1", "ganem").narrowed(["ganem"], ["mnist"])
    sheet = filled_by(lambda cell: finished(cell, acc=0.99 + cell.seed / 1e4, cluster_majority=0.99, error=0.3), table)
    columns = grid_of(sheet, "MNIST", tmp_path)
    assert [(name, cells[0].more, cells[0].kind) for name, cells in columns.items() if cells[0].more] == [
        ("system", "ganem+", ""),
        ("K=10 ↓", "below", "good"),
        ("K=20 ↓", "below", "good"),
        ("K=30 ↓", "below", "good"),
        ("100 labels ↓", "above", "bad"),
        ("1000 labels ↓", "above", "bad"),
    ]


def test_what_is_not_run_yet_is_shown_so_and_nothing_is_drawn_of_it(tmp_path: Path) -> None:
    outcomes = [Outcome(cell=cell, status="waiting") for cell in USPS_ACC.cells("full", 2)]
    sections = told_of(sheets.filled(USPS_ACC, outcomes, "full"), outcomes, tmp_path)
    assert list(sections) == ["USPS", "Every run", "How to read it", "Commands"]
    runs, shown = sections["Every run"], sections["USPS"]
    assert isinstance(runs, page.Table)
    assert isinstance(shown, page.Table)
    assert [row[5].text for row in runs.rows] == ["not run yet"] * 2
    assert shown.rows[0][-1] == page.Cell("waiting (2)", kind="quiet")


def test_what_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    outcomes = [Outcome(cell=cell, status="failed", reason="a loss") for cell in USPS_ACC.cells("full", 1)]
    runs = told_of(sheets.filled(USPS_ACC, outcomes, "full"), outcomes, tmp_path)["Every run"]
    assert isinstance(runs, page.Table)
    assert runs.rows[0][5] == page.Cell("FAILED", kind="bad", more="a loss")


def test_sizes_of_data_sets_have_no_bars_and_no_runs(tmp_path: Path) -> None:
    sections = told_of(sheets.filled(tables.named("table1"), [], "full", tmp_path), [], tmp_path)
    assert list(sections) == ["Data sets", "How to read it", "Commands"]


def test_only_columns_with_something_measured_have_bars(tmp_path: Path) -> None:
    table = tables.named("figure2").narrowed([], ["digits", "usps"])
    sheet = filled_by(
        lambda cell: Outcome(cell=cell, status="waiting") if cell.dataset == "usps" else finished(cell, acc=0.5), table
    )
    bars = told_of(sheet, [], tmp_path)["Bars"]
    assert isinstance(bars, Bars)
    assert [panel.title for panel in bars.panels] == ["digits ACC"]
    assert len(bars.rows) == len(bars.panels[0].bars) == len(bars.floor) == 8


def test_every_system_s_first_run_is_shown_with_its_samples_errors_pictures_and_command(
    tmp_path: Path, duels: None
) -> None:
    worker.load.cache_clear()
    np.savez(tmp_path / "points.npz", inputs=points().inputs, labels=points().labels)
    file = {"dataset": str(tmp_path / "points.npz")}
    rows = (Row("Duel", {"method": "duel", "options": {"lr": 0.1}}), Row("K-means", {"method": "kmeans"}))
    table = Table("duels", "", "Duels", rows, (Column("points", "ACC", "acc", file),), {})
    folders = Folders(tmp_path / "runs", tmp_path)
    outcomes = grid.carry_out(grid.look(table.cells("full", 2), folders), folders, Here())
    sections = told_of(sheets.filled(table, outcomes, "full"), outcomes, tmp_path)
    fold = sections[f"Runs on {file['dataset']}"]
    assert isinstance(fold, Fold)
    assert [type(inner) for inner in fold.sections] == [Fold, Fold]
    duel, kmeans = (inner for inner in fold.sections if isinstance(inner, Fold))
    assert duel.title == f"duel, lr 0.1 on {file['dataset']}, seed 0"
    assert [type(section) for section in duel.sections] == [Points, Confusion, Picture, Picture, Commands]
    assert [type(section) for section in kmeans.sections] == [Points, Confusion, Commands]
    command = duel.sections[-1]
    assert isinstance(command, Commands)
    assert list(command.lines) == [f"gancluster train duel --dataset {file['dataset']} --seeds 2 --lr 0.1"]
    notes = sections["How to read it"]
    assert isinstance(notes, Notes)
    assert f"machine: {outcomes[0].machine}" in notes.lines


def test_points_of_the_same_samples_have_the_same_sprites(tmp_path: Path, data_dir: Path) -> None:
    table = tables.named("table2").narrowed(["kmeans", "pca-kmeans"], ["digits"])
    folders = Folders(tmp_path / "runs", data_dir)
    outcomes = grid.carry_out(grid.look(table.cells("smoke"), folders), folders, Here())
    sections = told.of_table(sheets.filled(table, outcomes, "smoke"), outcomes, folders, [])
    (fold,) = [section for section in sections if isinstance(section, Fold)]
    first, second = (inner.sections[0] for inner in fold.sections if isinstance(inner, Fold))
    assert isinstance(first, Points)
    assert isinstance(second, Points)
    assert first.sprites is not None
    assert first.sprites is second.sprites
    page.write(tmp_path / "page.html", "two", "", sections)
    assert (tmp_path / "page.html").read_text().count("data:image/png") == 1


def test_a_command_says_no_more_than_it_must() -> None:
    cell = Cell(method="clustergan", dataset="usps", preset="smoke", limit=2000, options={"gan": False}, clusters=3)
    outcomes = [Outcome(cell=cell.model_copy(update={"seed": seed}), status="waiting") for seed in (0, 1)]
    assert told.training(cell, outcomes) == (
        "gancluster train clustergan --dataset usps --preset smoke --clusters 3 --limit 2000 --seeds 2 --no-gan"
    )
    later = [outcome.model_copy(update={"cell": cell.model_copy(update={"seed": 2})}) for outcome in outcomes]
    assert " --limit 2000 --seeds 3 " in told.training(later[0].cell, later)  # seed 0 drew the samples
