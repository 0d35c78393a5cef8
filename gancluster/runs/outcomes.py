"""What came out of a run, however its clusters were found: arrays in its folder, sizes and scores in its result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster import metrics
from gancluster.data.dataset import Dataset
from gancluster.methods.base import Prediction
from gancluster.runs.run import Run


def put_down(
    run: Run, dataset: Dataset, found: Prediction, arrays: dict[str, NDArray[np.float32]], extensions: list[str]
) -> dict[str, Any]:
    """Write the clusters that each rule found beside `arrays`, and score them where there are labels: a result."""
    request, labels = run.request, dataset.labels
    labels = labels if labels is not None and (labels >= 0).any() else None
    named = {f"clusters/{rule}": clusters for rule, clusters in found.items()}
    run.write_arrays(arrays | named | ({} if labels is None else {"labels": labels}))
    told = request.n_labels > 0
    return {
        "status": "finished",
        "row": f"{request.method}{'+' * bool(extensions)}{f', best of {request.starts} starts' * (request.starts > 1)}",
        "extensions": extensions,
        "scores": None
        if labels is None
        else {rule: metrics.scores(labels, clusters, request.n_clusters, told) for rule, clusters in found.items()},
        "sizes": {
            rule: np.bincount(clusters, minlength=request.n_clusters).tolist() for rule, clusters in found.items()
        },
    }
