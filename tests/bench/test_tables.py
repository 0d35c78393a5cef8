"""The papers' tables: every printed figure has its place, and what is asked for can be run."""

from collections import Counter
from collections.abc import Callable
from math import isclose
from pathlib import Path
from statistics import mean

import pytest

from gancluster import registry
from gancluster.bench import published, tables
from gancluster.bench.budgets import Budget
from gancluster.bench.layout import Column, Row, Table, lacking
from gancluster.bench.published import Figure
from gancluster.errors import UserError

EVERY = [pytest.param(table, id=f"{table.paper}-{table.name}") for table in tables.every()]


def test_every_printed_figure_stands_in_one_table_once() -> None:
    placed = Counter(figure for table in tables.every() for figure in table.figures.values())
    assert placed == Counter(published.figures())
    assert placed.total() == 357


@pytest.mark.parametrize("table", EVERY)
def test_every_figure_s_place_exists_and_is_the_one_it_is_printed_in(table: Table) -> None:
    rows, columns = Counter(row.title for row in table.rows), Counter(column.key for column in table.columns)
    assert rows.total() == len(rows)
    assert columns.total() == len(columns)
    for (row, column), figure in table.figures.items():
        assert row in rows
        assert column in columns
        assert figure.paper == table.paper


@pytest.mark.parametrize("table", EVERY)
def test_a_table_s_columns_are_in_the_unit_and_the_decimals_of_print(table: Table) -> None:
    columns = {column.key: column for column in table.columns}
    for (_, key), figure in table.figures.items():
        if columns[key].unit == "count":
            assert figure.units not in ("fraction", "percent")
        else:
            assert figure.units == columns[key].unit
            assert len(figure.value.partition(".")[2]) <= columns[key].decimals


def test_the_forty_attributes_have_the_printed_mean() -> None:
    for setting, printed in (("labels=100", "28.82"), ("unsupervised; K=2", "42.09")):
        cells = [f for f in published.of("ganem", "Table 3") if f.setting.endswith(setting)]
        (total,) = [f for f in published.of("ganem", "Table 2") if f.method == "GAN-EM" and f.setting.endswith(setting)]
        assert total.value == printed
        assert isclose(100 * mean(f.mean.mean for f in cells), float(printed), abs_tol=0.005)


def test_a_figure_is_of_as_many_runs_as_it_is_told_to_be() -> None:
    by_note = {figure.note: figure for figure in published.figures() if figure.units == "fraction"}
    assert by_note["own result; average of 5 runs"].mean.runs == 5
    assert by_note["as reported in the reference paper"].mean.runs == 1
    (ganem,) = [f for f in published.figures() if f.method == "GAN-EM" and f.setting == "K=10; unsupervised"]
    assert ganem.text == "4.20 ± 0.51"
    assert ganem.mean == pytest.approx((0.042, 0.0051, 5))


@pytest.mark.parametrize("budget", ["smoke", "cpu", "full"])
@pytest.mark.parametrize("table", EVERY)
def test_every_cell_can_be_run_and_is_asked_for_once(table: Table, budget: Budget) -> None:
    cells = table.cells(budget, seeds=2)
    assert not [cell for cell in cells if lacking(cell)]
    assert max(Counter(cell.model_dump_json() for cell in cells).values(), default=1) == 1
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)


def test_rows_of_what_is_no_method_here_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "methods", {})
    table = tables.named("table2")
    assert table.cells("full") == []
    assert len(table.figures) == 101


def test_semi_supervised_cells_are_asked_only_of_methods_that_learn_from_labels() -> None:
    cells = tables.named("table1", "ganem").cells("full", seeds=1)
    labelled = [(cell.method, cell.dataset, cell.labels) for cell in cells if cell.labels]
    assert ("ganem", "svhn", 1000) in labelled
    assert all(registry.find("methods", method).semi_supervised for method, _, _ in labelled)


def test_what_learns_from_labels_alone_is_not_asked_to_do_without() -> None:
    table = tables.named("table1", "ganem").narrowed(["Improved GAN"])
    asked = {column.key: table.asked(table.rows[0], column) for column in table.columns}
    assert [key for key, cells in asked.items() if cells] == ["MNIST 100 labels", "SVHN 1000 labels"]


def test_a_budget_cuts_samples_and_says_so() -> None:
    ours = tables.named("table2").narrowed(["clustergan"], ["mnist"])
    (smoke,) = ours.cells("smoke")
    (full, *_) = ours.cells("full")
    assert (smoke.preset, smoke.limit) == ("smoke", 2000)
    assert (full.preset, full.limit) == ("default", None)
    (digits,) = tables.named("table2").narrowed(["clustergan"], ["digits"]).cells("smoke")
    assert digits.limit is None  # there are 1,797


def test_a_table_is_narrowed_by_our_names_or_the_papers() -> None:
    table = tables.named("table2")
    ours, theirs = table.narrowed(["clustergan"], ["mnist"]), table.narrowed(["CLUSTERGAN"], ["MNIST"])
    assert ours == theirs
    assert ours.notes[0].startswith("a part of the table")
    assert table.narrowed() == table
    assert [row.title for row in ours.rows] == ["ClusterGAN"]
    assert [column.key for column in ours.columns] == ["MNIST NMI", "MNIST ACC"]
    attribute = tables.named("table3", "ganem").narrowed([], ["celeba:Bald"])
    assert [row.title for row in attribute.rows] == ["Bald"]


def test_other_methods_and_data_sets_are_added_to_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    table = tables.named("table2").narrowed(["infogan"], ["photos/"])
    assert table.rows == (Row("infogan", {"method": "infogan"}),)
    assert [column.key for column in table.columns] == ["photos/ NMI", "photos/ ACC"]
    (cell,) = table.cells("full", seeds=1)
    assert (cell.method, cell.dataset) == ("infogan", "photos/")


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: tables.named("tabel2"), "did you mean table2"),
        (lambda: tables.named("table9", "dcan"), "did you mean table2"),
        (lambda: tables.named("table2", "vade"), "there is no paper 'vade'"),
        (lambda: tables.named("table2").narrowed(["clustergam"]), "did you mean clustergan"),
        (lambda: tables.named("table2").narrowed([], ["digts"]), "no data set 'digts'; did you mean digits"),
        (lambda: tables.named("table2").narrowed([], ["gone.npz"]), "there is no file or folder gone.npz"),
        (lambda: tables.named("table3", "ganem").narrowed([], ["mnist"]), "has nothing on mnist"),
    ],
)
def test_what_does_not_exist_is_told_in_one_line(ask: Callable[[], Table], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_an_error_is_one_less_the_score_in_percent_and_purity_may_stand_for_accuracy() -> None:
    column = Column("MNIST", "K=10", "1 - acc", {}, "percent")
    scores = {"acc": 0.9, "cluster_majority": 0.95}
    assert column.value(scores, Row("GAN-EM")) == pytest.approx(10)
    assert column.value(scores, Row("GANMM", scores={"1 - acc": "1 - cluster_majority"})) == pytest.approx(5)
    assert column.value({}, Row("GAN-EM")) is None


def test_the_mean_over_attributes_asks_for_all_forty() -> None:
    table = tables.named("table2", "ganem").narrowed(["ganem"])
    asked = table.asked(table.rows[0], table.columns[0])
    assert len({cell.dataset for cell in asked}) == 40
    assert isinstance(table.figure(table.rows[0], table.columns[0]), Figure)
