"""The published parts of a data set; light enough for the command line to know before anything is asked of it."""

from typing import Literal

from gancluster.errors import DataError

Split = Literal["all", "train", "test"]


def parts(split: Split) -> tuple[Literal["train", "test"], ...]:
    """The published parts that `split` is made of; all: train followed by test, as the papers cluster them."""
    return ("train", "test") if split == "all" else (split,)


def only_whole(name: str, split: Split) -> None:
    """`DataError` unless all of a data set is asked for that was never split in public."""
    if split != "all":
        raise DataError(f"{name} has no published train and test parts: ask for split 'all'")
