"""What every test shares: an own home, so that no test sees or touches the user's models and settings."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")
tempfile.gettempdir()  # remembered by this process, whatever a test says


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    for variable, folder in (
        ("HOME", ""),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_CACHE_HOME", "cache"),
    ):
        monkeypatch.setenv(variable, str(home / folder))
    if sys.platform == "linux":
        # What processes that a test kills leave there goes with the test. Elsewhere paths are too long for sockets.
        (home / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    monkeypatch.delenv("PELLUCID_LIBRARY", raising=False)
    return home
