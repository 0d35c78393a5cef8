"""Shallow hashes, the baselines of ClusterGAN's table of retrieval: samples in, bits out; no torch, no labels."""

from gancluster.errors import UnknownName
from gancluster.hashing.base import Codes, Fitted, Hash
from gancluster.hashing.codes import flattened, save
from gancluster.hashing.kmeans_hashing import kmh
from gancluster.hashing.linear import itq, lsh, pcah
from gancluster.hashing.spectral import speh
from gancluster.hashing.spherical import sphh
from gancluster.registry import unknown

HASHES: dict[str, Hash] = {
    "kmh": Hash("KMH", "K-means hashing, He, Wen and Sun 2013", kmh),
    "sphh": Hash("SphH", "spherical hashing, Heo et al. 2012", sphh),
    "speh": Hash("SpeH", "spectral hashing, Weiss, Torralba and Fergus 2008", speh),
    "pcah": Hash("PCAH", "signs of principal components, Wang et al. 2010", pcah),
    "lsh": Hash("LSH", "signs of random projections, Charikar 2002", lsh),
    "itq": Hash("ITQ", "iterative quantisation, Gong and Lazebnik 2011", itq),
}
"""Every hash by name, in the order of the paper's table."""


def named(name: str) -> Hash:
    """The hash called `name`; `UnknownName` suggests others."""
    if name not in HASHES:
        raise UnknownName(unknown("hash", name, HASHES))
    return HASHES[name]


__all__ = ["HASHES", "Codes", "Fitted", "Hash", "flattened", "named", "save"]
