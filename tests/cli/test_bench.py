"""`gancluster bench`: what is run, shown, kept and refused; the table here is a file, its method the game of tests."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from asking import Ask
from games import Duel
from here import Here

from gancluster.bench import local, measures, sheets, worker
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.executor import News
from gancluster.bench.grid import Planned
from gancluster.bench.tables import named
from gancluster.cli.board import Board
from gancluster.registry import BUILT_IN
from gancluster.runs.finding import every

pytestmark = pytest.mark.usefixtures("duels", "here")

TOML = """
title = "Duels"
datasets = ["{file}"]
scores = ["acc"]
seeds = 2

[[rows]]
method = "duel"
published = {{ "{file}" = {{ acc = "0.9" }} }}

[[rows]]
method = "duel"
options = {{ {options} }}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Here]:
    """The executors that were asked for: each is this process. Everything is written below the test's folder."""
    made = list[Here]()

    def make(n: int) -> Here:
        made.append(Here(n))
        return made[-1]

    monkeypatch.setattr(local, "Processes", make)
    monkeypatch.chdir(tmp_path)
    worker.load.cache_clear()
    return made


@pytest.fixture
def table(tmp_path: Path, file: Path) -> str:
    """A table of two duels, four cells."""
    (tmp_path / "duels.toml").write_text(TOML.format(file=file, options="lr = 0.1"))
    return "duels.toml"


@pytest.fixture
def failing(tmp_path: Path, file: Path) -> str:
    """The table, but the second duel fails."""
    (tmp_path / "failing.toml").write_text(TOML.format(file=file, options="fails_from = 0.5"))
    return "failing.toml"


def test_a_table_is_run_shown_and_kept(ask: Ask, here: list[Here], table: str) -> None:
    said = ask("bench", table, "--jobs 3")
    assert said.code == 0
    assert re.search(r"duel .*0\.9.*\n.*0\.\d{3} ± 0\.\d{3} \(2\)", said.out)
    assert here[0].n == 3
    kept = sheets.read(Path("results/duels-full.json"))
    assert [line.method for line in kept.lines] == ["duel", "duel"]
    assert kept.command == "gancluster bench duels.toml"
    assert len(every(Path("runs"))) == 4
    assert every(Path("runs"))[0].request.command.split()[0] == "gancluster"


def test_a_second_call_runs_nothing_and_shows_the_same(ask: Ask, here: list[Here], table: str) -> None:
    first, second = ask("bench", table), ask("bench", table)
    assert [executor.begun for executor in here] == [4, 0]
    assert second.out == first.out
    assert "4 of 4 cells finished" in second.err


def test_what_failed_is_shown_counts_in_no_mean_and_makes_the_exit_code(
    ask: Ask, here: list[Here], failing: str
) -> None:
    said = ask("bench", failing)
    assert said.code == 1
    assert "FAILED (2)" in said.out
    assert "seed 1: the loss term 'adversarial' of the seeker became non-finite at step 4 (seed 1)" in said.out
    assert len(re.findall("fails-from 0.5 on .*, seed [01]: FAILED: the loss term", said.err)) == 2
    assert ask("bench", failing, "--retry-failed").code == 1
    assert [executor.begun for executor in here] == [4, 2]


def test_missing_data_are_named_and_no_failure(ask: Ask, here: list[Here]) -> None:
    said = ask("bench table2 --methods kmeans --datasets stl10,frgc --budget smoke --data-dir", Path("elsewhere"))
    assert said.code == 0
    assert "no data: stl10 is not in DIR (no stl10_binary): run gancluster data fetch stl10 --data-dir DIR" in said.out
    assert "no data: frgc is not in DIR and cannot be fetched: put FRGC/frgc.npz" in said.out
    assert here[0].begun == 0


def test_looking_at_what_would_be_run_runs_and_writes_nothing(
    ask: Ask, here: list[Here], table: str, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = ask("bench", table, "--dry-run --output table.md")
    assert said.code == 0
    assert "duels: 4 to run, of unknown cost; nothing was run" in said.out
    assert sorted(tmp_path.rglob("*")) == before
    ask("bench", table, "--seeds 1")
    assert (
        "duels: 2 to run, about 1 second with 2 jobs; nothing was run" in ask("bench", table, "--dry-run --jobs 2").out
    )
    assert len(here) == 1


def test_a_table_of_fewer_seeds_does_not_take_the_place_of_the_whole(ask: Ask, table: str) -> None:
    ask("bench", table, "--seeds 1")
    assert not Path("results").exists()
    ask("bench", table, "--seeds 3")
    assert len(sheets.read(Path("results/duels-full.json")).lines) == 2


def test_a_trained_run_has_only_to_be_scored(ask: Ask, table: str) -> None:
    ask("bench", table, "--seeds 1")
    for run in every(Path("runs")):
        (run.folder / measures.FILE).unlink()
    said = ask("bench", table, "--dry-run")
    assert said.out.count("1 to run, 1 to score") == 2
    assert "duels: 2 to run, about 1 second; nothing was run" in said.out


def test_a_table_stopped_half_way_says_so_and_goes_on(
    ask: Ask, here: list[Here], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, steps = Duel.draw, 0

    def pressed(self: Duel, n: int, rng: object) -> object:
        nonlocal steps
        steps += 1
        if steps == 8:  # in the second cell, of six steps each
            os.kill(os.getpid(), signal.SIGINT)
        return play(self, n, rng)  # type: ignore[arg-type]

    monkeypatch.setattr(Duel, "draw", pressed)
    said = ask("bench", table)
    assert said.code == 130
    assert said.err.splitlines()[-1] == (
        "error: stopped with 3 of 4 cells still to be finished; all else is saved in runs; repeat the command to go on"
    )
    assert said.out == ""
    assert not Path("results").exists()
    assert ask("bench", table).code == 0
    assert here[1].begun == 3


def test_part_of_a_table_does_not_take_the_place_of_the_whole(ask: Ask, table: str) -> None:
    said = ask("bench", table, "--methods duel --output part.json")
    assert (said.code, said.out) == (0, "part.json\n")
    assert not Path("results").exists()
    assert sheets.read(Path("part.json")).command == "gancluster bench duels.toml --methods duel"


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        ("--format markdown", "# duels: Duels"),
        ("--format latex", "% duels: Duels"),
        ("--format csv", "paper,table,budget"),
        ("--format json", "{"),
        ("--format html", "<section>"),
    ],
)
def test_a_table_is_printed_in_every_format(ask: Ask, table: str, options: str, begins: str) -> None:
    assert begins in ask("bench", table, "--seeds 1", options).out.partition("\n")[0]


def test_the_ending_of_a_file_is_the_format(ask: Ask, table: str) -> None:
    assert ask("bench", table, "--seeds 1 --output a.md").out == "a.md\n"
    assert Path("a.md").read_text().startswith("# ")
    assert ask("bench", table, "--seeds 1 --format csv --output b.txt").code == 0
    assert Path("b.txt").read_text().startswith("paper,")


def test_pictures_of_a_table_are_drawn(ask: Ask, table: str) -> None:
    said = ask("bench", table, "--pictures drawn")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "drawn/duels-full.png"
    assert Path("drawn/duels-full.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("table9", "there is no table of ClusterGAN 'table9'; did you mean table"),
        ("table2 --paper clustr", "there is no paper 'clustr'; did you mean clustergan?"),
        ("no.toml", "no.toml cannot be read (no such file or directory): give a TOML file"),
        ("table2 --methods kmens", "there is no method 'kmens'; did you mean kmeans"),
        ("table2 --datasets digts", "there is no data set 'digts'; did you mean digits"),
        ("table2 --datasets gone/cells.npz", "there is no file or folder gone/cells.npz: name an .npz file or"),
        ("table2 --critics wgn", "there is no critic 'wgn'; did you mean wgan"),
        ("table2 --budget tiny", "'tiny' is not one of"),
        ("table2 --seeds 0", "--seeds 0: input should be greater than or equal to 1"),
        ("table2 --jobs 0", "--jobs 0: input should be greater than or equal to 1"),
        ("table2 --dataset x", "No such option: --dataset"),
        ("table2 -o t.xls", "there is no format '.xls'; did you mean"),
        ("table2 --format terminal -o t.md", "--format terminal is not for a file: leave out --output t.md"),
        ("table2 -o nowhere/t.md", "there is no folder nowhere: make it, or choose another -o"),
        ("table1 --pictures points.npz", "cannot make the folder points.npz (file exists): choose another --pictures"),
        ("docs nowhere", "there is no folder nowhere: name the one that gancluster bench keeps its tables in"),
        ("table2 -o points.npz", "points.npz exists and is not overwritten: choose another -o"),
    ],
)
@pytest.mark.usefixtures("file")
def test_what_cannot_be_is_said_in_a_line(ask: Ask, here: list[Here], line: str, says: str) -> None:
    said = ask("bench", line)
    assert said.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert says in said.err
    assert here == []
    assert not Path("runs").exists()


def test_list_shows_every_table_with_its_cells(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = ask("bench list")
    assert said.code == 0
    for name in ("table1", "table2", "table3", "figure2", "figure3", "figure4", "critics"):
        assert f" {name} " in said.out
    assert f"{len(named('table2').cells('smoke'))} cells" in said.out
    assert "table2 --paper ganem" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_what_would_be_run_is_shown_in_80_columns(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = ask("bench table2 --budget cpu --dry-run --datasets digits,usps")
    lines = said.out.splitlines()
    assert "random-encoder-kmeans" in said.out
    rows = [line for line in lines if line.startswith("│")]
    assert sum(" digits " in row for row in rows) == sum(" usps " in row for row in rows) > 0
    assert max(map(len, rows)) <= 80
    assert "…" not in said.out


def test_pages_are_made_of_tables_in_json(ask: Ask, table: str) -> None:
    ask("bench", table)
    assert set(ask("bench docs results pages").out.split()) == {"pages/duels-full.md", "pages/tables.md"}
    assert "Duels" in Path("pages/duels-full.md").read_text()
    Path("taken").touch()
    said = ask("bench docs results taken")
    assert (said.code, said.err) == (2, "error: cannot make the folder taken (file exists): choose another TARGET\n")


def test_critics_multiply_the_rows_of_methods_that_take_one() -> None:
    table = named("table2").narrowed(["clustergan", "kmeans"], ["usps"]).with_critics(["wgan", "gan"])
    assert [row.title for row in table.rows] == ["ClusterGAN, wgan", "ClusterGAN, gan", "K-means"]
    assert {cell.options.get("critic") for cell in table.cells()} == {"wgan", "gan", None}
    pairs = named("critics").narrowed(["clustergan"]).with_critics(["r1"])
    assert [row.cell for row in pairs.rows] == [{"method": "clustergan", "options": {"critic": "r1"}}]


# What is shown on the way ---------------------------------------------------------------------------------------------


@pytest.fixture
def board() -> Board:
    """Four cells: two wait, one is finished, one has no data."""
    cells = [Cell(method="duel", dataset="a", seed=seed, options={"lr": 0.1}) for seed in range(3)]
    states = ["waiting", "finished", "waiting", "no data"]
    outcomes = [
        Outcome(cell=cell, status=state)  # type: ignore[arg-type]
        for cell, state in zip([*cells, Cell(method="kmeans", dataset="b")], states, strict=True)
    ]
    board = Board("table2", [Planned(None, outcome) for outcome in outcomes])
    board.places = {"first": [0], "third": [2]}
    return board


def marks(board: Board) -> list[list[str]]:
    return [[str(cell) for cell in column.cells] for column in board.table().columns]


def test_the_board_shows_every_cell_s_state(board: Board) -> None:
    assert marks(board) == [["duel, lr 0.1", "kmeans"], ["·✓·", ""], ["", "–"]]
    board(News(job="first", state="running"))
    board(News(job="third", state="running", where="game 1/2", played=1, total=4))
    assert marks(board)[1][0] == " at work ✓ 25% "
    board(News(job="third", state="died", reason="its process died of signal SIGKILL"))
    assert marks(board)[1][0] == " at work ✓·"
    board(News(job="first", state="ended"))
    board(News(job="third", state="given up", reason="it died"))
    assert marks(board)[1][0] == "✓✓✗"


def test_the_board_tells_all_of_it_in_a_line(board: Board) -> None:
    assert board.line() == "table2: 1 of 4 cells finished"
    board(News(job="first", state="refused", reason="no"))
    board(News(job="third", state="running", where="game 1/2", played=1, total=4))
    assert board.line() == "table2: 1 of 4 cells finished; 1 failed; duel, lr 0.1 on a, seed 2: game 1/2, 25%"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error is a terminal that can move its cursor."""
    for name, value in {"TERM": "xterm", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"}.items():
        monkeypatch.setenv(name, value)


def test_on_a_terminal_the_board_is_live_and_leaves_nothing_behind(
    terminal: None, board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    assert board.console.is_terminal
    with board:
        board(News(job="first", state="ended"))
    said = capsys.readouterr()
    assert said.out == ""
    assert "2 of 4 cells finished" in said.err
    assert said.err.endswith("\x1b[1A\x1b[2K")  # the last line is taken back


def test_json_is_one_object_and_nothing_else(ask: Ask, table: str) -> None:
    assert json.loads(ask("bench", table, "--format json --seeds 1").out)["name"] == "duels"


def test_every_critic_has_its_row_in_the_table_of_critics() -> None:
    rows = [row.cell or {} for row in named("critics").rows if row.method == "infogan"]
    assert [row["options"]["critic"] for row in rows] == list(BUILT_IN["critics"])
