"""The real program on a real X server: files dragged in from another process, keys, a killed worker, a second start."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOLS = ("Xvfb", "openbox", "xdotool", "xclip")
ROOT = Path(__file__).parent.parent.parent
FAKES = Path(__file__).parent / "fakes"
PATIENCE = 40.0
missing = [tool for tool in TOOLS if shutil.which(tool) is None]
if missing and os.environ.get("REQUIRE_XVFB"):
    raise RuntimeError(f"These tools must be installed for the end-to-end tests: {', '.join(missing)}")
pytestmark = [pytest.mark.x11, pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")]

DRAG_SOURCE = """
import sys
from PySide6.QtCore import QMimeData, Qt, QTimer, QUrl
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication, QLabel

class Source(QLabel):
    def mouseMoveEvent(self, event):
        drag = QDrag(self)
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(path) for path in sys.argv[1:]])
        drag.setMimeData(data)
        print("RESULT", drag.exec(Qt.DropAction.CopyAction).name, flush=True)
        QTimer.singleShot(1000, QApplication.quit)  # Until then it serves what the target asks for.

app = QApplication(sys.argv[:1])
source = Source("drag me")
source.setWindowFlags(Qt.WindowType.X11BypassWindowManagerHint | Qt.WindowType.FramelessWindowHint)
source.setGeometry(20, 20, 100, 60)
source.show()
source.raise_()
print("READY", flush=True)
app.exec()
"""

SITTER = """
import json, os, sys
import gui.client, gui.commands
gui.client.worker_program = lambda: [sys.executable, os.environ["FAKE_WORKER"]]
gui.commands.command_program = lambda: [sys.executable, os.environ["FAKE_COMMAND"]]
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
import gui.app, gui.window

class Watched(gui.window.Window):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._watch = QTimer(self)
        self._watch.timeout.connect(self._tell)
        self._watch.start(50)

    def _tell(self):
        where = self.restore_page.view.mapToGlobal(self.restore_page.view.rect().center())
        state = {
            "items": [[item.source, item.state] for item in self.session.queue.items],
            "worker": self.session.client.pid,
            "banner": self.restore_page.banner.text(),
            "page": self.pages.currentIndex(),
            "split": self.restore_page.view.state.split,
            "mode": self.restore_page.view.state.mode,
            "middle": [where.x(), where.y(), self.restore_page.view.width()],
            "result": self.restore_page._after is not None,
            "overlays": sorted(self.restore_page._overlays),
            "active": self.isActiveWindow(),
        }
        path = os.environ["STATE_FILE"]
        with open(path + ".part", "w") as file:
            json.dump(state, file)
        os.replace(path + ".part", path)

gui.window.Window = Watched
sys.exit(gui.app.run(sys.argv[1:]))
"""


class Desktop:
    """An X server with a window manager, the program on it, and a hand that drags and types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_file = folder / "state.json"
        read, write = os.pipe()
        self.server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            display = pipe.readline().strip()
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("QT_", "WAYLAND"))}
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.environment = {
            **clean,
            "DISPLAY": f":{display}",
            "LC_ALL": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(ROOT),
            "FAKE_WORKER": str(FAKES / "good_worker.py"),
            "FAKE_COMMAND": str(FAKES / "command.py"),
            "STATE_FILE": str(self.state_file),
        }
        self.manager = subprocess.Popen(["openbox"], env=self.environment, stderr=subprocess.DEVNULL)
        self.program: subprocess.Popen[bytes] | None = None

    def start(self, *files: str, delay: float = 0.01, at_once: bool = True) -> None:
        config = Path(self.environment["XDG_CONFIG_HOME"]) / "pellucid" / "settings.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps({"start_at_once": at_once}))
        self.environment["PELLUCID_FAKE_DELAY"] = str(delay)
        self.program = subprocess.Popen([sys.executable, "-c", SITTER, *files], env=self.environment)
        self.wait(lambda state: bool(state["worker"]) and bool(state["active"]))

    def second_start(self, *files: str) -> int:
        return subprocess.run([sys.executable, "-c", SITTER, *files], env=self.environment, check=False).returncode

    def state(self) -> dict[str, object]:
        try:
            return dict(json.loads(self.state_file.read_text()))
        except FileNotFoundError:
            return {"worker": 0, "active": False, "items": []}

    def wait(self, true: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            state = self.state()
            if true(state):
                return state
            assert self.program is None or self.program.poll() is None, "the program ended"
            time.sleep(0.03)
        raise AssertionError(f"It did not happen within {PATIENCE:.0f} s: {self.state()}")

    def do(self, *words: object) -> None:
        subprocess.run(["xdotool", *map(str, words)], env=self.environment, check=True)

    def drag(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        self.do("mousemove", *begin, "mousedown", 1)
        for step in range(1, 9):
            x, y = (round(b + (e - b) * step / 8) for b, e in zip(begin, end, strict=True))
            self.do("mousemove", "--sync", x, y)
            time.sleep(0.02)
        self.do("mouseup", 1)

    def drag_files_in(self, *files: str) -> str:
        """What the source is told: CopyAction when the window took them."""
        source = subprocess.Popen(
            [sys.executable, "-c", DRAG_SOURCE, *files], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert source.stdout is not None
        assert source.stdout.readline() == "READY\n"
        time.sleep(0.2)
        self.drag((60, 50), (640, 400))
        answer, _nothing = source.communicate(timeout=20)
        return answer.split()[1]

    def close(self) -> None:
        for process in (self.program, self.manager, self.server):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(5)


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
    state = desktop.wait(lambda state: len(state["items"]) == 2 and state["overlays"] == ["live"])  # type: ignore[arg-type]
    assert [item[1] for item in state["items"]] == ["waiting", "waiting"]  # type: ignore[attr-defined]
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == sorted(Path(file).name for file in files)
    desktop.do("key", "ctrl+Return")
    state = desktop.wait(lambda state: done(state, 2) and bool(state["result"]))
    assert [item[0] for item in state["items"]] == files  # type: ignore[attr-defined]
    assert len(list((tmp_path / "in" / "Pellucid").glob("*_fake_x4.png"))) == 2


def test_the_divider_and_the_keys_work_with_a_real_hand(desktop: Desktop, tmp_path: Path) -> None:
    desktop.start(picture(tmp_path / "in" / "a.png"))
    state = desktop.wait(lambda state: done(state, 1) and bool(state["result"]))
    x, y, width = state["middle"]  # type: ignore[misc]
    desktop.drag((x, y), (x + width // 4, y))
    desktop.wait(lambda state: abs(float(state["split"]) - 0.75) < 0.03)  # type: ignore[arg-type]
    desktop.do("key", "s")
    desktop.wait(lambda state: state["mode"] == "side")
    desktop.do("key", "ctrl+2")
    desktop.wait(lambda state: state["page"] == 1)
    desktop.do("key", "ctrl+q")
    assert desktop.program is not None
    assert desktop.program.wait(10) == 0


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
    state = desktop.wait(lambda state: any(item[1] == "running" for item in state["items"]))  # type: ignore[attr-defined]
    os.kill(int(str(state["worker"])), signal.SIGKILL)
    state = desktop.wait(lambda state: [i[1] for i in state["items"]] == ["crashed", "done", "done"])  # type: ignore[attr-defined]
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
    desktop.wait(lambda state: len(state["items"]) >= 2)  # type: ignore[arg-type]


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
