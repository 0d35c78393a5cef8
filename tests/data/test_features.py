"""Features in the place of samples: from a file, by a network of given weights, kept, and what is refused."""

import hashlib
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from refusal import refused
from torch import nn

from gancluster.data import catalogue, features, pretrained
from gancluster.data.features import Network
from gancluster.errors import DataMissing, UnknownName

RNG = np.random.default_rng(0)


def rows_in(path: Path, n: int = 1797, d: int = 3, name: str = "features") -> NDArray[np.float64]:
    drawn = RNG.standard_normal((n, d))
    np.savez(path, **{name: drawn})
    return drawn


def small_resnet() -> nn.Module:
    """A residual network of torchvision that a test has time for."""
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """`tiny` is a network with random weights, which lie in the data folder, named after their sum."""
    torch.manual_seed(0)
    net = small_resnet()
    (tmp_path / "weights").mkdir()
    torch.save(net.state_dict(), tmp_path / "saved")
    digits = hashlib.sha256((tmp_path / "saved").read_bytes()).hexdigest()[:8]
    (tmp_path / "saved").rename(tmp_path / "weights" / f"tiny-{digits}.pth")
    monkeypatch.setattr(torchvision.models, "tiny", small_resnet, raising=False)
    monkeypatch.setitem(features.NETWORKS, "tiny", Network("tiny", f"http://127.0.0.1:9/tiny-{digits}.pth"))
    net.fc = nn.Identity()
    return net.eval()


def test_rows_of_a_file_stand_in_the_place_of_samples_and_labels_stay(tmp_path: Path) -> None:
    rows, digits = rows_in(tmp_path / "mine.npz"), catalogue.load("digits", tmp_path)
    found = catalogue.load("digits", tmp_path, features=str(tmp_path / "mine.npz"))
    assert np.array_equal(found.inputs, rows.astype(np.float32))
    assert np.array_equal(found.labels, digits.labels)
    assert (found.name, found.n_classes, found.label_names) == ("digits-mine", 10, digits.label_names)
    assert found.sha256 != digits.sha256


def test_a_limit_takes_the_rows_of_the_samples_that_it_draws(tmp_path: Path) -> None:
    digits = catalogue.load("digits", tmp_path)
    np.savez(tmp_path / "flat.npz", inputs=digits.inputs.reshape(1797, -1))
    found = catalogue.load("digits", tmp_path, limit=50, seed=4, features=str(tmp_path / "flat.npz"))
    drawn = catalogue.load("digits", tmp_path, limit=50, seed=4)
    assert np.array_equal(found.inputs, drawn.inputs.reshape(50, -1))
    assert np.array_equal(found.labels, drawn.labels)


def test_files_that_are_no_features_of_these_samples_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    with refused(f"{path} does not exist"):
        catalogue.load("digits", tmp_path, features=str(path))
    rows_in(path, n=1796)
    with refused(f"{path} has 1796 rows", "the 1797 samples of digits", "give one for each"):
        catalogue.load("digits", tmp_path, features=str(path))
    rows_in(path, name="numbers")
    with refused("no array called inputs, images, x, features", "it has: numbers"):
        catalogue.load("digits", tmp_path, features=str(path))
    np.savez(path, features=RNG.random((1797, 4, 4)))
    with refused(str(path), "features are a row a sample", "flatten them"):
        catalogue.load("digits", tmp_path, features=str(path))
    np.savez(path, features=np.full((1797, 2), np.nan))
    with refused(str(path), "NaN or infinite"):
        catalogue.load("digits", tmp_path, features=str(path))
    path.write_bytes(b"PK no archive")
    with refused(f"cannot read {path}"):
        catalogue.load("digits", tmp_path, features=str(path))


def test_a_network_that_there_is_not_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"no network 'resnet-50'; did you mean resnet50\?.*\.npz"):
        catalogue.load("digits", tmp_path, features="resnet-50")


def test_a_network_makes_features_once_of_whole_images_scaled_as_imagenet_s(weights: nn.Module, tmp_path: Path) -> None:
    digits = catalogue.load("digits", tmp_path, limit=60)
    found = catalogue.load("digits", tmp_path, limit=60, features="tiny")
    grey = nn.functional.interpolate(torch.from_numpy(digits.inputs[:3] / 255).float(), (224, 224), mode="bilinear")
    expected = weights(
        (grey - torch.tensor(pretrained.MEAN)[:, None, None]) / torch.tensor(pretrained.DEVIATION)[:, None, None]
    )
    np.testing.assert_allclose(found.inputs[:3], expected.detach().numpy(), atol=1e-4)
    assert (found.inputs.shape, found.name, found.is_images) == ((60, 512), "digits-tiny", False)
    assert np.array_equal(found.labels, digits.labels)
    shutil.rmtree(tmp_path / "weights")
    assert catalogue.load("digits", tmp_path, limit=60, features="tiny").sha256 == found.sha256  # as it was kept
    with pytest.raises(DataMissing, match="run gancluster data fetch tiny"):
        catalogue.load("digits", tmp_path, limit=61, features="tiny")


def test_resnet50_without_its_last_layer_gives_2048_features(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet50()
    net.fc = nn.Identity()
    images = RNG.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    made = pretrained.activations(net.eval(), images)
    assert made.shape == (2, 2048)
    assert np.isfinite(made).all()
    monkeypatch.setattr(pretrained, "BATCH", 1)
    np.testing.assert_allclose(pretrained.activations(net, images), made, rtol=1e-3, atol=1e-4)


def test_weights_that_are_not_here_are_not_fetched_but_say_how(tmp_path: Path) -> None:
    with refused(f"resnet50 is not in {tmp_path}", f"gancluster data fetch resnet50 --data-dir {tmp_path}"):
        catalogue.load("digits", tmp_path, limit=5, features="resnet50")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_cannot_be_downloaded_say_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*asked: object, **how: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    with refused("cannot fetch resnet50", "no route to host", f"put weights/resnet50-0676ba61.pth in {tmp_path}"):
        catalogue.fetch("resnet50", tmp_path)
    assert list((tmp_path / "weights").iterdir()) == []


def test_weights_that_are_there_are_not_fetched_again(weights: nn.Module, tmp_path: Path) -> None:
    (path,) = catalogue.fetch("tiny", tmp_path)
    assert path.parent == tmp_path / "weights"


def test_other_weights_under_the_published_name_are_refused(weights: nn.Module, tmp_path: Path) -> None:
    (path,) = (tmp_path / "weights").iterdir()
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with refused(f"cannot read {path}", "not the published file", "gancluster data fetch tiny"):
        catalogue.load("digits", tmp_path, limit=5, features="tiny")


def test_vectors_have_no_features_by_a_network(weights: nn.Module, tmp_path: Path) -> None:
    with refused("gaussians-8 holds no images", "leave out --features"):
        catalogue.load("gaussians-8", tmp_path, features="tiny")


def test_a_folder_that_cannot_be_written_is_told_before_the_work(weights: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "features").write_text("no folder")
    with refused(f"features are kept in {tmp_path / 'features'}", "cannot be written"):
        catalogue.load("digits", tmp_path, limit=5, features="tiny")
