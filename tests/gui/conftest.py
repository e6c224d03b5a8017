"""Windows without a screen, with their own settings, fake workers, and pictures made on the fly."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).parent.parent.parent
FAKES = Path(__file__).parent / "fakes"
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from PIL import Image  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402
from pytestqt.qtbot import QtBot  # noqa: E402

from gui import theme  # noqa: E402
from gui.client import WorkerClient  # noqa: E402
from gui.settings import Settings  # noqa: E402
from gui.window import Window  # noqa: E402


@pytest.fixture(autouse=True)
def own_runtime_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("runtime")
    folder.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))


@pytest.fixture(autouse=True)
def empty_clipboard() -> Iterator[None]:
    """What Python has put there must not outlive Python: Qt frees it after the interpreter, and crashes."""
    yield
    if QApplication.instance() is not None:
        QApplication.clipboard().clear()


@pytest.fixture
def fake() -> Callable[[str], list[str]]:
    """The program of a fake, by its file's name."""

    def program(name: str) -> list[str]:
        return [sys.executable, str(FAKES / f"{name}.py")]

    return program


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Three small photographs of different sizes, one with an awkward name."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    made = []
    for number, name in enumerate(["one.png", "zwei ünï %20 #1.jpg", "three.webp"]):
        rows, columns = np.mgrid[0 : 40 + 8 * number, 0 : 60 + 8 * number]
        pixels = np.stack([rows * 3 % 256, columns * 2 % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
        made.append(str(folder / name))
    return made


@pytest.fixture
def open_window(
    qtbot: QtBot, qapp: QApplication, tmp_path: Path, fake: Callable[[str], list[str]]
) -> Iterator[Callable[..., Window]]:
    """Makes windows over the good fake worker (or another), and closes them at the end."""
    made: list[Window] = []
    qapp.setStyle("Fusion")
    theme.apply(qapp, "light")

    def make(worker: str = "good_worker", settings: Settings | None = None, **patience: float) -> Window:
        chosen = settings or Settings(
            output_folder=str(tmp_path / "out"), runs_folder=str(tmp_path / "runs"), start_at_once=True
        )
        (tmp_path / "out").mkdir(exist_ok=True)
        window = Window(
            chosen,
            tmp_path / "config",
            tmp_path / "state",
            tmp_path / "cache",
            client=WorkerClient(fake(worker), **patience),
            command=fake("command"),
        )
        qtbot.addWidget(window)
        window.resize(1280, 800)
        window.show()
        made.append(window)
        return window

    yield make
    for window in made:
        window.close()
