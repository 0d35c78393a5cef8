"""Random numbers are a function of (seed, purpose, place), and of nothing else."""

from itertools import product

import torch

from gancluster.engine.randomness import Purpose, generator


def numbers(seed: int, purpose: Purpose, *place: int) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=generator("cpu", seed, purpose, *place)).tolist())


def test_a_key_gives_its_numbers_whatever_was_drawn_before() -> None:
    first = numbers(3, Purpose.NOISE, 7)
    torch.manual_seed(0)
    numbers(3, Purpose.NOISE, 8)
    assert numbers(3, Purpose.NOISE, 7) == first


def test_no_two_keys_share_numbers() -> None:
    """The keys that are in use: (1, 2) is not (2, 1), and seeds, purposes and places do not run into each other."""
    pairs = [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (12, 0), (300, 4), (3, 4004), (2**20, 1)]
    seeds = (0, 1, 2, 12, 2**31, 2**40)
    keys = [(seed, Purpose.SAMPLES) for seed in seeds]
    keys += [(s, p, *place) for s, p, place in product(seeds, (Purpose.ORDER, Purpose.NOISE, Purpose.EXTRA), pairs)]
    assert len({numbers(*key) for key in keys}) == len(keys)
