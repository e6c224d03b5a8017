"""The window: the rail of pages, drops and pastes from anywhere, and what happens when it closes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from msgspec.structs import replace
from PySide6.QtCore import QMimeData, QProcess, QSettings, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
    QKeyEvent,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QMainWindow,
    QStackedWidget,
    QWidget,
)

from engine import wire
from gui import settings as settings_file
from gui import theme
from gui.client import WorkerClient
from gui.imaging.client import PictureClient
from gui.naming import is_model, is_picture
from gui.notify import notify
from gui.pages.models import ModelsPage
from gui.pages.restore import RestorePage
from gui.pages.runs import RunsPage
from gui.pages.settings import SettingsPage
from gui.pages.train import TrainPage
from gui.process import GONE_MS
from gui.session import RestoreSession
from gui.settings import Settings
from gui.state import library
from gui.state.library import Model
from gui.state.queue import PausedByUser, Totals
from gui.widgets.rail import Rail

SAVE_MS = 500
LONG_SECONDS = 20.0
"""A job is long, and its end worth a notification, from here on."""


class Window(QMainWindow):
    """Everything is handed in or made here; nothing is started before `begin`."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        state: Path,
        cache: Path,
        *,
        client: WorkerClient | None = None,
        command: list[str] | None = None,
        pictures: PictureClient | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.restart_wanted = False
        """Once closed, the program shall be started again."""
        self._config = config
        self._save_timer = QTimer(self)
        self._save_timer.setSingleShot(True)
        self._save_timer.setInterval(SAVE_MS)
        self._save_timer.timeout.connect(self.save_settings)
        self.session = RestoreSession(settings, state, client, self)
        self.session.apply(PausedByUser(not settings.start_at_once))
        self.pictures = pictures or PictureClient(cache)
        self.pictures.setParent(self)
        self.restore_page = RestorePage(self.session, self.pictures)
        self.models_page = ModelsPage(program=command)
        self.runs_page = RunsPage(settings_file.runs_folder(settings), program=command)
        self.train_page = TrainPage(settings_file.runs_folder(settings), program=command)
        self.settings_page = SettingsPage(settings, program=command)
        self.pages = QStackedWidget()
        self._entries: list[tuple[str, str, QWidget]] = [
            ("restore", self.tr("Restore"), self.restore_page),
            ("models", self.tr("Models"), self.models_page),
            ("train", self.tr("Train"), self.train_page),
            ("runs", self.tr("Runs"), self.runs_page),
            ("settings", self.tr("Settings"), self.settings_page),
        ]
        if find_spec("trainer") is None:
            # The edition that only restores: what cannot be done is not offered.
            for idle in (self.train_page, self.runs_page):
                idle.setParent(self)
                idle.hide()
            self._entries = [entry for entry in self._entries if entry[2] not in (self.train_page, self.runs_page)]
        for _icon, _label, page in self._entries:
            self.pages.addWidget(page)
        self.rail = Rail([(icon, label) for icon, label, _page in self._entries])
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.rail)
        row.addWidget(self.pages, 1)
        self.setCentralWidget(middle)
        self.setAcceptDrops(True)
        self.setMinimumSize(960, 600)
        self.setWindowTitle("Pellucid")
        self._actions()
        self._connect()
        self.rail.choose(0)
        self._place = QSettings(str(config / "window.ini"), QSettings.Format.IniFormat)
        geometry = self._place.value("geometry")
        if geometry is None or not self.restoreGeometry(geometry):
            self.resize(self._first_size())

    def begin(self, files: list[str]) -> None:
        """After the window is painted: start the worker, read the library, take the files, offer what was left."""
        self.restore_page.drop_area.open_button.setFocus()
        self.session.client.start()
        self.models_page.reload()
        if any(page is self.runs_page for _icon, _label, page in self._entries):
            self.runs_page.watch()
        self._offer_unfinished()
        if files:
            self._take_paths(files)

    def take_files(self, files: list[str]) -> None:
        """Another start of the program handed these over."""
        if files:
            self._take_paths(files)
        self.setWindowState((self.windowState() & ~Qt.WindowState.WindowMinimized) | Qt.WindowState.WindowActive)
        self.raise_()
        self.activateWindow()

    def use_model(self, name: str) -> None:
        """Restore with it from now on; the vivid half of a pair is the right end of the slider."""
        model = library.find(self._models, name)
        faithful = library.faithful_of(self._models, model) if model else None
        first = faithful or model
        partner = library.partner_of(self._models, first) if first else None
        options = replace(
            self.restore_page.panel.options,
            model=first.name if first else name,
            partner=partner.name if partner else "",
            alpha=(1.0 if faithful else 0.0) if partner else None,
        )
        self.restore_page.panel.take(options)
        self.rail.choose(0)

    def save_settings(self, *, sync: bool = False) -> None:
        """`sync`: not while people look at the window, as the disk may be busy."""
        try:
            settings_file.save(self.settings, self._config / "settings.json", sync=sync)
        except OSError as error:
            self.restore_page.banner.tell(
                self.tr("The settings could not be saved: {reason}").format(reason=error), "warning"
            )

    # Building

    def _first_size(self) -> QSize:
        screen = QGuiApplication.primaryScreen()
        room = screen.availableSize() if screen else QSize(1280, 800)
        return QSize(min(1440, room.width() * 9 // 10), min(900, room.height() * 9 // 10))

    def _actions(self) -> None:
        entries: list[tuple[str, QKeySequence | QKeySequence.StandardKey, Callable[[], object]]] = [
            (self.tr("Open pictures"), QKeySequence.StandardKey.Open, self._open),
            (self.tr("Paste"), QKeySequence.StandardKey.Paste, self._paste),
            (self.tr("Copy result"), QKeySequence.StandardKey.Copy, self._copy),
            (self.tr("Restore or pause"), QKeySequence("Ctrl+Return"), self.restore_page.start_or_pause),
            (self.tr("Quit"), QKeySequence("Ctrl+Q"), self.close),
        ]
        for text, key, call in entries:
            action = QAction(text, self)
            action.setShortcut(key)
            action.triggered.connect(call)
            self.addAction(action)
        for number in range(len(self._entries)):
            action = QAction(self._entries[number][1], self)
            action.setShortcut(QKeySequence(f"Ctrl+{number + 1}"))
            action.triggered.connect(lambda _on=False, number=number: self.rail.choose(number))
            self.addAction(action)

    def _connect(self) -> None:
        self._models: tuple[Model, ...] = ()
        self._wanted_model = ""
        """Chosen as soon as the library knows it."""
        self._offer = ""
        """What the banner says while it offers to go on with what was left."""
        self.rail.chosen.connect(self._page_chosen)
        self.session.client.happened.connect(self._worker_said)
        self.session.all_done.connect(self._all_done)
        self.session.leftovers_changed.connect(self._leftovers_changed)
        self.models_page.models_changed.connect(self._models_came)
        self.models_page.use_wanted.connect(self.use_model)
        self.runs_page.model_imported.connect(self._model_imported)
        self.runs_page.training_ended.connect(self._training_ended)
        self.runs_page.new_wanted.connect(lambda: self._go(self.train_page))
        self.train_page.started.connect(self._training_started)
        self.settings_page.settings_changed.connect(self._settings_changed)
        self.settings_page.restart_wanted.connect(self._restart)
        self.restore_page.options_changed.connect(
            lambda options: self._take_settings(replace(self.settings, options=options))
        )
        self.restore_page.folder_changed.connect(
            lambda folder: self._take_settings(replace(self.settings, output_folder=folder))
        )
        self.restore_page.sample_made.connect(self.models_page.set_sample)
        self.restore_page.blend_wanted.connect(self.models_page.save_blend)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_theme_changed)

    def _restart(self) -> None:
        """In another language; what is unfinished is offered again."""
        self.restart_wanted = True
        self.close()

    def _page_chosen(self, number: int) -> None:
        self.pages.setCurrentIndex(number)
        if self.pages.currentWidget() is self.models_page:
            self.restore_page.ask_samples()

    # Hearing

    def _models_came(self, models: tuple[Model, ...]) -> None:
        self._models = models
        self.restore_page.set_models(models)
        self.train_page.set_models(models)
        if self._wanted_model and library.find(models, self._wanted_model) is not None:
            self.use_model(self._wanted_model)
            self._wanted_model = ""

    def _go(self, page: QWidget) -> None:
        self.rail.choose(next(n for n, entry in enumerate(self._entries) if entry[2] is page))

    def _training_started(self, folder: str) -> None:
        self._go(self.runs_page)
        self.runs_page.choose(Path(folder))

    def _training_ended(self, folder: str, status: str) -> None:
        """Told where one looks: in the desktop's own way, and on the page people come for."""
        words = {
            "finished": self.tr("The training {name} is finished."),
            "failed": self.tr("The training {name} has failed."),
            "crashed": self.tr("The training {name} ended without a word."),
        }
        if status not in words:
            return  # Stopped or paused: whoever did that knows.
        text = words[status].format(name=Path(folder).name)
        if self.settings.notify:
            notify(self, "Pellucid", text)
        if self.pages.currentWidget() is not self.runs_page:
            show = (self.tr("Show"), lambda: self._training_started(folder))
            self.restore_page.banner.tell(text, "calm" if status == "finished" else "bad", choices=(show,))

    def _model_imported(self, name: str) -> None:
        self._wanted_model = name
        self.models_page.reload()

    def _worker_said(self, event: wire.Event) -> None:
        if isinstance(event, wire.Ready):
            self.settings_page.set_backends(event)

    def _settings_changed(self, settings: Settings) -> None:
        old = self.settings
        self._take_settings(settings)
        if old.theme != settings.theme:
            self._apply_theme()
        if old.options != settings.options:
            self.restore_page.panel.take(settings.options)

    def _take_settings(self, settings: Settings) -> None:
        self.settings = settings
        self.session.settings = settings
        self.settings_page.take(settings)
        self._save_timer.start()

    def _apply_theme(self) -> None:
        application = QApplication.instance()
        if isinstance(application, QApplication):
            theme.apply(application, self.settings.theme)

    def _system_theme_changed(self) -> None:
        if self.settings.theme == "system":
            self._apply_theme()

    def _all_done(self, totals: Totals) -> None:
        took = sum(item.seconds for item in self.session.queue.items)
        if self.settings.notify and took >= LONG_SECONDS:
            done = sum(item.state == "done" for item in self.session.queue.items)
            text = self.tr("1 picture restored") if done == 1 else self.tr("{n} pictures restored").format(n=done)
            if totals.failed:
                text += ", " + self.tr("{n} failed").format(n=totals.failed)
            notify(self, "Pellucid", text)

    def _offer_unfinished(self) -> None:
        number = len(self.session.leftovers)
        if not number:
            return
        self._offer = (
            self.tr("1 picture was not finished last time.")
            if number == 1
            else self.tr("{n} pictures were not finished last time.").format(n=number)
        )
        forget = self.tr("Forget it") if number == 1 else self.tr("Forget them")
        self.restore_page.banner.tell(
            self._offer,
            "calm",
            choices=(
                (self.tr("Go on"), self.session.take_up_leftovers),
                (forget, self.session.forget_leftovers),
            ),
        )

    def _leftovers_changed(self) -> None:
        """The offer, where it can still be read, is of what is left now."""
        if self._offer and self.restore_page.banner.text() == self._offer:
            self.restore_page.banner.hide()
            self._offer_unfinished()

    # Drop and paste

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _takes(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            self.restore_page.drop_area.set_over(True)
        else:
            event.ignore()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.restore_page.drop_area.set_over(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.restore_page.drop_area.set_over(False)
        if self._take_data(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
        else:
            self.restore_page.banner.tell(self.tr("What was dropped could not be read."), "warning")
            event.ignore()

    def _open(self) -> None:
        self.rail.choose(0)
        self.restore_page.open_files()

    def _paste(self) -> None:
        focused = QApplication.focusWidget()
        if isinstance(focused, QLineEdit) and not focused.isReadOnly():
            focused.paste()
            return
        if not self._take_data(QGuiApplication.clipboard().mimeData()):
            self.restore_page.banner.tell(self.tr("There is no picture to paste."), "warning")

    def _copy(self) -> None:
        if self.pages.currentWidget() is self.restore_page:
            self.restore_page.copy_result()

    def _take_data(self, data: QMimeData) -> bool:
        """Files first: a file manager also offers an icon as an image."""
        paths = _local_files(data)
        if paths:
            self._take_paths(paths)
            return True
        if data.hasImage():
            image = data.imageData()
            if isinstance(image, QImage) and not image.isNull():
                self.rail.choose(0)
                if not self.session.add_image(image):
                    self.restore_page.banner.tell(self.tr("The pasted picture could not be kept on disk."), "bad")
                return True
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The enter key presses the button that has the focus, as in dialogs."""
        focused = QApplication.focusWidget()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(focused, QAbstractButton):
            focused.click()
        else:
            super().keyPressEvent(event)

    # The end

    def closeEvent(self, event: QCloseEvent) -> None:
        self._place.setValue("geometry", self.saveGeometry())
        self._place.sync()
        unsaved = self._save_timer.isActive()
        self._save_timer.stop()
        self.hide()
        if unsaved:
            self.save_settings(sync=True)
        self.session.stop()
        self.pictures.stop()
        if sys.platform.startswith("linux") and QGuiApplication.clipboard().ownsClipboard():
            QGuiApplication.clipboard().clear()  # It ends with us anyway, and Python has to let go first.
        for process in self.findChildren(QProcess):
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(GONE_MS)
        event.accept()

    def _take_paths(self, paths: list[str]) -> None:
        """Each kind goes where it is meant to: models to the library, folders to the wizard that waits for one."""
        models = [path for path in paths if is_model(path)]
        others = [path for path in paths if path not in models]
        if models:
            self._go(self.models_page)
            self.models_page.import_files(models)
        if others and self.train_page.wants_folders() and all(Path(path).is_dir() for path in others):
            for path in others:
                self.train_page.add_folder(path)
        elif others:
            self.rail.choose(0)
            self.session.add_paths(others)


def _local_files(data: QMimeData) -> list[str]:
    if data.hasUrls():
        return [path for url in data.urls() if (path := url.toLocalFile())]
    if data.hasText():
        lines = [line.strip() for line in data.text().splitlines() if line.strip()]
        paths = [QUrl(line).toLocalFile() if line.startswith("file:") else line for line in lines]
        if paths and all(Path(path).is_absolute() and Path(path).exists() for path in paths):
            return paths
    return []


def _takes(data: QMimeData) -> bool:
    """Something we can use: pictures, folders, models, or pixels."""
    paths = _local_files(data)
    if paths:
        return any(is_picture(path) or is_model(path) or Path(path).is_dir() for path in paths)
    return data.hasImage()
