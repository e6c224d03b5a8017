"""Two starts at the same moment, as of a double click too many: one window, with the pictures of both."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.gui.desktop import SITTER, TOOLS, Desktop

missing = [tool for tool in TOOLS if shutil.which(tool) is None]
if missing and os.environ.get("REQUIRE_XVFB"):
    raise RuntimeError(f"These tools must be installed for the end-to-end tests: {', '.join(missing)}")
pytestmark = [pytest.mark.x11, pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")]
SECONDS = 40.0


def test_two_starts_at_once_open_one_window(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for file in files:
        Image.new("RGB", (40, 30), "teal").save(file)
    desktop = Desktop(tmp_path)
    programs = [subprocess.Popen([sys.executable, "-c", SITTER, file], env=desktop.environment) for file in files]
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            items = desktop.state()["items"]
            assert isinstance(items, list)
            ended = [program.poll() for program in programs]
            if len(items) == 2 and None in ended and 0 in ended:
                break
            time.sleep(0.05)
        assert sorted(item[0] for item in items) == files
        assert sorted(ended, key=str) == [0, None], "one hands over and ends, the other has the window"
    finally:
        for program in programs:
            program.terminate()
            program.wait(20)
        desktop.close()
