"""The picture process, `python -m gui.imaging.process`: decodes and shrinks, so that the window never waits for pixels.

It runs on its own because a file that a decoder chokes on must not take the window with it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColorSpace, QGuiApplication, QImage, QImageReader

from gui.imaging import messages
from gui.imaging.pyramid import Pixels, create_levels, map_levels, map_pixels, shrink_rows

LARGEST_MEGABYTES = 6000
"""Of one decoded picture: Qt's own limit is 256, which is 67 megapixels."""


def main() -> int:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    Thread(target=_listen, args=(lines,), daemon=True).start()
    application = QGuiApplication([sys.argv[0]])
    QImageReader.setAllocationLimit(LARGEST_MEGABYTES)
    pending: list[messages.Request] = []
    while True:
        closed = _collect(lines, pending, block=not pending)
        if closed:
            del application
            return 0
        request = _choose(pending)
        if request is not None:
            _reply(_answer(request))


def _listen(lines: SimpleQueue[bytes | None]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    lines.put(None)


def _collect(lines: SimpleQueue[bytes | None], pending: list[messages.Request], *, block: bool) -> bool:
    """Take in what has come; True when the window is gone."""
    while block or not lines.empty():
        block = False
        line = lines.get()
        if line is None:
            return True
        pending.append(messages.decode_request(line))
    return False


def _choose(pending: list[messages.Request]) -> messages.Request | None:
    """Fresh rows first, then the newest picture to look at, then thumbnails in their order."""
    decodes = [request for request in pending if isinstance(request, messages.Decode)]
    for old in decodes[:-1]:
        pending.remove(old)
        _reply(messages.Superseded(key=old.key))
    chosen = min(pending, key=_urgency, default=None)
    if chosen is not None:
        pending.remove(chosen)
    return chosen


def _urgency(request: messages.Request) -> int:
    match request:
        case messages.Shrink():
            return 0
        case messages.Decode():
            return 1
        case messages.Thumbnail():
            return 2


def _reply(message: messages.Reply) -> None:
    sys.stdout.buffer.write(messages.encode(message))
    sys.stdout.buffer.flush()


def _answer(request: messages.Request) -> messages.Reply:
    try:
        match request:
            case messages.Thumbnail():
                return _thumbnail(request)
            case messages.Decode():
                return _decode(request)
            case messages.Shrink():
                picture = map_pixels(Path(request.pixels), request.width, request.height, request.channels)
                levels = map_levels(
                    Path(request.levels), request.width, request.height, request.channels, writable=True
                )
                shrink_rows(picture, levels, request.top, request.bottom)
                return messages.Shrunk(key=request.key, top=request.top, bottom=request.bottom)
    except (OSError, ValueError, MemoryError) as error:
        return messages.Unreadable(key=request.key, reason=str(error))


def _reader(path: str) -> QImageReader:
    reader = QImageReader(path)
    reader.setAutoTransform(True)
    reader.setDecideFormatFromContent(True)
    return reader


def _upright(reader: QImageReader) -> QSize:
    size = reader.size()
    turned = reader.transformation().value & 4
    return size.transposed() if turned else size


def _thumbnail(request: messages.Thumbnail) -> messages.Reply:
    reader = _reader(request.path)
    full = _upright(reader)
    if reader.size().isValid():
        small = reader.size().scaled(request.side, request.side, Qt.AspectRatioMode.KeepAspectRatio)
        if small.width() < reader.size().width():
            reader.setScaledSize(small.expandedTo(QSize(1, 1)))
    image = reader.read()
    if image.isNull():
        return messages.Unreadable(key=request.key, reason=reader.errorString())
    if not full.isValid():
        full = image.size()
    if max(image.width(), image.height()) > request.side:
        image = image.scaled(
            request.side, request.side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
    image = _in_srgb(image).convertToFormat(QImage.Format.Format_RGBA8888)
    return messages.ThumbnailMade(
        key=request.key,
        width=image.width(),
        height=image.height(),
        full_width=full.width(),
        full_height=full.height(),
        rgba=_rows(image, 4).tobytes(),
    )


def _decode(request: messages.Decode) -> messages.Reply:
    reader = _reader(request.path)
    image = reader.read()
    if image.isNull():
        return messages.Unreadable(key=request.key, reason=reader.errorString())
    alpha = image.hasAlphaChannel()
    grey = image.isGrayscale() and image.format() in (QImage.Format.Format_Grayscale8, QImage.Format.Format_Grayscale16)
    wanted, channels = QImage.Format.Format_RGB888, 3
    if alpha:
        wanted, channels = QImage.Format.Format_RGBA8888, 4
    elif grey:
        wanted, channels = QImage.Format.Format_Grayscale8, 1
    else:
        image = _in_srgb(image)
    image.convertTo(wanted)
    width, height = image.width(), image.height()
    rows = _rows(image, channels)
    rows.tofile(request.pixels)
    del image
    create_levels(Path(request.levels), width, height, channels)
    picture = map_pixels(Path(request.pixels), width, height, channels)
    shrink_rows(picture, map_levels(Path(request.levels), width, height, channels, writable=True), 0, height)
    return messages.Decoded(key=request.key, width=width, height=height, channels=channels)


def _in_srgb(image: QImage) -> QImage:
    space = image.colorSpace()
    srgb = QColorSpace(QColorSpace.NamedColorSpace.SRgb)
    if space.isValid() and space != srgb:
        image.convertToColorSpace(srgb)
    return image


def _rows(image: QImage, channels: int) -> Pixels:
    """(height, width, channels), without the padding Qt puts at the end of each row."""
    flat: npt.NDArray[np.uint8] = np.frombuffer(image.constBits(), np.uint8)
    rows = flat.reshape(image.height(), image.bytesPerLine())[:, : image.width() * channels]
    return rows.reshape(image.height(), image.width(), channels)


if __name__ == "__main__":
    sys.exit(main())
