"""Every method as a scikit-learn clusterer: `from gancluster.estimators import ClusterGAN`.

A class is made of a method, a plug-in's too, when it is first asked for; its parameters are those of a training and the
fields of the method's `Config`. `fit` is the run that `gancluster train` makes of these samples, seed and options, to
the same bytes, in a temporary folder of which the estimator keeps what it needs.
"""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, make_dataclass
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import sklearn
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from gancluster import metrics, registry
from gancluster.data.batches import Batches
from gancluster.data.catalogue import checked
from gancluster.data.dataset import Dataset
from gancluster.data.files import as_inputs, encoded
from gancluster.engine.trained import Trained
from gancluster.errors import Interrupted, UserError
from gancluster.methods.base import Fit, Method
from gancluster.metrics.internal import silhouette
from gancluster.runs.attempts import configured, method_of
from gancluster.runs.fits import flat
from gancluster.runs.run import Request, Run
from gancluster.runs.training import TrainOptions, plan, train, trained, validated

JUDGED = 2000  # samples that a silhouette is taken of, at most
AS_PRESET = "preset"  # the default of a method's options
RENAMED = {"--clusters": "n_clusters", "--seed": "random_state"}  # other options of the command line keep their names


class Parameter(NamedTuple):
    """One parameter of an estimator, and what `help` says of it."""

    name: str
    annotation: Any
    default: int | str
    description: str


class Clusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """What every method can do.

    After `fit`: `labels_` `(n,)` in `0 .. n_clusters - 1`; `centres_`, where the paper's rule has any; `request_`: all
    that the run was asked for.
    """

    method: ClassVar[str]
    n_clusters: int
    preset: str
    random_state: Any

    def fit(self, X: Any, y: ArrayLike | None = None) -> Clusterer:
        """Cluster vectors `(n, d)`, sparse ones too, or images `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)`.

        `y` is not looked at, but by a semi-supervised method that is given `labels`: it learns from so many of `y`,
        where -1 is a sample without one. Raises ValueError for what cannot be clustered and RuntimeError where training
        fails; warns of what looks like a collapse.
        """
        with _undisturbed(), tempfile.TemporaryDirectory(prefix="gancluster-") as folder:
            dataset = self._dataset(X, y if getattr(self, "labels", 0) else None)
            run = Run.place(Path(folder), self._request(dataset))
            result = train(run, dataset, save_every=math.inf)
            if result["status"] == "failed":
                raise RuntimeError(f"{self.method} failed: {result['reason']}")
            arrays, rule = run.arrays(), next(iter(result["sizes"]))
            self.labels_, self.centres_ = arrays[f"clusters/{rule}"], arrays["centres"]
            self.request_, self._weights = run.request, _weights(run)
        for text in result["warnings"]:
            warnings.warn(_renamed(text), ConvergenceWarning, stacklevel=2)
        return self

    def _places_new(self) -> bool:
        """Whether samples can be placed that were not fitted; before the fit, nobody knows."""
        if hasattr(self, "centres_") and not self._weights and not len(self.centres_):
            raise AttributeError(f"{self.method} clusters the samples that it is given and no others: fit it on these")
        return True

    @available_if(_places_new)  # type: ignore[untyped-decorator]
    def predict(self, X: Any) -> NDArray[np.int64]:
        """Clusters `(n,)` of samples of the fitted kind, by the paper's rule."""
        check_is_fitted(self)
        batches = self._batches(X)
        if not self._weights:
            return np.asarray(pairwise_distances_argmin(flat(batches), self.centres_), np.int64)
        players = self._players()
        return next(iter(players.method.assign(players.embed(batches), self.centres_).values()))

    @available_if(_places_new)  # type: ignore[untyped-decorator]
    def score(self, X: Any, y: ArrayLike | None = None) -> float:
        """ACC of `predict(X)` against the labels `y`, in [0, 1]; without any, its silhouette, in [-1, 1].

        The silhouette is that of 2,000 samples at most, among their features where the method has such.
        """
        clusters = self.predict(X)
        if y is not None:
            with _in_words_of_python():
                labels, _ = encoded(np.asarray(y), "y")
                return metrics.scores(() if labels is None else labels, clusters)["acc"]
        batches = self._batches(X)
        space = self._players().features(batches) if self._weights else flat(batches)
        some = np.random.default_rng(self.request_.seed).permutation(len(clusters))[:JUDGED]
        return silhouette(space[some], clusters[some])

    def _request(self, dataset: Dataset) -> Request:
        """What `gancluster train` would ask for."""
        options = registry.find("methods", self.method).config_type.model_fields
        values = {name: _plain(value) for name, value in self.get_params().items()}
        given = {n: v for n, v in values.items() if n in options and v != AS_PRESET}
        asked = {name: value for name, value in values.items() if name in TrainOptions.model_fields}
        asked |= {"dataset": dataset.name, "clusters": values["n_clusters"], "seed": _seed(self.random_state)}
        return plan(self.method, dataset, validated(TrainOptions, asked), given)[0]

    def _players(self) -> Trained:
        """The trained players, made anew: weights alone can be pickled, whatever the networks are."""
        method = method_of(self.request_)
        with torch.random.fork_rng(devices=[]):
            modules = method.players()
        for name, module in modules.items():
            module.load_state_dict(self._weights[name])
            module.train(name not in method.encoders())
        return Trained(method, modules, torch.device("cpu"))

    def _dataset(self, X: Any, y: ArrayLike | None) -> Dataset:
        inputs = self._inputs(X, reset=True)
        labels, names = (None, None) if y is None else encoded(np.asarray(y), "y")
        return checked(Dataset("X", inputs, labels, None if names is None else len(names), label_names=names))

    def _batches(self, X: Any) -> Batches:
        with _in_words_of_python():
            dataset = Dataset("X", self._inputs(X, reset=False), None, None, pixel_range=self.request_.pixel_range)
        if dataset.shape != self.request_.shape:
            raise ValueError(f"X has samples of shape {dataset.shape}; fit was given {self.request_.shape}")
        return Batches(dataset)

    def _inputs(self, X: Any, reset: bool) -> NDArray[np.uint8] | NDArray[np.float32]:
        """`X` as a data set stores it, after scikit-learn's own checks; the features of an image are all its values."""
        images = getattr(X, "ndim", 2) > 2
        how: Any = {"dtype": "numeric" if images else np.float32, "ensure_min_samples": 2 if reset else 1}
        if images and not reset:
            return as_inputs(check_array(X, allow_nd=True, **how), "X")
        found = validate_data(self, X, reset=reset, accept_sparse=True, allow_nd=True, **how)
        inputs = as_inputs(found.toarray() if hasattr(found, "toarray") else found, "X")
        self.n_features_in_ = math.prod(inputs.shape[1:])
        return inputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.three_d_array = True
        return tags


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin):  # type: ignore[misc]
    """What a method with networks can do beside."""

    request_: Request
    _batches: Callable[[Any], Batches]
    _players: Callable[[], Trained]

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The features `(n, m)` that stand for samples, as `gancluster embed` writes them."""
        check_is_fitted(self)
        return self._players().features(self._batches(X))

    @property
    def _n_features_out(self) -> int:
        shape = self.request_.shape
        blank = np.zeros((1, *shape), np.float32 if len(shape) == 1 else np.uint8)
        features = self._players().features(Batches(Dataset("blank", blank, None, None)))
        return int(features.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


@cache
def of(name: str) -> type[Clusterer]:
    """The estimator of the method that is called `name` on the command line; `UnknownName` where there is none."""
    method: type[Method] | type[Fit] = registry.find("methods", name)
    parameters = _parameters(method)
    told = "".join(f"    {p.name}: {p.description}\n" for p in parameters)
    made: type[Clusterer] = make_dataclass(
        method.__name__,
        [("n_clusters", int, 8), ("_", KW_ONLY), *((p.name, p.annotation, p.default) for p in parameters)],
        bases=(Clusterer,) if issubclass(method, Fit) else (Embedder, Clusterer),
        namespace={"__module__": __name__, "__doc__": f"{method.paper}.\n\n{told}", "method": name},
        repr=False,
        eq=False,
    )
    return made


def _parameters(method: type[Method] | type[Fit]) -> list[Parameter]:
    """What can be said beside `n_clusters`: how to train, then the method's options."""
    games = ["device", "precision", "restarts", "starts", "rank_after"]
    asked = ["threads", *(games if issubclass(method, Method) else [])]
    asked = ["preset", *["labels"] * method.semi_supervised, *asked]
    training = [(name, TrainOptions.model_fields[name]) for name in asked]
    options = method.config_type.model_fields.items()
    return [
        Parameter("random_state", "int | RandomState | None", 0, "an int: same bytes again on a CPU"),
        *(Parameter(name, field.annotation, field.default, field.description or "") for name, field in training),
        *(Parameter(name, field.annotation, AS_PRESET, field.description or "") for name, field in options),
    ]


def __getattr__(name: str) -> type[Clusterer]:
    """`gancluster.estimators.ClusterGAN`: the estimator by the name of the method's class."""
    methods = {attribute: method for method, attribute in registry.attributes("methods").items()}
    if name not in methods:
        raise AttributeError(registry.unknown("estimator", name, methods))
    return of(methods[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *registry.attributes("methods").values()})


def _weights(run: Run) -> dict[str, dict[str, torch.Tensor]]:
    """Those of the trained players, by name; none of a method without a game."""
    if isinstance(configured(run.request), Fit):
        return {}
    return {name: module.state_dict() for name, module in trained(run).modules.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _seed(random_state: Any) -> int:
    return int(random_state if isinstance(random_state, Integral) else check_random_state(random_state).randint(2**31))


def _renamed(text: str) -> str:
    """A message of the command line in the words of an estimator: its options are parameters."""
    return re.sub(r"--[a-z][a-z0-9-]*", lambda at: RENAMED.get(at[0], at[0][2:].replace("-", "_")), text)


@contextmanager
def _in_words_of_python() -> Iterator[None]:
    """What the user can mend is a ValueError, and Ctrl-C the KeyboardInterrupt that it is elsewhere."""
    try:
        yield
    except UserError as error:
        raise ValueError(_renamed(str(error))) from error
    except Interrupted as error:
        raise KeyboardInterrupt from error


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Neither does a run change how this process computes, nor the process how a run does."""
    threads = torch.get_num_threads()
    try:
        with _in_words_of_python(), torch.random.fork_rng(devices=[]), sklearn.config_context(array_api_dispatch=False):
            yield
    finally:
        torch.set_num_threads(threads)
