"""How good a clustering is; imports neither torch nor scikit-learn, so scoring starts at once."""

from gancluster.metrics.clustering import (
    COMPARABLE,
    accuracy,
    ari,
    class_majority,
    cluster_majority,
    contingency,
    empty_clusters,
    largest_share,
    matching,
    nmi,
    scores,
)

__all__ = [
    "COMPARABLE",
    "accuracy",
    "ari",
    "class_majority",
    "cluster_majority",
    "contingency",
    "empty_clusters",
    "largest_share",
    "matching",
    "nmi",
    "scores",
]
