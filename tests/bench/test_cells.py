"""A cell and its outcome: what they are called, and that they travel as JSON."""

import pytest
from pydantic import ValidationError

from gancluster.bench.cells import Cell, Outcome

CELL = Cell(method="ganem", dataset="usps", options={"lr_labels": 0.1, "gan": False, "teacher": True}, seed=3)


def test_a_cell_is_called_by_what_is_asked_of_it() -> None:
    assert CELL.system == "ganem, lr-labels 0.1, no gan, teacher"
    assert str(CELL) == f"{CELL.system} on usps, seed 3"
    assert Cell(method="ganem", dataset="mnist", clusters=20, labels=100).system == "ganem, clusters 20, 100 labels"


def test_a_cell_and_its_outcome_come_through_json_as_they_are() -> None:
    outcome = Outcome(cell=CELL, status="finished", row="ganem+", scores={"acc": 0.1 + 0.2}, seconds=1.5, run="a/b/c")
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        Cell(method="ganem", dataset="usps", option={})  # type: ignore[call-arg]
