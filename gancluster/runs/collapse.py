"""What a collapsed game looks like without labels: in its log, by its method's symptoms, and in its clusters' sizes."""

from __future__ import annotations

from collections.abc import Sequence

from gancluster.methods.base import Method, Row


class Collapsed(Exception):
    """An attempt at a game shows these symptoms, and another one is left."""

    def __init__(self, symptoms: list[str]) -> None:
        super().__init__("; ".join(symptoms))
        self.symptoms = symptoms


def seen_in_log(method: Method, rows: Sequence[Row]) -> list[str]:
    """The symptoms of the first epoch that shows any, and how many show some."""
    shown = [(row, found) for row in rows if (found := method.symptoms(row))]
    if not shown:
        return []
    (row, found), others = shown[0], len(shown) - 1
    again = f" ({others} later epoch{' shows' if others == 1 else 's show'} symptoms too)" if others else ""
    return [f"{row['phase']}, epoch {row['epoch']}: {text}{again}" for text in found]


def empty(sizes: Sequence[int], mend: str = "more --restarts") -> list[str]:
    """Whether clusters of these sizes are fewer than were asked for; `mend`: what to try then."""
    none = list(sizes).count(0)
    return [f"{none} of {len(sizes)} clusters are empty; try {mend}"] if none else []


def lopsided(sizes: Sequence[int]) -> list[str]:
    """Whether one cluster holds more than half of the samples, and more than twice its even share."""
    largest, n = max(sizes), sum(sizes)
    if largest <= max(n / 2, 2 * n / len(sizes)):
        return []
    return [f"cluster {list(sizes).index(largest)} holds {largest / n:.0%} of the samples; try another --seed"]
