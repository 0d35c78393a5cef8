"""Sheets as text: every figure is in every format, letter by letter, and nothing breaks the format."""

import csv
import io
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from outcomes import filled_by, finished, usps

from gancluster.bench import render, sheets, tables
from gancluster.bench.cells import Cell, Outcome
from gancluster.bench.layout import Table
from gancluster.bench.sheets import Entry, Sheet
from gancluster.errors import UnknownName

EVERY = [pytest.param(table, id=f"{table.paper}-{table.name}") for table in tables.every()]
TEXTS = ["md", "tex", "csv", "html", "json"]


@pytest.mark.parametrize("ending", TEXTS)
@pytest.mark.parametrize("table", EVERY)
def test_every_printed_figure_is_in_every_format(table: Table, ending: str) -> None:
    text = render.rendered(sheets.filled(table, [], "full"), ending)
    for value, times in Counter(figure.value for figure in table.figures.values()).items():
        assert len(re.findall(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text)) >= times
    assert all(figure.std in text for figure in table.figures.values())


def mixed(cell: Cell) -> Outcome:
    """A seed of each kind, on two data sets."""
    if cell.dataset == "frgc":
        return Outcome(cell=cell, status="no data", reason="frgc is not here: put it there")
    kinds = [finished(cell, acc=0.9712, nmi=0.93), Outcome(cell=cell, status="failed", reason="it | broke & burnt")]
    return kinds[cell.seed % 2]


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    return filled_by(mixed, tables.named("table2").narrowed(["clustergan", "JULE-RC"], ["usps", "frgc", "digits"]))


def test_a_place_shows_published_above_measured_with_its_verdict() -> None:
    (usps_grid,) = render.grids(usps([0.99, 0.991, 0.989, 0.99, 0.992]))
    assert usps_grid == ("USPS", ["", "NMI", "ACC"], [["ClusterGAN (clustergan+)", *usps_grid.rows[0][1:]]])
    assert usps_grid.rows[0][2] == "0.970\n0.990 ± 0.001 (5)\nabove"


def test_states_are_told_in_words(sheet: Sheet) -> None:
    grids = {grid.title: {row[0]: row[1:] for row in grid.rows} for grid in render.grids(sheet)}
    assert grids["USPS"]["ClusterGAN (clustergan+)"][1] == "0.970\n0.971 ± 0.000 (3), FAILED (2)"
    assert grids["USPS"]["JULE-RC"] == ["0.913\nnot run", "0.950\nnot run"]
    assert grids["FRGC"]["ClusterGAN (clustergan+)"] == ["0.615\nno data", "0.476\nno data"]
    assert grids["digits"]["JULE-RC"] == ["not run", "not run"]


def test_a_reason_is_told_once_with_the_seeds_that_it_is_of() -> None:
    failed = ("seed 0: the loss is NaN", "seed 1: no memory: 2 GB", "seed 4: the loss is NaN")
    assert render.reasons(Entry(failed=failed)) == ["seeds 0, 4: the loss is NaN", "seed 1: no memory: 2 GB"]


def test_notes_name_what_failed_what_is_missing_and_what_is_quoted(sheet: Sheet) -> None:
    notes = render.notes(sheet)
    assert "ClusterGAN on USPS FAILED: seeds 1, 3: it | broke & burnt" in notes
    assert "no data: frgc is not here: put it there" in notes
    assert "not run: JULE-RC: as published" in notes  # though nothing is printed of it on digits
    assert len(notes) == len(set(notes))


def test_a_system_of_which_nothing_is_printed_is_not_said_to_be_as_published() -> None:
    table = tables.named("table2").narrowed(["JULE-RC"], ["digits"])
    assert "not run: JULE-RC: there is no method jule here" in render.notes(sheets.filled(table, [], "full"))


def test_latex_says_that_published_and_measured_stand_side_by_side(sheet: Sheet) -> None:
    assert "% published beside measured, which is" in render.latex(sheet)


def test_reduced_cells_bear_a_dagger_and_a_note() -> None:
    sheet = usps([0.97], budget="smoke")
    assert render.grids(sheet)[0].rows[0][2] == "0.970\n0.970 (1)†"
    assert "† reduced by the budget smoke: 2,000 samples, preset smoke; no verdict" in render.notes(sheet)


def test_markdown_tables_have_as_many_cells_in_every_row(sheet: Sheet) -> None:
    text = render.markdown(sheet)
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) == 4  # three data sets, and figure by figure
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
        assert re.match(r"^\|(---\|)+$", block.splitlines()[1])


def test_markdown_has_no_tags_of_its_own() -> None:
    assert render.escaped("<img src=x> | a & b\nc") == r"&lt;img src=x&gt; \| a &amp; b<br>c"


def test_latex_has_as_many_columns_in_every_row_and_escapes_what_it_must(sheet: Sheet) -> None:
    text = render.latex(sheet)
    for columns, body in re.findall(r"\\begin{tabular}{(l\w*)}(.*?)\\end{tabular}", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {line.count("&") + line.count(r"\multicolumn{2}") for line in rows} == {len(columns) - 1}
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 3
    assert render._tex("50 % of a_b & ±") == r"50 \% of a\_b \& $\pm$"
    assert render._tex("a^2 ~ b") == r"a\textasciicircum{}2 \textasciitilde{} b"


def test_csv_is_read_back_with_full_precision(sheet: Sheet) -> None:
    rows = list(csv.DictReader(io.StringIO(render.comma_separated(sheet))))
    assert len(rows) == len(sheet.lines) * len(sheet.heads)
    (row,) = [r for r in rows if (r["row"], r["dataset"], r["metric"]) == ("ClusterGAN", "USPS", "ACC")]
    assert (row["published"], float(row["mean"]), row["n"]) == ("0.970", 0.9712, "3")
    assert row["failed"] == "seed 1: it | broke & burnt; seed 3: it | broke & burnt"


class Tags(HTMLParser):
    """The tags that are open, and how many cells each row has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.cells += [0] if tag == "tr" else []
        if tag in ("td", "th"):
            self.cells[-1] += 1
        self.open += [tag] if tag != "br" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_well_formed_and_escaped(sheet: Sheet) -> None:
    text = render.html_table(sheet)
    tags = Tags(text)
    assert tags.open == []
    assert set(tags.cells) == {3}
    assert "broke &amp; burnt" in text


def test_a_record_tells_the_interval_and_the_seeds_still_needed() -> None:
    scores = [0.99, 0.85, 0.97, 0.99, 0.93]
    (_, record) = render.records(usps(scores))
    assert record["n"] == "5"
    assert re.fullmatch(r"0\.\d{3} to 1\.\d{3}", record["95 % interval"])
    told = "undetermined at n = 5: -0.024 (-0.128 to +0.080); over 1000 more seeds needed"
    assert record["verdict"] == told


def test_an_unknown_format_is_told(sheet: Sheet) -> None:
    with pytest.raises(UnknownName, match="there is no format 'pdf'"):
        render.rendered(sheet, "pdf")
