"""How every picture looks and reaches the disk.

No pyplot. Matplotlib starts from its own defaults, not the user's settings, which are given back untouched; nothing in
a file depends on time or place, so the same arrays give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gancluster.atomic import write_bytes

DPI = 160
INK, SOFT, PALE = "#222222", "#767676", "#EEEEEE"

# Six of Okabe & Ito's; each of the others is the farthest from all before it in OKLab, as normal, red-, green- or
# blue-blind eyes see it (Machado et al. 2009). Ten are told apart at a glance, thirty are not: clusters are named too.
PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#78003C", "#1E2D87", "#00E1B4", "#784B00"),
    *("#A53C78", "#9678E1", "#A5B478", "#5A3CA5", "#00694B", "#C3D25A", "#4B3C69", "#B4C3FF", "#4B3C00", "#69785A"),
    *("#E196C3", "#F0783C", "#8796FF", "#A56996", "#78A55A", "#785A96", "#C39696", "#004B87", "#965A1E", "#87D287"),
)
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "text.parse_math": False,  # a dollar sign in somebody's class name is one
}


def colour(group: int) -> str:
    """The colour of a cluster, the same in every picture; none (-1) is grey, and from 30 on colours come again."""
    return PALETTE[group % len(PALETTE)] if group >= 0 else "#C4C4C4"


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A blank figure of `width` x `height` inches, written to `path` as PNG where the block ends without an error."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure((width, height), dpi=DPI, layout="constrained")
        yield figure
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    write_bytes(path, png.getvalue())


def bare(axes: Axes) -> None:
    """Leave out spines and tick marks, keep the labels."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
