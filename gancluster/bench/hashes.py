"""Cells of shallow hashes, which stand in the place of methods where a table is about retrieval."""

from __future__ import annotations

import time

import torch

from gancluster import hashing
from gancluster.bench import measures
from gancluster.bench.cells import Cell
from gancluster.data.dataset import Dataset
from gancluster.engine import device
from gancluster.errors import DataError, UserError
from gancluster.runs.run import Request, Run
from gancluster.runs.training import task_of


def request(cell: Cell, dataset: Dataset, command: str) -> Request:
    """What a hash is asked for, as a run that has neither preset nor options; `DataError` where nothing has labels."""
    if dataset.labels is None:
        raise DataError(f"{dataset.name} has no labels, so nothing says what a search should find: add labels")
    return Request(
        method=cell.method,
        preset="default",
        options={},
        dataset=dataset.name,
        source=cell.dataset,
        features=cell.features,
        split=cell.split,
        limit=cell.limit,
        sha256=dataset.sha256,
        scored_by=dataset.labels_sha256,
        seed=cell.seed,
        device="cpu",
        precision="float32",
        threads=1,
        command=command,
        **task_of(dataset, cell.clusters)._asdict(),
    )


def carry_out(run: Run, dataset: Dataset) -> None:
    """Hash all samples and search among them; the run is finished with the scores of every length that can be had.

    `UserError` where none can.
    """
    if run.status != "unfinished" or dataset.labels is None:
        return
    device.use_threads(run.request.threads)
    hash_, samples, seed = hashing.named(run.request.method), hashing.flattened(dataset), run.request.seed
    started, evidence, refusals = time.monotonic(), measures.Evidence(), list[UserError]()
    for bits in measures.BITS:
        try:
            evidence |= measures.packed(hash_.fit(samples, bits, seed).encode(samples))
        except UserError as error:  # few samples or narrow ones may carry some of the lengths only
            refusals.append(error)
    if not evidence:
        raise refusals[0]
    scores = measures.scored(run.request, dataset.labels, evidence)
    measures.put_down(run, scores, evidence | {"labels": dataset.labels})
    how = {"status": "finished", "row": run.request.method, "scores": None}
    cost = {"seconds": round(time.monotonic() - started, 1), "machine": device.machine(torch.device("cpu"))}
    run.finish(how | {"extensions": [], "warnings": [], "restarts": []} | cost)
