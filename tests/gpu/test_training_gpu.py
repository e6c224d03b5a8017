"""Training on a real GPU. Without one: the same checks run dry on the CPU, so that they stay able to run."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch


def load(name: str) -> ModuleType:
    """A program of this folder as a module."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


checks = load("check_training")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_part(machine: object, name: str) -> None:
    try:
        dict(checks.parts(machine))[name]()
    except checks.LeftOut as reason:
        pytest.skip(str(reason))


NAMES = [name for name, _ in checks.parts(checks.Machine(dry=True))]


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("name", NAMES)
def test_training_on_the_gpu_keeps_its_promises(name: str) -> None:
    run_part(checks.Machine(dry=False), name)


@pytest.mark.parametrize("name", NAMES)
def test_the_checks_run_dry(name: str) -> None:
    run_part(checks.Machine(dry=True), name)


def test_the_measurement_runs_dry() -> None:
    figures = checks.measure(checks.Machine(dry=True))
    for name in ("plain_fp32", "ours_one_by_one", "ours_recorded", "plain_fp32_with_public_damage"):
        assert figures[name] > 0, name
