"""Documents as vectors: the R8 part of Reuters-21578, a small stand-in that is not the papers' Reuters10k."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset, Source
from gancluster.data.reading import all_of, arrays, reading
from gancluster.data.splits import Split, parts
from gancluster.errors import DataError

FILE = "reuters-r8/reuters_r8_tfidf2000.npz"


def reuters_r8(data_dir: Path, split: Split) -> Dataset:
    """5,485 + 2,189 documents as tf-idf over their 2,000 most frequent words, rows of unit length; 8 uneven classes."""
    from scipy.sparse import csr_matrix

    path = data_dir / FILE
    stored = arrays(path, "data", "indices", "indptr", "shape", "labels", "label_names", "is_train")
    data, indices, indptr, shape, labels, names, is_train = stored
    with reading(path):
        words = csr_matrix((data, indices, indptr), shape=tuple(shape))
        words.check_format(full_check=True)
        order = np.concatenate([np.flatnonzero(is_train == (part == "train")) for part in parts(split)])
        inputs = words[order].toarray().astype(np.float32, copy=False)
        labels = labels[order].astype(np.int64)
    require_weights("reuters-r8", inputs)
    return Dataset("reuters-r8", inputs, labels, len(names), split, label_names=tuple(map(str, names)))


def require_weights(name: str, inputs: NDArray[np.float32]) -> None:
    """`DataError` unless all weights of words in `inputs` `(n, d)` are 0 or more, and every document has a word."""
    if inputs.min() < 0:
        row, word = (int(i) for i in np.argwhere(inputs < 0)[0])
        raise DataError(f"{name} has negative weights, the first of word {word} in row {row}: tf-idf has none, mend it")
    empty = np.flatnonzero(~inputs.any(1))
    if len(empty):
        raise DataError(f"{name} has {len(empty)} documents without a word, the first in row {empty[0]}: drop them")


REUTERS_R8 = Source(
    "5,485 + 2,189 newswire documents, 2,000 tf-idf words, 8 uneven classes",
    reuters_r8,
    files=all_of(FILE),
    wanted=FILE,
)
