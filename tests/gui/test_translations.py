"""German and Chinese are whole, and nothing that is shown bypasses the translation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QTranslator
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from gui.app import TRANSLATIONS, install_translations, spoken_language
from gui.i18n import update
from gui.settings import Settings
from gui.window import Window

LANGUAGES = pytest.mark.parametrize("language", update.LANGUAGES)
NAMES = {
    # Names, units, formats and what the engine or a file says: the same in every language.
    *("Pellucid", "English", "Deutsch", "简体中文", "bf16", "fp16", "PNG", "JPEG", "WebP", "TIFF", "AVIF", "100 %"),
    *("PSNR", "openvino", "tensorrt", "compact", "msrresnet", "Trained on freely licensed photographs", "bad.png"),
}


@LANGUAGES
def test_every_text_is_translated_and_no_other_is_kept(language: str) -> None:
    translations = update.read(language)
    assert set(translations) == set(update.extract()), "run: python -m gui.i18n.update"
    assert [source for (_context, source), text in translations.items() if not text] == []


def test_one_thing_is_not_told_like_many() -> None:
    """Where a number of things is told, there are words for a single one beside it."""
    texts = update.extract()
    never_one = {"parameters"}
    for context, source in texts:
        for things in re.findall(r"\{n\} ([a-z]{3,}s)\b", source):
            one = f"1 {things.removesuffix('s')}"
            assert things in never_one or any(one in text for where, text in texts if where == context), source


@LANGUAGES
def test_fields_and_keys_survive_the_translation(language: str) -> None:
    for (_context, source), text in update.read(language).items():
        fields = re.compile(r"\{[^}]*\}")
        assert sorted(fields.findall(text)) == sorted(fields.findall(source)), text
        assert len(re.findall(r"&\w", text)) == len(re.findall(r"&\w", source)), text
        assert source.endswith("…") == text.endswith("…"), text
        words = re.findall(r"[A-Za-z]{4,}", fields.sub("", source))
        assert source != text or len(words) < 2, f"left in English: {source}"


@LANGUAGES
def test_the_compiled_file_says_what_the_source_says(language: str, qapp: QApplication) -> None:
    translator = QTranslator()
    assert translator.load(str(update.qm_file(language)))
    for (context, source), text in update.read(language).items():
        assert translator.translate(context, source) == text, "run: python -m gui.i18n.update"


@pytest.mark.parametrize("language", ["en", *update.LANGUAGES])
def test_keys_under_one_roof_differ(language: str) -> None:
    """Two mnemonics of one page on the same letter: neither would work at once."""
    pages = {
        "TrainPage": (("&Back", "&Next", "&Start training", "&Add a folder…", "&Remove", "&Put them back"),
                      ("&Back", "&Start training", "&Name", "&Iterations of each stage", "&Pictures a step",
                       "Side of a &crop", "&VGG weights")),
        "RunsPage": (("&New training…", "&Other folder…", "&Pause", "&Stop", "Sa&ve now", "&More", "&Use this model",
                      "&Logarithmic", "With &all trainings"),),
        "SettingsPage": (("&Appearance", "&Language", "&Compute with", "&Precision",
                          "&Start restoring as soon as pictures are dropped", "&Notify when a long job is done"),),
    }  # fmt: skip
    translations = update.read(language) or {message: message[1] for message in update.extract()}
    for context, groups in pages.items():
        for group in groups:
            letters = [re.findall(r"&(\w)", translations[context, source])[0].lower() for source in group]
            twice = {letter for letter in letters if letters.count(letter) > 1}
            assert not twice, (context, [translations[context, source] for source in group])


@pytest.mark.parametrize(
    ("chosen", "wanted", "spoken"),
    [
        ("system", ["de-AT", "en-US"], "de"),
        ("system", ["en-US", "de-DE"], "en"),
        ("system", ["fr-FR", "de-DE"], "de"),
        ("system", ["zh-Hans-CN"], "zh_CN"),
        ("system", ["zh-Hant-TW", "en"], "en"),
        ("system", [], "en"),
        ("zh_CN", ["de-DE"], "zh_CN"),
    ],
)
def test_the_first_language_that_we_speak_is_spoken(chosen: str, wanted: list[str], spoken: str) -> None:
    assert spoken_language(chosen, wanted) == spoken


def test_the_window_speaks_the_language_of_the_settings(
    qtbot: QtBot, qapp: QApplication, open_window: Callable[..., Window]
) -> None:
    installed = install_translations(qapp, "de")
    try:
        window = open_window()
        assert window.restore_page.drop_area.open_button.text() == "Bilder ö&ffnen…"
        assert QCoreApplication.translate("QPlatformTheme", "Cancel") == "Abbrechen"
        page = window.settings_page
        page.language_box.setCurrentIndex(page.language_box.findData("zh_CN"))
        assert window.settings.language == "zh_CN"
        assert not page.restart_button.isHidden()
        page.restart_button.click()
        assert window.restart_wanted
        assert not window.isVisible()
    finally:
        for translator in installed:
            qapp.removeTranslator(translator)


class Marked(QTranslator):
    """A language that consists of marked English."""

    def isEmpty(self) -> bool:
        return False

    def translate(self, context: str, source: str, note: str | None = None, number: int = -1) -> str:
        return f"⟦{source}⟧"


def shown(widget: QWidget) -> Iterator[str]:
    yield widget.toolTip()
    yield widget.accessibleName()
    yield widget.accessibleDescription()
    match widget:
        case QLabel() | QAbstractButton():
            yield widget.text()
        case QLineEdit() | QPlainTextEdit():
            yield widget.placeholderText()
        case QComboBox():
            yield from (widget.itemText(row) for row in range(widget.count()))
        case QTabBar():
            yield from (widget.tabText(row) for row in range(widget.count()))
        case QGroupBox():
            yield widget.title()


def test_nothing_that_is_shown_bypasses_the_translation(
    qtbot: QtBot, qapp: QApplication, open_window: Callable[..., Window], pictures: list[str]
) -> None:
    marked = Marked(qapp)
    qapp.installTranslator(marked)
    try:
        window = open_window(settings=Settings())
        window.begin(pictures)
        page = window.restore_page
        qtbot.waitUntil(lambda: bool(page._models) and "live" in page._overlays, timeout=15000)
        page.side.start_button.click()
        qtbot.waitUntil(lambda: all(i.state == "done" for i in window.session.queue.items), timeout=15000)
        train = window.train_page
        folder = Path(pictures[0]).parent
        (folder / "bad.png").touch()
        train.add_folder(str(folder))
        qtbot.waitUntil(lambda: bool(train._findings), timeout=15000)
        for step in (2, 3):
            train._show_step(step)
        own = {Path(path).name for path in pictures} | {str(folder), train.preset(), *NAMES}
        own |= {model.name for model in page._models} | {model.description for model in page._models}
        plain: set[str] = set()
        texts = [text for widget in window.findChildren(QWidget) for text in shown(widget)]
        texts += [action.text() for action in window.findChildren(QAction)]
        for text in texts:
            while "⟦" in text:  # One text may stand inside another.
                text = re.sub(r"⟦[^⟦⟧]*⟧", "", text)
            for line in text.splitlines():
                if re.search(r"[A-Za-z]{3,}", line) and not any(name in line for name in own if name):
                    plain.add(line)
    finally:
        qapp.removeTranslator(marked)
    presets = {entry for entry in plain if re.match(r"s\d", entry)}
    engine = {entry for entry in plain if entry in ("Take it away.", "What bicubic does", "good.png")}
    assert sorted(plain - presets - engine) == []
    assert TRANSLATIONS == update.FOLDER
