"""The real program on a real X server: files dragged in from another process, keys, a killed worker, a second start."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.gui.desktop import ROOT, TOOLS, Desktop

missing = [tool for tool in TOOLS if shutil.which(tool) is None]
if missing and os.environ.get("REQUIRE_XVFB"):
    raise RuntimeError(f"These tools must be installed for the end-to-end tests: {', '.join(missing)}")
pytestmark = [pytest.mark.x11, pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")]


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    made = Desktop(tmp_path)
    yield made
    made.close()


def picture(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    rows, columns = np.mgrid[0:90, 0:120]
    Image.fromarray(np.stack([rows, columns, rows + columns], axis=-1).astype(np.uint8)).save(path)
    return str(path)


def done(state: dict[str, object], count: int) -> bool:
    items = state["items"]
    return isinstance(items, list) and [item[1] for item in items] == ["done"] * count


def test_pictures_dragged_from_another_process_are_restored(desktop: Desktop, tmp_path: Path) -> None:
    files = [picture(tmp_path / "in" / name) for name in ("a.png", "ünï cødé %20 #1.jpg")]
    notes = tmp_path / "notes.txt"
    notes.write_text("no picture")
    desktop.start(at_once=False)
    assert desktop.drag_files_in(str(notes)) == "IgnoreAction"
    assert desktop.drag_files_in(*files) == "CopyAction"
    state = desktop.wait(lambda state: len(state["items"]) == 2 and state["overlays"] == ["live"])
    assert [item[1] for item in state["items"]] == ["waiting", "waiting"]
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == sorted(Path(file).name for file in files)
    desktop.do("key", "ctrl+Return")
    state = desktop.wait(lambda state: done(state, 2) and bool(state["result"]))
    assert [item[0] for item in state["items"]] == files
    assert len(list((tmp_path / "in" / "Pellucid").glob("*_fake_x4.png"))) == 2


def test_the_divider_and_the_keys_work_with_a_real_hand(desktop: Desktop, tmp_path: Path) -> None:
    desktop.start(picture(tmp_path / "in" / "a.png"))
    state = desktop.wait(lambda state: done(state, 1) and bool(state["result"]))
    x, y, width = state["middle"]
    desktop.drag((x, y), (x + width // 4, y))
    desktop.wait(lambda state: abs(float(state["split"]) - 0.75) < 0.03)
    desktop.do("key", "s")
    desktop.wait(lambda state: state["mode"] == "side")
    desktop.do("key", "ctrl+2")
    desktop.wait(lambda state: state["page"] == 1)
    desktop.do("key", "ctrl+q")
    assert desktop.program is not None
    assert desktop.program.wait(10) == 0


def test_a_picture_is_opened_restored_and_compared_by_keyboard_alone(desktop: Desktop, tmp_path: Path) -> None:
    path = picture(tmp_path / "in" / "a b.png")
    desktop.start(at_once=False)
    desktop.do("key", "Return")  # The button to open pictures has the focus from the start.
    desktop.wait(lambda state: state["dialog"] == "QFileDialog")
    desktop.fill_in(str(path))
    desktop.do("key", "Return")
    desktop.wait(lambda state: state["overlays"] == ["live"] and bool(state["models"]))
    desktop.tab_to("Blend between faithful and vivid, percent")
    for _step in range(4):
        desktop.do("key", "Right")
    desktop.wait(lambda state: state["alpha"] == 0.2)
    desktop.tab_to("Restore")
    desktop.do("key", "space")
    desktop.wait(lambda state: done(state, 1) and bool(state["result"]))
    desktop.tab_to("Comparison: divider between before and after")
    for _step in range(5):
        desktop.do("key", "period")
    desktop.wait(lambda state: abs(float(state["split"]) - 0.6) < 0.001)
    desktop.do("key", "f")
    desktop.wait(lambda state: state["mode"] == "flicker")
    desktop.do("key", "ctrl+q")
    assert desktop.program is not None
    assert desktop.program.wait(10) == 0
    with Image.open(tmp_path / "in" / "Pellucid" / "a b_fake_x4.png") as result:
        assert result.size == (480, 360)


def test_a_pasted_picture_from_another_program_is_restored(desktop: Desktop, tmp_path: Path) -> None:
    path = picture(tmp_path / "in" / "a.png")
    desktop.start()
    clip = subprocess.Popen(
        ["xclip", "-selection", "clipboard", "-t", "image/png", "-i", path], env=desktop.environment
    )
    clip.wait(10)
    desktop.do("key", "ctrl+v")
    state = desktop.wait(lambda state: done(state, 1))
    assert "pasted" in str(state["items"])


def test_a_worker_killed_in_the_middle_is_told_and_the_rest_goes_on(desktop: Desktop, tmp_path: Path) -> None:
    files = [picture(tmp_path / "in" / f"{n}.png") for n in range(3)]
    desktop.start(*files, delay=0.1)
    state = desktop.wait(lambda state: any(item[1] == "running" for item in state["items"]))
    os.kill(int(str(state["worker"])), signal.SIGKILL)
    state = desktop.wait(lambda state: [i[1] for i in state["items"]] == ["crashed", "done", "done"])
    assert "SIGKILL" in str(state["banner"])


def test_a_second_start_hands_its_files_to_the_first_also_after_a_kill(desktop: Desktop, tmp_path: Path) -> None:
    first, second = picture(tmp_path / "in" / "a.png"), picture(tmp_path / "in" / "b.png")
    desktop.start(first)
    assert desktop.second_start(second) == 0
    desktop.wait(lambda state: done(state, 2))
    assert desktop.program is not None
    desktop.program.kill()
    desktop.program.wait(5)
    desktop.state_file.unlink()
    desktop.start(first)
    assert desktop.second_start(second) == 0
    desktop.wait(lambda state: len(state["items"]) >= 2)


def test_without_a_display_a_sentence_names_the_command_line(tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("QT_", "DISPLAY", "WAYLAND"))}
    ended = subprocess.run(
        [sys.executable, "-m", "gui"],
        env={**clean, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "pellucid restore" in ended.stderr
