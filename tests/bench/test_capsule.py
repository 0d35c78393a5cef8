"""Capsules: what is packed is verified without what it was made from; what was changed is found; damage is told."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from games import points
from here import Here

from gancluster import metrics, registry
from gancluster.bench import capsule, grid, measures, sheets, tables, verification, worker
from gancluster.bench.budgets import Budget
from gancluster.bench.capsule import Capsule, Layout, Told
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.grid import Folders
from gancluster.bench.layout import Column, Row, Table
from gancluster.bench.measures import UNSEEN, UNSEEN_LABELS
from gancluster.bench.published import Figure
from gancluster.errors import DataError, RunError
from gancluster.runs.run import Run

pytestmark = pytest.mark.usefixtures("duels")

SEEDS = 5


def prepared(root: Path) -> tuple[Folders, Table]:
    """Points in a file, and a table about them: a game, a fit and a hash that cannot be had; one printed figure."""
    worker.load.cache_clear()
    np.savez(root / "points.npz", inputs=points().inputs, labels=points().labels)
    file = {"dataset": str(root / "points.npz")}
    columns = (Column("points", "ACC", "acc", file), Column("points", "mAP", "mAP/32", file, "percent", 2))
    rows = (Row("Duel", {"method": "duel"}), Row("K-means", {"method": "kmeans"}), Row("ITQ", {"method": "itq"}))
    figure = Figure("", "ours", "points", "Duel", "ACC", "", "0.900", "0.010", "fraction", "")
    table = Table("duels", "", "Duels", rows, columns, {("Duel", "points ACC"): figure})
    return Folders(root / "runs", root), table


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    """The table, run and packed; what it was made from is gone."""
    root = tmp_path_factory.mktemp("once")
    folders, table = prepared(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.BUILT_IN["methods"], "duel", "games:Duel")
        outcomes = grid.carry_out(grid.look(table.cells("full", SEEDS), folders), folders, Here())
        packed = pack(table, outcomes, folders)
    shutil.rmtree(root)
    return packed


@pytest.fixture
def made(once: Capsule) -> Capsule:
    """That capsule, to be changed."""
    return replace(once, arrays={name: values.copy() for name, values in once.arrays.items()})


def pack(table: Table, outcomes: list[Outcome], folders: Folders, budget: Budget = "full") -> Capsule:
    sheet = sheets.filled(table, outcomes, budget, folders.data)
    return capsule.pack(table, sheet, outcomes, folders.runs, folders.data)


def differences(changed: Capsule, path: Path) -> list[str]:
    """What verifying tells of a capsule after a way through a file."""
    path.unlink(missing_ok=True)
    capsule.write(path, changed)
    _, tallies = verification.verify(path)
    return [str(difference) for tally in tallies.values() for difference in tally.differences]


def retold(made: Capsule, **changes: Any) -> Capsule:
    return replace(made, told=made.told.model_copy(update=changes))


def first_run(made: Capsule) -> str:
    """The key of the duel's run with seed 0."""
    return made.told.cells[0].key


def test_every_number_of_a_packed_table_follows_from_what_is_packed(made: Capsule, tmp_path: Path) -> None:
    capsule.write(tmp_path / "a.capsule", made)
    back = capsule.read(tmp_path / "a.capsule")
    assert back.told == made.told
    assert back.arrays.keys() == made.arrays.keys()
    sheet, tallies = verification.verify(tmp_path / "a.capsule")
    assert sheet == made.told.sheet
    assert [tally.differences for tally in tallies.values()] == [[], [], [], []]
    file = made.told.cells[0].outcome.cell.dataset
    assert {place: (tally.runs, tally.largest) for place, tally in tallies.items()} == {
        **{("duel", file): (SEEDS, 0), ("kmeans", file): (SEEDS, 0), ("itq", file): (0, 0)},
        **{(verification.THE_SHEET, ""): (3 * SEEDS, 0)},
    }
    assert all(tally.numbers > 20 for tally in tallies.values() if tally.runs)


def test_a_capsule_is_small_and_tells_nobody_s_folders_but_a_file_s_of_his_own(made: Capsule) -> None:
    sizes = {name.partition("/")[2].rpartition("/")[2]: values.nbytes for name, values in made.arrays.items()}
    assert sizes == {"clusters": 24, "32": 24 * 4, "64": 24 * 8, "labels": 24}
    assert len([name for name in made.arrays if name.endswith("/labels")]) == 1
    assert {packed.request.command for packed in made.told.cells if packed.request} == {""}


def test_one_changed_assignment_is_found(made: Capsule, tmp_path: Path) -> None:
    made.arrays[f"{first_run(made)}/clusters"][3] ^= 1
    found = differences(made, tmp_path / "a.capsule")
    file = made.told.cells[0].outcome.cell.dataset
    assert f"duel on {file}, seed 0: acc is told to be" in " ".join(found)
    assert "Duel, points ACC: measured mean is told to be" in " ".join(found)
    assert not any("seed 1:" in one or one.startswith("K-means") for one in found)


def test_one_changed_bit_of_a_code_is_found(made: Capsule, tmp_path: Path) -> None:
    made.arrays[f"{first_run(made)}/codes/32"][3, 0] ^= 1
    found = differences(made, tmp_path / "a.capsule")
    assert all("mAP" in one for one in found)
    assert "Duel, points mAP: measured by_seed 0 is told to be" in " ".join(found)


@pytest.mark.parametrize("what", ["mean", "std", "interval", "seconds"])
def test_a_changed_number_of_the_sheet_is_found(made: Capsule, tmp_path: Path, what: str) -> None:
    line = made.told.sheet.lines[0]
    measured = line.entries[0].measured
    assert measured is not None
    value = getattr(measured, what)
    other = (value[0] + 1e-9, value[1]) if what == "interval" else value + 1e-9
    entry = line.entries[0].model_copy(update={"measured": measured.model_copy(update={what: other})})
    lines = (line.model_copy(update={"entries": (entry, *line.entries[1:])}), *made.told.sheet.lines[1:])
    found = differences(retold(made, sheet=made.told.sheet.model_copy(update={"lines": lines})), tmp_path / "a.capsule")
    (one,) = found
    assert one.startswith(f"Duel, points ACC: measured {what}")


def test_a_changed_verdict_and_a_row_too_many_are_found(made: Capsule, tmp_path: Path) -> None:
    line = made.told.sheet.lines[0]
    judged = line.entries[0].verdict
    assert judged is not None
    entry = line.entries[0].model_copy(update={"verdict": judged.model_copy(update={"name": "reproduced"})})
    lines = (line.model_copy(update={"entries": (entry, *line.entries[1:])}), *made.told.sheet.lines)
    found = differences(retold(made, sheet=made.told.sheet.model_copy(update={"lines": lines})), tmp_path / "a.capsule")
    assert f"verdict name is told to be reproduced, but comes to {judged.name}" in " ".join(found)
    assert any(one.startswith("the sheet: lines") for one in found)


def test_a_seed_that_was_left_out_is_found(made: Capsule, tmp_path: Path) -> None:
    fewer = retold(made, cells=made.told.cells[1:])
    found = differences(fewer, tmp_path / "a.capsule")
    assert any("seeds is told to be [0, 1, 2, 3, 4], but comes to [1, 2, 3, 4]" in one for one in found)


def test_a_run_under_another_s_name_is_found(made: Capsule, tmp_path: Path) -> None:
    first, second, *others = made.told.cells
    swapped = (first.model_copy(update={"request": second.request}), second, *others)
    found = differences(retold(made, cells=swapped), tmp_path / "a.capsule")
    assert any("method is told to be duel, but comes to kmeans" in one for one in found)
    alike = made.told.cells[3]
    shared = (first, second, others[0], alike.model_copy(update={"key": first.key}), *others[2:])
    found = differences(retold(made, cells=shared), tmp_path / "a.capsule")
    assert any("its run is told to be its own, but comes to that of another request" in one for one in found)
    missing = (first.model_copy(update={"request": None}), second, *others)
    found = differences(retold(made, cells=missing), tmp_path / "a.capsule")
    assert any("its request is told to be there, but comes to missing" in one for one in found)


def test_a_run_with_other_options_is_found(made: Capsule, tmp_path: Path) -> None:
    first, *others = made.told.cells
    cell = first.outcome.cell.model_copy(update={"options": {"lr": 0.05, "rare_term": True}})
    other = first.model_copy(update={"outcome": first.outcome.model_copy(update={"cell": cell})})
    found = differences(retold(made, cells=(other, *others)), tmp_path / "a.capsule")
    assert any("rare_term is told to be True, but comes to False" in one for one in found)
    assert not any(": lr is told" in one for one in found)
    cell = first.outcome.cell.model_copy(update={"clusters": 3})
    other = first.model_copy(update={"outcome": first.outcome.model_copy(update={"cell": cell})})
    found = differences(retold(made, cells=(other, *others)), tmp_path / "b.capsule")
    assert any("clusters is told to be 3, but comes to 2" in one for one in found)


def test_a_printed_figure_that_no_paper_prints_is_found(tmp_path: Path) -> None:
    table = tables.named("table2").narrowed(["clustergan"], ["stl10"])
    outcomes = [Outcome(cell=cell, status="no data", reason="no data") for cell in table.cells("full")]
    folders = Folders(tmp_path, tmp_path)
    assert differences(pack(table, outcomes, folders), tmp_path / "a.capsule") == []
    place, figure = ("ClusterGAN", "STL-10 ACC"), table.figures["ClusterGAN", "STL-10 ACC"]
    forged = replace(table, figures={**table.figures, place: figure._replace(value="0.300")})
    (found,) = differences(pack(forged, outcomes, folders), tmp_path / "a.capsule")
    assert found == f"ClusterGAN, STL-10 ACC: printed figure is told to be 0.300, but comes to {figure.text}"
    silent = replace(table, figures={key: one for key, one in table.figures.items() if key != place})
    (found,) = differences(pack(silent, outcomes, folders), tmp_path / "b.capsule")
    assert found == f"ClusterGAN, STL-10 ACC: printed figure is told to be None, but comes to {figure.text}"


def test_the_codes_of_a_shallow_hash_are_packed_and_searched_anew(tmp_path: Path) -> None:
    folders, table = prepared(tmp_path)
    many = points(80)
    np.savez(tmp_path / "points.npz", inputs=many.inputs, labels=many.labels)
    table = replace(table, rows=(Row("LSH", {"method": "lsh"}),), columns=table.columns[1:], figures={})
    outcomes = grid.carry_out(grid.look(table.cells("smoke", 2), folders), folders, Here())
    packed = pack(table, outcomes, folders, "smoke")
    assert differences(packed, tmp_path / "a.capsule") == []
    packed.arrays[f"{packed.told.cells[1].key}/codes/32"][:, 0] ^= 255 * (many.labels == 0).astype(np.uint8)
    found = differences(packed, tmp_path / "a.capsule")
    assert "seed 1: mAP/32 is told to be" in found[0]
    assert "LSH, points mAP: measured mean is told to be" in " ".join(found)


def test_errors_on_unseen_samples_are_packed_and_computed_anew(tmp_path: Path) -> None:
    folders, table = prepared(tmp_path)
    column = replace(table.columns[0], score="error")
    table = replace(table, rows=table.rows[:1], columns=(column,), figures={})
    (one,) = grid.carry_out(grid.look(table.cells("full", 1), folders), folders, Here())
    run = Run.open(folders.runs / one.run)
    evidence = {UNSEEN: np.array([0, 1, 1, 0]), UNSEEN_LABELS: np.array([0, 1, 1, 1])}
    measures.put_down(run, measures.scored(run.request, None, evidence), evidence)
    (again,) = [planned.outcome for planned in grid.look(table.cells("full", 1), folders)]
    assert again.scores["error"] == metrics.error(evidence[UNSEEN_LABELS], evidence[UNSEEN]) == 0.25
    packed = pack(table, [again], folders)
    assert differences(packed, tmp_path / "a.capsule") == []
    packed.arrays[f"{run.request.key}/{UNSEEN}"][0] = 1
    assert any("error is told to be 0.25, but comes to 0.5" in one for one in differences(packed, tmp_path / "b"))


def test_a_method_that_is_not_here_is_verified_all_the_same(
    made: Capsule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry.BUILT_IN["methods"], "duel")
    assert differences(made, tmp_path / "a.capsule") == []


def test_runs_of_the_same_samples_have_the_same_labels(tmp_path: Path) -> None:
    folders, table = prepared(tmp_path)
    table = replace(table, rows=table.rows[:1])
    outcomes = grid.carry_out(grid.look(table.cells("full", 2), folders), folders, Here())
    run = Run.open(folders.runs / outcomes[1].run)
    run.write_arrays(run.arrays() | {"labels": 1 - run.arrays()["labels"]})
    with pytest.raises(RunError, match=r"labels of points\.npz have changed since other runs: remove"):
        pack(table, outcomes, folders)


# Damage ---------------------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    """What is told of a file that is no capsule."""
    with pytest.raises(DataError) as caught:
        verification.verify(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_truncated_capsule_and_one_with_any_bit_flipped_is_damaged(made: Capsule, tmp_path: Path) -> None:
    path, rng = tmp_path / "a.capsule", np.random.default_rng(0)
    capsule.write(path, made)
    whole = path.read_bytes()
    for end in [0, 1, 7, 8, 9, *rng.integers(10, len(whole), 30), len(whole) - 1]:
        path.write_bytes(whole[:end])
        refused(path)
    for place in [*range(64), *rng.integers(64, len(whole), 300), *range(len(whole) - 200, len(whole))]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        refused(path)
    path.write_bytes(whole + b"x")
    refused(path)


def huge(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06" + bytes(18),
        b"some text\n" * 100,
        b"\xff" * 100,
        (2**63).to_bytes(8, "little") + b"{}",
        huge(b'{"a":{"dtype":"U8","shape":[1000000000000],"data_offsets":[0,1000000000000]}}'),
        huge(b'{"a":{"dtype":"U8","shape":[18446744073709551615,2],"data_offsets":[0,0]}}'),
        huge(b'{"__metadata__":{"gancluster-capsule":"[[[["}}'),
        huge(b'{"__metadata__":{"gancluster-capsule":"' + b"[" * 10**5 + b'"}}'),
        huge(b'{"__metadata__":{"gancluster-capsule":"{}"}}'),
        safetensors.numpy.save({"a": np.zeros(3)}, {"gancluster": "{}"}),
    ],
)
def test_what_is_no_capsule_is_told_so_in_a_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert refused(path).startswith(f"cannot read {path} (")


def test_a_file_that_is_missing_a_folder_or_too_large_is_told(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"{tmp_path / 'none'} does not exist or is no file: name a capsule"
    assert refused(tmp_path) == f"{tmp_path} does not exist or is no file: name a capsule"
    with open(tmp_path / "large", "wb") as file:
        file.truncate(capsule.LARGEST + 1)
    assert "no table takes more than 4,294,967,296" in refused(tmp_path / "large")


def _request(told: Told, **changes: Any) -> dict[str, Any]:
    first, *others = told.cells
    assert first.request is not None
    changed = first.model_copy(update={"request": first.request.model_copy(update=changes)})
    return {"cells": (changed, *others)}


@pytest.mark.parametrize(
    "changes",
    [
        {"n_clusters": 10**9},
        {"n_clusters": 0},
        {"seed": -1},
    ],
)
def test_a_request_that_cannot_be_is_no_traceback(made: Capsule, tmp_path: Path, changes: dict[str, int]) -> None:
    capsule.write(tmp_path / "a", retold(made, **_request(made.told, **changes)))
    assert "a does not hang together (" in refused(tmp_path / "a")


@pytest.mark.parametrize(
    "values", [np.array([-1] * 24), np.zeros((24, 2), int), np.zeros(3, int), np.zeros(24), np.array([], int)]
)
def test_clusters_that_cannot_be_are_no_traceback(made: Capsule, tmp_path: Path, values: Any) -> None:
    capsule.write(tmp_path / "a", replace(made, arrays=made.arrays | {f"{first_run(made)}/clusters": values}))
    assert "a does not hang together (" in refused(tmp_path / "a")


def test_a_layout_that_cannot_be_is_no_traceback(made: Capsule, tmp_path: Path) -> None:
    rows = (Row("Duel", {"method": "duel", "no such": 3}),)
    layout = made.told.layout.model_copy(update={"rows": rows})
    capsule.write(tmp_path / "a", retold(made, layout=layout))
    assert "a does not hang together (" in refused(tmp_path / "a")


def test_a_capsule_of_another_version_says_so(made: Capsule, tmp_path: Path) -> None:
    text = made.told.model_dump_json().replace('"format":1', '"format":2', 1)
    header = {"told": text, "sha256": capsule._checksum(text, made.arrays)}
    (tmp_path / "a").write_bytes(safetensors.numpy.save(made.arrays, {capsule.KEY: json.dumps(header)}))
    assert "packs tables (at format): verify it with the version that packed it" in refused(tmp_path / "a")


def test_a_request_that_has_got_another_key_since_is_verified(made: Capsule, tmp_path: Path) -> None:
    newer = retold(made, **_request(made.told, restarts=7))
    assert newer.told.cells[0].request.key != newer.told.cells[0].key  # type: ignore[union-attr]
    assert differences(newer, tmp_path / "a.capsule") == []


def test_every_table_goes_through_json() -> None:
    for table in tables.every():
        layout = Layout.model_validate_json(Layout.of(table).model_dump_json())
        back = layout.table()
        assert (back.rows, back.columns, dict(back.figures)) == (table.rows, table.columns, dict(table.figures))
        assert back.cells("cpu") == table.cells("cpu")


def test_cells_keep_their_options() -> None:
    cell = Cell(method="clustergan", dataset="digits", options={"gan": False, "critic": "wgan-gp:weight=1"}, clusters=3)
    packed = capsule.Packed(outcome=Outcome(cell=cell, status="waiting"))
    assert capsule.Packed.model_validate_json(packed.model_dump_json()) == packed
