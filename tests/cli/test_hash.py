"""`gancluster hash`: a file of codes from pixels or from a run's embedding, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from asking import Ask, root_of
from games import points

from gancluster import hashing
from gancluster.data import catalogue
from gancluster.runs.run import Run


def stored(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_pixels_of_a_data_set_are_hashed(ask: Ask, tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    said = ask("hash itq --dataset digits --limit 200 --seed 3 --bits 24 -o", out)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"200 codes of 24 bits: {out}; now: gancluster eval --codes {out} --queries 20 --at 20\n"
    samples = catalogue.load("digits", tmp_path, limit=200, seed=3)
    pixels = hashing.flattened(samples)
    assert samples.labels is not None
    written = stored(out)
    assert {name: values.dtype for name, values in written.items()} == {"codes": np.uint8, "labels": np.int64}
    assert np.array_equal(written["codes"], hashing.named("itq").fit(pixels, 24, seed=3).encode(pixels))
    assert np.array_equal(written["labels"], samples.labels)


@pytest.mark.parametrize("limit", [4, 30, 1797])
def test_the_command_it_names_scores_the_file(ask: Ask, tmp_path: Path, limit: int) -> None:
    said = ask("hash lsh --bits 4 --dataset digits --limit", limit, "-o", tmp_path / "codes.npz")
    command = said.out.strip().partition("now: gancluster ")[2]
    scored = ask(command, "--json")
    assert (scored.code, scored.err) == (0, "")
    assert "mAP" in scored.out


def test_a_run_s_embedding_is_hashed(ask: Ask, smoke: Run, tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    said = ask("hash lsh --bits 12 --run", smoke.folder.name, "--runs-dir", root_of(smoke), "-o", out)
    assert (said.code, said.err) == (0, "")
    arrays, written = smoke.arrays(), stored(out)
    fitted = hashing.named("lsh").fit(arrays["embedding"], 12)
    assert np.array_equal(written["codes"], fitted.encode(arrays["embedding"]))
    assert np.array_equal(written["labels"], arrays["labels"])


def test_samples_without_labels_are_hashed_all_the_same(ask: Ask, tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    np.savez(tmp_path / "bare.npz", inputs=points().inputs)
    said = ask("hash sphh --bits 4 --dataset", tmp_path / "bare.npz", "--output", out)
    assert said.out == f"{len(points())} codes of 4 bits: {out}; it has no labels to score with\n"
    assert list(stored(out)) == ["codes"]


def test_what_exists_is_not_overwritten(ask: Ask, tmp_path: Path) -> None:
    there = tmp_path / "there.npz"
    there.write_text("mine")
    said = ask("hash lsh --dataset digits -o", there)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: {there} exists and is not overwritten: choose another -o\n"
    assert there.read_text() == "mine"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hash itk --dataset digits", "there is no hash 'itk'; did you mean itq"),
        ("hash itq", "say what to hash: either --dataset NAME, for its pixels, or --run RUN, for its embedding"),
        ("hash itq --dataset digits --run mine", "say what to hash"),
        ("hash itq --run mine --limit 20", "--limit and --split choose samples of a --dataset: leave them out"),
        ("hash itq --run mine --split test", "--limit and --split choose samples of a --dataset: leave them out"),
        ("hash itq --run mine", "no run in "),
        ("hash itq --dataset digts", "there is no data set 'digts'; did you mean digits?"),
        ("hash itq --dataset digits --bits 64", "64 bits need 64 axes, but the samples vary along 61 only: ask for 61"),
        ("hash itq --dataset digits --limit 20", "20 samples are too few for 32 bits"),
        ("hash kmh --dataset digits --bits 30", "kmh makes bits by fours, not 30: ask for 32 bits"),
        ("hash lsh --dataset digits --bits 0", "--bits"),
    ],
)
def test_what_cannot_be_hashed_is_refused_in_one_line(ask: Ask, tmp_path: Path, line: str, says: str) -> None:
    said = ask(line, "--runs-dir", tmp_path / "runs", "-o", tmp_path / "out.npz")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
    assert says in said.err
    assert not list(tmp_path.iterdir())


def test_codes_for_a_folder_that_is_not_there_are_refused(ask: Ask, tmp_path: Path) -> None:
    said = ask("hash lsh --dataset digits --limit 50 -o", tmp_path / "none" / "out.npz")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith(f"error: there is no folder {tmp_path / 'none'}: make it, or choose another -o")
