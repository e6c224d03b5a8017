"""Philox 4x32-10 for whole arrays: random numbers as a function of a counter and a key, with no state between calls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]

PLAN_STREAM = 0x8000_0000
"""Set in the stage word of the counter, which keeps the draws of a plan apart from the noise of its operations: the
kernels count (position, stage, sample) under the same key, and no operation has a stage this large."""

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox4x32(counter: tuple[U32, U32, U32, U32], key: tuple[int, int]) -> tuple[U32, U32, U32, U32]:
    """Four uint32 arrays of random words for four uint32 arrays (one shape) of counter words and a key of two words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    low, high = (0, 1) if np.little_endian else (1, 0)
    first = np.empty(c0.shape, np.uint64)
    second = np.empty(c0.shape, np.uint64)
    first_words = first.view(np.uint32).reshape(*c0.shape, 2)
    second_words = second.view(np.uint32).reshape(*c0.shape, 2)
    for _ in range(_ROUNDS):
        np.multiply(c0, _MULTIPLIERS[0], out=first, dtype=np.uint64, casting="same_kind")
        np.multiply(c2, _MULTIPLIERS[1], out=second, dtype=np.uint64, casting="same_kind")
        c0 = second_words[..., high] ^ c1 ^ np.uint32(k0)
        c2 = first_words[..., high] ^ c3 ^ np.uint32(k1)
        c1 = second_words[..., low].copy()
        c3 = first_words[..., low].copy()
        k0 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF
        k1 = (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3
