"""`gancluster report`: one page on a run, with or without its samples, that overwrites nobody's file."""

import shutil
from pathlib import Path

from asking import Ask, root_of

from gancluster.runs import Run


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
