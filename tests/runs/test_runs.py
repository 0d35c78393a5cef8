"""A run's folder: its key and place, what is found by which name, and what a damaged file is answered with."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from games import placed, points

from gancluster.errors import RunError
from gancluster.runs.finding import every, find
from gancluster.runs.run import NOT_IN_KEY, Request, Run
from gancluster.runs.training import train

pytestmark = pytest.mark.usefixtures("duels")

OTHER: dict[str, Any] = {
    "format": 2,
    "version": "9.9.9",
    "method": "other",
    "preset": "paper",
    "options": {"epochs": 3},
    "dataset": "others",
    "split": "test",
    "limit": 7,
    "sha256": "0" * 64,
    "n_samples": 25,
    "shape": (1, 2),
    "pixel_range": (-1.0, 1.0),
    "flips": True,
    "n_clusters": 3,
    "seed": 1,
    "labels_sha256": "0" * 64,
    "n_labels": 20,
    "device": "cuda",
    "precision": "bfloat16",
    "threads": 2,
    "engine": "compiled",
    "together": 4,
    "snapshots": 3,
    "restarts": 1,
    "starts": 5,
    "rank_after": 3,
}


def duel_run(root: Path, seed: int = 0, **options: Any) -> Run:
    return placed(root, points(), "duel", seed, **options)


def finished(root: Path, seed: int = 0, **options: Any) -> Run:
    run = duel_run(root, seed, **options)
    train(run, points())
    return run


def aged(run: Run, seconds: float) -> Run:
    """The run, its files that many seconds younger than they could be."""
    for file in run.folder.iterdir():
        os.utime(file, (1e9 + seconds, 1e9 + seconds))
    return run


def test_the_key_changes_with_all_that_can_change_the_result(tmp_path: Path) -> None:
    request = duel_run(tmp_path).request
    assert set(OTHER) == set(Request.model_fields) - NOT_IN_KEY
    keys = {request.model_copy(update={field: value}).key for field, value in OTHER.items()}
    assert len(keys | {request.key}) == len(OTHER) + 1
    for option, value in {"epochs": 3, "lr": 0.1, "rare_term": True}.items():
        assert duel_run(tmp_path, **{option: value}).request.key not in keys | {request.key}


def test_how_the_data_were_found_does_not_change_the_key(tmp_path: Path) -> None:
    request = duel_run(tmp_path).request
    elsewhere = {"source": "/elsewhere/points.npz", "command": "gancluster train duel --quiet", "drawn_by": 7}
    elsewhere |= {"features": "resnet50", "scored_by": "another hash"}
    assert elsewhere.keys() == NOT_IN_KEY
    again = request.model_copy(update=elsewhere)
    assert (again.key, again.folder) == (request.key, request.folder)


def test_a_request_keeps_its_key_through_its_file(tmp_path: Path) -> None:
    run = duel_run(tmp_path)
    assert Run.open(run.folder).request == run.request
    assert Run.open(run.folder).request.key == run.request.key


def test_a_request_from_before_draws_were_told_is_opened(tmp_path: Path) -> None:
    run = duel_run(tmp_path)
    (run.folder / "config.json").write_text(run.request.model_dump_json(exclude={"drawn_by"}))
    assert Run.open(run.folder).request == run.request


def test_a_run_lies_under_data_set_and_method_whatever_the_data_set_is_called(tmp_path: Path) -> None:
    request = duel_run(tmp_path).request
    assert request.folder == Path("points", "duel", f"smoke-s0-{request.key[:8]}")
    names = {"../../up": "-..-up", "a b/c": "a-b-c", "Zahlen: α": "Zahlen-α", "..": "data", "": "data", ".x": "x"}
    for name, folder in names.items():
        assert request.model_copy(update={"dataset": name}).folder.parts[:-1] == (folder, "duel")


def test_a_run_is_placed_once_and_opened_after_that(tmp_path: Path) -> None:
    first = duel_run(tmp_path)
    before = (first.folder / "config.json").stat().st_mtime_ns
    again = duel_run(tmp_path)
    assert (again.folder, again.request) == (first.folder, first.request)
    assert (first.folder / "config.json").stat().st_mtime_ns == before
    assert first.status == "unfinished"


def test_the_newest_finished_run_is_found_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no finished run in .*: gancluster train clustergan makes one"):
        find(tmp_path, None)
    old, new = aged(finished(tmp_path, 0), 0), aged(finished(tmp_path, 1), 10)
    aged(duel_run(tmp_path, 2), 20)  # unfinished
    aged(finished(tmp_path, 3, fails_for=3), 30)  # failed
    assert find(tmp_path, None).folder == new.folder
    assert find(tmp_path, None).status == "finished"
    assert [run.request.seed for run in every(tmp_path)] == [3, 2, 1, 0]
    aged(old, 40)
    assert find(tmp_path, None).folder == old.folder


def test_a_run_is_found_by_folder_name_key_or_the_beginning_of_them(tmp_path: Path) -> None:
    one, two = duel_run(tmp_path, 10), duel_run(tmp_path, 11)
    names = [str(one.folder), one.folder.name, one.folder.name[:-3], "smoke-s10", one.request.key, one.request.key[:12]]
    for name in names:
        assert find(tmp_path, name).folder == one.folder, name
    assert find(tmp_path / "nowhere", str(two.folder)).folder == two.folder


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("smoke-s1", "2 runs in "),
        ("smoke", "2 runs in "),
        ("s10", "no run in "),
        ("SMOKE-s10", "no run in "),
        ("*", "no run in "),
    ],
)
def test_ambiguous_and_unknown_names_are_refused(tmp_path: Path, name: str, says: str) -> None:
    duel_run(tmp_path, 10)
    duel_run(tmp_path, 11)
    with pytest.raises(RunError) as caught:
        find(tmp_path, name)
    assert str(caught.value) == f"{says}{tmp_path} called '{name}': gancluster runs lists them"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run: gancluster runs lists those there are"):
        find(tmp_path, str(tmp_path))


def test_what_is_no_run_is_passed_over_in_a_list(tmp_path: Path) -> None:
    kept, damaged, other, spoilt = (
        duel_run(tmp_path, 0),
        duel_run(tmp_path, 1),
        duel_run(tmp_path, 2),
        finished(tmp_path, 3),
    )
    (spoilt.folder / "result.json").write_text("{")
    (damaged.folder / "config.json").write_text("{")
    changed(other.folder / "config.json", format=2)
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    assert [run.folder for run in every(tmp_path)] == [kept.folder]
    assert every(tmp_path / "nowhere") == []


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_run_of_another_format_says_which_version_opens_it(tmp_path: Path) -> None:
    run = duel_run(tmp_path)
    changed(run.folder / "config.json", format=7, version="3.1.4")
    with pytest.raises(RunError, match=r"has run format 7, not 1: open it with gancluster 3\.1\.4$"):
        Run.open(run.folder)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "a list": lambda content: b"[]",
    "not text": lambda content: b"\xff\xfe" + content,
    "too deep": lambda content: b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    run = finished(tmp_path)
    path = run.folder / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(RunError) as caught:
        Run.open(run.folder).result()
    assert str(caught.value).startswith(f"{path} is damaged (")
    assert str(caught.value).endswith("remove the folder and train again")


@pytest.mark.parametrize(
    ("values", "where"), [({"seed": "x"}, "seed"), ({"shape": [2, None]}, "shape.1"), ({"new": 1}, "new")]
)
def test_a_config_with_another_content_is_named_with_its_field(
    tmp_path: Path, values: dict[str, Any], where: str
) -> None:
    run = duel_run(tmp_path)
    changed(run.folder / "config.json", **values)
    with pytest.raises(RunError, match=f"config.json is damaged at '{where}'"):
        Run.open(run.folder)


def test_a_config_that_lacks_a_field_is_damaged(tmp_path: Path) -> None:
    run = duel_run(tmp_path)
    config = json.loads((run.folder / "config.json").read_text())
    del config["sha256"]
    (run.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="is damaged at 'sha256'"):
        Run.open(run.folder)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_embedding_is_damaged(tmp_path: Path, keep: float) -> None:
    run = finished(tmp_path)
    path = run.folder / "embedding.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(RunError) as caught:
        run.arrays()
    assert str(caught.value).startswith(f"{path} is damaged (")
    assert "\n" not in str(caught.value)


def test_an_embedding_changed_within_is_damaged(tmp_path: Path) -> None:
    run = finished(tmp_path)
    path = run.folder / "embedding.npz"
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(run.arrays()["embedding"][3, 0]).tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="is damaged"):
        run.arrays()


@pytest.mark.parametrize("content", [None, b"", b'a,"b\n1,2', b"\xff\xfe\xff"])
def test_a_log_that_cannot_be_read_says_so(tmp_path: Path, content: bytes | None) -> None:
    run = duel_run(tmp_path)
    if content is not None:
        (run.folder / "log.csv").write_bytes(content)
    with pytest.raises(RunError, match=r"log\.csv cannot be read \(.*\): repeat the run's command with --resume$"):
        run.log()


def test_what_is_not_finished_has_neither_result_nor_arrays(tmp_path: Path) -> None:
    run = duel_run(tmp_path)
    for ask in (run.result, run.arrays):
        with pytest.raises(RunError, match=f"{run.folder} is not finished: repeat its command with --resume"):
            ask()


def test_a_result_without_a_status_is_damaged(tmp_path: Path) -> None:
    run = finished(tmp_path)
    (run.folder / "result.json").write_text("{}")
    with pytest.raises(RunError, match=r"result\.json is damaged at 'status': remove"):
        _ = run.status


def test_a_failed_run_has_no_arrays_and_says_why(tmp_path: Path) -> None:
    run = finished(tmp_path, fails_for=0)
    with pytest.raises(RunError, match=f"^{run.folder} failed: the loss term .* became non-finite at step 1"):
        run.arrays()


def test_an_embedding_that_was_removed_is_missed(tmp_path: Path) -> None:
    run = finished(tmp_path)
    (run.folder / "embedding.npz").unlink()
    with pytest.raises(RunError, match=r"embedding\.npz is missing: remove the folder and train again"):
        run.arrays()


def test_the_log_keeps_every_bit_of_a_float(tmp_path: Path) -> None:
    run = duel_run(tmp_path)
    values = [0.1 + 0.2, 1e-300, float(np.nextafter(1, 2)), 123456.789e10]
    run.write_log([{"phase": "a", "epoch": i, "seconds": 0.0, "x.y": value} for i, value in enumerate(values)])
    assert run.log()["x.y"].tolist() == values


def test_a_runs_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"cannot make the run folder .*\(not a directory\); choose another --runs-dir"):
        duel_run(tmp_path / "file")
    with pytest.raises(RunError, match="there is no finished run"):
        find(tmp_path / "file", None)
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_that_holds_another_run_is_not_taken_for_the_one_asked_for(tmp_path: Path) -> None:
    run = duel_run(tmp_path)
    changed(run.folder / "config.json", options=run.request.options | {"epochs": 3})
    with pytest.raises(RunError, match="holds another run: remove it, or choose another --runs-dir"):
        duel_run(tmp_path)
