"""MNIST from its packed files; torchvision's layouts on tiny files made by hand; fetching without a network."""

import bz2
import gzip
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torchvision
from numpy.typing import NDArray
from refusal import refused
from scipy.io import savemat
from sklearn.neighbors import KNeighborsClassifier

from gancluster.data import catalogue
from gancluster.data.dataset import Dataset

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def mnist(data_dir: Path) -> Dataset:
    return catalogue.load("mnist", data_dir)


def idx(values: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes() + values.tobytes()


def put_idx(data_dir: Path, cls: str = "KMNIST", packed: bool = True) -> NDArray[np.uint8]:
    """12 + 8 images 5x4 in the layout of MNIST; all of them, train first."""
    folder = data_dir / cls / "raw"
    folder.mkdir(parents=True)
    images = RNG.integers(0, 256, (20, 5, 4), dtype=np.uint8)
    labels = (np.arange(20) % 10).astype(np.uint8)
    for part, rows in (("train", slice(12)), ("t10k", slice(12, 20))):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx(values[rows])
            name = f"{part}-{kind}-ubyte" + (".gz" if packed else "")
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return images


def test_mnist_is_the_published_set(mnist: Dataset) -> None:
    assert (mnist.inputs.shape, mnist.pixel_range, mnist.flips) == ((70_000, 1, 28, 28), (0.0, 1.0), False)
    assert mnist.labels is not None
    train, test = mnist.labels[:60_000], mnist.labels[60_000:]
    assert train[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.inputs[:60_000].mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert mnist.inputs[:60_000].std() / 255 == pytest.approx(0.3081, abs=1e-4)
    assert mnist.sha256 == "a03d5a2bb23758e08d419d0fdc5cf5fec9142672c4f79bd332409445572d3877"


def test_all_of_mnist_is_train_followed_by_test(mnist: Dataset, data_dir: Path) -> None:
    test = catalogue.load("mnist", data_dir, "test")
    assert (test.split, len(test)) == ("test", 10_000)
    assert np.array_equal(test.inputs, mnist.inputs[60_000:])
    assert test.labels is not None
    assert test.labels[:3].tolist() == [7, 2, 1]


def test_neighbours_share_their_digit(mnist: Dataset) -> None:
    known, asked = mnist.take(np.arange(3000)), mnist.take(np.arange(60_000, 60_500))
    knn = KNeighborsClassifier(1).fit(known.inputs.reshape(len(known), -1), known.labels)
    assert knn.score(asked.inputs.reshape(len(asked), -1), asked.labels) > 0.85


@pytest.mark.parametrize(("name", "cls"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
@pytest.mark.parametrize("packed", [True, False])
def test_the_form_of_mnist_is_read_packed_and_unpacked(tmp_path: Path, name: str, cls: str, packed: bool) -> None:
    images = put_idx(tmp_path, cls, packed)
    before = sorted(tmp_path.rglob("*"))
    found = catalogue.load(name, tmp_path)
    assert np.array_equal(found.inputs, images[:, None])
    assert np.array_equal(found.labels, np.arange(20) % 10)
    assert found.label_names is not None
    assert len(found.label_names) == 10
    assert np.array_equal(catalogue.load(name, tmp_path, "test").inputs, images[12:, None])
    assert found.inputs.flags.writeable
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b\x08\0",
        b"<html>404</html>",
        gzip.compress(b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0"),
        gzip.compress(idx(np.zeros((12, 5, 4), dtype=np.uint8))[:-1]),
        gzip.compress(idx(np.zeros((12, 5, 4), dtype=np.uint8)) + b"\0"),
        gzip.compress(idx(np.zeros((12, 5, 4), dtype=np.uint8)))[:-9],
        gzip.compress(b"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ],
)
def test_damaged_idx_files_are_named_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    put_idx(tmp_path)
    path = tmp_path / "KMNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with refused(f"cannot read {path}", "gancluster data fetch kmnist"):
        catalogue.load("kmnist", tmp_path)


def test_images_and_labels_of_different_number_are_refused(tmp_path: Path) -> None:
    put_idx(tmp_path)
    path = tmp_path / "KMNIST" / "raw" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(11, dtype=np.uint8))))
    with refused("kmnist", "(11,) labels for 12 samples"):
        catalogue.load("kmnist", tmp_path, "train")


def test_usps_9298_is_the_other_published_set(data_dir: Path) -> None:
    usps = catalogue.load("usps-9298", data_dir)
    assert usps.inputs.shape == (9298, 1, 16, 16)
    assert usps.labels is not None
    assert np.bincount(usps.labels[:7291]).tolist() == [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    assert np.bincount(usps.labels[7291:]).tolist() == [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]
    assert usps.sha256 == "35f276b9d80bd174b378e4ba080a52d584063941b75322bb96792e6215b525a6"


def test_damaged_usps_9298_is_named(tmp_path: Path) -> None:
    (tmp_path / "USPS").mkdir()
    row = " ".join(["3", *(f"{i + 1}:{0.5}" for i in range(256))]) + "\n"
    (tmp_path / "USPS" / "usps.bz2").write_bytes(bz2.compress((2 * row).encode()))
    path = tmp_path / "USPS" / "usps.t.bz2"
    for content in (bz2.compress((2 * row).encode())[:-4], b"no bz2", bz2.compress(row[:-9].encode())):
        path.write_bytes(content)
        with refused(f"cannot read {path}", "gancluster data fetch usps-9298"):
            catalogue.load("usps-9298", tmp_path)


def test_cifar10_is_read_from_torchvisions_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle  # torchvision opens these after it has checked their sums

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = RNG.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    for i in range(6):
        batch = {"data": images[2 * i : 2 * i + 2].reshape(2, 3072), "labels": [i, 9 - i]}
        (folder / (f"data_batch_{i + 1}" if i < 5 else "test_batch")).write_bytes(pickle.dumps(batch))
    names = ["airplane", *(f"class {i}" for i in range(1, 10))]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    with refused(f"cannot read {folder}", "gancluster data fetch cifar10"):
        catalogue.load("cifar10", tmp_path)
    cls = torchvision.datasets.CIFAR10
    monkeypatch.setattr(cls, "train_list", [[name, None] for name, _ in cls.train_list])
    monkeypatch.setattr(cls, "test_list", [[name, None] for name, _ in cls.test_list])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": None})
    cifar = catalogue.load("cifar10", tmp_path)
    assert np.array_equal(cifar.inputs, images)
    assert cifar.labels is not None
    assert cifar.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 4]
    assert (cifar.pixel_range, cifar.flips, cifar.label_names) == ((-1.0, 1.0), True, tuple(names))
    assert len(catalogue.load("cifar10", tmp_path, "test")) == 2


def test_stl10_images_are_unfolded_by_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    images = RNG.integers(0, 256, (5, 3, 96, 96), dtype=np.uint8)
    for part, rows in (("train", slice(2)), ("test", slice(2, 5))):
        (folder / f"{part}_X.bin").write_bytes(images[rows].transpose(0, 1, 3, 2).tobytes())
        (folder / f"{part}_y.bin").write_bytes((np.arange(5, dtype=np.uint8) + 6)[rows].tobytes())
    (folder / "unlabeled_X.bin").touch()
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    cls = torchvision.datasets.STL10
    monkeypatch.setattr(cls, "train_list", [[name, None] for name, _ in cls.train_list])
    monkeypatch.setattr(cls, "test_list", [[name, None] for name, _ in cls.test_list])
    stl = catalogue.load("stl10", tmp_path)
    assert np.array_equal(stl.inputs, images)
    assert stl.labels is not None
    assert stl.labels.tolist() == [5, 6, 7, 8, 9]
    assert (stl.pixel_range, stl.flips, stl.label_names) == ((-1.0, 1.0), True, tuple("abcdefghij"))


def test_svhn_counts_its_zeros_as_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SVHN").mkdir()
    images = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    for part, rows in (("train", slice(4)), ("test", slice(4, 6))):
        stored = {"X": images[rows].transpose(2, 3, 1, 0), "y": np.array([[10], [1], [2], [9], [5], [10]])[rows]}
        savemat(tmp_path / "SVHN" / f"{part}_32x32.mat", stored)
    with refused("train_32x32.mat", "gancluster data fetch svhn"):
        catalogue.load("svhn", tmp_path)
    cls = torchvision.datasets.SVHN
    monkeypatch.setattr(cls, "split_list", {part: [*rest, None] for part, (*rest, _) in cls.split_list.items()})
    svhn = catalogue.load("svhn", tmp_path)
    assert np.array_equal(svhn.inputs, images)
    assert svhn.labels is not None
    assert svhn.labels.tolist() == [0, 1, 2, 9, 5, 0]
    assert (svhn.pixel_range, svhn.flips) == ((-1.0, 1.0), False)


@pytest.mark.parametrize(
    "name", ["mnist", "fashion-mnist", "kmnist", "usps-9298", "cifar10", "stl10", "svhn", "celeba"]
)
def test_what_is_missing_is_not_fetched_but_says_how(name: str, tmp_path: Path) -> None:
    with refused(f"{name} is not in {tmp_path}", f"gancluster data fetch {name} --data-dir {tmp_path}"):
        catalogue.load(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_torchvision_that_does_not_match_torch_is_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    (tmp_path / "stl10_binary").mkdir()
    with refused("torchvision cannot be imported", "must match torch's", "reinstall both together"):
        catalogue.load("stl10", tmp_path)
    with refused("reinstall both together"):
        catalogue.fetch("stl10", tmp_path)


@pytest.fixture
def mirror(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a mirror of MNIST on this machine; another that has nothing is asked first."""
    shutil.copytree(data_dir / "MNIST" / "raw", tmp_path / "mirror", copy_function=shutil.copyfile)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *said: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        urls = [f"http://127.0.0.1:{server.server_port}/{folder}/" for folder in ("nothing", "mirror")]
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", urls)
        yield tmp_path / "mirror"
        server.shutdown()


def test_fetching_checks_sums_mends_damage_and_leaves_what_is_right(
    mirror: Path, tmp_path: Path, mnist: Dataset
) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"half a downl")
    paths = catalogue.fetch("mnist", tmp_path / "data")
    assert [path.parent for path in paths] == [raw] * 4
    assert catalogue.load("mnist", tmp_path / "data").sha256 == mnist.sha256
    shutil.rmtree(mirror)
    assert catalogue.fetch("mnist", tmp_path / "data") == paths


def test_fetching_the_wrong_file_or_none_is_refused(mirror: Path, tmp_path: Path) -> None:
    with open(mirror / "train-images-idx3-ubyte.gz", "ab") as file:
        file.write(b"\0")
    with refused("cannot fetch mnist", "corrupted", "MNIST/raw"):
        catalogue.fetch("mnist", tmp_path / "data")
    shutil.rmtree(mirror)
    with refused("cannot fetch mnist", "try again"):
        catalogue.fetch("mnist", tmp_path / "elsewhere")
