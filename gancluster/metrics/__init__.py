"""How good a clustering is; imports neither torch nor scikit-learn, so scoring starts at once."""

from gancluster.metrics import internal, statistics, toys
from gancluster.metrics.clustering import (
    COMPARABLE,
    accuracy,
    ari,
    class_majority,
    cluster_majority,
    contingency,
    empty_clusters,
    error,
    largest_share,
    matching,
    nmi,
    scores,
)
from gancluster.metrics.hamming import Histograms, hamming_distances, histograms
from gancluster.metrics.retrieval import (
    Orders,
    average_precision,
    precision_at,
    retrieval_scores,
    split_queries,
)

__all__ = [
    "COMPARABLE",
    "Histograms",
    "Orders",
    "accuracy",
    "ari",
    "average_precision",
    "class_majority",
    "cluster_majority",
    "contingency",
    "empty_clusters",
    "error",
    "hamming_distances",
    "histograms",
    "internal",
    "largest_share",
    "matching",
    "nmi",
    "precision_at",
    "retrieval_scores",
    "scores",
    "split_queries",
    "statistics",
    "toys",
]
