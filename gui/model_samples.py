"""What each model makes of one small picture: shown on its card, and where models are chosen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QImage, QPainter

from engine import wire
from gui.session import RestoreSession
from gui.state.library import Model

SAMPLE = Path(__file__).parent / "assets" / "sample.png"
SAMPLE_SIZE = (96, 64)
SAMPLE_VIEW = "sample "


class ModelSamples(QObject):
    made = Signal(str, QImage)
    """A model's name, and what it makes of the sample: left before, right after."""

    def __init__(self, session: RestoreSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._models: set[str] = set()
        """Whose sample was asked for."""
        self._jobs: set[str] = set()
        session.preview_came.connect(self._came)

    def ask(self, models: Iterable[Model]) -> None:
        """Each once; one that fails keeps an empty frame."""
        for model in models:
            if model.problem or model.name in self._models:
                continue
            self._models.add(model.name)
            options = wire.RestoreOptions(model=model.name)
            region = wire.Region(x=0, y=0, width=SAMPLE_SIZE[0], height=SAMPLE_SIZE[1])
            self._jobs.add(self._session.ask_preview(f"{SAMPLE_VIEW}{model.name}", str(SAMPLE), region, options))

    def asked_for(self, job: str) -> bool:
        return job in self._jobs

    def _came(self, event: wire.PreviewReady) -> None:
        if event.job not in self._jobs:
            return
        try:
            pixels = Path(event.pixels).read_bytes()
        except OSError:
            return
        kinds = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}
        result = QImage(pixels, event.width, event.height, event.width * event.channels, kinds[event.channels])
        image = result.convertToFormat(QImage.Format.Format_RGB32)
        painter = QPainter(image)
        half = image.width() // 2
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setClipRect(0, 0, half, image.height())
        painter.drawImage(image.rect(), QImage(str(SAMPLE)))
        painter.fillRect(half - 1, 0, 1, image.height(), Qt.GlobalColor.white)
        painter.end()
        self.made.emit(event.view.removeprefix(SAMPLE_VIEW), image)
