"""Where random numbers of a run come from: a generator keyed by (seed, purpose, place), never by history.

So a run has no random state to save: stopped anywhere it goes on as if nothing had happened, and seed k of many gives
what seed k alone gives. (Passes through all samples, as a start takes them, are drawn by the seed alone.)
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a random number is for: part of its generator's key, so that no two of them share numbers."""

    ORDER = 1  # an epoch's permutation, at (phase, epoch)
    NOISE = 2  # what the method draws for a step, at (step, repetition)
    EXTRA = 3  # the batch of a turn's earlier repetition, at (step, repetition)
    SAMPLES = 4  # samples generated after training
    ATTEMPT = 5  # the seed of a game begun again, at (attempt,)
    LOOK = 6  # the samples by which a partition is judged on the way
    LABELLED = 7  # labelled samples beside a step's batch, at (step, repetition)
    SAMPLER = 8  # what disturbs a player whose optimiser samples, at (step, turn, repetition, mover)
    START = 9  # the seed of one of several starts, at (start,)


def generator(device: torch.device | str, seed: int, purpose: Purpose, *place: int) -> torch.Generator:
    """A fresh generator on `device`, a function of its key alone."""
    word = np.random.SeedSequence((seed, purpose, *place)).generate_state(1, np.uint32)
    return torch.Generator(device).manual_seed(int(word[0]))


def seed_of(seed: int, number: int, purpose: Purpose = Purpose.ATTEMPT) -> int:
    """The seed of an attempt at the run of `seed`, or of a start: number 0 has the run's own, all others another."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence((seed, purpose, number)).generate_state(1, np.uint32)[0])
