"""The whole window: every control can be reached and has a name, themes switch, Qt is the one that works."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QObject, Qt, QUrl
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

import gui
from engine import wire_training as training
from gui import theme
from gui.app import install_translations
from gui.settings import Language, Settings
from gui.state.run import Sentence
from gui.window import Window, _takes

Open = Callable[..., Window]
GUI = Path(gui.__file__).parent
SOURCES = sorted(GUI.rglob("*.py"))


def ancestors(widget: QObject) -> list[QObject]:
    parent = widget.parent()
    return [] if parent is None else [parent, *ancestors(parent)]


def controls(window: Window) -> Iterator[QWidget]:
    for widget in window.findChildren(QWidget):
        above = [type(parent).__name__ for parent in ancestors(widget)[:2]]
        inner = widget.objectName().startswith("qt_") or "QComboBox" in above or "QSpinBox" in above
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and not inner:
            yield widget


def activate(qtbot: QtBot, window: Window) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)


def test_every_control_has_a_name_and_a_role(qtbot: QtBot, open_window: Open, pictures: list[str]) -> None:
    window = open_window(settings=Settings(start_at_once=False))
    window.begin(pictures)
    qtbot.waitUntil(lambda: bool(window.restore_page._models) and bool(window.session.queue.items), timeout=15000)
    nameless, roleless = [], []
    found = list(controls(window))
    for widget in found:
        interface = QAccessible.queryAccessibleInterface(widget)
        name = widget.accessibleName() or (widget.text() if isinstance(widget, QAbstractButton) else "")
        if not name and interface is not None:
            name = interface.text(QAccessible.Text.Name)
        if not name:
            nameless.append(f"{type(widget).__name__} in {[type(parent).__name__ for parent in ancestors(widget)[:4]]}")
        if interface is not None and interface.role() in (QAccessible.Role.NoRole, QAccessible.Role.Client):
            roleless.append(type(widget).__name__)
    assert len(found) > 60
    assert nameless == []
    assert roleless == []


def test_the_tabulator_walks_through_the_page_and_comes_back(qtbot: QtBot, open_window: Open) -> None:
    window = open_window(settings=Settings(start_at_once=False))
    window.begin([])
    activate(qtbot, window)
    window.restore_page.drop_area.open_button.setFocus()
    seen: list[QWidget] = []
    for _step in range(40):
        focused = QApplication.focusWidget()
        assert focused is not None
        if focused in seen:
            break
        seen.append(focused)
        qtbot.keyClick(focused, Qt.Key.Key_Tab)
    assert any(widget is window.restore_page.drop_area.open_button for widget in seen)
    assert len(seen) >= 3


def test_every_page_opens_in_both_themes_by_keyboard(qtbot: QtBot, qapp: QApplication, open_window: Open) -> None:
    window = open_window()
    window.begin([])
    activate(qtbot, window)
    for name in ("dark", "light"):
        theme.apply(qapp, name)
        for number in range(window.pages.count()):
            qtbot.keyClick(window, Qt.Key(Qt.Key.Key_1 + number), Qt.KeyboardModifier.ControlModifier)
            assert window.pages.currentIndex() == number
            window.grab()
    window.rail.choose(0)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("width", [960, 1024])
def test_in_a_small_window_no_button_is_cut_off(
    qapp: QApplication, open_window: Open, pictures: list[str], tmp_path: Path, language: Language, width: int
) -> None:
    """960: a screen of 1920 pixels at a scale of two. Chinese is shorter."""
    installed = install_translations(qapp, language)
    window = open_window(settings=Settings(start_at_once=False, runs_folder=str(tmp_path / "runs")))
    window.resize(width, 640)
    page, runs = window.restore_page, window.runs_page
    window.session.add_paths(pictures[:1])
    run = tmp_path / "runs" / "a training of mine with a very long name, of which the middle is left out"
    run.mkdir(parents=True)
    (run / training.CONFIG_FILE).write_text(training.format_config(training.TrainingConfig()))
    window._training_started(str(run))
    runs._tiles["progress"].setText("40.000 / 40.000")
    runs._tiles["quality"].setText("31,82 dB (+0,33)")
    for button in (page.side.results_button, page.side.cancel_button):
        button.show()
    for button in (runs.pause_button, runs.stop_button, runs.save_button):
        button.show()
    page.side._arrange()
    runs._arrange()
    for number in range(window.pages.count()):
        window.rail.choose(number)
        qapp.processEvents()
        shown = [b for b in window.pages.currentWidget().findChildren(QAbstractButton) if b.isVisible()]
        cut = [b.accessibleName() or b.text() for b in shown if b.width() < b.minimumSizeHint().width()]
        assert cut == []
    assert window.width() == width
    window._training_started(str(run))
    qapp.processEvents()
    (area,) = [area for area in runs.findChildren(QScrollArea) if area.isVisible()]
    assert area.horizontalScrollBar().maximum() == 0, "nothing lies outside"
    window.rail.choose(0)
    assert page.tools.try_button.text() == "", "a picture stands for its words"
    window.resize(1280, 800)
    qapp.processEvents()
    assert page.tools.try_button.text() != ""
    for wide in (1152, 1280):
        window.resize(wide, 720)
        qapp.processEvents()
        title = page.tools.title
        assert title.width() >= title.fontMetrics().horizontalAdvance("old.jpg"), "a short name can be read"
    for translator in installed:
        qapp.removeTranslator(translator)


def test_what_was_coloured_by_hand_goes_with_the_theme(qapp: QApplication, open_window: Open) -> None:
    window = open_window()
    page = window.runs_page
    page._add_sentence(Sentence(time=0.0, kind="stage", facts=("psnr",)))
    page._add_sentence(Sentence(time=0.0, kind="finished", facts=("1",), tone="good"))
    for name, tokens in (("dark", theme.DARK), ("light", theme.LIGHT)):
        theme.apply(qapp, name)
        colours = [page.sentences.item(row).foreground().color().name() for row in range(2)]
        assert colours == [tokens.good, tokens.text]


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK])
def test_text_can_be_read_on_every_ground(tokens: theme.Tokens) -> None:
    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
        return (bright + 0.05) / (dark + 0.05)

    pairs = [(tokens.on_accent, tokens.accent), (tokens.on_accent, tokens.accent_hover)]
    for ink in (tokens.text, tokens.muted, tokens.accent, tokens.good, tokens.bad):
        pairs += [(ink, tokens.surface), (ink, tokens.background)]
    pairs += [(tokens.text, ground) for ground in (tokens.accent_soft, tokens.bad_soft, tokens.warning_soft)]
    assert {pair: round(contrast(*pair), 2) for pair in pairs if contrast(*pair) < 4.5} == {}


def test_models_and_doctor_are_read_from_the_command_line(qtbot: QtBot, open_window: Open) -> None:
    window = open_window()
    window.begin([])
    qtbot.waitUntil(lambda: len(window.restore_page._models) == 3, timeout=15000)
    page = window.settings_page
    window.rail.choose(window.pages.count() - 1)
    page.tabs.setCurrentIndex(1)
    qtbot.waitUntil(lambda: bool(page._report), timeout=15000)
    texts = [label.text() for label in page.findChildren(QLabel)]
    assert "There is no NVIDIA driver." in texts
    page.tabs.setCurrentIndex(2)
    assert "msgspec" in page.licences.toPlainText()


def test_using_a_model_chooses_it_with_its_partner(qtbot: QtBot, open_window: Open) -> None:
    window = open_window()
    window.begin([])
    qtbot.waitUntil(lambda: bool(window.restore_page._models), timeout=15000)
    window.use_model("photo-compact")
    options = window.settings.options
    assert (options.model, options.partner, options.alpha) == ("photo-compact", "photo-compact-vivid", 0.0)
    window.use_model("classic")
    assert (window.settings.options.model, window.settings.options.alpha) == ("classic", None)


def test_the_window_imports_nothing_heavy() -> None:
    code = (
        "import gui.app, gui.window, sys;"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'openvino', 'PIL', 'trainer', 'kernels')"
        " or m in ('engine.image', 'engine.models', 'engine.runtime')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_python_threads_run_in_the_window() -> None:
    for source in SOURCES:
        if source.name != "process.py" or source.parent.name != "imaging":
            names = {
                alias.name.split(".")[0]
                for node in ast.walk(ast.parse(source.read_text("utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
            }
            assert not names & {"threading", "concurrent", "asyncio", "multiprocessing"}, source


def test_only_plain_text_is_handed_to_tr() -> None:
    """The extractor reads literals: a formatted string would never be found again."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name == "tr":
                    assert isinstance(node.args[0], ast.Constant), f"{source}:{node.lineno}"


def test_qt_keeps_its_references_to_none() -> None:
    """One broken release lost one at every void call and aborted on Python 3.11 after some thousands."""
    code = (
        "import os, sys; os.environ['QT_QPA_PLATFORM'] = 'offscreen'; hold = [None] * 10**6\n"
        "from PySide6.QtWidgets import QApplication, QLabel\n"
        "app = QApplication([]); label = QLabel(); before = sys.getrefcount(None)\n"
        "for number in range(2000): label.setNum(number)\n"
        "sys.exit(abs(sys.getrefcount(None) - before) > 100)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_end_of_a_training_is_told_on_the_page_people_look_at(
    qtbot: QtBot, open_window: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("gui.window.notify", lambda _window, _title, text: told.append(text))
    window = open_window()
    window.begin([])
    run = tmp_path / "runs" / "faces"
    run.mkdir(parents=True)
    (run / training.CONFIG_FILE).write_text(training.format_config(training.TrainingConfig()))
    window.runs_page.training_ended.emit(str(run), "stopped")
    assert told == [] and window.restore_page.banner.isHidden()
    window.runs_page.training_ended.emit(str(run), "finished")
    assert told == ["The training faces is finished."]
    assert window.restore_page.banner.text() == told[0]
    show = next(b for b in window.restore_page.banner.findChildren(QAbstractButton) if b.text() == "Show")
    show.click()
    assert window.pages.currentWidget() is window.runs_page
    assert window.runs_page._current is not None and window.runs_page._current.folder == run


def test_a_model_that_is_refused_keeps_no_other_out_and_half_a_pair_is_not_asked_for_twice(
    open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_window().models_page
    asked: list[str] = []

    def run(words: list[str], done: Callable[[int, bytes, str], None], *_: object) -> None:
        if words[:2] == ["models", "import"]:
            asked.append(words[2])
            done("bad" in words[2], b"", "It is no model.")

    monkeypatch.setattr("gui.pages.models.run_command", run)
    page.import_files(["/a/bad.pth", "/a/x4.param", "/a/x4.bin", "/a/other.bin"])
    assert asked == ["/a/bad.pth", "/a/x4.param", "/a/other.bin"]
    assert page.banner.text().startswith("bad.pth was not imported.")


def test_what_is_dropped_goes_where_it_is_meant_to(
    qtbot: QtBot, open_window: Open, pictures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window(settings=Settings(start_at_once=False))
    window.begin([])
    folder = str(Path(pictures[0]).parent)
    imported: list[str] = []
    monkeypatch.setattr(window.models_page, "import_files", imported.extend)

    def drop(*paths: str) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(path) for path in paths])
        assert _takes(data)
        assert window._take_data(data)

    window._go(window.train_page)
    window.train_page._show_step(1)
    drop(folder)
    assert window.train_page.picture_folders() == [folder]
    assert window.pages.currentWidget() is window.train_page
    assert not window.session.queue.items
    drop(pictures[0])
    assert window.pages.currentWidget() is window.restore_page
    assert [item.source for item in window.session.queue.items] == pictures[:1]
    model = tmp_path / "new model.safetensors"
    model.touch()
    drop(str(model))
    assert imported == [str(model)]
    assert window.pages.currentWidget() is window.models_page


def test_a_file_that_the_desktop_asks_to_open_waits_for_the_window() -> None:
    """How macOS says "open with"."""
    program = """
from PySide6.QtGui import QFileOpenEvent
from gui.app import Application, Doorbell
application = Application([])
doorbell = Doorbell(application)
application.asked_to_open.connect(lambda file: doorbell.take([file]))
application.sendEvent(application, QFileOpenEvent("/a b/ü.png"))
doorbell.answer_to(print)
application.sendEvent(application, QFileOpenEvent("/c.png"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.splitlines() == ["['/a b/ü.png']", "['/c.png']"], done.stderr
