"""Processors that are not here, under qemu: 64-bit ARM, and an x86-64 from before AVX. Their bytes are ours."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.degrade import degrade, plan_size
from kernels.library import Variant

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "kernels"
PLACES = {
    "arm64": ("aarch64-linux-gnu-g++", "aarch64", ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
    "x86-64 without AVX": ("x86_64-linux-gnu-g++", "x86_64", ["qemu-x86_64", "-cpu", "Nehalem"]),
}


def batches() -> list[tuple[list[Any], Any, int, list[int]]]:
    """(pictures, records, seed, sample numbers): every bundled recipe, and plans of random operations."""
    from engine.degrade.draw import draw_plan
    from engine.degrade.execute import joined
    from engine.degrade.recipe import bundled_recipes, load_recipe
    from kernels.ops import Opcode

    spec = importlib.util.spec_from_file_location("determinism", HERE / "test_kernels_determinism.py")
    assert spec is not None
    assert spec.loader is not None
    determinism = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(determinism)
    made = []
    for name in bundled_recipes():
        rng = np.random.default_rng(0)
        pictures = [rng.random((3, 64, 64), dtype=np.float32) for _ in range(8)]
        plan = draw_plan(load_recipe(name), 20261121, np.arange(8), 64, 64)
        records = joined(joined(plan.shared, plan.sharpen), plan.damage)
        rows = np.flatnonzero((records["opcode"] != Opcode.HOST_CODEC).all(1))
        made.append(([pictures[row] for row in rows], records[rows], 20261121, rows.tolist()))
    for seed in range(6):
        pictures, records = determinism.random_batch(seed, 6)
        made.append((pictures, records, seed, list(range(6))))
    return made


def write_batch(path: Path, pictures: list[Any], records: Any, seed: int, samples: list[int]) -> None:
    records = np.ascontiguousarray(records)
    before = [picture.shape[1:] for picture in pictures]
    after = [plan_size(row, *size) for row, size in zip(records, before, strict=True)]
    with path.open("wb") as file:
        file.write(np.array([len(pictures), records.shape[1]], "<u8").tobytes())
        file.write(np.array(before, "<i4").tobytes() + np.array(after, "<i4").tobytes())
        file.write(np.array([seed] * len(pictures), "<u8").tobytes() + np.array(samples, "<u8").tobytes())
        file.write(records.tobytes())
        for picture in pictures:
            file.write(picture.astype("<f4").tobytes())


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="qemu runs programs of other processors on Linux")
@pytest.mark.skipif(not (SOURCES / "CMakeLists.txt").is_file(), reason="an installed wheel leaves the sources out")
@pytest.mark.parametrize("place", PLACES)
def test_other_processors_make_the_same_bytes(place: str, tmp_path: Path) -> None:
    compiler, processor, runner = PLACES[place]
    for tool in ("cmake", compiler, runner[0]):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not there; on Debian: apt install g++-aarch64-linux-gnu qemu-user")
    build = tmp_path / "build"
    options = ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={processor}", f"-DCMAKE_CXX_COMPILER={compiler}"]
    configure = ["cmake", "-S", SOURCES, "-B", build, "-DPELLUCID_CUDA=OFF", *options]
    subprocess.run(configure, check=True, capture_output=True)
    subprocess.run(["cmake", "--build", build, "--parallel", "2"], check=True, capture_output=True)
    program = tmp_path / "run_plan"
    link = [f"-I{SOURCES / 'include'}", HERE / "run_plan.cpp", build / "libpellucid_cpu.so", f"-Wl,-rpath,{build}"]
    subprocess.run([compiler, "-std=c++17", "-O2", *link, "-o", program], check=True)
    for pictures, records, seed, samples in batches():
        expected = degrade(pictures, records, seed, samples)
        write_batch(tmp_path / "batch", pictures, records, seed, samples)
        for variant in (Variant.AUTOMATIC, Variant.EMULATED_DEVICE):
            command = [*runner, program, tmp_path / "batch", tmp_path / "result", str(int(variant))]
            outcome = subprocess.run(command, capture_output=True, text=True, timeout=600)
            assert outcome.returncode == 0, outcome.stderr
            # What the processor lacks is not chosen: only plain C++ is left.
            ran = Variant.SCALAR if variant == Variant.AUTOMATIC else variant
            assert outcome.stdout.strip() == str(int(ran))
            assert (tmp_path / "result").read_bytes() == b"".join(np.ascontiguousarray(r).tobytes() for r in expected)
