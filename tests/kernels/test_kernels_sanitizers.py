"""The CPU library built with the address and undefined-behaviour sanitizers, run over every operation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "kernels"

WORK = """
import runpy, sys
from pathlib import Path

import numpy as np

import kernels.library
from kernels.degrade import degrade, plan_size
from kernels.errors import KernelInputError
from kernels.ops import OP

build = Path(sys.argv[1])
kernels.library.resources.files = lambda package: build
tools = runpy.run_path(sys.argv[2])
variants = [v.name.lower() for v in kernels.library.runnable_variants()] + ["emulated"]
for seed in range(12):
    pictures, plan = tools["random_batch"](seed, 6)
    sums = {
        variant: tools["checksums"](degrade(pictures, plan, seed, range(6), threads=2, variant=variant))
        for variant in variants
    }
    assert len({tuple(s) for s in sums.values()}) == 1, sums
rng = np.random.default_rng(0)
for _ in range(3000):
    plan = np.zeros((1, 2), OP)
    plan["opcode"], plan["i"] = rng.integers(1, 13), rng.integers(-3, 130, 4)
    plan["f"] = rng.normal(0, 2, 8)
    try:
        plan_size(plan[0], 9, 11)
    except KernelInputError:
        continue
    degrade([np.full((3, 9, 11), 0.5, np.float32)], plan, 0, [0], threads=1)
print("clean")
"""


def runtime_library(name: str) -> str:
    compiler = os.environ.get("CXX", "g++")
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sanitizers are preloaded as Linux does it")
@pytest.mark.skipif(not (SOURCES / "CMakeLists.txt").is_file(), reason="an installed wheel leaves the sources out")
def test_no_operation_reads_or_writes_where_it_should_not(tmp_path: Path) -> None:
    if not shutil.which("cmake") or not shutil.which(os.environ.get("CXX", "g++")):
        pytest.skip("cmake or the C++ compiler is not there")
    runtimes = [runtime_library(name) for name in ("libasan.so", "libubsan.so")]
    if not all(Path(path).is_absolute() for path in runtimes):
        pytest.skip("the compiler has no sanitizer runtimes")
    build = tmp_path / "build"
    options = ["-DPELLUCID_SANITIZE=ON", "-DPELLUCID_CUDA=OFF"]
    subprocess.run(["cmake", "-S", SOURCES, "-B", build, *options], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", build, "--parallel", "2"], check=True, capture_output=True)
    outcome = subprocess.run(
        [sys.executable, "-c", WORK, build, HERE / "test_kernels_determinism.py"],
        env={
            **os.environ,
            "LD_PRELOAD": " ".join(runtimes),
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        },
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert outcome.returncode == 0, outcome.stderr[-4000:]
    assert outcome.stdout.strip() == "clean"
