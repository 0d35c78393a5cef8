"""The scikit-learn face: the command line's bytes from `fit`, and scikit-learn's manners everywhere else."""

import inspect
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gancluster import estimators, registry
from gancluster.cli.app import run
from gancluster.data.catalogue import to_predict
from gancluster.errors import Interrupted
from gancluster.estimators import GANEM, SCLS, ClusterGAN, KMeans
from gancluster.report import pictures
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, assign, trained

IMAGES = load_digits().images[:300].astype(np.uint8) * 15
NEW = load_digits().images[300:320].astype(np.uint8) * 15
POINTS = np.random.default_rng(7).standard_normal((24, 2)).astype(np.float32)
SMOKE: dict[str, Any] = {"n_clusters": 10, "preset": "smoke"}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to work in, another for what is temporary: a fit leaves nothing in either."""
    for folder in ("here", "temporary"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what smoke presets make may have collapsed
        yield
    assert [*(tmp_path / "here").iterdir(), *(tmp_path / "temporary").iterdir()] == []


@pytest.fixture(scope="module")
def fitted() -> Any:
    """ClusterGAN, fitted in smoke to images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ClusterGAN(**SMOKE, random_state=3).fit(IMAGES)


@pytest.fixture
def duel(duels: None) -> type[estimators.Clusterer]:
    """The estimator of a game that takes no time."""
    return estimators.of("duel")


# The same run as the command line's -----------------------------------------------------------------------------------


def by_command_line(folder: Path, inputs: NDArray[Any], *words: str) -> Run:
    np.savez(folder / "x.npz", inputs=inputs)
    where = ["--dataset", str(folder / "x.npz"), "--clusters", "10", "--quiet", "--runs-dir", str(folder / "runs")]
    assert run(["train", *words, *where]) == 0
    (made,) = every(folder / "runs")
    return made


def test_a_fit_is_the_run_of_the_command_line_to_the_byte(
    fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    made = by_command_line(tmp_path, IMAGES, "clustergan", "--preset", "smoke", "--seed", "3")
    assert fitted.labels_.tobytes() == made.arrays()["clusters/kmeans"].tobytes()
    assert fitted.centres_.tobytes() == made.arrays()["centres"].tobytes()
    assert fitted.request_.sha256 == made.request.sha256
    for name, module in trained(made).modules.items():
        weights = fitted._weights[name]
        assert [key for key, value in module.state_dict().items() if not torch.equal(value, weights[key])] == []
    np.savez(tmp_path / "new.npz", inputs=NEW)
    assert fitted.predict(NEW).tolist() == assign(made, to_predict(str(tmp_path / "new.npz"), tmp_path)).tolist()


def test_so_is_one_without_a_game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: None)
    vectors = IMAGES.reshape(300, -1).astype(np.float32)
    made = by_command_line(tmp_path, vectors, "kmeans")
    found = KMeans(n_clusters=10).fit(vectors)
    assert found.labels_.tobytes() == made.arrays()["clusters/kmeans"].tobytes()
    assert found.predict(vectors).tolist() == found.labels_.tolist()


def test_a_seed_can_be_drawn_and_two_seeds_differ(duel: Any) -> None:
    drawn = [duel(2, random_state=np.random.RandomState(1)).fit(POINTS) for _ in range(2)]
    assert drawn[0].request_.seed == drawn[1].request_.seed
    weights = [one.fit(POINTS)._weights["maker"]["bias"] for one in (drawn[0], duel(2, random_state=5))]
    assert not torch.equal(*weights)


def test_a_fit_leaves_threads_and_random_numbers_of_the_process_alone(duel: Any) -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    try:
        torch.set_num_threads(2)
        duel(2).fit(POINTS).predict(POINTS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), state)


# What comes out -------------------------------------------------------------------------------------------------------


def test_predict_gives_fitted_samples_their_labels_and_transform_their_features(fitted: Any) -> None:
    assert fitted.predict(IMAGES).tolist() == fitted.labels_.tolist()
    features = fitted.transform(NEW)
    assert (features.shape, features.dtype) == ((20, 100), np.float32)
    assert fitted.get_feature_names_out()[:2].tolist() == ["clustergan0", "clustergan1"]


def test_a_pickle_of_a_fitted_estimator_does_the_same(fitted: Any) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    assert again.transform(NEW).tobytes() == fitted.transform(NEW).tobytes()
    assert again.labels_.tolist() == fitted.labels_.tolist()


def test_score_is_acc_with_labels_and_the_silhouette_without(fitted: Any) -> None:
    truth = np.array(list("abcdefghij"))[load_digits().target[:300]]
    best = max(np.mean(fitted.labels_ == (load_digits().target[:300] + k) % 10) for k in range(10))
    assert best <= fitted.score(IMAGES, truth) <= 1
    assert fitted.score(IMAGES, fitted.labels_) == 1
    assert -1 <= fitted.score(IMAGES) <= 1
    with pytest.raises(ValueError, match="labels"):
        fitted.score(IMAGES, np.linspace(0, 1, 300))


def test_a_method_that_places_no_new_samples_has_no_predict_once_fitted() -> None:
    found = SCLS(n_clusters=3, landmarks=20).fit(load_iris().data)
    assert not hasattr(found, "predict")
    assert not hasattr(found, "score")
    with pytest.raises(AttributeError) as caught:
        found.predict(load_iris().data)
    assert "sc-ls clusters the samples that it is given and no others" in str(caught.value.__cause__)
    with pytest.raises(NotFittedError):
        SCLS().predict(POINTS)


def test_a_collapse_is_a_warning_and_a_failure_an_error(duel: Any) -> None:
    with pytest.warns(ConvergenceWarning, match="1 of 3 clusters are empty; try more restarts"):
        duel(3).fit(POINTS)
    with pytest.raises(RuntimeError, match=r"duel failed: .* became non-finite at step 1"):
        duel(2, fails_for=0).fit(POINTS)


# What goes in ---------------------------------------------------------------------------------------------------------


def test_images_may_have_any_usual_shape(fitted: Any) -> None:
    wanted = fitted.predict(NEW)
    for form in (NEW[:, None], NEW[..., None], NEW.astype(float), NEW / 255):
        assert fitted.predict(form).tolist() == wanted.tolist()
    with pytest.raises(ValueError, match=r"X has samples of shape \(1, 8, 4\); fit was given \(1, 8, 8\)"):
        fitted.predict(NEW[:, :, :4])


def test_sparse_samples_and_data_frames_are_as_good_as_dense_ones(duel: Any) -> None:
    frame = pd.DataFrame(POINTS, columns=["east", "north"])
    dense, framed = duel(2).fit(POINTS), duel(2).fit(frame)
    sparse = duel(2).fit(scipy.sparse.csr_array(POINTS))
    assert dense.labels_.tolist() == sparse.labels_.tolist() == framed.labels_.tolist()
    assert framed.feature_names_in_.tolist() == ["east", "north"]
    assert framed.n_features_in_ == 2
    out = framed.set_output(transform="pandas").transform(frame)
    assert list(out.columns) == ["duel0"]
    with pytest.raises(ValueError, match="feature names should match"):
        framed.predict(frame.rename(columns={"east": "west"}))


def test_a_preset_s_batches_fit_few_samples_and_one_s_own_must() -> None:
    few = load_iris().data[::3]
    found = ClusterGAN(n_clusters=3, preset="smoke", epochs=1).fit(few)
    options = found.request_.options
    assert (options["batch_size"], options["warmup_batch_size"], options["epochs"]) == (48, 48, 1)
    with pytest.raises(ValueError, match="the adversarial phase takes batches of 51, but there are 50 samples"):
        ClusterGAN(n_clusters=3, preset="smoke", batch_size=51).fit(few)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"preset": "smok"}, "there is no preset 'smok'; did you mean smoke?"),
        ({"n_clusters": 25}, "24 samples cannot be 25 clusters: let n_clusters be 1 to 24"),
        ({"random_state": -1}, "random_state -1: input should be greater than or equal to 0"),
        ({"batch_size": 1}, "batch_size 1: input should be greater than or equal to 2"),
        ({"device": "tpu"}, "there is no device 'tpu'; use auto, cpu, cuda or cuda:N"),
    ],
)
def test_what_cannot_be_is_a_value_error_of_one_line_in_the_words_of_python(
    duel: Any, asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its whole text is looked at
        duel(**{"n_clusters": 2} | asked).fit(POINTS)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)


def test_ctrl_c_is_what_it_is_elsewhere(duel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise Interrupted

    monkeypatch.setattr(estimators, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        duel(2).fit(POINTS)


# Labels ---------------------------------------------------------------------------------------------------------------


def test_y_is_not_looked_at(duel: Any) -> None:
    blind = duel(2).fit(POINTS)
    told = duel(2).fit(POINTS, (POINTS[:, 0] > 0).astype(int))
    assert blind.request_ == told.request_
    assert blind._weights["seeker"]["weight"].tolist() == told._weights["seeker"]["weight"].tolist()


def test_a_semi_supervised_method_learns_from_so_many_labels_as_it_is_told_to() -> None:
    truth = load_digits().target[:300].copy()
    truth[::3] = -1
    ganem = GANEM(**SMOKE, labels=100).fit(IMAGES, truth)
    assert ganem.request_.n_labels == 100
    assert np.mean(ganem.labels_ == load_digits().target[:300]) > 0.4  # named, not matched: chance is .1
    with pytest.raises(ValueError, match="X has no labels to learn from: leave out labels"):
        clone(ganem).fit(IMAGES)
    with pytest.raises(ValueError, match=r"has only .* labelled samples: lower labels from 250"):
        clone(ganem).set_params(labels=250).fit(IMAGES, truth)
    with pytest.raises(TypeError, match="labels"):
        ClusterGAN(labels=100)


# One class a method ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.BUILT_IN["methods"])
def test_no_option_of_a_method_has_the_name_of_one_of_training(name: str) -> None:
    assert not TrainOptions.model_fields.keys() & registry.find("methods", name).config_type.model_fields.keys()


@pytest.mark.parametrize("name", registry.BUILT_IN["methods"])
def test_every_method_is_an_estimator_whose_signature_has_every_option(name: str) -> None:
    method = registry.find("methods", name)
    made = getattr(estimators, method.__name__)
    assert made is estimators.of(name)
    assert method.__name__ in dir(estimators)
    parameters = inspect.signature(made).parameters
    assert {"n_clusters", "preset", "random_state", *method.config_type.model_fields} <= set(parameters)
    assert ("labels" in parameters) == method.semi_supervised
    assert parameters.keys() == made().get_params().keys()
    assert [p for p in parameters if p != "n_clusters" and f"    {p}: " not in made.__doc__] == []
    assert pickle.loads(pickle.dumps(made(n_clusters=3))).get_params() == made(n_clusters=3).get_params()


def test_an_estimator_that_does_not_exist_is_none_of_the_module() -> None:
    with pytest.raises(ImportError, match="ClusterGUN"):
        exec("from gancluster.estimators import ClusterGUN")
    with pytest.raises(AttributeError, match="there is no estimator 'ClusterGUN'; did you mean ClusterGAN"):
        _ = estimators.ClusterGUN


def test_options_are_set_searched_and_cloned_as_any_estimator_s(duel: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), duel(n_clusters=2, lr=0.1))
    assert "lr=0.1" in repr(pipeline)
    assert clone(pipeline).set_params(duel__epochs=3).fit(POINTS)[-1].request_.options["epochs"] == 3
    search = GridSearchCV(pipeline, {"duel__epochs": np.array([1, 2])}, cv=2, error_score="raise").fit(POINTS)
    assert np.abs(search.cv_results_["mean_test_score"]).max() <= 1
    assert search.predict(POINTS).shape == (24,)


def test_the_command_line_does_not_import_the_estimators() -> None:
    script = (
        "import sys, gancluster.cli.app; print([m for m in sys.modules if m in ('sklearn', 'gancluster.estimators')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
