"""Counts faults tried and results lost, so that the documentation's table is what the tests did and nothing else."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Ledger:
    """Tries by fault; one whose check fails has lost a result."""

    def __init__(self) -> None:
        self.tries, self.kept = Counter[str](), Counter[str]()

    @contextmanager
    def tried(self, fault: str, times: int = 1) -> Iterator[None]:
        """So many tries of a fault: lost, unless what is inside goes through."""
        self.tries[fault] += times
        yield
        self.kept[fault] += times

    def write(self, path: Path) -> None:
        """A row a fault, as JSON; rows of faults that only earlier sessions tried stay as they are."""
        before = json.loads(path.read_text()) if path.exists() else []
        rows = [row for row in before if row["fault"] not in self.tries]
        rows += [
            {"fault": fault, "tries": tries, "lost": tries - self.kept[fault]} for fault, tries in self.tries.items()
        ]
        rows.sort(key=lambda row: row["fault"])
        path.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
