"""Short ways to write plans and to run them, for the tests of the native kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from kernels.degrade import degrade
from kernels.ops import OP, Opcode

VARIANTS = ("scalar", "avx2", "avx512", "emulated")


@pytest.fixture
def op() -> Callable[..., Any]:
    """op(opcode, i, f, stage) -> one record."""

    def record(opcode: Opcode, i: Sequence[int] = (), f: Sequence[float] = (), stage: int = 0) -> Any:
        made = np.zeros((), OP)
        made["opcode"], made["stage"] = opcode, stage
        made["i"][: len(i)] = i
        made["f"][: len(f)] = f
        return made

    return record


@pytest.fixture
def run() -> Callable[..., Any]:
    """run(picture, *records) -> the picture after them."""

    def once(picture: Any, *records: Any, seed: int = 7, sample: int = 3, variant: str | None = None) -> Any:
        return degrade([picture], np.array([list(records)], OP), seed, [sample], threads=1, variant=variant)[0]

    return once


@pytest.fixture
def picture() -> Any:
    """A random picture of odd size."""
    return np.random.default_rng(0).random((3, 45, 61), dtype=np.float32)


@pytest.fixture
def has() -> Callable[[str], None]:
    """has(variant) skips the test where this processor or this build cannot run it."""
    from kernels.library import runnable_variants

    runnable = {v.name.lower() for v in runnable_variants()} | {"emulated"}

    def check(variant: str) -> None:
        if variant not in runnable:
            pytest.skip(f"this processor has no {variant}")

    return check
