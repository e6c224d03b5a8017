"""How it looks: one accent, two palettes of our own, a small scale of sizes; everything else asks the palette."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from gui.settings import Theme

SPACE = 8
"""Pixels: every gap is a multiple of it."""
RADIUS = 8
RAIL_WIDTH = 88
SIDE_WIDTH = 320


@dataclass(frozen=True)
class Tokens:
    """Colours by what they are for. Text on its background has a contrast of 4.5 or more in both themes."""

    background: str
    surface: str
    raised: str
    sunken: str
    border: str
    text: str
    muted: str
    disabled: str
    accent: str
    accent_hover: str
    accent_soft: str
    on_accent: str
    good: str
    warning: str
    bad: str
    bad_soft: str
    warning_soft: str
    canvas: str
    """Behind pictures: neutral, so that it does not tint the eye."""


LIGHT = Tokens(
    background="#f5f6f8",
    surface="#ffffff",
    raised="#ffffff",
    sunken="#eceef1",
    border="#d9dde3",
    text="#1b1f24",
    muted="#5c6670",
    disabled="#a3abb4",
    accent="#0a6c8f",
    accent_hover="#085a78",
    accent_soft="#dcedf4",
    on_accent="#ffffff",
    good="#1f7a43",
    warning="#8a5a00",
    bad="#b3261e",
    bad_soft="#fbe9e7",
    warning_soft="#fdf3dc",
    canvas="#e3e4e6",
)
DARK = Tokens(
    background="#16181c",
    surface="#1e2126",
    raised="#272b31",
    sunken="#121417",
    border="#353a42",
    text="#e8eaed",
    muted="#9aa4af",
    disabled="#5d6670",
    accent="#4fc3e0",
    accent_hover="#7ad4ea",
    accent_soft="#143743",
    on_accent="#04222b",
    good="#6dd58c",
    warning="#f2c14e",
    bad="#ff8a80",
    bad_soft="#3d1f1d",
    warning_soft="#372c12",
    canvas="#0f1012",
)


def tokens(palette: QPalette) -> Tokens:
    """The colours that go with this palette."""
    return DARK if palette.color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT


def colour(palette: QPalette, name: str) -> QColor:
    return QColor(getattr(tokens(palette), name))


def is_dark(theme: Theme) -> bool:
    if theme == "system":
        return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    return theme == "dark"


def apply(application: QApplication, theme: Theme) -> None:
    chosen = DARK if is_dark(theme) else LIGHT
    application.setPalette(_palette(chosen))
    application.setStyleSheet(_style_sheet(chosen))


def set_tone(widget: QWidget, tone: str) -> None:
    """Of a widget that is shown already: the style sheet asks for its tone only once."""
    if widget.property("tone") != tone:
        widget.setProperty("tone", tone)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def sized(font: QFont, factor: float, *, strong: bool = False) -> QFont:
    """A font `factor` times as large; semi-bold if `strong`."""
    made = QFont(font)
    if font.pointSizeF() > 0:
        made.setPointSizeF(font.pointSizeF() * factor)
    else:
        made.setPixelSize(round(font.pixelSize() * factor))
    if strong:
        made.setWeight(QFont.Weight.DemiBold)
    return made


def _palette(chosen: Tokens) -> QPalette:
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette(QColor(chosen.raised), QColor(chosen.background))
    for which, name in {
        role.Window: chosen.background,
        role.WindowText: chosen.text,
        role.Base: chosen.surface,
        role.AlternateBase: chosen.sunken,
        role.Text: chosen.text,
        role.Button: chosen.raised,
        role.ButtonText: chosen.text,
        role.BrightText: chosen.bad,
        role.Highlight: chosen.accent,
        role.HighlightedText: chosen.on_accent,
        role.Accent: chosen.accent,
        role.Link: chosen.accent,
        role.LinkVisited: chosen.accent,
        role.ToolTipBase: chosen.raised,
        role.ToolTipText: chosen.text,
        role.PlaceholderText: chosen.muted,
        role.Light: chosen.raised,
        role.Midlight: chosen.surface,
        role.Mid: chosen.border,
        role.Dark: chosen.muted,
        role.Shadow: chosen.sunken,
    }.items():
        palette.setColor(which, QColor(name))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(group.Disabled, which, QColor(chosen.disabled))
    palette.setColor(group.Disabled, role.Highlight, QColor(chosen.border))
    return palette


def _style_sheet(c: Tokens) -> str:
    return f"""
QToolTip {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.border}; padding: 4px; }}
QFrame#card {{ background: {c.surface}; border: 1px solid {c.border}; border-radius: {RADIUS}px; }}
QFrame#banner {{ background: {c.warning_soft}; border: 1px solid {c.border}; border-radius: {RADIUS}px; }}
QFrame#banner[tone="bad"] {{ background: {c.bad_soft}; }}
QFrame#banner[tone="calm"] {{ background: {c.accent_soft}; }}
QFrame#rail {{ background: {c.surface}; border: none; border-right: 1px solid {c.border}; }}
QFrame#panel {{ background: {c.surface}; border: none; border-left: 1px solid {c.border}; }}
QFrame#list {{ background: {c.surface}; border: none; border-right: 1px solid {c.border}; }}
QFrame#bar {{ background: {c.surface}; border: none; border-top: 1px solid {c.border}; }}
QLabel[tone="muted"] {{ color: {c.muted}; }}
QLabel[tone="bad"] {{ color: {c.bad}; }}
QLabel[tone="good"] {{ color: {c.good}; }}
QLabel[tone="heading"] {{ color: {c.muted}; }}
QPushButton, QToolButton {{
  background: {c.raised}; color: {c.text}; border: 1px solid {c.border}; border-radius: 6px; padding: 6px 12px;
}}
QPushButton:hover, QToolButton:hover {{ border-color: {c.muted}; }}
QPushButton:pressed, QToolButton:pressed {{ background: {c.sunken}; }}
QPushButton:disabled, QToolButton:disabled {{ color: {c.disabled}; border-color: {c.border}; }}
QPushButton:focus, QToolButton:focus {{ border: 2px solid {c.accent}; padding: 5px 11px; }}
QPushButton[tone="primary"] {{
  background: {c.accent}; color: {c.on_accent}; border-color: {c.accent}; padding: 8px 18px; font-weight: 600;
}}
QPushButton[tone="primary"]:hover {{ background: {c.accent_hover}; }}
QPushButton[tone="primary"]:focus {{ border: 2px solid {c.text}; padding: 7px 17px; }}
QPushButton[tone="primary"]:disabled {{ background: {c.sunken}; color: {c.disabled}; border-color: {c.border}; }}
QPushButton[tone="picture"] {{ padding: 6px; }}
QPushButton[tone="picture"]:focus {{ padding: 5px; }}
QPushButton[tone="link"] {{ background: transparent; border: none; color: {c.accent}; padding: 4px; }}
QPushButton[tone="link"]:hover {{ text-decoration: underline; }}
QPushButton[tone="link"]:focus {{ border: 1px solid {c.accent}; padding: 3px; }}
QToolButton {{ padding: 5px; }}
QToolButton:focus {{ padding: 4px; }}
QToolButton[tone="flat"] {{ background: transparent; border: 1px solid transparent; }}
QToolButton[tone="flat"]:hover {{ background: {c.sunken}; }}
QToolButton[tone="flat"]:checked {{ background: {c.accent_soft}; color: {c.accent}; }}
QToolButton[tone="flat"]:focus {{ border: 1px solid {c.accent}; padding: 5px; }}
QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox, QPlainTextEdit {{
  background: {c.surface}; color: {c.text}; border: 1px solid {c.border}; border-radius: 6px; padding: 5px 8px;
  selection-background-color: {c.accent}; selection-color: {c.on_accent};
}}
QLineEdit:hover, QComboBox:hover, QSpinBox:hover {{ border-color: {c.muted}; }}
QLineEdit:focus, QComboBox:focus, QSpinBox:focus, QPlainTextEdit:focus {{
  border: 2px solid {c.accent}; padding: 4px 7px;
}}
QComboBox::drop-down {{ border: none; width: 22px; }}
QComboBox::down-arrow {{ image: none; width: 0; height: 0; border-left: 4px solid {c.surface};
  border-right: 4px solid {c.surface}; border-top: 5px solid {c.muted}; margin-right: 8px; }}
QComboBox QAbstractItemView {{
  background: {c.raised}; color: {c.text}; border: 1px solid {c.border}; outline: none;
  selection-background-color: {c.accent_soft}; selection-color: {c.text};
}}
QSpinBox {{ padding: 4px 0; }}
QSpinBox:focus {{ padding: 3px 0; }}
QSpinBox::up-button, QSpinBox::down-button {{ width: 0; border: none; }}
QRadioButton {{ spacing: 9px; }}
QRadioButton::indicator {{
  width: 12px; height: 12px; border: 2px solid {c.muted}; border-radius: 8px; background: {c.surface};
}}
QRadioButton::indicator:checked {{
  width: 6px; height: 6px; border: 5px solid {c.accent}; background: {c.on_accent};
}}
QRadioButton:focus {{ color: {c.accent}; }}
QListView, QTableView, QTreeView {{ background: {c.surface}; border: none; outline: none; color: {c.text}; }}
QListView#framed {{ border: 1px solid {c.border}; border-radius: 6px; padding: 4px; }}
QListView#framed::item {{ padding: 4px 6px; border-radius: 4px; }}
QListView#framed::item:selected {{ background: {c.accent_soft}; color: {c.text}; }}
QHeaderView::section {{
  background: {c.surface}; color: {c.muted}; border: none; border-bottom: 1px solid {c.border}; padding: 6px;
}}
QProgressBar {{ background: {c.sunken}; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }}
QProgressBar::chunk {{ background: {c.accent}; border-radius: 3px; }}
QScrollArea {{ background: transparent; border: none; }}
QScrollArea > QWidget > QWidget {{ background: transparent; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{ background: {c.border}; border-radius: 4px; min-height: 28px; min-width: 28px; margin: 1px; }}
QScrollBar::handle:hover {{ background: {c.muted}; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
  background: none; border: none; width: 0; height: 0;
}}
QSplitter::handle {{ background: {c.border}; }}
QMenu {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.border}; padding: 4px; }}
QMenu::item {{ padding: 6px 24px; border-radius: 4px; }}
QMenu::item:selected {{ background: {c.accent_soft}; }}
QMenu::item:disabled {{ color: {c.disabled}; background: transparent; }}
QMenu::separator {{ height: 1px; background: {c.border}; margin: 4px 8px; }}
QTabBar::tab {{
  background: transparent; color: {c.muted}; padding: 8px 14px; border: none; border-bottom: 2px solid transparent;
}}
QTabBar::tab:selected {{ color: {c.text}; border-bottom-color: {c.accent}; }}
QTabBar::tab:focus {{ color: {c.accent}; }}
QTabWidget::pane {{ border: none; }}
QStatusBar {{ background: {c.surface}; }}
"""
