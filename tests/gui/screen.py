"""A real X server with a window manager, a hand on its mouse and keys, and an eye on its pixels.

Standard library only, with Xvfb, openbox and xdotool: packaging/check_linux.py proves the installed program with it.
"""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("Xvfb", "openbox", "xdotool")
WIDTH, HEIGHT = 1280, 800

DRAG_SOURCE = """
import sys
from PySide6.QtCore import QMimeData, Qt, QTimer, QUrl
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication, QLabel

class Source(QLabel):
    def mouseMoveEvent(self, event):
        drag = QDrag(self)
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(path) for path in sys.argv[1:]])
        drag.setMimeData(data)
        print("RESULT", drag.exec(Qt.DropAction.CopyAction).name, flush=True)
        QTimer.singleShot(1000, QApplication.quit)  # Until then it serves what the target asks for.

app = QApplication(sys.argv[:1])
source = Source("drag me")
source.setWindowFlags(Qt.WindowType.X11BypassWindowManagerHint | Qt.WindowType.FramelessWindowHint)
source.setGeometry(20, 20, 100, 60)
source.show()
source.raise_()
print("READY", flush=True)
app.exec()
"""


@dataclass(frozen=True)
class Frame:
    """What the screen shows: rows of WIDTH pixels of four bytes, blue, green, red, nothing."""

    pixels: bytes

    def row(self, y: int, left: int = 0, right: int = WIDTH) -> bytes:
        return self.pixels[(y * WIDTH + left) * 4 : (y * WIDTH + right) * 4]

    def colours(self, step: int = 8) -> int:
        """How many there are among the pixels of every `step`-th row and column."""
        return len({self.row(y)[x : x + 4] for y in range(0, HEIGHT, step) for x in range(0, WIDTH * 4, 4 * step)})

    def write_png(self, path: Path) -> None:
        rows = []
        for y in range(HEIGHT):
            line = self.row(y)
            colour = bytearray(WIDTH * 3)
            colour[0::3], colour[1::3], colour[2::3] = line[2::4], line[1::4], line[0::4]
            rows.append(b"\0" + bytes(colour))
        head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
        parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 6)), (b"IEND", b""))
        data = b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in parts
        )
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


class Screen:
    """One X server. Its socket is abstract too, so that a program in a changed root can reach it."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._memory = tempfile.TemporaryDirectory(prefix="pellucid-screen-")
        read, write = os.pipe()
        self._server = subprocess.Popen(
            [
                *("Xvfb", "-displayfd", str(write), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"),
                *("-fbdir", self._memory.name),
            ],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            self.display = f":{pipe.readline().strip()}"
        self.environment = {**(os.environ if environment is None else environment), "DISPLAY": self.display}
        self._manager = subprocess.Popen(["openbox"], env=self.environment, stderr=subprocess.DEVNULL)

    def look(self) -> Frame:
        """The screen as it is now; a millisecond's work, and the X server is not asked."""
        path = Path(self._memory.name) / "Xvfb_screen0"
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header, colours = struct.unpack_from(">I", data, 0)[0], struct.unpack_from(">I", data, 76)[0]
            begin = header + colours * 12
            return Frame(data[begin : begin + WIDTH * HEIGHT * 4])

    def do(self, *words: object, check: bool = True) -> str:
        """One command of xdotool; what it printed."""
        command = ["xdotool", *map(str, words)]
        ended = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True, check=check)
        return ended.stdout.strip()

    def drag(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        self.do("mousemove", *begin, "mousedown", 1)
        for step in range(1, 9):
            x, y = (round(b + (e - b) * step / 8) for b, e in zip(begin, end, strict=True))
            self.do("mousemove", "--sync", x, y)
            time.sleep(0.02)
        self.do("mouseup", 1)

    def drag_files(self, *files: str, end: tuple[int, int], python: str = sys.executable) -> tuple[str, float]:
        """Out of a window of another program; what that is told (CopyAction when they were taken), and the moment
        (time.monotonic) when they were let go. `python` has PySide6."""
        words = [python, "-c", DRAG_SOURCE, *files]
        source = subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            assert source.stdout is not None
            if source.stdout.readline() != "READY\n":
                raise RuntimeError(f"{python} cannot show the window that files are dragged from.")
            time.sleep(0.2)
            self.drag((60, 50), end)
            dropped = time.monotonic()
            answer = source.communicate(timeout=20)[0]
        finally:
            source.kill()
            source.wait()
        return (answer.split()[1:] or ["nothing"])[0], dropped

    def close(self) -> None:
        for process in (self._manager, self._server):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        self._memory.cleanup()
