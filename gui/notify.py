"""Tells the user that a long job is done, by what the desktop offers."""

from __future__ import annotations

from PySide6.QtCore import QProcess, QStandardPaths
from PySide6.QtWidgets import QApplication, QWidget


def notify(window: QWidget, title: str, text: str) -> None:
    """Nothing while the user looks at the window; else the task bar entry, and a bubble where there is one."""
    if window.isActiveWindow():
        return
    QApplication.alert(window)
    program = QStandardPaths.findExecutable("notify-send")
    if program:
        QProcess.startDetached(program, ["--app-name=Pellucid", "--icon=pellucid", title, text])
