"""The application: one instance, one window, and nothing that fails in silence."""

from __future__ import annotations

import faulthandler
import hashlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import (
    QEvent,
    QLibraryInfo,
    QLocale,
    QLockFile,
    QMessageLogContext,
    QObject,
    QProcess,
    QTimer,
    QtMsgType,
    QTranslator,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication

from gui import icons, theme
from gui import settings as settings_file
from gui.program import window_command
from gui.settings import Language

LOG = logging.getLogger("pellucid")
CONNECT_MS = 300
ANSWER_MS = 10_000
"""Of a window that is open, or still being made on a slow computer. What a killed one has left refuses at once."""
DESKTOP_ID = "pellucid"
TRANSLATIONS = Path(__file__).parent / "i18n"


def run(files: list[str]) -> int:
    """Open the window with `files`, or hand them to the one that is open; the exit code of the program."""
    new_window = "--new-window" in files
    paths = [os.path.abspath(file) for file in files if file != "--new-window"]  # noqa: PTH100 - keeps links as named
    if not new_window and hand_over(paths):
        return 0
    if sys.platform.startswith("linux") and not _has_display():
        print(
            "pellucid: there is no display to open a window on.\n"
            "          The command line works without one: pellucid restore IN... -o OUT",
            file=sys.stderr,
        )
        return 1
    folder = settings_file.state_folder()
    _start_log(folder)
    settings, damaged = settings_file.load(settings_file.config_folder() / "settings.json")
    QApplication.setDesktopFileName(DESKTOP_ID)
    application = Application([sys.argv[0]])
    # Before the window is made, which takes a while: a start at the same time must hear of this one.
    doorbell = Doorbell(application)
    application.asked_to_open.connect(lambda file: doorbell.take([file]))
    if not new_window and not _is_first(doorbell, paths, folder):
        return 0
    application.setApplicationName("pellucid")
    application.setApplicationDisplayName("Pellucid")
    application.setStyle("Fusion")
    theme.apply(application, settings.theme)
    application.setWindowIcon(icons.application_icon())
    translators = install_translations(application, settings.language)

    from gui.window import Window

    window = Window(settings, settings_file.config_folder(), folder, settings_file.cache_folder() / "view")
    _install_excepthook(window.restore_page.banner.tell)
    if damaged:
        window.restore_page.banner.tell(
            application.translate(
                "App", "The settings were damaged and start anew; the old file is kept as {path}."
            ).format(path=damaged),
            "warning",
        )
    window.show()

    def begin() -> None:
        window.begin(paths)
        doorbell.answer_to(window.take_files)

    QTimer.singleShot(0, begin)
    code = application.exec()
    doorbell.close()
    del translators
    if window.restart_wanted:
        program, *words = window_command()
        QProcess.startDetached(program, words)
    return code


class Application(QApplication):
    """The program as the desktop sees it. macOS starts no second one for a file: it sends the first one an event."""

    asked_to_open = Signal(str)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent) and event.file():
            self.asked_to_open.emit(event.file())
            return True
        return super().event(event)


def install_translations(application: QApplication, language: Language) -> list[QTranslator]:
    """Ours and Qt's own, before any widget is made. Numbers and dates follow the language, if one was chosen."""
    if language != "system":
        QLocale.setDefault(QLocale(language))
    spoken = spoken_language(language, QLocale.system().uiLanguages())
    made: list[QTranslator] = []
    for name, folder in (("qtbase", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)),
                         ("pellucid", str(TRANSLATIONS))):  # fmt: skip
        translator = QTranslator(application)
        if spoken != "en" and translator.load(f"{name}_{spoken}", folder):
            application.installTranslator(translator)
            made.append(translator)
    return made


def spoken_language(chosen: Language, wanted: list[str]) -> str:
    """en, de or zh_CN: the chosen one, else the first of `wanted` (as the system names them) that we speak.

    Somebody who reads English before German gets English, though German is the first that has a file.
    """
    if chosen != "system":
        return chosen
    for name in wanted:
        words = name.replace("_", "-").split("-")
        if words[0] == "zh" and not {"Hant", "TW", "HK", "MO"} & set(words):
            return "zh_CN"
        if words[0] in ("en", "de"):
            return words[0]
    return "en"


def server_name() -> str:
    """The same for every start by this user on this session, and no other's."""
    who = f"{os.getuid() if hasattr(os, 'getuid') else os.environ.get('USERNAME', '')}"
    where = os.environ.get("XDG_RUNTIME_DIR", "") + os.environ.get("DISPLAY", "") + str(settings_file.config_folder())
    return f"pellucid-{who}-{hashlib.sha256(where.encode()).hexdigest()[:12]}"


def hand_over(files: list[str]) -> bool:
    """Give `files` to the window that is open; False when there is none (or it does not answer)."""
    socket = QLocalSocket()
    socket.connectToServer(server_name())
    if not socket.waitForConnected(CONNECT_MS):
        return False
    socket.write(json.dumps({"files": files}).encode() + b"\n")
    answered = socket.waitForReadyRead(ANSWER_MS) and bytes(socket.readAll().data()).startswith(b"ok")
    socket.disconnectFromServer()
    return answered


class Doorbell(QObject):
    """Hears of later starts of the program. What they hand over waits until somebody takes it."""

    files_came = Signal(list)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._connected)
        self._waiting: list[list[str]] | None = []

    def listen(self) -> bool:
        """False when there is one already: of another start, or left over by one that was killed."""
        return self._server.listen(server_name())

    def take_over(self) -> None:
        """In the place of one that does not answer: what is left over."""
        QLocalServer.removeServer(server_name())
        self._server.listen(server_name())

    def answer_to(self, take: Callable[[list[str]], None]) -> None:
        """From now on `take` gets the files of each later start, those that came before at once."""
        waiting, self._waiting = self._waiting, None
        self.files_came.connect(take)
        for files in waiting or []:
            self.files_came.emit(files)

    def take(self, files: list[str]) -> None:
        """Files of a later start, or of the desktop."""
        if self._waiting is None:
            self.files_came.emit(files)
        else:
            self._waiting.append(files)

    def close(self) -> None:
        self._server.close()

    def _connected(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.readyRead.connect(lambda socket=socket: self._read(socket))
            socket.disconnected.connect(socket.deleteLater)
            self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if not socket.canReadLine():
            return
        try:
            files = json.loads(bytes(socket.readLine().data()))["files"]
        except (ValueError, KeyError, TypeError):
            socket.abort()
            return
        socket.write(b"ok")
        socket.flush()
        self.take([file for file in files if isinstance(file, str)])


def _is_first(doorbell: Doorbell, files: list[str], folder: Path) -> bool:
    """Listens for later starts, or has handed over `files` to one that does already.

    One start at a time, and each asks again before it listens: where Qt listens for one user only, it renames its
    socket over that of another, which is then heard no more.
    """
    turn = QLockFile(str(folder / "starting.lock"))
    turn.tryLock(ANSWER_MS)
    try:
        if hand_over(files):
            return False
        if not doorbell.listen():
            doorbell.take_over()
        return True
    finally:
        turn.unlock()


def _has_display() -> bool:
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if platform.startswith(("offscreen", "minimal", "vnc", "linuxfb", "eglfs")):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _start_log(folder: Path) -> None:
    """Warnings of Qt and crashes of ours, in one file that the user can send along."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "window.log"
        if path.exists() and path.stat().st_size > 1_000_000:
            path.replace(folder / "window.log.1")
        handler = logging.FileHandler(path, encoding="utf-8")
        faulthandler.enable((folder / "crash.log").open("a", encoding="utf-8"))
    except OSError:
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    qInstallMessageHandler(_log_qt)


def _log_qt(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    level = {QtMsgType.QtDebugMsg: logging.DEBUG, QtMsgType.QtInfoMsg: logging.INFO}.get(kind, logging.WARNING)
    LOG.log(level, "Qt: %s", text)
    if level >= logging.WARNING:
        print(text, file=sys.stderr)


def _install_excepthook(tell: object) -> None:
    """A mistake of ours in a slot is told in the window and logged; the window goes on."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        LOG.error("%s", text)
        sys.stderr.write(text)
        if callable(tell) and not issubclass(kind, KeyboardInterrupt):
            where = settings_file.state_folder() / "window.log"
            tell(
                QApplication.translate("App", "Something went wrong inside Pellucid: {error}").format(error=error),
                "bad",
                QApplication.translate("App", "Details are in {path}.").format(path=where),
            )

    sys.excepthook = hook
