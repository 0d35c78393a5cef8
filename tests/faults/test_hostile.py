"""Files that are damaged, or made to harm: read, or refused in one line; nothing runs, nothing swells."""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from games import placed, points
from ledger import Ledger
from nursery import Nursery
from PIL import Image

from gancluster.cli.app import run as command
from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.data.reading import matlab
from gancluster.engine import checkpoint
from gancluster.errors import DataError, UserError
from gancluster.runs.finding import every
from gancluster.runs.run import Run
from gancluster.runs.training import train

RNG = np.random.default_rng(3)
FLIPS = [30, pytest.param(600, marks=pytest.mark.slow)]
BOUND = 300  # MiB that refusing a file may take


def npz(path: Path) -> None:
    np.savez(path, inputs=RNG.integers(0, 255, (12, 6, 6)).astype(np.uint8), labels=np.arange(12) % 3)


def packed(path: Path) -> None:
    np.savez_compressed(path, inputs=RNG.standard_normal((20, 3)), labels=np.array(["a", "b"] * 10))


def sealed(header: bytes, path: Path) -> None:
    """An archive whose sums are right, and the head of its array is not."""
    npz(path)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", header + content["inputs.npy"][len(header) :])


def mat(path: Path) -> None:
    from scipy.sparse import random

    scipy.io.savemat(path, {"X": random(20, 5, 0.3, rng=1), "Y": np.arange(20) % 3}, do_compression=bool(path.stem[-1]))


def image(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    for i in range(2):
        pixels = RNG.integers(0, 255, (9, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path.with_stem(f"{path.stem}{i}"))


def load(path: Path) -> object:
    return catalogue.load(str(path), path.parent)


def load_folder(path: Path) -> object:
    return catalogue.load(str(path.parent), path.parent)


def load_mat(path: Path) -> object:
    return matlab(path, "X", "Y")


READERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "a.npz": (npz, load),
    "packed.npz": (packed, load),
    "a.mat": (mat, load_mat),
    **{f"images/a0.{kind}": (image, load_folder) for kind in ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm")},
}


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """`content` with a bit flipped, cut short, a block set to one value, or a block said twice."""
    at, size = int(rng.integers(len(content))), int(rng.integers(1, 16))
    kind = rng.integers(4)
    if kind == 0:
        return content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :]
    if kind == 1:
        return content[:at]
    block = bytes([int(rng.choice([0, 127, 255]))]) * size if kind == 2 else content[at : at + size] * 2
    return content[:at] + block + content[at + size :]


def refusal(read: Callable[[], object]) -> str | None:
    """What is said of a file, if it is not read."""
    try:
        read()
    except UserError as error:
        return str(error)
    return None


def is_one_line(said: str | None) -> bool:
    return said is None or (len(said) > 20 and "\n" not in said)


def read_all(folder: Path) -> None:
    run = Run.open(folder)
    run.result(), run.arrays(), run.log()
    checkpoint.read(run.checkpoint, "duel")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tries", FLIPS)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_data_file_is_read_or_refused_in_one_line(
    ledger: Ledger, tmp_path: Path, name: str, tries: int
) -> None:
    make, read = READERS[name]
    path, rng = tmp_path / name, np.random.default_rng(len(name))
    make(path.with_stem(path.stem.rstrip("0")) if name.startswith("images") else path)
    content = path.read_bytes()
    read(path)
    for _ in range(tries):
        path.write_bytes(damaged(content, rng))
        with ledger.tried(f"bits flipped, files cut: .{name.rpartition('.')[2]} of data"):
            assert is_one_line(refusal(lambda: read(path)))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        from gancluster import registry

        patch.setitem(registry.BUILT_IN["methods"], "duel", "games:Duel")
        run = placed(tmp_path_factory.mktemp("sound"), points(), "duel")
        train(run, points())
    return run


@pytest.mark.usefixtures("duels")
@pytest.mark.parametrize("tries", FLIPS)
@pytest.mark.parametrize("name", ["checkpoint.safetensors", "config.json", "result.json", "embedding.npz", "log.csv"])
def test_a_damaged_file_of_a_run_is_read_or_refused_in_one_line(
    ledger: Ledger, sound: Run, tmp_path: Path, name: str, tries: int
) -> None:
    rng, folder = np.random.default_rng(len(name)), tmp_path / "points" / "duel" / sound.folder.name
    folder.mkdir(parents=True)
    for file in sound.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    content = (sound.folder / name).read_bytes()
    for _ in range(tries):
        (folder / name).write_bytes(damaged(content, rng))
        with ledger.tried(f"bits flipped, files cut: {name} of a run"):
            every(tmp_path)
            assert is_one_line(refusal(lambda: read_all(folder)))


VALUES = [None, [], {}, -1, 10**12, 1e400, "x", "../../up", "\x1b[2J", True, [[1]], {"a": 1}]


@pytest.mark.usefixtures("duels")
@pytest.mark.parametrize("tries", [15, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_a_run_that_tells_nonsense_is_listed_scored_or_refused_in_one_line(
    ledger: Ledger, sound: Run, tmp_path: Path, name: str, tries: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "points" / "duel" / sound.folder.name
    folder.mkdir(parents=True)
    for file in sound.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    told = json.loads((sound.folder / name).read_text())
    pairs = [(key, value) for key in told for value in VALUES]
    for at in np.random.default_rng(1).permutation(len(pairs))[:tries]:
        key, value = pairs[at]
        (folder / name).write_text(json.dumps(told | {key: value}))
        for line in ("runs", f"eval {folder}", f"eval {folder} --retrieval"):
            with ledger.tried(f"nonsense in {name}, listed and scored"):
                code = command([*line.split(), "--runs-dir", str(tmp_path)])
                said = capsys.readouterr()
                assert code in (0, 2), (key, value)
                assert said.err.count("\n") <= 1
                assert "\x1b[2J" not in said.out + said.err


def test_an_array_that_claims_more_rows_than_there_are_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    shapes = ["(1000000000000, 6, 6)", "(-1, 6, 6)", "(13, 6, 6)", "(2**63, 6, 6)", "()", "(12, 6, 6"]
    for shape in shapes:
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        sealed(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode(), tmp_path / "a.npz")
        with ledger.tried("sizes claimed that are not there"), pytest.raises(DataError) as caught:
            load(tmp_path / "a.npz")
        assert is_one_line(str(caught.value))


# What would swell -----------------------------------------------------------------------------------------------------


def bomb_npz(path: Path) -> None:
    """An archive of 1.25 GiB of zeros, written by hand, for packing them would take long."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    data, name, n = block * 80 + b"\x03\x00", b"inputs.npy", 80 * 2**24
    sizes = struct.pack("<HHIIIHH", 0, 0, 0, len(data), n, len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<HHH", 20, 0, 8) + sizes + name + data
    entry = b"PK\x01\x02" + struct.pack("<HHHH", 20, 20, 0, 8) + sizes + bytes(14) + name
    path.write_bytes(local + entry + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb_png(path: Path) -> None:
    path.mkdir()
    rows = zlib.compressobj(9)
    content = b"".join(rows.compress(bytes(2**20)) for _ in range(100)) + rows.flush()
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    (path / "a.png").write_bytes(picture)


def bomb_script(path: Path) -> None:
    path.mkdir()
    (path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touched) (w) file\nshowpage\n")


def bomb_objects(path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(path.with_name("touched")), "w")

    np.savez(path, inputs=np.array([Touch(), Touch()], dtype=object))


BOMBS = {"a.npz": bomb_npz, "folder": bomb_png, "script": bomb_script, "objects.npz": bomb_objects}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_was_made_to_harm_is_refused_and_neither_swells_nor_runs(
    nursery: Nursery, ledger: Ledger, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    BOMBS[name](path)
    assert nursery.ask("runs --runs-dir nowhere").code == 0
    usual = nursery.peak
    with ledger.tried("files made to swell or to run"):
        ending = nursery.ask(f"data info {path}")
        assert (ending.code, ending.err.count("\n")) == (2, 1), ending.err
        assert nursery.peak < usual + BOUND
        assert not (tmp_path / "touched").exists()


def test_sparse_matrices_that_claim_to_be_vast_are_not_filled_up(ledger: Ledger, tmp_path: Path) -> None:
    from scipy.sparse import csc_matrix

    scipy.io.savemat(tmp_path / "a.mat", {"X": csc_matrix((10**6, 10**6)), "Y": [1]})
    with ledger.tried("sizes claimed that are not there"), pytest.raises(DataError, match="would unpack to"):
        matlab(tmp_path / "a.mat", "X", "Y")


def test_codes_that_are_none_are_refused(ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [
        np.zeros((4, 0)),
        np.full((4, 8), np.nan),
        np.zeros(4),
        np.full((4, 8), "a"),
        np.zeros((3, 8)),
        np.array(1),
    ]
    for codes in [*wrong, np.full((4, 8), 2)]:
        np.savez(tmp_path / "codes.npz", codes=codes, labels=np.arange(4) % 2)
        with ledger.tried("codes of wrong shapes and kinds"):
            assert command(["eval", "--codes", str(tmp_path / "codes.npz"), "--queries", "2"]) == 2
            assert capsys.readouterr().err.count("\n") == 1


# Names ----------------------------------------------------------------------------------------------------------------

HARMFUL = "a\x1b]0;owned\x07\x1b[31m\u202eb"


def test_names_with_control_characters_are_spelt_out(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.array([HARMFUL, "b"] * 6)
    np.savez(tmp_path / f"{HARMFUL}.npz", inputs=RNG.standard_normal((12, 2)), labels=labels)
    (tmp_path / HARMFUL).mkdir()
    lines = [["data", "info", str(tmp_path / f"{HARMFUL}.npz")], ["data", "info", str(tmp_path / HARMFUL)]]
    lines += [["train", HARMFUL], ["eval", HARMFUL, "--runs-dir", str(tmp_path)], ["data", "info", HARMFUL]]
    for line in lines:
        with ledger.tried("control characters in names"):
            command(line)
            said = capsys.readouterr()
            assert "owned" in said.out + said.err
            assert not set("\x1b\x07\u202e") & set(said.out + said.err)


def test_a_name_that_is_not_text_is_spelt_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a\udcff.npz"
    npz(path)
    assert command(["data", "info", str(path)]) == 0
    assert "a\\udcff.npz" in capsys.readouterr().out


def test_names_lead_nowhere_else(ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    lines = [
        f"eval ../../up --runs-dir {inside}",
        f"data fetch ../up --data-dir {inside}",
        f"data info celeba:../../up --data-dir {inside}",
        f"train ../up --runs-dir {inside}",
        f"train kmeans --preset ../up --runs-dir {inside}",
        f"bench ../up.toml --runs-dir {inside}",
    ]
    for line in lines:
        with ledger.tried("names that lead elsewhere"):
            assert command(line.split()) == 2
            assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["inside"]


def test_a_data_sets_name_leads_nowhere_else(ledger: Ledger, tmp_path: Path) -> None:
    names = ["../../up", "/etc/up", "..", ".", "", "\x00", "a/../../../up", "~/up", "up\n"]
    for name in names:
        dataset = Dataset(name, points().inputs, None, 2)
        with ledger.tried("names that lead elsewhere"):
            folder = (tmp_path / placed_in(dataset)).resolve()
            assert folder.is_relative_to(tmp_path)
            assert len(folder.relative_to(tmp_path).parts) == 3


def placed_in(dataset: Dataset) -> Path:
    from gancluster.runs.training import TrainOptions, plan

    return plan("kmeans", dataset, TrainOptions(dataset="x"), {})[0].folder
