"""`gancluster report`: one page on a run or a table, with or without samples, that overwrites nobody's file."""

import shutil
from pathlib import Path

import pytest
from asking import Ask, root_of

from gancluster.runs.run import Run


def test_the_page_of_a_run_is_one_file_without_a_link_to_anything(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    said = ask("report", smoke.folder.name, "-o", out, "--runs-dir", root_of(smoke))
    assert (said.code, said.out, said.err) == (0, f"{out}\n", "")
    text = out.read_text()
    assert smoke.request.command in text.replace("&#34;", '"').replace("&#39;", "'")
    assert "http" not in text.replace("http-equiv", "")
    assert "src=" not in text.replace('src="data:', "")


def test_without_its_data_set_the_page_is_written_all_the_same(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    folder = tmp_path / "clustergan" / "digits" / "run"
    shutil.copytree(smoke.folder, folder)
    request = smoke.request.model_copy(update={"source": "mnist"})
    (folder / "config.json").write_text(request.model_dump_json())
    said = ask("report", folder, "-o", tmp_path / "page.html", "--data-dir", tmp_path / "none")
    assert said.code == 0
    assert said.err.startswith("note: the page shows no samples under the pointer: ")
    assert (tmp_path / "page.html").exists()


def test_a_file_that_is_there_stays_as_it_is(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("mine")
    said = ask("report", smoke.folder.name, "-o", out, "--runs-dir", root_of(smoke))
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: {out} exists and is not overwritten: choose another -o\n"
    assert out.read_text() == "mine"


TABLE = """
title = "Duels"
datasets = ["points.npz"]
scores = ["acc"]
seeds = 2

[[rows]]
method = "duel"

[[rows]]
method = "kmeans"
"""


@pytest.fixture
def table(file: Path, duels: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of one's own, of which one row's runs are there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "duels.toml").write_text(TABLE)
    return tmp_path / "duels.toml"


def test_the_page_of_a_table_shows_what_has_been_run_and_trains_nothing(ask: Ask, table: Path) -> None:
    ask("train kmeans --dataset points.npz --seeds 2 --quiet")
    before = sorted(Path("runs").rglob("result.json"))
    said = ask("report duels.toml --budget smoke --datasets points.npz")
    assert (said.code, said.out) == (0, "runs/duels-smoke-part.html\n")
    text = Path("runs/duels-smoke-part.html").read_text()
    assert "budget smoke, 0 of 4 runs finished" in text
    said = ask("report duels.toml")
    assert (said.code, said.out, said.err) == (0, "runs/duels-full.html\n", "")
    text = Path("runs/duels-full.html").read_text()
    assert "budget full, 2 of 4 runs finished" in text
    assert "waiting (2)" in text
    assert "gancluster bench duels.toml\ngancluster report duels.toml" in text
    assert "http" not in text.replace("http-equiv", "")
    assert sorted(Path("runs").rglob("result.json")) == before


def test_a_command_on_the_page_makes_the_runs_of_the_table(ask: Ask, table: Path) -> None:
    ask("train duel --dataset points.npz --seeds 2 --quiet")
    ask("report duels.toml -o page.html")
    text = Path("page.html").read_text()
    assert "<pre>gancluster train duel --dataset points.npz --seeds 2</pre>" in text
    assert "2 of 4 runs finished" in text


def test_a_paper_s_table_of_which_nothing_has_been_run_is_shown_all_the_same(ask: Ask, table: Path) -> None:
    said = ask("report figure2 --datasets digits --budget smoke -o page.html")
    assert (said.code, said.out) == (0, "page.html\n")
    assert "ClusterGAN, Figure 2: Ablation" in Path("page.html").read_text()
    assert not Path("runs").exists()


def test_a_folder_of_a_run_is_a_run_though_it_is_called_as_a_table_is(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    folder = tmp_path / "clustergan" / "digits" / "table2"
    shutil.copytree(smoke.folder, folder)
    said = ask("report", folder, "-o", tmp_path / "page.html")
    assert said.code == 0
    assert "<h1>clustergan+ on digits</h1>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tabel2", "there is no run or table 'tabel2'; did you mean table2"),
        ("table9", "there is no run or table 'table9'; did you mean table"),
        ("no.toml", "no.toml cannot be read (no such file or directory): give a TOML file"),
        ("smoke-s0 --budget smoke", "--budget is about a table, and smoke-s0 is none: leave it out"),
        ("--seeds 3", "--seeds is about a table, and the newest run is none: leave it out"),
        ("table2 --budget tiny", "'tiny' is not one of"),
        ("table2 --paper x", "there is no paper 'x'"),
        ("table2 -o duels.toml", "duels.toml exists and is not overwritten: choose another -o"),
        ("table2 --datasets digits -o no/x.html", "there is no folder no: make it, or choose another -o"),
        ("", "there is no finished run in runs"),
    ],
)
def test_what_is_neither_a_run_nor_a_table_is_said_in_a_line(ask: Ask, table: Path, line: str, says: str) -> None:
    said = ask("report", line)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err
