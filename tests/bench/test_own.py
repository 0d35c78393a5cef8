"""A user's own table: what a TOML file may say, and how it is told what it may not."""

import re
from pathlib import Path

import pytest
from outcomes import entry, filled_by, finished

from gancluster.bench import capsule, own
from gancluster.errors import UserError

MINE = """
title = "Does the GAN pay?"
datasets = ["digits", "photos/"]
scores = ["acc", "ari"]
seeds = 3

[[rows]]
method = "clustergan"
published.digits.acc = "0.950"

[[rows]]
title = "no game"
method = "clustergan"
options = { gan = false }
clusters = 12
"""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the files name lies where the command is given."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("cells.npz").touch()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_rows_data_sets_and_figures_come_from_the_file(tmp_path: Path) -> None:
    table = own.read(written(tmp_path, MINE))
    assert (table.name, table.title, [column.key for column in table.columns]) == (
        "mine",
        "Does the GAN pay?",
        ["digits ACC", "digits ARI", "photos/ ACC", "photos/ ARI"],
    )
    cells = table.cells("full")
    assert len(cells) == 2 * 2 * 3
    assert {(cell.dataset, cell.clusters, cell.options.get("gan")) for cell in cells} == {
        ("digits", None, None),
        ("photos/", None, None),
        ("digits", 12, False),
        ("photos/", 12, False),
    }
    sheet = filled_by(lambda cell: finished(cell, acc=0.95, ari=0.9), table, seeds=3)
    found = entry(sheet, "clustergan", "digits ACC")
    assert found.published == "0.950"
    assert found.verdict is not None
    assert found.verdict.name == "reproduced"


def test_a_figure_may_have_a_deviation(tmp_path: Path) -> None:
    table = own.read(written(tmp_path, MINE.replace('"0.950"', '"0.950 ± 0.010"')))
    (figure,) = table.figures.values()
    assert (figure.text, figure.mean) == ("0.950 ± 0.010", (0.95, 0.01, 5))


def test_the_example_of_the_docs_is_a_table(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/bench.md").read_text()
    (text,) = re.findall(r'^```toml title="mine.toml"\n(.*?)^```', page, re.DOTALL | re.MULTILINE)
    table = own.read(written(tmp_path, text))
    assert [row.title for row in table.rows] == ["clustergan", "without the GAN"]
    assert len(table.cells("full")) == 20


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('title = "Does', "title = Does", "is not TOML"),
        ('method = "clustergan"\npub', 'method = "clustergam"\npub', "did you mean clustergan"),
        ("gan = false", "gin = false", "rows.1: clustergan has no gin"),
        ("seeds = 3", "seeds = 0", "seeds: input should be greater"),
        ("seeds = 3", "sneeds = 3", "sneeds: extra inputs are not permitted"),
        ('"acc", "ari"', '"accuracy"', "scores.0: input should be 'acc'"),
        ("published.digits.acc", "published.digits.nmi", "no column digits NMI"),
        ('"0.950"', '"high"', "'high' is no number"),
        ('"0.950"', '"95.0"', "'95.0' is no fraction: write 95.0 % as"),
        ('"0.950"', '"nan"', "'nan' is no fraction"),
        ('"0.950"', '"0.95 ± -0.01"', "is no fraction"),
        ('title = "no game"', 'title = "clustergan"', "there is a row 'clustergan' already"),
        ("photos/", "gone/", "there is no file or folder gone/: name an .npz file or a folder"),
        ('datasets = ["digits", "photos/"]', "datasets = []", "datasets: list should have at least 1 item"),
        ('datasets = ["digits", ', 'datasets = ["digts", ', "did you mean digits"),
    ],
)
def test_what_a_file_may_not_say_is_told_in_one_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in MINE
    with pytest.raises(UserError, match=told) as caught:
        own.read(written(tmp_path, MINE.replace(old, new)))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        own.read(tmp_path / "none.toml")


def test_features_stand_in_the_place_of_a_data_set_s_samples(tmp_path: Path) -> None:
    table = own.read(written(tmp_path, MINE.replace("seeds = 3", "features = { digits = 'resnet50' }")))
    assert {(cell.dataset, cell.features) for cell in table.cells("full")} == {
        ("digits", "resnet50"),
        ("photos/", None),
    }
    assert table.notes[0].startswith("digits: features by resnet50")
    for features, wrong in (("digits = 'resnet51'", "did you mean resnet50"), ("usps = 'resnet50'", "features.usps")):
        with pytest.raises(UserError, match=wrong):
            own.read(written(tmp_path, MINE.replace("seeds = 3", f"features = {{ {features} }}")))


def test_a_data_set_may_be_cut_to_so_many_samples(tmp_path: Path) -> None:
    table = own.read(written(tmp_path, MINE.replace("seeds = 3", "limits = { digits = 300 }")))
    assert {(cell.dataset, cell.limit) for cell in table.cells("full")} == {("digits", 300), ("photos/", None)}
    assert "digits: 300 of its samples, drawn by seed 0" in table.notes
    for limits, wrong in (("usps = 300", "limits.usps"), ("digits = 0", "limits.digits: ")):
        with pytest.raises(UserError, match=wrong):
            own.read(written(tmp_path, MINE.replace("seeds = 3", f"limits = {{ {limits} }}")))


def test_seeds_begin_where_the_file_says(tmp_path: Path) -> None:
    table = own.read(written(tmp_path, MINE.replace("seeds = 3", "seeds = 3\nfirst_seed = 20")))
    assert {cell.seed for cell in table.cells("full")} == {20, 21, 22}
    assert {cell.seed for cell in table.cells("smoke", seeds=1)} == {20}
    assert capsule.Layout.of(table).table() == table


RARE = """
title = "Labels and codes"
datasets = ["mnist"]
scores = ["error", "mAP/32"]

[[rows]]
method = "ganem"
labels = 100
split = "train"
published.mnist.error = "0.0109"

[[rows]]
method = "itq"
published.mnist."mAP/32" = "0.4382"
"""


def test_rows_may_learn_from_labels_and_be_shallow_hashes(tmp_path: Path) -> None:
    table = own.read(written(tmp_path, RARE))
    assert {(cell.method, cell.labels, cell.split) for cell in table.cells("full", seeds=1)} == {
        ("ganem", 100, "train"),
        ("itq", 0, "all"),
    }
    sheet = filled_by(lambda cell: finished(cell, **{"error": 0.03, "mAP/32": 0.5}), table, seeds=2)
    assert [head.lower for head in sheet.heads] == [True, False]
    assert entry(sheet, "ganem", "mnist error").measured is not None
    for method, wrong in (("kmeans", "kmeans learns without labels"), ("lsh", "lsh has no labels: leave it out")):
        with pytest.raises(UserError, match=wrong):
            own.read(written(tmp_path, RARE.replace("ganem", method)))
