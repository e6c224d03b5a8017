"""The benchmarks run and say what they measured."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from engine.bench.peak import bench_memory
from engine.bench.seams import bench_tiling
from engine.cli.output import Output


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_bench_tiling_shows_the_habits_of_others_beside_our_halo() -> None:
    stream = io.StringIO()
    assert bench_tiling(["compact-16"], Output(json=True, stream=stream)) == 0
    net, summary = lines_of(stream)
    errors = net["error_steps"]
    assert net["halo"] == 18
    assert errors["18"] <= 0.01
    assert errors["0"] > 1
    assert {"0", "10", "16"} <= set(errors)
    assert summary == {"nets": 1, "within_one_step": 1}


@pytest.mark.parametrize("file_format", ["", "png"])
def test_bench_memory_measures_a_peak(file_format: str) -> None:
    stream = io.StringIO()
    assert bench_memory("compact-16", 400, 0, file_format, Output(json=True, stream=stream)) == 0
    record = lines_of(stream)[-1]
    assert record["result"] == "400x400"
    assert 0 <= record["peak_above_loaded_mb"] < 1000
