"""Names of plug-ins and where they live: looked up by name, imported only when used.

Built-ins stand in one table; anybody's package adds to it through the entry-point groups `gancluster.methods`,
`gancluster.datasets` and `gancluster.critics`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from gancluster.errors import UnknownName

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = Literal["methods", "datasets", "critics"]

OWN = "gancluster"  # where what is built in comes from
SINGULAR: dict[Kind, str] = {"methods": "method", "datasets": "data set", "critics": "critic"}
EXPECTED: dict[Kind, tuple[str, ...]] = {
    "methods": ("name", "paper", "config_type", "presets"),
    "datasets": (),  # the catalogue looks at these
    "critics": ("discriminator_loss", "generator_loss"),
}  # what a plug-in of a kind has, whatever it inherits from

BUILT_IN: dict[Kind, dict[str, str]] = {
    "methods": {
        "aae": "gancluster.methods.aae:AAE",
        "ac-pic": "gancluster.methods.agglomeration:ACPIC",
        "ae-kmeans": "gancluster.methods.ae_kmeans:AEKMeans",
        "agglomerative": "gancluster.methods.agglomeration:Agglomerative",
        "bayesgan": "gancluster.methods.bayesgan:BayesGAN",
        "catgan": "gancluster.methods.catgan:CatGAN",
        "clustergan": "gancluster.methods.clustergan:ClusterGAN",
        "clustergan-latent": "gancluster.methods.clustergan_latent:ClusterGANLatent",
        "dasc": "gancluster.methods.dasc:DASC",
        "dc-gmm": "gancluster.methods.dcgmm:DCGMM",
        "dcan": "gancluster.methods.dcan:DCAN",
        "dec": "gancluster.methods.dec:DEC",
        "deep-semi-nmf": "gancluster.methods.factorisation:DeepSemiNMF",
        "depict": "gancluster.methods.depict:DEPICT",
        "ganem": "gancluster.methods.ganem:GANEM",
        "ganmm": "gancluster.methods.ganmm:GANMM",
        "gmm": "gancluster.methods.classical:GMM",
        "idec": "gancluster.methods.dec:IDEC",
        "improved-gan": "gancluster.methods.improved_gan:ImprovedGAN",
        "imsat": "gancluster.methods.imsat:IMSAT",
        "infogan": "gancluster.methods.infogan:InfoGAN",
        "kmeans": "gancluster.methods.classical:KMeans",
        "ldmgi": "gancluster.methods.spectral:LDMGI",
        "louvain": "gancluster.methods.communities:LouvainCommunities",
        "meg": "gancluster.methods.lecture:MEG",
        "n-cuts": "gancluster.methods.spectral:NCuts",
        "nmf": "gancluster.methods.factorisation:NMF",
        "pca-kmeans": "gancluster.methods.classical:PCAKMeans",
        "random-encoder-kmeans": "gancluster.methods.untrained:RandomEncoderKMeans",
        "sc-ls": "gancluster.methods.spectral:SCLS",
        "sec": "gancluster.methods.spectral:SEC",
        "sn-gan": "gancluster.methods.lecture:SNGAN",
        "vade": "gancluster.methods.vade:VaDE",
        "wgan": "gancluster.methods.lecture:WGAN",
        "wgan-gp": "gancluster.methods.lecture:WGANGP",
    },
    "datasets": {
        "digits": "gancluster.data.embedded:DIGITS",
        "gaussians-8": "gancluster.data.embedded:GAUSSIANS_8",
        "gaussians-25": "gancluster.data.embedded:GAUSSIANS_25",
        "swiss-roll": "gancluster.data.embedded:SWISS_ROLL",
        "two-moons": "gancluster.data.embedded:TWO_MOONS",
        "mnist": "gancluster.data.vision:MNIST",
        "fashion-mnist": "gancluster.data.vision:FASHION_MNIST",
        "kmnist": "gancluster.data.vision:KMNIST",
        "usps": "gancluster.data.usps:USPS",
        "usps-9298": "gancluster.data.vision:USPS_9298",
        "cifar10": "gancluster.data.vision:CIFAR10",
        "cifar10-compact": "gancluster.data.compact:CIFAR10_COMPACT",
        "stl10": "gancluster.data.vision:STL10",
        "svhn": "gancluster.data.vision:SVHN",
        "celeba": "gancluster.data.celeba:CELEBA",
        "frgc": "gancluster.data.supplied:FRGC",
        "reuters10k": "gancluster.data.supplied:REUTERS10K",
        "reuters-r8": "gancluster.data.text:REUTERS_R8",
    },
    "critics": {
        "gan": "gancluster.critics:Minimax",
        "ns-gan": "gancluster.critics:NonSaturating",
        "kl-gan": "gancluster.critics:MaximumLikelihood",
        "wgan": "gancluster.critics:WassersteinClipped",
        "wgan-gp": "gancluster.critics:WassersteinGP",
        "wgan-lp": "gancluster.critics:WassersteinLP",
        "frobenius": "gancluster.critics:FrobeniusNorm",
        "sn-gan": "gancluster.critics:SpectralNorm",
        "r1": "gancluster.critics:R1",
        "meg": "gancluster.critics:MaximumEntropy",
    },
}


def origins(kind: Kind) -> dict[str, str]:
    """Every plug-in of a kind by name, and where it comes from: `OWN`, or name and version of a distribution."""
    return dict.fromkeys(BUILT_IN[kind], OWN) | {name: _distribution(point) for name, point in _added(kind)[0].items()}


def attributes(kind: Kind) -> dict[str, str]:
    """Every plug-in of a kind by name, and what its class or object is called in its module."""
    added = {name: point.value for name, point in _added(kind)[0].items()}
    return {name: place.rpartition(":")[2] for name, place in (added | BUILT_IN[kind]).items()}


def passed_over(kind: Kind) -> list[str]:
    """One line on each plug-in that is not found, since its name is taken."""
    taken = [(point.name, _distribution(point)) for point in _added(kind)[1]]
    return [f"{name} of {where} is not used: {origins(kind)[name]} has that name already" for name, where in taken]


def find(kind: Kind, name: str) -> Any:
    """Import and return the plug-in `name`; `UnknownName` says why not, or suggests near names."""
    if name in BUILT_IN[kind]:
        module, _, attribute = BUILT_IN[kind][name].partition(":")
        return getattr(import_module(module), attribute)
    if name in _added(kind)[0]:
        return _loaded(kind, _added(kind)[0][name])
    listing = {"methods": "gancluster methods", "datasets": "gancluster data list"}.get(kind)
    raise UnknownName(unknown(SINGULAR[kind], name, origins(kind), listing))


def works(kind: Kind, name: str) -> bool:
    """Whether the plug-in `name` is there and can be imported."""
    with suppress(UnknownName):
        return find(kind, name) is not None
    return False


def unknown(what: str, name: str, known: Iterable[str], listing: str | None = None) -> str:
    """One line for a name that does not exist: the nearest known names, and where all of them are listed."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return f"there is no {what} '{name}'; {hint}" + (f" (all: {listing})" if listing else "")


@cache
def _added(kind: Kind) -> tuple[dict[str, EntryPoint], list[EntryPoint]]:
    """The entry points of a kind that are found by their names, and those whose names were taken."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    taken = []
    for point in entry_points(group=f"gancluster.{kind}"):
        if point.name in BUILT_IN[kind] or point.name in found:
            taken.append(point)
        else:
            found[point.name] = point
    return found, taken


def _loaded(kind: Kind, point: EntryPoint) -> Any:
    """What an entry point names; `UnknownName` where it cannot be imported, or is something else."""
    where = f"{point.name} of {_distribution(point)}"
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # somebody else's module may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnknownName(f"{where} cannot be imported ({reason}): mend or uninstall it") from error
    for name in EXPECTED[kind]:
        if not hasattr(found, name):
            raise UnknownName(f"{where} is no {SINGULAR[kind]} (it has no '{name}'): mend or uninstall it")
    return found


def _distribution(point: EntryPoint) -> str:
    """Name and version of the package that an entry point is of."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
