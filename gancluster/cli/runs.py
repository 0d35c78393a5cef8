"""`gancluster runs`: every run below the runs folder, the newest first."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gancluster.cli.options import RUNS, Json, RunsDir


def runs(as_json: Json = False, runs_dir: RunsDir = RUNS) -> None:
    """List the runs, the newest first."""
    from rich.console import Console
    from rich.table import Table

    from gancluster.errors import RunError
    from gancluster.plain import plain
    from gancluster.runs.finding import every

    rows, damaged = [], list[RunError]()
    for run in every(runs_dir, damaged):
        result = run.result() if run.status != "unfinished" else {}
        scores = next(iter((result.get("scores") or {"": {}}).values()))
        rows.append(
            {
                "run": str(run.folder),
                "method": result.get("row", run.request.method),
                "dataset": run.request.dataset,
                "seed": run.request.seed,
                "status": run.status,
                "acc": scores.get("acc"),
                "nmi": scores.get("nmi"),
                "seconds": result.get("seconds"),
            }
        )
    for error in damaged:
        print(f"passed over: {plain(str(error))}", file=sys.stderr)
    if as_json:
        print(json.dumps(rows))
        return
    table = Table(title=f"{len(rows)} runs in {runs_dir}")
    for name in ("run", "method", "dataset", "seed", "status", "acc", "nmi", "seconds"):
        table.add_column(name, overflow="fold", justify="left" if name in {"run", "method", "dataset"} else "right")
    for row in rows:
        row["run"] = Path(row["run"]).name
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else "–" if v is None else str(v) for v in row.values()))
    Console(markup=False).print(table)
