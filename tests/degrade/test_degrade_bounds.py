"""The native library is part of the product: where it is missing these tests fail, they do not skip."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from kernels.library import runnable_variants

TABLE = {row["op"]: row for row in tomllib.loads(Path(__file__).with_name("bounds.toml").read_text("utf-8"))["bounds"]}


def test_every_measured_operation_has_a_row_and_every_row_an_operation(bounds):
    assert set(TABLE) == set(bounds.MEASURES)


@pytest.mark.parametrize("name", TABLE)
def test_an_operation_stays_within_its_bound_of_the_reference(name, bounds, reference):
    row = TABLE[name]
    assert row["worst"] <= row["bound"]
    assert row["device"]
    assert row["date"].year >= 2026
    variants = [variant.name.lower() for variant in runnable_variants()]
    assert variants[0] == "scalar"
    for variant in variants:
        assert bounds.MEASURES[name](reference, variant) <= row["bound"], variant
