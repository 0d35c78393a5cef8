"""`gancluster runs` and `gancluster methods`: what there is."""

import json
import os
from pathlib import Path

import pytest
from asking import Ask, root_of
from games import placed, points

from gancluster.methods.base import EXAMPLES
from gancluster.methods.clustergan import ClusterGAN, Config
from gancluster.runs.run import Run
from gancluster.runs.training import train


@pytest.fixture
def three(duels: None, tmp_path: Path) -> list[Run]:
    """A finished, a failed and an unfinished run, the last one the newest."""
    made = [placed(tmp_path, points(), "duel", seed, fails_for=1) for seed in range(3)]
    for age, run in enumerate(made):
        if age < 2:
            train(run, points())
        for file in run.folder.iterdir():
            os.utime(file, (1e9 + age, 1e9 + age))
    return made


def test_runs_are_listed_the_newest_first_with_their_status(ask: Ask, three: list[Run], tmp_path: Path) -> None:
    said = ask("runs --runs-dir", tmp_path)
    lines = [line for line in said.out.splitlines() if line.startswith("│")]
    assert (said.code, said.err) == (0, "")
    assert f"3 runs in {tmp_path}" in said.out
    cells = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in lines]
    assert [row[:5] for row in cells] == [
        [run.folder.name, "duel", "points", str(run.request.seed), status]
        for run, status in zip(reversed(three), ("unfinished", "failed", "finished"), strict=True)
    ]
    assert [row[5] for row in cells] == ["–", "–", f"{three[0].result()['scores']['side']['acc']:.3f}"]


def test_runs_as_json_hold_the_same(ask: Ask, three: list[Run], tmp_path: Path) -> None:
    said = ask("runs --json --runs-dir", tmp_path)
    told = json.loads(said.out)
    assert [row["run"] for row in told] == [str(run.folder) for run in reversed(three)]
    scores = three[0].result()["scores"]["side"]
    assert (told[2]["acc"], told[2]["nmi"]) == (scores["acc"], scores["nmi"])
    assert [row["acc"] for row in told[:2]] == [None, None]
    assert [row["status"] for row in told] == ["unfinished", "failed", "finished"]


def test_a_row_with_extensions_has_its_mark(ask: Ask, smoke: Run) -> None:
    told = json.loads(ask("runs --json --runs-dir", root_of(smoke)).out)
    assert [row["method"] for row in told] == ["clustergan+"]


def test_no_runs_are_an_empty_list(ask: Ask, tmp_path: Path) -> None:
    assert json.loads(ask("runs --json --runs-dir", tmp_path / "none").out) == []
    assert "0 runs in" in ask("runs --runs-dir", tmp_path).out


def test_a_damaged_result_does_not_hide_the_other_runs(ask: Ask, three: list[Run], tmp_path: Path) -> None:
    (three[0].folder / "result.json").write_text("{")
    said = ask("runs --json --runs-dir", tmp_path)
    assert said.code == 0
    statuses = {row["run"]: row["status"] for row in json.loads(said.out)}
    assert statuses[str(three[1].folder)] == "failed"
    assert statuses[str(three[2].folder)] == "unfinished"
    assert said.err.startswith(f"passed over: {three[0].folder / 'result.json'} is damaged")
    named = ask("eval", three[0].folder.name, "--runs-dir", tmp_path)
    assert (named.code, f"{three[0].folder / 'result.json'} is damaged" in named.err) == (2, True)


def test_brackets_in_a_folder_s_name_are_no_markup(ask: Ask, tmp_path: Path) -> None:
    ask("train kmeans --limit 100 --runs-dir", tmp_path / "a[/b]")
    assert "a[/b]" in ask("runs --runs-dir", tmp_path / "a[/b]").out.replace("\n", "")


def test_methods_are_listed_with_their_papers(ask: Ask) -> None:
    said = ask("methods")
    assert (said.code, said.err) == (0, "")
    row = next(line for line in said.out.splitlines() if "clustergan" in line and line.startswith("│"))
    assert "CVPR 2019" in row
    assert row.split("│")[3].strip() == "built in"


def test_a_method_is_shown_with_every_preset_and_every_option(ask: Ask) -> None:
    said = ask("methods clustergan")
    assert (said.code, said.err) == (0, "")
    assert ClusterGAN.paper in said.out
    for name, field in Config.model_fields.items():
        row = next(line for line in said.out.splitlines() if line.startswith(f"│ --{name.replace('_', '-')} "))
        assert str(field.default) in row
        assert field.description
        assert field.description.split()[0] in row
    for task in EXAMPLES.values():
        for preset, (description, values) in ClusterGAN.presets(task).items():
            lines = [line for line in said.out.splitlines() if line.startswith(f"{preset} (")]
            assert any(description in line and all(str(value) in line for value in values.values()) for line in lines)


def test_an_unknown_method_is_refused_with_a_suggestion(ask: Ask) -> None:
    said = ask("methods clustergn")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: there is no method 'clustergn'; did you mean clustergan")
    assert said.err.endswith("? (all: gancluster methods)\n")


def test_the_options_of_training_are_those_of_the_method(ask: Ask) -> None:
    said = ask("train clustergan --help")
    assert said.code == 0
    for name in (*Config.model_fields, "seeds", "runs_dir", "resume", "quiet", "json", "data_dir"):
        assert f"--{name.replace('_', '-')}" in said.out
