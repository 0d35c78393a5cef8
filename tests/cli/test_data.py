"""`gancluster data`: what is printed, as a table and as JSON, and what it costs to ask."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gancluster import registry
from gancluster.cli.data import app
from gancluster.data.features import NETWORKS
from gancluster.errors import DataError, UnknownName


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_list_names_every_data_set_and_says_whether_it_is_here(tmp_path: Path) -> None:
    table = ask("list", "--data-dir", tmp_path).output
    told = json.loads(ask("list", "--data-dir", tmp_path, "--json").output)
    assert [name for name in registry.BUILT_IN["datasets"] if name not in table] == []
    assert told["data_dir"] == str(tmp_path)
    rows = {row["name"]: row for row in told["datasets"]}
    assert rows["digits"]["here"] is True
    assert (rows["mnist"]["here"], rows["mnist"]["obtained"], rows["mnist"]["origin"]) == (False, "fetch", "gancluster")


def test_list_says_whether_the_weights_behind_features_are_here_and_how_they_are_fetched(tmp_path: Path) -> None:
    told = f"the weights of --features resnet50 are not here: gancluster data fetch resnet50 --data-dir {tmp_path}"
    assert told in ask("list", "--data-dir", tmp_path).output.splitlines()
    weights = tmp_path / NETWORKS["resnet50"].wanted
    weights.parent.mkdir()
    weights.touch()
    assert "the weights of --features resnet50 are here" in ask("list", "--data-dir", tmp_path).output.splitlines()


def test_listing_needs_neither_torch_nor_torchvision(tmp_path: Path) -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from gancluster.cli.data import app; "
        f"result = CliRunner().invoke(app, ['list', '--data-dir', {str(tmp_path)!r}]); "
        "print(result.exit_code, 'mnist' in result.output, 'torch' in sys.modules, 'torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "False", "False"]


def test_info_tells_what_a_data_set_is_made_of(tmp_path: Path) -> None:
    told = json.loads(ask("info", "digits", "--data-dir", tmp_path, "--json").output)
    assert (told["samples"], told["shape"], told["split"], told["pixel_range"]) == (1797, [1, 8, 8], "all", [0.0, 1.0])
    assert (sum(told["classes"].values()), told["files"]) == (1797, [])
    words = ask("info", "digits", "--data-dir", tmp_path).output
    assert told["sha256"] in words
    assert "0: 178, 1: 182" in words


def test_info_takes_a_path(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).random((5, 3)))
    told = json.loads(ask("info", tmp_path / "a.npz", "--json").output)
    assert (told["samples"], told["dtype"], told["classes"]) == (5, "float32", None)
    assert told["files"] == [str(tmp_path / "a.npz")]
    assert "classes      none" in ask("info", tmp_path / "a.npz").output


def test_info_reads_the_part_asked_for(data_dir: Path) -> None:
    told = json.loads(ask("info", "mnist", "--data-dir", data_dir, "--split", "test", "--json").output)
    assert (told["samples"], told["split"], told["classes"]["0"]) == (10_000, "test", 980)
    assert len(told["files"]) == 4


def test_fetch_prints_where_the_files_are(data_dir: Path, tmp_path: Path) -> None:
    printed = ask("fetch", "usps", "--data-dir", data_dir).output.split()
    assert printed == [str(data_dir / "USPS" / "usps_11000.npz")]
    assert "needs no file" in ask("fetch", "digits", "--data-dir", tmp_path).output


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("info", "mnist"), DataError),
        (("info", "digits", "--split", "train"), DataError),
        (("info", "no-such-set"), UnknownName),
        (("fetch", "no-such-set"), UnknownName),
        (("fetch", "frgc"), DataError),
    ],
)
def test_errors_are_left_to_the_program(arguments: tuple[str, ...], kind: type[Exception], tmp_path: Path) -> None:
    assert isinstance(ask(*arguments, "--data-dir", tmp_path).exception, kind)
