"""GAN-EM's Table 3 as it is run: the rows that are one attribute of the data, on a few made faces."""

from pathlib import Path

import pytest
from faces import attributes, put_faces
from here import Here
from outcomes import entry

from gancluster.bench import budgets, grid, sheets, tables, worker
from gancluster.bench.grid import Folders
from gancluster.networks import gan_em
from gancluster.runs.finding import every


def test_gender_and_male_are_measured_by_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_faces(tmp_path, attributes(200), monkeypatch)
    monkeypatch.setattr(gan_em, "FACES", gan_em.Plan((), (16,), (16,), ()))  # small, to be quick
    monkeypatch.setitem(budgets.COLOUR_LIMITS, "smoke", 100)
    worker.load.cache_clear()
    folders = Folders(tmp_path / "runs", tmp_path)
    table = tables.named("table3", "ganem").narrowed([], ["celeba:Male"])
    cells = [cell for cell in table.cells("smoke") if not cell.labels]
    outcomes = grid.carry_out(grid.look(cells, folders), folders, Here())
    (run,) = every(folders.runs)
    for row, printed in (("gender", "0.3683"), ("Male", "0.4763")):
        found = entry(sheets.filled(table, outcomes, "smoke"), row, "CelebA error, no labels")
        assert found.measured is not None
        assert found.published == printed
        assert found.measured.mean == pytest.approx(1 - run.result()["scores"]["posterior"]["acc"])
