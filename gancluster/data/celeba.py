"""CelebA: 202,599 aligned photographs of faces and 40 attributes of each, read by torchvision, which checks the lists.

`celeba` is all of it, labelled by Male; `celeba:Smiling` is GAN-EM's two-class problem of an attribute: as many images
with it as without, whose other attributes change as little as possible. The paper says no more than that; how they are
chosen here (`balanced`) is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset, Source
from gancluster.data.reading import all_of, reading
from gancluster.data.splits import Split
from gancluster.data.vision import AGAIN, torchvision_part
from gancluster.errors import UnknownName
from gancluster.registry import unknown

ATTRIBUTES = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose"),
    *("Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses"),
    *("Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks"),
    *("Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick"),
    *("Wearing_Necklace", "Wearing_Necktie", "Young"),
)
A_SIDE = 12_000  # images of each side in a balanced subset, at most

Choice = Callable[[NDArray[np.bool_], int], NDArray[np.intp]]


def balanced(has: NDArray[np.bool_], attribute: int, a_side: int = A_SIDE) -> NDArray[np.intp]:
    """Images of a two-class problem, as many with `attribute` as without, in stored order; `has`: `(n, attributes)`.

    `a_side` of each, or as many as the rarer side has. Those with it stand at even steps through the list; those
    without are the nearest, by the number of other attributes that differ, to what most of those with it have (half is
    not most). Of equally near ones the first in the list are taken.
    """
    having, lacking = np.flatnonzero(has[:, attribute]), np.flatnonzero(~has[:, attribute])
    count = min(a_side, len(having), len(lacking))
    having = having[np.arange(count) * len(having) // max(count, 1)]
    others = np.delete(has, attribute, axis=1)
    typical = 2 * others[having].sum(0) > count
    distances = (others[lacking] != typical).sum(1)
    return np.sort(np.concatenate([having, lacking[np.argsort(distances, kind="stable")[:count]]]))


def every(has: NDArray[np.bool_], attribute: int) -> NDArray[np.intp]:
    """All images."""
    return np.arange(len(has))


def variant(attribute: str) -> Source:
    """The balanced subset of `attribute`; `UnknownName` unless it is one of the 40."""
    if attribute not in ATTRIBUTES:
        raise UnknownName(unknown("attribute of celeba", attribute, ATTRIBUTES))
    return _source(f"celeba:{attribute}", attribute, balanced, f"CelebA's faces with and without {attribute}, balanced")


def _source(name: str, attribute: str, choice: Choice, summary: str) -> Source:
    """The images that `choice` takes, labelled by `attribute`; no other is decoded."""

    def read(data_dir: Path, split: Split) -> Dataset:
        datasets = torchvision_part("datasets")
        with reading(data_dir / "celeba", AGAIN.format("celeba")):
            stored = datasets.CelebA(data_dir, split=split, target_type="attr")
            has = stored.attr[:, [stored.attr_names.index(known) for known in ATTRIBUTES]].numpy().astype(bool)
            index = choice(has, ATTRIBUTES.index(attribute))
            inputs = np.empty((len(index), 3, 64, 64), dtype=np.uint8)
            for row, image in enumerate(index.tolist()):
                inputs[row] = _face(stored[image][0])
        labels = has[index, ATTRIBUTES.index(attribute)].astype(np.int64)
        names = (f"not {attribute}", attribute)
        return Dataset(name, inputs, labels, 2, split, (-1.0, 1.0), flips=True, label_names=names)

    def fetch(data_dir: Path) -> None:
        torchvision_part("datasets").CelebA(data_dir, download=True)

    wanted = "celeba/img_align_celeba, celeba/list_attr_celeba.txt and the four other lists"
    files = all_of("celeba/img_align_celeba", "celeba/list_attr_celeba.txt", "celeba/list_eval_partition.txt")
    return Source(summary, read, fetch, files, wanted)


def _face(image: Any) -> NDArray[np.uint8]:
    """The middle square of an aligned photograph (178x218), shrunk to 64x64: `(3, 64, 64)`."""
    left, top = (image.width - 178) // 2, (image.height - 178) // 2
    small = image.convert("RGB").resize((64, 64), box=(left, top, left + 178, top + 178))
    return np.moveaxis(np.asarray(small, dtype=np.uint8), 2, 0)


SUMMARY = "202,599 faces, 64x64 colour, 2 classes (Male); balanced: celeba:Smiling, celeba:Bald …"
CELEBA = replace(_source("celeba", "Male", every, SUMMARY), variant=variant)
