"""Filled tables: what is measured, judged, reduced, failed, missing or quoted is told as it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from outcomes import USPS_ACC, entry, filled_by, finished, usps

from gancluster.bench import sheets, tables
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.sheets import Sheet
from gancluster.errors import UserError
from gancluster.metrics import statistics
from gancluster.metrics.statistics import Published

CLUSTERGAN = "ClusterGAN"


def test_a_mean_is_over_every_seed_with_its_deviation_and_interval() -> None:
    scores = [0.97, 0.98, 0.96, 0.975, 0.965]
    found = entry(usps(scores), CLUSTERGAN, "USPS ACC").measured
    assert found is not None
    assert (found.n, found.by_seed) == (5, dict(enumerate(scores)))
    assert found.mean == pytest.approx(np.mean(scores))
    assert found.std == pytest.approx(np.std(scores, ddof=1))
    assert found.interval == pytest.approx(statistics.mean_interval(scores))
    assert found.seconds == 10


def test_few_seeds_have_no_interval_and_one_has_no_deviation() -> None:
    one, four = (entry(usps([0.97] * n), CLUSTERGAN, "USPS ACC").measured for n in (1, 4))
    assert one is not None
    assert four is not None
    assert (one.std, one.interval) == (None, None)
    assert (four.std, four.interval) == (0, None)


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        ([0.970, 0.972, 0.969, 0.971, 0.968], "reproduced"),
        ([0.990, 0.991, 0.989, 0.990, 0.992], "above"),
        ([0.900, 0.905, 0.895, 0.900, 0.902], "below"),
        ([0.99, 0.85, 0.97, 0.99, 0.93], "undetermined at n = 5"),
    ],
)
def test_the_verdict_is_that_of_the_printed_mean_of_five_runs(scores: list[float], name: str) -> None:
    found = entry(usps(scores), CLUSTERGAN, "USPS ACC").verdict
    expected = statistics.verdict(scores, Published(0.970, None, 5))
    assert found is not None
    assert found.name == expected.name == name
    assert found.difference == pytest.approx(expected.difference)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.seeds_needed == statistics.seeds_needed(scores, Published(0.970, None, 5))


def test_an_error_in_percent_is_judged_as_a_fraction_and_told_in_percent() -> None:
    table = tables.named("table1", "ganem").narrowed(["ganem"], ["mnist"])
    accuracy = [0.963, 0.964, 0.965, 0.962, 0.966]
    sheet = filled_by(lambda cell: finished(cell, acc=accuracy[cell.seed], cluster_majority=0.96, error=0.01), table)
    found = entry(sheet, "GAN-EM", "MNIST K=10")
    assert found.published == "4.20 ± 0.51"
    assert found.measured is not None
    assert found.measured.mean == pytest.approx(3.6)
    assert found.verdict is not None
    expected = statistics.verdict(1 - np.array(accuracy), Published(0.042, 0.0051, 5))
    assert found.verdict.name == expected.name == "undetermined at n = 5"
    assert found.verdict.difference == pytest.approx(-0.6)
    assert found.verdict.interval == pytest.approx((100 * expected.low, 100 * expected.high))
    twenty, labelled = (entry(sheet, "GAN-EM", key).measured for key in ("MNIST K=20", "MNIST 100 labels"))
    assert twenty is not None
    assert labelled is not None
    assert (twenty.mean, labelled.mean) == pytest.approx((4, 1))
    assert all(head.lower for head in sheet.heads)


def test_a_reduced_cell_is_marked_and_not_judged() -> None:
    found = entry(usps([0.97, 0.97], budget="smoke"), CLUSTERGAN, "USPS ACC")
    assert found.reduced == ("2,000 samples", "preset smoke")
    assert found.verdict is not None
    assert (found.verdict.name, found.verdict.difference) == ("no verdict: reduced", None)


def test_a_failed_seed_is_told_with_its_reason_and_never_averaged() -> None:
    def outcome(cell: Cell) -> Outcome:
        if cell.seed == 3:
            return Outcome(cell=cell, status="failed", reason="a loss became non-finite at step 7 (seed 3)")
        return finished(cell, acc=0.97, nmi=0.93)

    found = entry(filled_by(outcome), CLUSTERGAN, "USPS ACC")
    assert found.failed == ("seed 3: a loss became non-finite at step 7 (seed 3)",)
    assert found.measured is not None
    assert sorted(found.measured.by_seed) == [0, 1, 2, 4]
    assert found.verdict is not None
    assert found.verdict.name == "no verdict: failed seeds"


def test_data_that_are_not_here_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    cells = USPS_ACC.cells("full", seeds=2)
    reason = f"usps is not in {tmp_path}: put it there"
    sheet = sheets.filled(USPS_ACC, [Outcome(cell=c, status="no data", reason=reason) for c in cells], "full", tmp_path)
    found = entry(sheet, CLUSTERGAN, "USPS ACC")
    assert found.missing == "usps is not in DIR: put it there"
    assert found.measured is None
    assert found.published == "0.970"


def test_what_is_still_to_be_run_is_counted() -> None:
    def outcome(cell: Cell) -> Outcome:
        return finished(cell, acc=0.97, nmi=0.93) if cell.seed == 0 else Outcome(cell=cell, status="waiting")

    assert entry(filled_by(outcome), CLUSTERGAN, "USPS ACC").waiting == 4
    assert entry(sheets.filled(USPS_ACC, [], "full"), CLUSTERGAN, "USPS ACC").waiting == 1


def test_a_finished_run_without_that_score_is_told_to_have_none() -> None:
    found = entry(filled_by(lambda cell: finished(cell, nmi=0.9)), CLUSTERGAN, "USPS ACC")
    assert (found.unscored, found.measured, found.failed) == (5, None, ())


def test_a_quoted_row_stays_as_published() -> None:
    sheet = sheets.filled(tables.named("table3"), [], "full")
    found = entry(sheet, "DeepBit", "MNIST mAP@1000, 32 bits")
    assert (found.published, found.what, found.not_run) == ("32.02", "supervised pre-training", "DeepBit is quoted")


def test_the_mean_over_attributes_waits_for_all_of_them() -> None:
    table = tables.named("table2", "ganem").narrowed(["ganem"])
    cells = [cell for cell in table.cells("full", seeds=2) if not cell.labels]
    scores = {cell.dataset: i / 100 for i, cell in enumerate(cells[:40])}
    done = [finished(cell, acc=1 - scores[cell.dataset]) for cell in cells]
    found = entry(sheets.filled(table, done[:-1], "full"), "GAN-EM", "CelebA no labels").measured
    assert found is not None
    assert found.by_seed == {0: pytest.approx(100 * np.mean(list(scores.values())))}


def test_sizes_of_data_sets_are_held_against_the_printed_ones(tmp_path: Path, data_dir: Path) -> None:
    missing = sheets.filled(tables.named("table1"), [], "full", tmp_path)
    assert entry(missing, "USPS", " n_samples").missing.startswith("usps is not in DIR")
    table = tables.named("table1").narrowed([], ["usps"])
    sizes = [entry(sheets.filled(table, [], "full", data_dir), "USPS", f" {c.metric}") for c in table.columns]
    assert [size.found for size in sizes] == [size.published for size in sizes] == ["11,000", "10", "1x16x16"]
    assert {size.verdict.name for size in sizes if size.verdict} == {"the same"}


def test_json_holds_all_of_a_sheet(tmp_path: Path) -> None:
    sheet, path = usps([0.97, 0.98]), tmp_path / "sheet.json"
    path.write_text(sheet.model_dump_json())
    assert sheets.read(path) == sheet
    assert Sheet.model_validate_json(sheet.model_dump_json()) == sheet


@pytest.mark.parametrize(
    ("text", "told"), [("{", "its beginning"), (json.dumps({"name": 3}), "at name"), (None, "no such file")]
)
def test_what_is_no_sheet_is_told_in_one_line(text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        sheets.read(path)
    assert "\n" not in str(caught.value)
