"""`gancluster bench --cluster`: what cannot be is one line, and nothing is lost or begun."""

from pathlib import Path

import pytest
from asking import Ask

from gancluster.bench import cluster

TABLE = 'title = "K"\ndatasets = ["digits"]\nseeds = 1\n\n[[rows]]\nmethod = "kmeans"\n'


def test_a_cluster_has_its_own_workers(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.toml").write_text(TABLE)
    said = ask("bench k.toml --budget smoke --cluster local:2 --jobs 2")
    assert (said.code, said.out) == (2, "")
    assert "--jobs is for processes of this machine: leave it out" in said.err


def test_a_scheduler_that_does_not_answer_is_one_line_and_nothing_is_begun(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    (tmp_path / "k.toml").write_text(TABLE)
    said = ask("bench k.toml --budget smoke --cluster tcp://127.0.0.1:9")
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[-1].startswith("error: no Dask scheduler at tcp://127.0.0.1:9 (")
    assert said.err.splitlines()[-1].endswith("): start one, or use local:4")
    assert not (tmp_path / "runs").exists()
