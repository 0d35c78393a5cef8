"""`gancluster doctor [RUN]`: whether a finished run collapsed, since when, and what to try."""

from __future__ import annotations

import json

from gancluster.cli.options import RUNS, AnyRun, Json, RunsDir


def doctor(run: AnyRun = None, as_json: Json = False, runs_dir: RunsDir = RUNS) -> None:
    """Diagnose a run from its log, without labels: is it well, or collapsed, since when, and what to try."""
    from gancluster.errors import UserError
    from gancluster.methods.base import Fit
    from gancluster.runs import doctor
    from gancluster.runs.attempts import configured, method_of
    from gancluster.runs.finding import find

    found = find(runs_dir, run)
    if isinstance(configured(found.request), Fit):
        raise UserError(f"{found.request.method} plays no game that could collapse: name another run")
    rows = [{str(key): value for key, value in row.items() if value == value} for row in found.log().to_dict("records")]
    told = doctor.diagnosis(method_of(found.request), found.request, rows, found.result().get("reason", ""))
    if as_json:
        print(json.dumps(told))
        return
    well = [f"{found.folder} shows no sign of a collapse in its last epoch"]
    for line in doctor.told(told) if told else well:
        print(line)
