"""Claim: exact retrieval scores cost several times less than a sort a query, and than the ranking that faiss makes.

1000 queries are searched in 69,000 codes of 32 and 64 bits, at random or in ten noisy blocks (or `--codes FILE.npz`):

    exact            this package: precision@1000, mAP, mAP@1000, expected, worst and best over all orders of ties
    exact and fixed  the same with the values of one fixed order, which take a sort: `retrieval_scores` as it stands
    argsort          as retrieval code has it: a matrix product gives a query's distances, np.argsort its ranking
    radix sort       the fastest that numpy sorts: the same packed distances as ours, bytes, by a stable argsort
    faiss            IndexBinaryFlat's full ranking (by counting, which is faster than its heap), 100 queries at a time
    faiss, unscored  the time that the search took of that

A sort and faiss score one order of ties. Every measurement is a process of its own, in turn, on as many threads; its
memory is what it added to the process at its peak. Prints medians, writes JSON.

    OMP_NUM_THREADS=1 python benchmarks/retrieval.py [--codes FILE.npz] [--gallery 69000] [--queries 1000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gancluster.engine.device import machine
from gancluster.metrics import average_precision, hamming_distances, histograms, precision_at, retrieval_scores
from gancluster.metrics.retrieval import split_queries

AT_ONCE = 100  # queries that faiss ranks at a time: 83 MB of distances and places
CLASSES = 10


class Search(NamedTuple):
    """Codes and labels, and how many are queries; k is 1000, or all of a smaller gallery."""

    codes: NDArray[np.bool_]
    labels: NDArray[np.int64]
    queries: int

    @property
    def parts(self) -> tuple[NDArray[Any], ...]:
        """Codes of queries and gallery, and labels of both, as `retrieval_scores` splits them."""
        asked, items = split_queries(len(self.codes), self.queries)
        return self.codes[asked], self.codes[items], self.labels[asked], self.labels[items]

    @property
    def k(self) -> int:
        return min(1000, len(self.codes) - self.queries)


Scores = NDArray[np.float64]  # precision@k, mAP, mAP@k


def exact(search: Search) -> Scores:
    counts, k = histograms(*search.parts), search.k
    found = precision_at(counts, k), average_precision(counts), average_precision(counts, k)
    return np.array([orders.expected.mean() for orders in found])


def exact_and_fixed(search: Search) -> Scores:
    found = retrieval_scores(search.codes, search.labels, search.queries, k=search.k)
    return np.array([orders["fixed"] for orders in found["scores"].values()])


def argsort(search: Search) -> Scores:
    query_codes, gallery_codes, query_labels, labels = search.parts
    signs, others = (2 * codes.astype(np.float32) - 1 for codes in (query_codes, gallery_codes))
    rankings = (np.argsort(0.5 * (len(query) - others @ query)) for query in signs)
    return scored(rankings, query_labels, labels, search.k)


def radix_sort(search: Search) -> Scores:
    query_codes, gallery_codes, query_labels, labels = search.parts
    blocks = (
        hamming_distances(block, gallery_codes) for block in np.array_split(query_codes, -(-search.queries // 100))
    )
    rankings = (np.argsort(distance, kind="stable") for block in blocks for distance in block)
    return scored(rankings, query_labels, labels, search.k)


def by_faiss(search: Search) -> Scores:
    """The scores of faiss's ranking, and fourth the seconds of the search."""
    query_codes, gallery_codes, query_labels, labels = search.parts
    seconds = []

    def rankings() -> Iterable[NDArray[np.int64]]:
        index = faiss.IndexBinaryFlat(query_codes.shape[1])
        index.use_heap = False
        index.add(np.packbits(gallery_codes, axis=1))
        queries = np.packbits(query_codes, axis=1)
        for start in range(0, len(queries), AT_ONCE):
            started = time.perf_counter()
            _, places = index.search(queries[start : start + AT_ONCE], len(labels))
            seconds.append(time.perf_counter() - started)
            yield from places

    return np.append(scored(rankings(), query_labels, labels, search.k), sum(seconds))


def scored(rankings: Iterable[NDArray[Any]], query_labels: Any, labels: Any, k: int) -> Scores:
    """Means over queries of what their rankings score."""
    found = []
    for ranking, label in zip(rankings, query_labels, strict=True):
        ranks = np.flatnonzero(labels[ranking] == label) + 1
        precisions, first = np.arange(1, len(ranks) + 1) / ranks, int((ranks <= k).sum())
        found.append((first / k, precisions.sum() / max(len(ranks), 1), precisions[:first].sum() / max(first, 1)))
    return np.mean(found, axis=0)


TASKS: dict[str, Callable[[Search], Scores]] = {
    "exact": exact,
    "exact and fixed": exact_and_fixed,
    "argsort": argsort,
    "radix sort": radix_sort,
    "faiss": by_faiss,
}


def made(kind: str, gallery: int, queries: int, bits: int) -> Search:
    """Random codes; or one block of ones a class, with a fiftieth of the bits flipped and a twentieth misplaced."""
    rng = np.random.default_rng(0)
    n = gallery + queries
    labels = rng.integers(0, CLASSES, n)
    if kind == "random":
        return Search(rng.random((n, bits)) < 0.5, labels, queries)
    blocks = np.arange(bits) * CLASSES // bits == np.arange(CLASSES)[:, None]
    cluster = np.where(rng.random(n) < 0.05, rng.integers(0, CLASSES, n), labels)
    return Search(blocks[cluster] ^ (rng.random((n, bits)) < 0.02), labels, queries)


def in_its_own_process(task: Callable[[Search], Scores], search: Search, threads: int) -> tuple[float, float, Scores]:
    """Seconds, peak memory added in MB, and scores; ten queries before the clock starts warm it up."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        faiss.omp_set_num_threads(threads)
        with threadpool_limits(threads):
            task(search._replace(queries=10, codes=search.codes[:1010], labels=search.labels[:1010]))
            before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
            scores = task(search)
            seconds = time.perf_counter() - started
        sender.send((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, scores))

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    found: tuple[float, float, Scores] = receiver.recv()
    child.join()
    return found


def measure(search: Search, repeats: int, threads: int) -> dict[str, Any]:
    """Medians of all tasks on one search, in turn; `AssertionError` where two that score the same order differ."""
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    scores: dict[str, Scores] = {}
    for _ in range(repeats):
        for name, task in TASKS.items():
            taken, added, scores[name] = in_its_own_process(task, search, threads)
            seconds.setdefault(name, []).append(taken)
            memory.setdefault(name, []).append(added)
        seconds.setdefault("faiss, unscored", []).append(float(scores["faiss"][3]))
    assert np.allclose(scores["exact and fixed"], scores["radix sort"], atol=1e-9)
    return {
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "megabytes": {name: statistics.median(values) for name, values in memory.items()},
        "times_exact": {
            name: statistics.median(np.divide(values, seconds["exact"]).tolist()) for name, values in seconds.items()
        },
        "scores": {name: found[:3].tolist() for name, found in scores.items()},
        "all": seconds,
    }


def searches(options: argparse.Namespace) -> dict[str, Callable[[], Search]]:
    """What is searched, by name."""
    if options.codes is not None:
        with np.load(options.codes) as stored:
            codes, labels = stored["codes"].astype(bool), stored["labels"].astype(np.int64)
        return {f"{options.codes.name}, {codes.shape[1]} bits": lambda: Search(codes, labels, options.queries)}
    return {
        f"{kind}, {bits} bits": partial(made, kind, options.gallery, options.queries, bits)
        for kind in ("random", "clustered")
        for bits in (32, 64)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--codes", type=Path)
    parser.add_argument("--gallery", type=int, default=69_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("retrieval.json"))
    options = parser.parse_args()
    results = {}
    for title, build in searches(options).items():
        results[title] = measure(build(), options.repeats, options.threads)
        print(title)
        for name, seconds in results[title]["seconds"].items():
            added = results[title]["megabytes"].get(name)
            size = f"{added:7.0f} MB" if added is not None else " " * 10
            print(f"  {name:16} {seconds:8.3f} s {size} {results[title]['times_exact'][name]:7.1f} x exact")
    facts = {name: getattr(options, name) for name in ("gallery", "queries", "repeats", "threads")}
    content = {"what": "seconds to score a Hamming search", **facts, "machine": machine(torch.device("cpu"))}
    options.output.write_text(json.dumps(content | {"searches": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
