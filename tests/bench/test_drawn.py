"""A sheet as bars: what is drawn is what the sheet holds."""

from pathlib import Path

import pytest
from outcomes import filled_by, finished, usps

from gancluster.bench import drawn, sheets, tables
from gancluster.bench.cells import Cell, Outcome
from gancluster.errors import UserError
from gancluster.report.bars import Bar, Panel
from gancluster.runs.run import Run

Drawing = tuple[list[str], list[Panel], list[bool]]


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> list[Drawing]:
    """What would have been drawn."""
    seen: list[Drawing] = []
    monkeypatch.setattr(drawn, "bar_chart", lambda rows, panels, path, floor: seen.append((rows, panels, floor)))
    return seen


def outcome(cell: Cell) -> Outcome:
    if cell.dataset == "mnist":
        return Outcome(cell=cell, status="no data", reason="not here")
    return finished(cell, acc=0.9 if cell.options.get("gan", True) else 0.8)


def test_the_ablation_s_bars_are_its_means_and_missing_data_are_told(drawing: list[Drawing], tmp_path: Path) -> None:
    drawn.as_bars(filled_by(outcome, tables.named("figure2"), seeds=2), tmp_path / "bars.png")
    ((rows, panels, floor),) = drawing
    by_title = {panel.title: dict(zip(rows, panel.bars, strict=True)) for panel in panels}
    assert by_title["digits ACC"]["without the GAN"] == Bar(pytest.approx(0.8), pytest.approx(0))
    assert by_title["digits ACC"]["ClusterGAN"] == Bar(pytest.approx(0.9), pytest.approx(0))
    assert by_title["MNIST ACC"]["ClusterGAN"] == Bar(word="no data")
    assert floor == [False] * 5 + [True] * 3


def test_a_reduced_cell_bears_its_dagger(drawing: list[Drawing], tmp_path: Path) -> None:
    drawn.as_bars(usps([0.97], budget="smoke"), tmp_path / "bars.png")
    ((_, panels, _),) = drawing
    assert panels[1].bars == [Bar(0.97, None, 0.97, "†")]


def test_printed_figures_are_drawn_without_their_deviation(drawing: list[Drawing], tmp_path: Path) -> None:
    drawn.as_bars(sheets.filled(tables.named("table1", "ganem"), [], "full"), tmp_path / "bars.png")
    ((rows, panels, _),) = drawing
    assert panels[0].bars[rows.index("GAN-EM")].printed == 4.2


def test_a_sheet_without_a_number_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no number yet"):
        drawn.as_bars(sheets.filled(tables.named("figure2"), [], "full"), tmp_path / "bars.png")


def test_the_planes_of_a_run_s_embedding_stand_beside_its_raw_samples(
    straight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[str], int]] = []
    monkeypatch.setattr(drawn, "planes_beside", lambda planes, labels, *more: seen.append(([*planes], len(labels))))
    cell = Cell(method="clustergan", dataset="digits", limit=240)
    root = straight.folder.parents[2]
    done = finished(cell).model_copy(update={"run": str(straight.folder.relative_to(root))})
    waiting = Outcome(cell=cell.model_copy(update={"options": {"gan": False}}), status="waiting")
    made = drawn.as_planes(tables.named("figure3"), [waiting, done], root, tmp_path, tmp_path)
    assert made == [tmp_path / "figure3-digits.png"]
    assert seen == [(["raw samples", "ClusterGAN"], 240)]
