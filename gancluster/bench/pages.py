"""The documentation's pages of results, made from sheets in JSON files and from nothing else."""

from __future__ import annotations

from pathlib import Path

from gancluster import atomic
from gancluster.bench import drawn, render, sheets
from gancluster.bench.sheets import Sheet
from gancluster.errors import UserError

INDEX = "tables.md"
AS_BARS = ("figure2",)  # which the paper has as bars
BY_HAND = "<!-- Made by `gancluster bench docs` from results/*.json: change those, not this page. -->\n\n"


def name(sheet: Sheet) -> str:
    """What a sheet's files are called, without an ending."""
    return "-".join(part for part in (sheet.paper, sheet.name, sheet.budget) if part)


def pages(source: Path) -> dict[str, str]:
    """The text of each page by its file's name: one of every `*.json` in `source`, and the list of all."""
    found = _sheets(source)
    made = {
        f"{stem}.md": BY_HAND + render.markdown(sheet) + _picture(stem, sheet) + _proof(source / f"{stem}.capsule")
        for stem, sheet in found.items()
    }
    lines = ["# The papers' tables", "", "Published beside measured, by `gancluster bench`. What was run so far:", ""]
    lines += [
        f"- [{render.escaped(render.heading(sheet))}]({stem}.md): `{sheet.command}`" for stem, sheet in found.items()
    ]
    return made | {INDEX: BY_HAND + "\n".join(lines) + "\n"}


def write(source: Path, target: Path) -> list[Path]:
    """Write the pages of `source` to `target`, with their pictures, and remove those made of what is gone.

    `UserError` where `source` is no folder: every page would go.
    """
    if not source.is_dir():
        raise UserError(f"there is no folder {source}: name the one that gancluster bench keeps its tables in")
    target.mkdir(parents=True, exist_ok=True)
    made = pages(source)
    for page in target.glob("*.md"):
        if page.name not in made and page.read_text(errors="replace").startswith(BY_HAND):
            page.unlink()
            page.with_suffix(".png").unlink(missing_ok=True)
    for file, text in made.items():
        atomic.write_text(target / file, text)
    for stem, sheet in _sheets(source).items():
        if _picture(stem, sheet):
            drawn.as_bars(sheet, target / f"{stem}.png")
    return [target / file for file in made]


def _proof(capsule: Path) -> str:
    """How to compute all of it anew, where the table is packed beside its sheet."""
    command = f"gancluster verify {capsule.parent.name}/{capsule.name}"
    return f"\n`{command}` computes every number anew, without the data.\n" if capsule.exists() else ""


def _sheets(source: Path) -> dict[str, Sheet]:
    return {path.stem: sheets.read(path) for path in sorted(source.glob("*.json"))}


def _picture(stem: str, sheet: Sheet) -> str:
    """The line that shows the bars of a figure; nothing for a table."""
    return f"\n![{render.escaped(render.heading(sheet))}, as bars]({stem}.png)\n" if sheet.name in AS_BARS else ""
