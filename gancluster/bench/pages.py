"""The documentation's pages of results, made from sheets in JSON files and from nothing else."""

from __future__ import annotations

from pathlib import Path

from gancluster import atomic
from gancluster.bench import render, sheets
from gancluster.bench.sheets import Sheet

INDEX = "tables.md"
BY_HAND = "<!-- Made by `gancluster bench docs` from results/*.json: change those, not this page. -->\n\n"


def name(sheet: Sheet) -> str:
    """What a sheet's files are called, without an ending."""
    return "-".join(part for part in (sheet.paper, sheet.name, sheet.budget) if part)


def pages(source: Path) -> dict[str, str]:
    """The text of each page by its file's name: one of every `*.json` in `source`, and the list of all."""
    found = {path: sheets.read(path) for path in sorted(source.glob("*.json"))}
    made = {f"{path.stem}.md": BY_HAND + render.markdown(sheet) for path, sheet in found.items()}
    lines = ["# The papers' tables", "", "Published beside measured, by `gancluster bench`. What was run so far:", ""]
    lines += [f"- [{render.heading(sheet)}]({path.stem}.md), budget `{sheet.budget}`" for path, sheet in found.items()]
    return made | {INDEX: BY_HAND + "\n".join(lines) + "\n"}


def write(source: Path, target: Path) -> list[Path]:
    """Write the pages of `source` to `target`, and remove those that nothing in `source` makes any more."""
    target.mkdir(parents=True, exist_ok=True)
    made = pages(source)
    for stale in {path.name for path in target.glob("*.md")} - made.keys():
        (target / stale).unlink()
    for file, text in made.items():
        atomic.write_text(target / file, text)
    return [target / file for file in made]
