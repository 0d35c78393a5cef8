"""`gancluster eval --retrieval` and `--codes`: the metrics' scores of a run's codes and of anybody's, and refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import Ask, root_of
from games import points
from test_evaluate import rows

from gancluster import metrics
from gancluster.runs.attempts import method_of
from gancluster.runs.run import Run

FEW = "--queries 50 --at 100"


def coded(path: Path, n: int = 1200, bits: int = 32, **changes: Any) -> Path:
    """Codes of four classes with a tenth of their bits flipped, in an .npz."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, n)
    codes = (rng.random((4, bits)) < 0.5)[labels] ^ (rng.random((n, bits)) < 0.1)
    arrays = {"codes": codes.astype(np.uint8), "labels": labels} | changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def test_codes_of_a_run_are_scored_as_the_metrics_score_them(ask: Ask, smoke: Run) -> None:
    said = ask("eval --retrieval --json", FEW, "--seed 3 --bits 32,20 --runs-dir", root_of(smoke))
    told, arrays, method = json.loads(said.out), smoke.arrays(), method_of(smoke.request)
    assert (said.code, said.err, told["run"]) == (0, "", str(smoke.folder))
    assert [result["bits"] for result in told["retrieval"]] == [32, 20]
    for result in told["retrieval"]:
        codes = method.binary_codes(arrays["embedding"], arrays["centres"], result["bits"])
        assert result == metrics.retrieval_scores(codes, arrays["labels"], 50, seed=3, k=100)


def test_codes_of_a_file_are_scored_and_compared_with_the_printed_table(ask: Ask, tmp_path: Path) -> None:
    path = coded(tmp_path / "codes.npz")
    told, said = json.loads(ask("eval --json --at 100 --codes", path).out), ask("eval --at 150 --codes", path)
    with np.load(path) as stored:
        wanted = metrics.retrieval_scores(stored["codes"], stored["labels"], k=150)
    assert (told["codes"], told["retrieval"][0]["n"], said.code, said.err) == (str(path), 1200, 0, "")
    shown = rows(said.out)
    for name, orders in wanted["scores"].items():
        values = [f"{100 * orders[order]:.2f}" for order in ("expected", "fixed", "worst", "best")]
        assert shown[name][:4] == values
    assert shown["mAP"][4] == "mAP, 32 bits, in ClusterGAN's Table 3"
    assert shown["mAP@150"][4] == ""
    for fact in ("1200 labelled samples", "1000 queries", "200 in the gallery", "distinct codes"):
        assert fact in said.out


@pytest.mark.parametrize(("bits", "queries", "column"), [(64, 1000, "P@1000, 64 bits"), (48, 1000, ""), (64, 900, "")])
def test_only_scores_that_are_made_like_the_printed_ones_compare_with_them(
    ask: Ask, tmp_path: Path, bits: int, queries: int, column: str
) -> None:
    said = ask("eval --queries", queries, "--codes", coded(tmp_path / "codes.npz", 2000, bits))
    assert rows(said.out)["precision@1000"][4] == (f"{column}, in ClusterGAN's Table 3" if column else "")


def pickled(path: Path) -> Path:
    return coded(path, codes=np.array([[{}], [0]], object))


def cut(path: Path) -> Path:
    content = coded(path).read_bytes()
    path.write_bytes(content[:900])
    return path


CODES = np.eye(30, dtype=np.int64)
BAD_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "gone": (lambda path: None, "does not exist or is no file: give an .npz of codes and labels"),
    "folder": (lambda path: path.mkdir(), "does not exist or is no file"),
    "text": (lambda path: path.write_text("codes"), "cannot read"),
    "cut": (cut, "save it anew, by numpy.savez(path, codes=…, labels=…)"),
    "pickled": (pickled, "pickled objects are never loaded"),
    "unlabelled": (lambda path: coded(path, labels=None), "has no 'labels' (it has: codes): save it anew"),
    "empty": (lambda path: np.savez(path), "has no 'codes' (it has: nothing)"),
    "signs": (lambda path: coded(path, codes=2 * CODES - 1), "codes has values from -1 to 1: save 0 and 1"),
    "nan": (lambda path: coded(path, codes=np.where(CODES == 1, np.nan, 0)), "not float64: threshold them first"),
    "uneven": (lambda path: coded(path, codes=CODES), "labels has shape (1200,) for 30 codes"),
    "reals": (lambda path: coded(path, labels=np.zeros(1200)), "labels must be integers, not float64"),
    "unknown": (lambda path: coded(path, labels=np.full(1200, -1)), "labels run from -1 to -1"),
    "none": (lambda path: coded(path, codes=CODES[:0]), "codes has shape (0, 30)"),
    "few": (lambda path: coded(path, 900), "1000 queries leave no gallery of 900 labelled samples"),
    "small": (lambda path: coded(path, 1100), "the gallery has 100 items, so the first 1000 cannot be scored: let k"),
}


def refused(ask: Ask, *words: object) -> str:
    said = ask(*words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
    return said.err


@pytest.mark.parametrize("kind", BAD_FILES)
def test_files_without_sound_codes_are_refused_in_one_line(ask: Ask, tmp_path: Path, kind: str) -> None:
    make, complaint = BAD_FILES[kind]
    make(tmp_path / "codes.npz")
    assert complaint in refused(ask, "eval --codes", tmp_path / "codes.npz")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--codes codes.npz", "--codes codes.npz is scored without a run: leave out"),
        ("--retrieval --split test", "--split is about clusters, not codes"),
        ("--retrieval --hungarian", "--hungarian is about clusters, not codes"),
        ("--queries 5", "--queries is about retrieval: add --retrieval, or --codes FILE.npz"),
        ("--data-dir .", "--data-dir says where another --split lies"),
        ("--retrieval --bits 32,x", "--bits 32,x are not lengths of codes: give one or more, as 32,64"),
        ("--retrieval --bits 0", "--bits 0 are not lengths of codes"),
        ("--retrieval --bits 101", "train with --code-size 101"),
        ("--retrieval", "1000 queries leave no gallery of 300 labelled samples: ask for 1 to 299 queries"),
        ("--retrieval --queries 0", "0 queries leave no gallery"),
        ("--retrieval --queries 200", "the gallery has 100 items, so the first 1000 cannot be scored"),
        ("--retrieval --queries 9 --at 9 --seed -1", "seed -1 is negative"),
    ],
)
def test_options_that_do_not_go_together_or_are_out_of_range_are_refused(
    ask: Ask, smoke: Run, options: str, complaint: str
) -> None:
    assert complaint in refused(ask, "eval", smoke.folder, options)


def test_codes_of_a_file_keep_their_length(ask: Ask, tmp_path: Path) -> None:
    assert "leave out --bits" in refused(ask, "eval --bits 32 --codes", coded(tmp_path / "codes.npz"))


@pytest.mark.usefixtures("duels", "undrawn")
def test_a_run_without_labels_has_nothing_to_find(ask: Ask, tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", inputs=points().inputs)
    ask("train duel --clusters 2 --quiet --dataset", tmp_path / "points.npz", "--runs-dir", tmp_path / "runs")
    said = refused(ask, "eval --retrieval --runs-dir", tmp_path / "runs")
    assert "has no labels, so nothing says what a search should find" in said
