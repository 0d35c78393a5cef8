"""`gancluster bench TABLE --capsule` and `gancluster verify`: what agrees, what differs, what is no capsule."""

from dataclasses import replace
from pathlib import Path

import pytest
from asking import Ask
from here import Here

from gancluster.bench import capsule, grid, own, worker
from gancluster.data import catalogue

TOML = """
title = "Duels"
datasets = ["points.npz"]
scores = ["acc", "nmi"]
seeds = 2

[[rows]]
method = "duel"

[[rows]]
method = "kmeans"
"""


@pytest.fixture
def packed(ask: Ask, file: Path, duels: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of two duels and two fits, packed."""
    monkeypatch.chdir(tmp_path)
    worker.load.cache_clear()
    Path("duels.toml").write_text(TOML)
    folders = grid.Folders(Path("runs"), catalogue.data_folder())
    grid.carry_out(grid.look(own.read(Path("duels.toml")).cells(), folders), folders, Here())
    said = ask("bench duels.toml --capsule duels.capsule --output duels.md")
    assert (said.code, said.out) == (0, "duels.md\nduels.capsule\n")
    return Path("duels.capsule")


def test_a_packed_table_is_verified_where_nothing_else_is(ask: Ask, packed: Path, file: Path) -> None:
    file.unlink()
    said = ask("verify", packed)
    assert (said.code, said.err) == (0, "")
    assert "duels: Duels" in said.out
    assert said.out.count(" yes ") == 3
    assert "numbers computed anew, all agree (largest distance 0)" in said.out
    assert "packed by gancluster 0.1.0: gancluster bench duels.toml" in said.out


def test_what_differs_is_named_and_makes_the_exit_code(ask: Ask, packed: Path) -> None:
    made = capsule.read(packed)
    made.arrays[f"{made.told.cells[0].key}/clusters"][0] ^= 1
    capsule.write(packed, replace(made, arrays=made.arrays))
    said = ask("verify", packed)
    assert (said.code, said.err) == (1, "")
    assert "duel on points.npz, seed 0: acc is told to be " in said.out
    assert "duel, points.npz ACC: measured mean is told to be " in said.out


def test_what_is_no_capsule_is_one_line(ask: Ask, packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:-1])
    for path in (packed, Path("duels.toml"), Path("nothing")):
        said = ask("verify", path)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert said.err.startswith("error: ")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("table1 --capsule a", "table1 has no runs, so there is nothing to compute anew: leave out --capsule"),
        ("table2 --capsule no/a", "there is no folder no: make it, or choose another --capsule"),
        ("table2 --capsule duels.toml", "duels.toml exists and is not overwritten: choose another --capsule"),
    ],
)
def test_what_cannot_be_packed_is_said_before_anything_is_run(ask: Ask, packed: Path, line: str, says: str) -> None:
    said = ask("bench", line)
    assert (said.code, said.out, said.err) == (2, "", f"error: {says}\n")
