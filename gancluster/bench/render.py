"""A sheet as text: Markdown, LaTeX, CSV, HTML, and plain cells for a terminal; JSON is the sheet itself."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from gancluster.bench.published import PAPERS
from gancluster.bench.sheets import Entry, Head, Line, Sheet
from gancluster.errors import UnknownName
from gancluster.registry import unknown

NONE, CUT = "–", "†"


class Grid(NamedTuple):
    """The columns of one data set: a cell is text of up to three lines, published, measured, verdict."""

    title: str
    header: list[str]
    rows: list[list[str]]


# Cells ----------------------------------------------------------------------------------------------------------------


def heading(sheet: Sheet) -> str:
    paper = f"{PAPERS[sheet.paper]}, " if sheet.paper else ""
    name = re.sub(r"^(table|figure)(\d+)$", lambda found: f"{found[1].title()} {found[2]}", sheet.name)
    return f"{paper}{name}: {sheet.title}, budget {sheet.budget}"


def measured(entry: Entry, head: Head) -> str:
    """What was measured, or in a word why nothing was: FAILED, no data, not run, waiting."""
    if entry.found:
        return entry.found
    parts = []
    if (found := entry.measured) is not None:
        spread = "" if found.std is None else f" ± {found.std:.{head.decimals}f}"
        parts.append(f"{found.mean:.{head.decimals}f}{spread} ({found.n}){CUT if entry.reduced else ''}")
    parts += [f"FAILED ({len(entry.failed)})"] if entry.failed else []
    parts += ["no data"] if entry.missing else []
    parts += [f"waiting ({entry.waiting})"] if entry.waiting else []
    parts += [f"no such score ({entry.unscored})"] if entry.unscored else []
    parts += ["not run"] if entry.not_run else []
    return ", ".join(parts)


def verdict(entry: Entry) -> str:
    """The verdict, where there is one."""
    name = entry.verdict.name if entry.verdict else ""
    return "" if name.startswith("no verdict") else name


def cell(entry: Entry, head: Head, with_published: bool = True) -> list[str]:
    """Published, measured, verdict: lines of one place, empty where nothing is printed or asked."""
    if not (entry.published or measured(entry, head)):
        return [""]
    printed = (entry.published or NONE) if with_published else ""
    return [line for line in (printed, measured(entry, head), verdict(entry)) if line]


def grids(sheet: Sheet) -> list[Grid]:
    """The sheet cut into as many grids as it has data sets, a row a system."""
    return [_grid(sheet, dataset, places) for dataset, places in by_dataset(sheet)]


def _grid(sheet: Sheet, dataset: str, places: list[int]) -> Grid:
    heads = [sheet.heads[place] for place in places]
    lines = [(system(line), [line.entries[place] for place in places]) for line in sheet.lines]
    printed = any(entry.published for _, entries in lines for entry in entries)
    rows = [
        [name, *("\n".join(cell(entry, head, printed)) for entry, head in zip(entries, heads, strict=True))]
        for name, entries in lines
    ]
    return Grid(dataset, ["", *map(metric, heads)], rows)


def system(line: Line) -> str:
    """The row's name, and what it is run as where that has another name."""
    ran = any(entry.measured or entry.failed for entry in line.entries)
    return f"{line.title} ({line.method})" if ran and line.method.lower() != line.title.lower() else line.title


def by_dataset(sheet: Sheet) -> Iterator[tuple[str, list[int]]]:
    """Each data set with the places of its columns."""
    for dataset, places in groupby(range(len(sheet.heads)), lambda place: sheet.heads[place].dataset):
        yield dataset, list(places)


def metric(head: Head) -> str:
    """The metric as a column is headed, with a mark where lower is better."""
    return head.metric + (" ↓" if head.lower else "")


def notes(sheet: Sheet, where: str = "above") -> list[str]:
    """What the cells could not hold, a line each: how to read them, what is reduced, failed, missing or not run.

    `where`: published figures stand of measured ones.
    """
    places = [(line, *place) for line in sheet.lines for place in zip(sheet.heads, line.entries, strict=True)]
    sizes = any(head.unit == "count" for head in sheet.heads)
    below = "what the name loads here" if sizes else "measured, which is mean ± standard deviation (number of seeds)"
    told = [f"published {where} {below}"]
    told += ["↓ lower is better"] if any(head.lower for head in sheet.heads) else []
    cut = dict.fromkeys(", ".join(entry.reduced) for *_, entry in places if entry.reduced)
    told += [f"{CUT} reduced by the budget {sheet.budget}: {'; or '.join(cut)}; no verdict"] if cut else []
    told += [f"{line.title} on {head.dataset} FAILED: {why}" for line, head, entry in places for why in reasons(entry)]
    told += [_of_starts(*place) for place in places if place[2].starts is not None]
    told += [f"no data: {entry.missing}" for *_, entry in places if entry.missing]
    told += [f"not run: {', '.join(quoted)}: as published" for quoted in [_quoted(sheet)] if quoted]
    told += [f"not run: {line.title}: {e.not_run}" for line, _, e in places if e.not_run and not _is_printed(line)]
    told += [line.note for line in sheet.lines if line.note] + list(sheet.notes)
    return list(dict.fromkeys(told))


def reasons(entry: Entry) -> list[str]:
    """Why seeds failed, each reason once: *seeds 0, 2: the loss is NaN*."""
    by_reason: dict[str, list[str]] = {}
    for text in entry.failed:
        seed, _, reason = text.removeprefix("seed ").partition(": ")
        by_reason.setdefault(reason, []).append(seed)
    return [f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}: {reason}" for reason, seeds in by_reason.items()]


def _of_starts(line: Line, head: Head, entry: Entry) -> str:
    """What all starts came to whose best ones a place is about."""
    mean = f"{head.metric} {entry.starts:.{head.decimals}f} in the mean of all starts, where they were ranked"
    return f"{system(line)} on {head.dataset}: {mean}"


def _quoted(sheet: Sheet) -> list[str]:
    """Systems with figures and no place that is run."""
    return [
        line.title
        for line in sheet.lines
        if any(entry.not_run for entry in line.entries)
        and _is_printed(line)
        and not any(entry.measured or entry.failed or entry.missing or entry.waiting for entry in line.entries)
    ]


def _is_printed(line: Line) -> bool:
    return any(entry.published for entry in line.entries)


# Formats --------------------------------------------------------------------------------------------------------------


def markdown(sheet: Sheet) -> str:
    """A page: a table a data set, notes, and every measured figure with its interval."""
    lines = [f"# {escaped(heading(sheet))}", ""]
    lines += [
        f"gancluster {sheet.version}; machine: {'; '.join(sheet.machines) or 'none'}.",
        "",
    ]
    lines += ["```sh", sheet.command, "```", ""] if sheet.command else []
    for grid in grids(sheet):
        lines += [f"## {escaped(grid.title)}", ""] if grid.title else []
        lines += [_bars(row) for row in [grid.header, *grid.rows]]
        lines.insert(len(lines) - len(grid.rows), "|" + "---|" * len(grid.header))
        lines.append("")
    lines += [f"- {escaped(note)}" for note in notes(sheet)]
    if judged := list(records(sheet, only_measured=True)):
        shown = [_bars(LONG), "|" + "---|" * len(LONG), *(_bars([row[name] for name in LONG]) for row in judged)]
        lines += ["", "## Figure by figure", "", *shown]
    return "\n".join(lines) + "\n"


LONG = ["row", "data set", "metric", "published", "what it is", "measured", "95 % interval", "n", "verdict", "seconds"]


def records(sheet: Sheet, only_measured: bool = False) -> Iterator[dict[str, str]]:
    """A record an entry that has anything to tell, in words."""
    for line in sheet.lines:
        for entry, head in zip(line.entries, sheet.heads, strict=True):
            found = entry.measured
            if (found is None and only_measured) or not (entry.published or measured(entry, head)):
                continue
            spread = found.interval if found else None
            yield {
                "row": system(line),
                "data set": head.dataset,
                "metric": metric(head),
                "published": entry.published,
                "what it is": entry.what,
                "measured": measured(entry, head),
                "95 % interval": "" if spread is None else _range(spread, head),
                "n": "" if found is None else str(found.n),
                "verdict": _told(entry, head),
                "seconds": "" if found is None else f"{found.seconds:.0f}",
                "note": "; ".join([*entry.reduced, *reasons(entry), entry.missing, entry.not_run]).strip("; "),
            }


def _told(entry: Entry, head: Head) -> str:
    """The verdict with measured - published and its interval, and the seeds that may still decide it."""
    if (found := entry.verdict) is None:
        return ""
    if found.difference is None or found.interval is None:
        return found.name
    more = "" if found.seeds_needed == 0 else f"; {found.seeds_needed or 'over 1000'} more seeds needed"
    return f"{found.name}: {found.difference:+.{head.decimals}f} ({_range(found.interval, head, '+')}){more}"


def _range(pair: tuple[float, float], head: Head, sign: str = "") -> str:
    low, high = (f"{value:{sign}.{head.decimals}f}" for value in pair)
    return f"{low} to {high}"


def comma_separated(sheet: Sheet) -> str:
    """A line a figure, printed or measured, in full precision: for other programs."""
    rows = [
        {"paper": sheet.paper, "table": sheet.name, "budget": sheet.budget, "row": line.title, "method": line.method}
        | head.model_dump(include={"dataset", "metric", "unit"})
        | _flat(entry)
        for line in sheet.lines
        for entry, head in zip(line.entries, sheet.heads, strict=True)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(entry: Entry) -> dict[str, Any]:
    """An entry's values by name, nothing where there is none."""
    found, judged = entry.measured, entry.verdict
    low, high = (found.interval if found else None) or (None, None)
    return {
        "published": entry.published,
        "what": entry.what,
        **{name: getattr(found, name, None) for name in ("n", "mean", "std", "seconds")},
        **{"low": low, "high": high, "found": entry.found},
        **{"verdict": judged.name if judged else "", "difference": judged.difference if judged else None},
        **{name: "; ".join(getattr(entry, name)) for name in ("reduced", "failed")},
        **entry.model_dump(include={"missing", "not_run", "waiting", "unscored"}),
    }


def latex(sheet: Sheet) -> str:
    """A `tabular` a data set, by booktabs: published and measured side by side."""
    blocks = [f"% {heading(sheet)}; needs \\usepackage{{booktabs}}"]
    blocks += [f"% {note}" for note in notes(sheet, "beside")]
    for dataset, places in by_dataset(sheet):
        heads = [sheet.heads[place] for place in places]
        spans = [f"\\cmidrule(lr){{{2 * i + 2}-{2 * i + 3}}}" for i in range(len(places))]
        blocks += ["", f"% {dataset}" if dataset else "%", f"\\begin{{tabular}}{{l{'rr' * len(places)}}}", "\\toprule"]
        blocks.append(_row(_tex(dataset), *(f"\\multicolumn{{2}}{{c}}{{{_tex(metric(h))}}}" for h in heads)))
        blocks += ["".join(spans), _row("", *["published", "measured"] * len(places)), "\\midrule"]
        for line in sheet.lines:
            pairs = [
                (line.entries[place].published, measured(line.entries[place], sheet.heads[place])) for place in places
            ]
            blocks.append(_row(_tex(system(line)), *(_tex(text) for pair in pairs for text in pair)))
        blocks += ["\\bottomrule", "\\end{tabular}"]
    return "\n".join(blocks) + "\n"


_TEX = {"\\": r"\textbackslash{}", "±": r"$\pm$", "†": r"$^\dagger$", "↓": r"$\downarrow$", "–": "--"}
_TEX |= {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}"} | {sign: "\\" + sign for sign in "&%$#_{}"}


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in text)


def _row(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def html_table(sheet: Sheet) -> str:
    """The tables alone, without style or script, for a page to hold."""
    parts = [f"<section>\n<h2>{html.escape(heading(sheet))}</h2>"]
    for grid in grids(sheet):
        head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in grid.header)
        parts += [
            "<table>",
            f"<caption>{html.escape(grid.title)}</caption>",
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
        ]
        for title, *cells in grid.rows:
            body = "".join(f"<td>{'<br>'.join(map(html.escape, text.splitlines()))}</td>" for text in cells)
            parts.append(f'<tr><th scope="row">{html.escape(title)}</th>{body}</tr>')
        parts += ["</tbody>", "</table>"]
    parts += ["<ul>", *(f"<li>{html.escape(note)}</li>" for note in notes(sheet)), "</ul>", "</section>"]
    return "\n".join(parts) + "\n"


def json_text(sheet: Sheet) -> str:
    """The sheet itself, to be read by `Sheet.model_validate_json`."""
    return sheet.model_dump_json(indent=1) + "\n"


FORMATS: dict[str, Callable[[Sheet], str]] = {
    "md": markdown,
    "tex": latex,
    "csv": comma_separated,
    "json": json_text,
    "html": html_table,
}
"""What a sheet can be written as, by the ending of the file."""


def rendered(sheet: Sheet, ending: str) -> str:
    """The sheet in the format of that ending; `UnknownName` where there is none."""
    if ending not in FORMATS:
        raise UnknownName(unknown("format", ending, FORMATS))
    return FORMATS[ending](sheet)


def _bars(cells: list[str]) -> str:
    return "| " + " | ".join(escaped(text) for text in cells) + " |"


def escaped(text: str) -> str:
    """Text as Markdown shows it: no tags of its own, no bars, lines broken in a cell."""
    return html.escape(text, quote=False).replace("|", r"\|").replace("\n", "<br>")
