"""Whatever is asked wrongly: exit code 2, one line that says what to do, and nothing written."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from asking import Ask
from games import placed, points
from PIL import Image

from gancluster.data import catalogue
from gancluster.engine.checkpoint import FORMAT
from gancluster.report import pictures
from gancluster.runs.run import Run
from gancluster.runs.training import TrainOptions, plan, train

TRAIN = "train clustergan --preset smoke"


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of these are refused before the first step; if one were not, it should not take long."""

    def begun(*_: object, **__: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr("gancluster.runs.training.train", begun)


def contents(folder: Path) -> dict[str, object]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.fixture
def refuse(ask: Ask, tmp_path: Path) -> Callable[..., str]:
    """Carry out a command line that must be refused, and return what it says."""

    def refused(*words: object) -> str:
        before = contents(tmp_path)
        runs = [] if "--runs-dir" in " ".join(map(str, words)) else ["--runs-dir", tmp_path / "runs"]
        said = ask(*words, *runs)
        assert said.code == 2, said
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1, said.err
        assert contents(tmp_path) == before
        return said.err[len("error: ") : -1]

    return refused


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("train clustergn", "there is no method 'clustergn'; did you mean clustergan"),
        (f"{TRAIN} --dataset digts", "there is no data set 'digts'; did you mean digits? (all: gancluster data list)"),
        (f"{TRAIN} --critic wgangp", "there is no critic 'wgangp'; did you mean wgan-gp or wgan"),
        (f"{TRAIN} --epoch 3", "No such option: --epoch (Possible options: --epochs"),
        (f"{TRAIN} --presett x", "No such option: --presett (Possible options: --preset"),
        (
            "train clustergan --preset smok",
            "there is no preset 'smok'; did you mean smoke? (all: gancluster methods clu",
        ),
        (f"{TRAIN} extra", "Got unexpected extra argument"),
        ("evl", "No such command 'evl'"),
        ("train --dataset digits", "a name comes before --dataset: gancluster train METHOD --dataset and so on"),
        ("bench --budget smoke table2", "a name comes before --budget: gancluster bench TABLE --budget and so on"),
    ],
)
def test_names_that_do_not_exist_get_a_suggestion(refuse: Callable[..., str], line: str, says: str) -> None:
    assert says in refuse(line)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--epochs 0", "--epochs 0: input should be greater than or equal to 1"),
        ("--epochs many", "--epochs"),
        ("--epochs 1.5", "--epochs"),
        ("--batch-size 1", "--batch-size 1: input should be greater than or equal to 2"),
        ("--batch-size 5", "--batch-size 5 is less than the 10 clusters"),
        ("--code-size 9", "--code-size 9 is less than the 10 clusters"),
        ("--lr 0", "--lr 0.0: input should be greater than 0"),
        ("--lr -1e-3", "--lr -0.001: input should be greater than 0"),
        ("--lr nan", "--lr nan"),
        ("--lr fast", "--lr"),
        ("--pace slow", "--pace"),
        ("--entropy-from 1.5", "--entropy-from 1.5: input should be less than or equal to 1"),
        ("--average 0", "--average 0.0: input should be greater than 0"),
        ("--clip 0", "--clip 0.0: input should be greater than 0"),
        ("--seed -1", "--seed -1: input should be greater than or equal to 0"),
        ("--seed x", "--seed"),
        ("--seed 4294967296", "--seed 4294967296: input should be less than 4294967296"),
        ("--seed 4294967295 --seeds 2", "leaves no room for 2 seeds: let it be 4294967294 or less"),
        ("--seeds 0", "--seeds 0: input should be greater than or equal to 1"),
        ("--threads -1", "--threads -1: input should be greater than or equal to 0"),
        ("--precision float16", "--precision"),
        ("--device gpu", "there is no device 'gpu'; use auto, cpu, cuda or cuda:N"),
        ("--device cuda:99", "CUDA devices, not 'cuda:99'; use --device cpu"),
        ("--device meta", "there is no device 'meta'"),
        ("--save-every -1", "--save-every"),
        ("--limit 0", "a limit of 0 is not possible: digits has 1797 samples"),
        ("--limit 1798", "a limit of 1798 is not possible: digits has 1797 samples"),
        ("--limit few", "--limit"),
        ("--split train", "digits has no published train and test parts: ask for split 'all'"),
        ("--split half", "--split"),
        ("--clusters 0", "1797 samples cannot be 0 clusters: let --clusters be 1 to 1797"),
        ("--limit 30 --clusters 31", "30 samples cannot be 31 clusters: let --clusters be 1 to 30"),
        ("--limit 50 --batch-size 51", "the adversarial phase takes batches of 51, but there are 50 samples"),
        ("--limit 50 --warmup-batch-size 60", "the warm-up phase takes batches of 60, but there are 50 samples"),
        ("--lr", "--lr"),
    ],
)
def test_options_out_of_range_or_of_the_wrong_type_are_named(
    refuse: Callable[..., str], options: str, says: str
) -> None:
    assert says in refuse(TRAIN, options)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("clustergan --labels 20", "clustergan learns without labels: leave out --labels"),
        ("ganem --labels 20 --clusters 7", "with --labels a cluster is a class: let --clusters be 10, or leave it out"),
        ("ganem --labels 9", "9 labels cannot show 10 classes: let --labels be 10 or more"),
        ("ganem --labels 1798", "labelled samples: lower --labels from 1798, or give more samples"),
        ("ganem --labels -1", "--labels -1: input should be greater than or equal to 0"),
        ("ganem --labels many", "--labels"),
    ],
)
def test_labels_that_cannot_be_learnt_from_are_refused(refuse: Callable[..., str], line: str, says: str) -> None:
    assert says in refuse("train", line, "--preset smoke")


def images(folder: Path, *sizes: tuple[int, int]) -> None:
    folder.mkdir()
    for place, size in enumerate(sizes):
        Image.effect_noise(size, 50).save(folder / f"{place}.png")


def npz(path: Path, **arrays: np.ndarray) -> None:
    np.savez(path, **arrays)


def with_nan(path: Path) -> None:
    npz(path, inputs=np.where(np.eye(30, 4) > 0, np.nan, 1.0))


def cut(path: Path) -> None:
    npz(path, inputs=np.random.default_rng(0).random((30, 50)))
    path.write_bytes(path.read_bytes()[:4000])


def corrupt(path: Path) -> None:
    npz(path, inputs=np.random.default_rng(0).random((30, 50)))
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(content)


BAD_DATA: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone.npz": (lambda path: None, "does not exist: give the path of one, or a name from: gancluster data list"),
    "cut.npz": (cut, "it is damaged or of another kind: save it anew"),
    "corrupt.npz": (corrupt, "it is damaged or of another kind: save it anew"),
    "empty.npz": (lambda path: path.write_bytes(b""), "it is damaged or of another kind: save it anew"),
    "text.npz": (lambda path: path.write_text("hello"), "cannot read"),
    "pickled.npz": (lambda path: npz(path, inputs=np.array([{}, []], object)), "pickled objects are never loaded"),
    "nan.npz": (with_nan, "has 4 NaN or infinite values, the first at (0, 0): replace or drop them"),
    "same.npz": (lambda path: npz(path, inputs=np.full((30, 8, 8), 7, np.uint8)), "are the same: there is nothing to"),
    "one.npz": (lambda path: npz(path, inputs=np.ones((1, 4))), "has 1 sample: clustering needs at least 2"),
    "unlabelled.npz": (lambda path: npz(path, inputs=np.eye(30)), "say how many clusters with --clusters K"),
    "uneven.npz": (lambda path: npz(path, inputs=np.eye(30), labels=np.ones(29, int)), "labels"),
    "mixed": (lambda path: images(path, (8, 8), (8, 9)), "images must have one size, but"),
    "none": (lambda path: path.mkdir(), "has no images"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_clustered_are_refused(refuse: Callable[..., str], tmp_path: Path, name: str) -> None:
    make, says = BAD_DATA[name]
    make(tmp_path / name)
    said = refuse(TRAIN, "--dataset", tmp_path / name)
    assert says in said
    assert name in said


def test_a_file_of_a_known_data_set_that_is_cut_is_refused(
    refuse: Callable[..., str], data_dir: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (data_dir / "MNIST" / "raw").glob("t10k*"):
        raw.joinpath(file.name).write_bytes(file.read_bytes()[: 5000 if "images" in file.name else None])
    assert "mnist" in refuse(TRAIN, "--dataset mnist --split test --data-dir", tmp_path).lower()
    for file in raw.iterdir():
        file.write_bytes(gzip.compress(b"nothing of the kind"))
    assert "mnist" in refuse(TRAIN, "--dataset mnist --split test --data-dir", tmp_path).lower()


def test_a_data_set_that_is_not_here_says_how_to_get_it(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert f"run gancluster data fetch mnist --data-dir {tmp_path}" in refuse(
        TRAIN, "--dataset mnist --data-dir", tmp_path
    )


def test_a_runs_folder_that_cannot_be_written_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    said = refuse(TRAIN, "--runs-dir", tmp_path / "file" / "runs")
    assert said.startswith(f"cannot make the run folder {tmp_path / 'file' / 'runs'}")
    assert said.endswith("(not a directory); choose another --runs-dir")


def test_of_several_seeds_none_is_placed_where_one_is_refused(
    refuse: Callable[..., str], ask: Ask, duels: None, tmp_path: Path, file: Path
) -> None:
    run = stopped_duel(tmp_path / "runs", file, seed=1)
    said = refuse("train duel --seeds 3 --dataset", file, "--runs-dir", tmp_path / "runs")
    assert said == f"{run.folder} was stopped: add --resume to go on with it, or remove the folder"


def stopped_duel(root: Path, file: Path, seed: int = 0) -> Run:
    """A run of the duel on the points in `file` whose checkpoint is that of its end, but not its result."""
    dataset = catalogue.load(str(file), root)
    run = Run.place(root, plan("duel", dataset, TrainOptions(dataset=str(file), seed=seed), {})[0])
    train(run, dataset)
    for name in ("result.json", "embedding.npz"):
        (run.folder / name).unlink()
    return run


def refused_resumption(ask: Ask, file: Path, run: Run) -> str:
    said = ask("train duel --resume --dataset", file, "--runs-dir", run.folder.parents[2])
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
    assert not (run.folder / "result.json").exists()
    return said.err


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    """These need the real training, which refuses its checkpoint."""
    monkeypatch.setattr("gancluster.runs.training.train", train)
    monkeypatch.setattr(pictures, "draw", lambda *_: None)


@pytest.mark.usefixtures("duels", "training", "no_training")
@pytest.mark.parametrize("what", ["version", "method", "seed", "damage", "log", "config"])
def test_a_checkpoint_that_is_not_this_run_s_is_refused(ask: Ask, file: Path, tmp_path: Path, what: str) -> None:
    run = stopped_duel(tmp_path / "runs", file)
    content = run.checkpoint.read_bytes()
    changes = {
        "version": (rf"\"format\": {FORMAT}", rf"\"format\": {FORMAT + 1}", "was saved with format 3, not 2"),
        "method": (r"\"method\": \"duel\"", r"\"method\": \"gael\"", "is damaged (its checksum does not match)"),
        "seed": (r"\"seed\": 0", r"\"seed\": 7", "is damaged (its checksum does not match)"),
    }
    if what in changes:
        old, new, says = changes[what]
        assert old.encode() in content
        run.checkpoint.write_bytes(content.replace(old.encode(), new.encode()))
    elif what == "damage":
        run.checkpoint.write_bytes(content[:-1])
        says = "is damaged ("
    else:
        name = {"log": "log.csv", "config": "config.json"}[what]
        (run.folder / name).write_bytes(b"\xff")
        says = f"{name} "
    assert says in refused_resumption(ask, file, run)


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("eval", "there is no finished run in "),
        ("sample", "there is no finished run in "),
        ("eval nothing", "no run in "),
        ("sample nothing", "no run in "),
        ("predict nothing digits -o x.csv", "no run in "),
        ("predict", "Missing argument 'RUN'"),
        ("sample -n 0", "--per-cluster"),
        ("sample --seed -1", "--seed"),
    ],
)
def test_verbs_that_need_a_run_say_so(refuse: Callable[..., str], verb: str, says: str) -> None:
    assert says in refuse(verb)


@pytest.mark.usefixtures("duels")
def test_a_name_that_fits_two_runs_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    for seed in (0, 1):
        placed(tmp_path / "runs", points(), "duel", seed)
    assert refuse("eval smoke") == f"2 runs in {tmp_path / 'runs'} called 'smoke': gancluster runs lists them"
