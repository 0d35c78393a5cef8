"""GAN-EM's table of CelebA's attributes: its script on a few made faces, and what it says without any."""

import json
import runpy
import statistics
import sys
from pathlib import Path

import pytest
from faces import attributes, put_faces

from gancluster.networks import gan_em

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "celeba.py"


def table(*words: object) -> None:
    """Run the script as the command line would, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(SCRIPT), *map(str, words)])
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_printed_means_are_those_of_table_2() -> None:
    columns = zip(*runpy.run_path(str(SCRIPT))["PUBLISHED"].values(), strict=True)
    assert [round(100 * statistics.mean(column), 2) for column in columns] == [42.09, 28.82]


def test_attributes_are_measured_beside_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_faces(tmp_path, attributes(400), monkeypatch)
    monkeypatch.setattr(gan_em, "FACES", gan_em.Plan((), (16,), (16,), ()))  # small, to be quick
    out = tmp_path / "table.json"
    table(
        *("--data-dir", tmp_path, "--attributes", "gender", "Male", "--labels", 0, 4, "--limit", 200),
        *("--preset", "smoke", "--device", "cpu", "--runs-dir", tmp_path / "runs", "--output", out),
    )
    told, lines = json.loads(out.read_text()), capsys.readouterr().out.splitlines()
    assert (told["preset"], told["limit"], list(told["rows"])) == ("smoke", 200, ["gender", "Male"])
    assert told["published"] == {"gender": {"0": 0.3683, "4": None}, "Male": {"0": 0.4763, "4": None}}
    assert told["rows"]["gender"] == told["rows"]["Male"]
    assert len(list(tmp_path.glob("runs/celeba-Male/ganem/smoke-s0-*/result.json"))) == 2
    for name, row in told["rows"].items():
        errors = [measured["errors"] for measured in row["measured"].values()]
        assert row["n"] == 200
        assert all(0 <= error <= 0.5 for (error,) in errors)  # of two clusters, the better matching
        (line,) = [line for line in lines if line.startswith(f"| {name} | 200 | ")]
        assert [f"{error:.4f}" for (error,) in errors] == line.strip(" |").split(" | ")[3::2]


def test_without_the_faces_it_says_how_to_get_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        table("--data-dir", tmp_path, "--output", tmp_path / "table.json")
    said = capsys.readouterr().err
    assert f"CelebA is not in {tmp_path}" in said
    assert "forbid passing the images on" in said
    assert f"gancluster data fetch celeba --data-dir {tmp_path}" in said
    assert not list(tmp_path.iterdir())


def test_a_misspelt_attribute_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_faces(tmp_path, attributes(8), monkeypatch)
    with pytest.raises(SystemExit, match="2"):
        table("--data-dir", tmp_path, "--attributes", "Bald", "Smilling", "--runs-dir", tmp_path / "runs")
    assert "no attribute of celeba 'Smilling'; did you mean Smiling" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
