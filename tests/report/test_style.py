"""The look of the pictures: colours for every eye, whole files, and no trace of time, place or the user's settings."""

import itertools
import struct
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from gancluster.report.style import DPI, PALETTE, colour, picture

# How red-, green- and blue-blind eyes see linear RGB (Machado et al. 2009, severity 1).
EYES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Björn Ottosson's OKLab of linear RGB, in which equal distances look equal."""
    to_cones = [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]
    to_lab = [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]
    return np.cbrt(linear.clip(0, 1) @ np.transpose(to_cones)) @ np.transpose(to_lab)


def closest(n: int, eye: str) -> float:
    """The smallest distance between two of the first `n` colours, as `eye` sees them."""
    srgb = np.array([[*bytes.fromhex(c[1:])] for c in PALETTE[:n]]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = oklab(linear @ np.transpose(EYES[eye]))
    return float(min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)))


@pytest.mark.parametrize("eye", EYES)
def test_ten_colours_are_far_apart_and_thirty_are_apart_for_every_eye(eye: str) -> None:
    assert closest(10, eye) > 0.07  # a just noticeable difference is about 0.02
    assert closest(30, eye) > 0.04


def test_a_cluster_keeps_its_colour_and_none_has_no_cluster_s() -> None:
    assert len(set(PALETTE)) == 30
    assert colour(3) == colour(33) == PALETTE[3]
    assert colour(-1) not in PALETTE


def draw(path: Path) -> bytes:
    with picture(path, 2, 1) as figure:
        axes = figure.add_subplot()
        axes.plot([1, 2], label="a $name$ with dollars")
        axes.legend()
    return path.read_bytes()


def test_a_picture_is_one_whole_png_of_the_size_asked_for_with_nothing_about_its_making(tmp_path: Path) -> None:
    png = draw(tmp_path / "a.png")
    chunks, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        chunks.append(png[at + 4 : at + 8])
        at += 12 + length
    assert struct.unpack(">II", png[16:24]) == (2 * DPI, DPI)
    assert set(chunks) == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_the_user_s_settings_change_nothing_and_are_given_back(tmp_path: Path) -> None:
    plain = draw(tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 20, "axes.facecolor": "red"}):
        assert draw(tmp_path / "b.png") == plain
        assert matplotlib.rcParams["font.size"] == 30
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def test_a_picture_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    before = draw(tmp_path / "a.png")
    with pytest.raises(ZeroDivisionError), picture(tmp_path / "a.png", 1, 1):
        _ = 1 / 0
    assert (tmp_path / "a.png").read_bytes() == before


def test_no_picture_needs_pyplot() -> None:
    code = "import sys, gancluster.report.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
