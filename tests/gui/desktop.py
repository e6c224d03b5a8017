"""A real X server with a window manager, the real program on it, and a hand that drags and types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.gui import screen

TOOLS = (*screen.TOOLS, "xclip")
ROOT = Path(__file__).parent.parent.parent
FAKES = Path(__file__).parent / "fakes"
PATIENCE = 40.0

SITTER = """
import json, os, sys
import gui.client, gui.commands
if os.environ.get("FAKE_WORKER"):
    gui.client.worker_program = lambda: [sys.executable, os.environ["FAKE_WORKER"]]
if os.environ.get("FAKE_COMMAND"):
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
            "model": self.settings.options.model,
            "alpha": self.settings.options.alpha,
            "partner": self.settings.options.partner,
            "models": [model.name for model in self.restore_page._models],
            "train": self._train(),
            "run": self._run(),
        }
        focused = QApplication.focusWidget()
        state["focus"] = ""
        if focused is not None:
            state["focus"] = focused.accessibleName() or getattr(focused, "text", str)()
        dialog = QApplication.activeModalWidget()
        state["dialog"] = type(dialog).__name__ if dialog else ""
        path = os.environ["STATE_FILE"]
        part = f"{path}.{os.getpid()}.part"  # Two windows may be starting at once.
        with open(part, "w") as file:
            json.dump(state, file)
        os.replace(part, path)

    def _train(self):
        page = self.train_page
        return {
            "step": page.steps.currentIndex(),
            "purpose": page.purposes.checkedId(),
            "folders": page.picture_folders(),
            "check": page._check_state.text(),
            "sheet": not page.samples.is_empty(),
            "estimate": page._estimate.text(),
            "banner": page.banner.text(),
            "numbers": [page.iterations_number.value(), page.batch_number.value(), page.crop_number.value()],
        }

    def _run(self):
        page = self.runs_page
        tail = page._current
        if tail is None:
            return {"runs": [], "name": "", "status": ""}
        return {
            "runs": [str(other.folder) for other in page._tails.values()],
            "name": tail.folder.name,
            "status": tail.status,
            "iteration": tail.run.iteration,
            "points": max([len(series) for series in tail.run.curves.values()] or [0]),
            "previews": sum(len(some) for some in tail.run.previews.values()),
            "models": list(tail.run.models),
            "banner": page.banner.text(),
            "pause": page.pause_button.text(),
            "enabled": [action.isEnabled() for action in (page.gan_action, page.blend_action)],
        }

gui.window.Window = Watched
sys.exit(gui.app.run(sys.argv[1:]))
"""


class Desktop:
    """An X server with a window manager, the program on it, and a hand that drags and types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_file = folder / "state.json"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("QT_", "WAYLAND"))}
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.screen = screen.Screen(clean)
        self.environment = {
            **self.screen.environment,
            "LC_ALL": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(ROOT),
            "FAKE_WORKER": str(FAKES / "good_worker.py"),
            "FAKE_COMMAND": str(FAKES / "command.py"),
            "STATE_FILE": str(self.state_file),
        }
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

    def wait(self, true: Callable[[dict[str, object]], bool], seconds: float = PATIENCE) -> dict[str, object]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.state()
            if true(state):
                return state
            assert self.program is None or self.program.poll() is None, "the program ended"
            time.sleep(0.03)
        raise AssertionError(f"It did not happen within {seconds:.0f} s: {self.state()}")

    def really(self) -> None:
        """From the next start on with the real worker and the real command line."""
        self.environment |= {"FAKE_WORKER": "", "FAKE_COMMAND": ""}

    def type(self, text: str) -> None:
        self.do("type", "--delay", 5, text)

    def fill_in(self, text: str) -> None:
        """Type into the field with the focus until it holds just that: on a busy machine keys get lost on their way."""
        for delay in (5, 30, 100):
            self.do("key", "ctrl+a")
            self.do("type", "--delay", delay, text)
            if self.settled()["focus"] == text or self.settled()["focus"] == text:
                return
        raise AssertionError(f"The field holds {self.state()['focus']} and should hold {text}.")

    def tab_to(self, name: str, most: int = 40) -> None:
        """The keyboard's way to a control."""
        for _step in range(most):
            if self.settled()["focus"] == name:
                return
            self.do("key", "Tab")
        raise AssertionError(f"The tabulator never comes to {name}: {self.state()['focus']}")

    def settled(self) -> dict[str, object]:
        """The state as the program wrote it after what was done last."""
        before = self.state_file.stat().st_mtime_ns if self.state_file.exists() else 0
        self.wait(lambda _state: self.state_file.stat().st_mtime_ns > before)
        before = self.state_file.stat().st_mtime_ns
        return self.wait(lambda _state: self.state_file.stat().st_mtime_ns > before)

    def do(self, *words: object) -> None:
        self.screen.do(*words)

    def drag(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        self.screen.drag(begin, end)

    def drag_files_in(self, *files: str) -> str:
        """What the source is told: CopyAction when the window took them."""
        return self.screen.drag_files(*files, end=(640, 400))[0]

    def close(self) -> None:
        if self.program is not None and self.program.poll() is None:
            self.program.terminate()
            try:
                self.program.wait(5)
            except subprocess.TimeoutExpired:
                self.program.kill()
                self.program.wait(5)
        self.screen.close()
