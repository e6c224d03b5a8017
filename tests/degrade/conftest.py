from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def _beside(name):
    spec = importlib.util.spec_from_file_location(f"degrade_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference():
    """The float64 reference beside this file, as a module."""
    return _beside("reference")


@pytest.fixture(scope="session")
def bounds():
    """The measurements that fill bounds.toml, as a module."""
    return _beside("measure_bounds")
