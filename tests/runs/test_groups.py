"""Groups of runs: which runs belong together, what is averaged, and what is said of two groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from games import placed, points

from gancluster.errors import DataError, RunError
from gancluster.metrics import statistics
from gancluster.metrics.statistics import Published
from gancluster.runs import groups
from gancluster.runs.run import Run

USPS = {0: 0.979, 1: 0.978, 2: 0.973, 3: 0.974, 4: 0.973}
WITHOUT_GAN = {0: 0.992, 1: 0.981, 2: 0.875, 3: 0.871, 4: 0.849}

pytestmark = pytest.mark.usefixtures("duels")


def finished(root: Path, accs: dict[int, float], **options: object) -> list[Run]:
    """Runs that have come out with these ACCs by the paper's rule, and with others by a second rule."""
    runs = [placed(root, points(), "duel", seed, **options) for seed in accs]
    for run, acc in zip(runs, accs.values(), strict=True):
        scores = {"side": {"acc": acc}, "block": {"acc": 0.0}}
        run.finish({"status": "finished", "row": "duel", "scores": scores, "seconds": 1.0})
    return runs


def test_a_group_is_one_request_in_the_order_of_its_seeds(tmp_path: Path) -> None:
    runs = finished(tmp_path, dict(reversed(USPS.items())))
    finished(tmp_path, WITHOUT_GAN, lr=0.5)
    group = groups.gather(tmp_path, str(runs[2].folder))
    assert group.scores("acc") == USPS
    assert list(group.scores("acc")) == [0, 1, 2, 3, 4]
    with pytest.raises(RunError, match=r"holds 2 requests \(they differ in lr\)"):
        groups.gather(tmp_path, "points/duel/smoke")


def test_failed_and_unfinished_seeds_are_named_and_not_averaged(tmp_path: Path) -> None:
    finished(tmp_path, USPS)
    placed(tmp_path, points(), "duel", 5).finish({"status": "failed", "reason": "a loss became NaN", "seconds": 1.0})
    placed(tmp_path, points(), "duel", 7)
    found = groups.summary(groups.gather(tmp_path, "points/duel/smoke"), "acc")
    values = list(USPS.values())
    assert (found.n, found.failed, found.unfinished) == (5, [5], [7])
    assert (found.mean, found.std) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert found.interval == statistics.mean_interval(values)


def test_five_seeds_against_a_printed_mean_and_against_each_other(tmp_path: Path) -> None:
    (ours, *_), (theirs, *_) = finished(tmp_path, USPS), finished(tmp_path, WITHOUT_GAN, lr=0.5)
    a, b = (groups.gather(tmp_path, str(run.folder)) for run in (ours, theirs))
    verdict, needed = groups.judged(a, "acc", Published(0.970), margin=0.01)
    assert (verdict.name, needed) == ("above", 0)
    (pair,) = groups.compared([a, b], "acc")
    assert pair.difference == pytest.approx(0.0618)
    assert (pair.n, pair.p) == (5, None)
    assert pair.note == "a paired test takes 6 seeds, here are 5: train 1 more"
    assert pair.improvement is not None
    assert pair.improvement.value == pytest.approx(15 / 25)


def test_seeds_are_planned_for_the_level_that_holm_asks_of_the_clearest_pair(tmp_path: Path) -> None:
    first = finished(tmp_path, {seed: 0.9 + seed / 1000 for seed in range(6)})
    others = [finished(tmp_path, dict.fromkeys(range(6), acc), lr=acc) for acc in (0.8, 0.7)]
    three = [groups.gather(tmp_path, str(runs[0].folder)) for runs in (first, *others)]
    (alone,), pairs = groups.compared(three[:2], "acc"), groups.compared(three, "acc")
    assert (alone.p, alone.seeds_needed) == (2 / 2**6, 0)
    assert [pair.p for pair in pairs] == [3 * 2 / 2**6] * 3
    assert [pair.seeds_needed for pair in pairs] == [1, 1, 1]  # 2 / 2^7 < .05 / 3


def test_only_groups_of_the_same_samples_compare(tmp_path: Path) -> None:
    runs = [placed(tmp_path, points(n), "duel", lr=lr) for n, lr in ((24, 0.1), (24, 0.5), (30, 0.5))]
    one, same, larger = (groups.gather(tmp_path, str(run.folder)) for run in runs)
    groups.same_data([one, same])
    with pytest.raises(DataError, match=r"24 samples, sha256 .* about points .30, .*compare on the same data"):
        groups.same_data([one, same, larger])
