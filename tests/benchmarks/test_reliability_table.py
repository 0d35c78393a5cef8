"""The table of faults in the documentation is what the suite wrote, and no result was lost."""

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_tells_what_the_suite_wrote() -> None:
    script = runpy.run_path(str(ROOT / "benchmarks" / "reliability.py"))
    page, faults = (ROOT / "docs" / "reliability.md").read_text(), (ROOT / "benchmarks" / "faults.json").read_text()
    assert script["with_table"](page, faults) == page
    rows = json.loads(faults)
    assert sum(row["lost"] for row in rows) == 0
    kills = sum(row["tries"] for row in rows if row["fault"].startswith("SIGKILL at a random moment"))
    assert kills >= 200


def test_a_result_that_was_lost_would_be_told() -> None:
    table = runpy.run_path(str(ROOT / "benchmarks" / "reliability.py"))["table"]
    text = table([{"fault": "a", "tries": 1000, "lost": 1}, {"fault": "b", "tries": 2, "lost": 0}])
    assert text.splitlines()[2:] == ["| a | 1,000 | 1 |", "| b | 2 | 0 |", "| **all** | **1,002** | **1** |"]
