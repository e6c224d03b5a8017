"""The packaging scripts as modules: they stand beside each other in a folder that must not become a package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"


@pytest.fixture(autouse=True)
def packaging_folder() -> Iterator[Path]:
    sys.path.insert(0, str(PACKAGING))
    yield PACKAGING
    sys.path.remove(str(PACKAGING))
