"""Tries out the window's side of an installation: Qt, its plugins, our window drawn once. A process of `gui.selftest`.

Prints JSON lines like `engine.selftest`. Nothing is shown on a screen, and nothing of the user's is touched.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

NEEDED_PLATFORMS = {"linux": ("offscreen", "wayland", "xcb"), "win32": ("offscreen", "windows"), "darwin": ("cocoa",)}
PICTURES = ("png", "jpg", "webp", "bmp")
READABLE = {"png", "jpeg", "webp", "tiff", "gif", "bmp", "svg"}


def main() -> int:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    good = True
    for name, check in (
        ("Qt plugins", _check_plugins),
        ("Qt pictures", _check_pictures),
        ("window", _check_window),
        ("licences", _check_notices),
    ):
        outcome = "ok"
        try:
            detail = check()
        except Exception as fault:  # whatever is broken in an installation, it is what this must report
            outcome, detail, good = "failed", f"{type(fault).__name__}: {fault}", False
        print(json.dumps({"check": name, "outcome": outcome, "detail": detail}, ensure_ascii=False), flush=True)
    return 0 if good else 1


def _check_plugins() -> str:
    """Every plugin that is here can be loaded with all its libraries, and none that the window needs is missing."""
    from PySide6.QtCore import QLibraryInfo, QPluginLoader

    from gui.program import is_frozen

    root = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath))
    found = [path for path in root.rglob("*") if path.suffix in (".so", ".dll", ".dylib")]
    platforms = {path.stem.removeprefix("lib").removeprefix("q") for path in found if path.parent.name == "platforms"}
    missing = set(NEEDED_PLATFORMS.get(sys.platform, ("offscreen",))) - platforms
    if missing:
        raise AssertionError(f"these platform plugins are missing: {', '.join(sorted(missing))}")
    # A development environment has all of Qt's plugins, most of them for devices that nobody has here.
    chosen = found if is_frozen() else [path for path in found if path.parent.name == "iconengines"]
    refused, without = [], ""
    for path in chosen:
        loader = QPluginLoader(str(path))
        if loader.load():
            continue
        if "libwayland-" in loader.errorString():
            without = "; Wayland is not installed, X11 serves"
        else:
            refused.append(f"{path.name}: {loader.errorString()}")
    if refused:
        raise AssertionError("; ".join(refused))
    return f"{len(chosen)} plugins, platforms {', '.join(sorted(platforms))}{without}"


def _check_pictures() -> str:
    from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize
    from PySide6.QtGui import QGuiApplication, QImage, QImageReader

    application = QGuiApplication.instance() or QGuiApplication(["selftest"])
    del application
    known = {bytes(name.data()).decode() for name in QImageReader.supportedImageFormats()}
    if READABLE - known:
        raise AssertionError(f"Qt does not read {', '.join(sorted(READABLE - known))}")
    source = QImage(32, 24, QImage.Format.Format_RGB888)
    source.fill("#3080c0")
    for ending in PICTURES:
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        if not source.save(buffer, ending.upper()):  # type: ignore[call-overload]
            raise AssertionError(f"Qt does not write {ending}")
        back = QImage.fromData(data)
        if back.size() != QSize(32, 24) or abs(back.pixelColor(16, 12).blue() - 0xC0) > 8:
            raise AssertionError(f"Qt read {ending} back wrongly")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8" fill="red"/></svg>'
    drawn = QImage.fromData(QByteArray(svg), "SVG")  # type: ignore[arg-type]
    if drawn.isNull() or drawn.pixelColor(4, 4).red() != 255:
        raise AssertionError("Qt does not draw SVG")
    return ", ".join(sorted(known))


def _check_window() -> str:
    """The window, made and painted: its pages, fonts and icons are all there."""
    from PySide6.QtWidgets import QApplication

    from gui import icons, theme
    from gui.app import install_translations
    from gui.settings import Settings

    # A QGuiApplication cannot become one with widgets.
    existing = QApplication.instance()
    if existing is not None:
        existing.shutdown()
    application = QApplication(["selftest"])
    application.setStyle("Fusion")
    theme.apply(application, "light")
    translators = install_translations(application, "de")
    from gui.window import Window

    with tempfile.TemporaryDirectory(prefix="pellucid-selftest-") as name:
        folder = Path(name)
        window = Window(Settings(), folder / "config", folder / "state", folder / "cache")
        window.resize(1100, 700)
        window.show()
        application.processEvents()
        picture = window.grab().toImage()
        colours = {picture.pixel(x, y) for x in range(0, picture.width(), 7) for y in range(0, picture.height(), 7)}
        window.close()
        window.deleteLater()
        application.processEvents()
    if len(colours) < 8:
        raise AssertionError(f"the window has only {len(colours)} colours: it is empty")
    if not translators:
        raise AssertionError("Qt's own translations are missing")
    if icons.application_icon().pixmap(48, 48).isNull():
        raise AssertionError("the icon is empty")
    return f"{picture.width()} x {picture.height()}, {len(colours)} colours"


def _check_notices() -> str:
    from gui import about

    text = about.notices()
    missing = [word for word in ("numpy", "PySide6", "LGPL-3.0") if word not in text]
    if missing:
        raise AssertionError(f"the notices do not name {', '.join(missing)}")
    return f"{len(text.splitlines())} lines"


if __name__ == "__main__":
    sys.exit(main())
