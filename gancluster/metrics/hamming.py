"""Hamming distances of binary codes: histograms of them in place of a sort, and the order itself where it is wanted.

Codes are `(n, bits)`, booleans or integers 0 and 1; packed in words, an XOR and a population count give a distance.
Equal codes of one class are measured once. torch is loaded only where a device is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gancluster.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Bits = NDArray[np.bool_]
Labels = NDArray[np.int64]
Words = NDArray[Any]  # (words, n), unsigned
Distances = NDArray[Any]  # uint8, uint16 where codes have more than 255 bits, or uint32

_AT_ONCE = 2**24  # distances that a device holds at a time: 134 MB as the integers that are counted


class Histograms(NamedTuple):
    """Gallery items at each distance 0 .. bits of each query, int64 `(q, bits + 1)`: all, and the relevant ones."""

    items: NDArray[np.int64]
    relevant: NDArray[np.int64]


class _Distinct(NamedTuple):
    """The distinct pairs of class and code, ordered by class; `inverse` `(n,)` leads back from them."""

    words: Words
    labels: Labels
    counts: NDArray[np.int64]
    inverse: NDArray[np.intp]


def as_bits(codes: ArrayLike, name: str = "codes") -> Bits:
    """`codes` as booleans `(n, bits)`; `DataError` for floats, for anything but 0 and 1, and where there are none."""
    array = np.asarray(codes)
    if array.ndim != 2 or not array.size:
        raise DataError(f"{name} has shape {array.shape}: give one row of bits per sample, shape (n, bits)")
    if array.dtype.kind not in "biu":
        raise DataError(f"{name} must be booleans or integers 0 and 1, not {array.dtype}: threshold them first")
    if array.dtype.kind != "b" and (array.min() < 0 or array.max() > 1):
        raise DataError(f"{name} has values from {array.min()} to {array.max()}: save 0 and 1 (of -1 and 1: codes > 0)")
    return array.astype(bool, copy=False)


def as_labels(labels: ArrayLike, n: int, name: str = "labels") -> Labels:
    """`labels` of n codes as int64 `(n,)`; `DataError` where they are not one integer each."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise DataError(f"{name} has shape {array.shape} for {n} codes: give one integer per code, shape (n,)")
    if array.dtype.kind not in "iu":
        raise DataError(f"{name} must be integers, not {array.dtype}: number classes from 0, -1 for unlabelled samples")
    return array.astype(np.int64, copy=False)


def hamming_distances(queries: ArrayLike, gallery: ArrayLike) -> Distances:
    """Number of bits in which codes `(q, bits)` and `(n, bits)` differ, `(q, n)`."""
    one, other = _pair(queries, gallery)
    words, found = _packed(other), np.empty((len(one), len(other)), dtype=_distance_type(one.shape[1]))
    for query, row in zip(_packed(one).T, found, strict=True):
        _measure(query, words, row)
    return found


def distinct_codes(codes: ArrayLike) -> int:
    """How many different codes there are among `(n, bits)`."""
    bits = as_bits(codes)
    return len(_distinct(_packed(bits), np.zeros(len(bits), dtype=np.int64)).labels)


def histograms(
    query_codes: ArrayLike,
    gallery_codes: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    device: str | None = None,
) -> Histograms:
    """Distances of every query to the gallery, counted: codes `(q, bits)`, `(n, bits)`, classes `(q,)`, `(n,)`.

    An item is relevant if it has the query's class. `device`: count there with torch ("cuda", "cpu"); same counts.
    """
    one, other = _pair(query_codes, gallery_codes)
    sought, theirs = as_labels(query_labels, len(one)), as_labels(gallery_labels, len(other))
    if device is not None:
        return _histograms_on(device, one, other, sought, theirs)
    queries, (words, theirs, weights) = _distinct(_packed(one), sought), _by_class(_packed(other), theirs)
    size = one.shape[1] + 1
    found = np.empty((2, len(queries.labels), size), dtype=np.int64)
    distance = np.empty(len(theirs), dtype=_distance_type(one.shape[1]))
    starts, ends = (np.searchsorted(theirs, queries.labels, side) for side in ("left", "right"))
    for row, (query, start, end) in enumerate(zip(queries.words.T, starts, ends, strict=True)):
        _measure(query, words, distance)
        for kind, part in enumerate((slice(None), slice(start, end))):
            found[kind, row] = _count(distance[part], None if weights is None else weights[part], size)
    return Histograms(*found[:, queries.inverse])


def ranked(
    query_codes: ArrayLike,
    gallery_codes: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    device: str | None = None,
) -> Iterator[tuple[NDArray[np.intp], Bits]]:
    """Which items are relevant `(n,)`, by ascending distance and in the gallery's order where distances are equal.

    Queries of one class and code have one ranking, which comes with the places of them all. Arguments as `histograms`.
    """
    one, other = _pair(query_codes, gallery_codes)
    sought, theirs = as_labels(query_labels, len(one)), as_labels(gallery_labels, len(other))
    if device is not None:
        yield from _ranked_on(device, one, other, sought, theirs)
        return
    queries, words = _distinct(_packed(one), sought), _packed(other)
    distance = np.empty(len(other), dtype=_distance_type(one.shape[1]))
    places = np.split(np.argsort(queries.inverse, kind="stable"), queries.counts.cumsum()[:-1])
    relevant = {label: theirs == label for label in np.unique(queries.labels)}
    for query, label, where in zip(queries.words.T, queries.labels, places, strict=True):
        _measure(query, words, distance)
        yield where, relevant[label][np.argsort(distance, kind="stable")]


def _pair(queries: ArrayLike, gallery: ArrayLike) -> tuple[Bits, Bits]:
    one, other = as_bits(queries, "query_codes"), as_bits(gallery, "gallery_codes")
    if one.shape[1] != other.shape[1]:
        raise DataError(f"queries have {one.shape[1]} bits and the gallery {other.shape[1]}: give both the same number")
    return one, other


def _packed(bits: Bits) -> Words:
    """Codes `(n, bits)` in words of the least size that holds one, at most 64 bits: `(words, n)`."""
    octets = np.packbits(bits, axis=1)
    size = next((size for size in (1, 2, 4) if octets.shape[1] <= size), 8)
    padded = np.pad(octets, ((0, 0), (0, -octets.shape[1] % size)))
    return np.ascontiguousarray(padded.view(f"u{size}").T)


def _distinct(words: Words, labels: Labels) -> _Distinct:
    order = np.lexsort((*words, labels))
    words, labels = words[:, order], labels[order]
    new = np.append(True, (labels[1:] != labels[:-1]) | (words[:, 1:] != words[:, :-1]).any(axis=0))
    starts, inverse = np.flatnonzero(new), np.empty(len(order), dtype=np.intp)
    inverse[order] = new.cumsum() - 1
    counts = np.diff(starts, append=len(order))
    return _Distinct(np.ascontiguousarray(words[:, starts]), labels[starts], counts, inverse)


def _by_class(words: Words, labels: Labels) -> tuple[Words, Labels, NDArray[np.float64] | None]:
    """Codes ordered by class, so that those of one are a slice; distinct ones and their counts where that is shorter.

    A count that is weighted takes two to three times as long a code.
    """
    distinct = _distinct(words, labels)
    if 3 * len(distinct.labels) < len(labels):
        return distinct.words, distinct.labels, distinct.counts.astype(np.float64)  # exact up to 2^53
    order = np.argsort(labels, kind="stable")
    return np.ascontiguousarray(words[:, order]), labels[order], None


def _count(
    distance: Distances, weights: NDArray[np.float64] | None, size: int
) -> NDArray[np.float64] | NDArray[np.intp]:
    """How often each of 0 .. size - 1 occurs; many are counted two at a time, in a table of pairs."""
    half = len(distance) // 2
    if weights is not None or size > 2**8 or half < 4 * size**2:
        return np.bincount(distance, weights, size)
    pairs = distance[:half] * np.uint16(size)
    pairs += distance[half : 2 * half]
    table = np.bincount(pairs, minlength=size**2).reshape(size, size)
    counts: NDArray[np.intp] = table.sum(axis=0) + table.sum(axis=1)
    counts[distance[2 * half :]] += 1  # the odd one
    return counts


def _distance_type(bits: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if bits < 2**8 else np.uint16 if bits < 2**16 else np.uint32


def _measure(query: Words, gallery: Words, out: Distances) -> None:
    """Distances `(n,)` of one code, in words `(words,)`, to the gallery's `(words, n)`."""
    np.bitwise_count(gallery[0] ^ query[0], out=out)
    for word, others in zip(query[1:], gallery[1:], strict=True):
        out += np.bitwise_count(others ^ word)


def _histograms_on(device: str, one: Bits, other: Bits, query_labels: Labels, gallery_labels: Labels) -> Histograms:
    import torch

    size, found = one.shape[1] + 1, []
    for distance, relevant in _blocks(device, one, other, query_labels, gallery_labels):
        rows = torch.arange(len(distance), device=distance.device)[:, None]
        cells = (2 * rows + relevant) * size + distance
        found.append(torch.bincount(cells.flatten(), minlength=2 * size * len(distance)).view(-1, 2, size).cpu())
    irrelevant, relevant = torch.cat(found).unbind(1)
    return Histograms((irrelevant + relevant).numpy(), relevant.numpy())


def _ranked_on(
    device: str, one: Bits, other: Bits, query_labels: Labels, gallery_labels: Labels
) -> Iterator[tuple[NDArray[np.intp], Bits]]:
    place = 0
    for distance, relevant in _blocks(device, one, other, query_labels, gallery_labels):
        order = distance.sort(dim=1, stable=True).indices
        for row in relevant.gather(1, order).cpu().numpy():
            yield np.array([place]), row
            place += 1


def _blocks(
    device: str, one: Bits, other: Bits, query_labels: Labels, gallery_labels: Labels
) -> Iterator[tuple[Tensor, Tensor]]:
    """Distances, int64, and relevance `(block, n)`; the distances of ±1 codes are (bits - their product) / 2."""
    import torch

    signs, others = (torch.from_numpy(bits).to(device).float() * 2 - 1 for bits in (one, other))
    classes, theirs = (torch.from_numpy(labels).to(device) for labels in (query_labels, gallery_labels))
    rows = max(1, _AT_ONCE // len(other))
    for codes, labels in zip(torch.split(signs, rows), torch.split(classes, rows), strict=True):
        distance = (one.shape[1] - codes @ others.T) / 2
        yield distance.long(), labels[:, None] == theirs
