#!/usr/bin/env python3
"""Prove a Linux package where there is nothing but a bare Debian: no Python, no Qt, no desktop.

    python3 packaging/check_linux.py deb dist/pellucid_0.1.0_amd64.deb ROOT     (as root; ROOT: made by debootstrap)
    python3 packaging/check_linux.py portable dist/pellucid-0.1.0-linux-x86_64.tar.zst

deb: installs it with apt inside ROOT, starts it there on an X server of our own, drops a file from another program onto
its window, waits for the restored picture, removes and purges the package, and looks at what is left.
portable: the same from a folder with spaces and Chinese characters in its name, here.
Needs Xvfb, openbox, xdotool, and for the program that the file is dragged from a Python with PySide6
(PELLUCID_QT_PYTHON).
Prints JSON lines, one a step, and ends with 1 at the first that fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0
SETTINGS = {"schema": 1, "start_at_once": True, "options": {"model": "bicubic"}}

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
        QTimer.singleShot(1500, QApplication.quit)

app = QApplication(sys.argv[:1])
source = Source("drag me")
source.setWindowFlags(Qt.WindowType.X11BypassWindowManagerHint | Qt.WindowType.FramelessWindowHint)
source.setGeometry(20, 20, 100, 60)
source.show()
source.raise_()
print("READY", flush=True)
app.exec()
"""


class CheckFailed(Exception):
    """What did not happen."""


def say(step: str, **facts: object) -> None:
    print(json.dumps({"step": step, **facts}, ensure_ascii=False), flush=True)


def wait_for(what: str, true: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Seconds until it was true."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise CheckFailed(f"{what} did not happen within {seconds:.0f} s.")
        time.sleep(0.005)
    return time.monotonic() - began


@dataclass
class Place:
    """Where the program is: in a root of its own, or here. Paths of the inside are seen from outside below `root`."""

    program: str
    root: Path = field(default_factory=lambda: Path("/"))
    home: str = "/root"

    @property
    def enter(self) -> list[str]:
        return [] if self.root == Path("/") else ["chroot", str(self.root)]

    def outside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("TERM", "LD_PRELOAD")}
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {**kept, "PATH": path, "HOME": self.home, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", **more}

    def run(self, *words: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [*self.enter, *words], env=self.environment(**more), capture_output=True, text=True, check=False, cwd="/"
        )
        if check and ended.returncode:
            raise CheckFailed(
                f"{' '.join(words)} ended with {ended.returncode}: {(ended.stdout + ended.stderr)[-3000:]}"
            )
        return ended


@contextlib.contextmanager
def desktop() -> Iterator[str]:
    """An X server with a window manager; its DISPLAY. Its socket is abstract too, so a changed root can reach it."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        display = f":{pipe.readline().strip()}"
    manager = subprocess.Popen(["openbox"], env={**os.environ, "DISPLAY": display}, stderr=subprocess.DEVNULL)
    try:
        yield display
    finally:
        for process in (manager, server):
            process.terminate()
            process.wait()


@contextlib.contextmanager
def mounted(root: Path) -> Iterator[None]:
    """What a program finds on every system: processes and devices."""
    done: list[Path] = []
    try:
        for kind, where in (("proc", root / "proc"), ("tmpfs", root / "dev" / "shm")):
            where.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", kind, kind, where], check=True)
            done.append(where)
        yield
    finally:
        for where in reversed(done):
            subprocess.run(["umount", "-l", where], check=False)


def write_png(path: Path, width: int, height: int) -> None:
    """A small colourful picture, with nothing but the standard library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    rows = b"".join(
        b"\0" + bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, (x * y) % 256))
        for y in range(height)
    )
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def size_of_png(path: Path) -> tuple[int, int]:
    data = path.read_bytes()[:24]
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def xdotool(display: str, *words: object) -> str:
    environment = {**os.environ, "DISPLAY": display}
    return subprocess.run(
        ["xdotool", *map(str, words)], env=environment, capture_output=True, text=True, check=False
    ).stdout.strip()


def try_window(place: Place, display: str, picture: str) -> None:
    """Start the window, drop `picture` on it from another program, and wait for the whole result."""
    config = place.outside(place.home) / ".config" / "pellucid"
    config.mkdir(parents=True, exist_ok=True)
    (config / "settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    began = time.monotonic()
    program = subprocess.Popen(
        [*place.enter, place.program], env=place.environment(DISPLAY=display), cwd="/", stderr=subprocess.PIPE
    )
    try:
        wait_for("The window", lambda: xdotool(display, "search", "--onlyvisible", "--name", "Pellucid"))
        shown = time.monotonic() - began
        window = xdotool(display, "search", "--onlyvisible", "--name", "Pellucid").split()[0]
        say("window", seconds=round(shown, 2))
        time.sleep(1.0)
        result_folder = place.outside(picture).parent / "Pellucid"
        source = subprocess.Popen(
            [os.environ.get("PELLUCID_QT_PYTHON", sys.executable), "-c", DRAG_SOURCE, picture],
            env={**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert source.stdout is not None
        if source.stdout.readline().strip() != "READY":
            raise CheckFailed("The program that the file is dragged from did not start.")
        drop(display, window)
        dropped = time.monotonic()
        answer = source.stdout.readline().strip()
        wait_for("The restored picture", lambda: any(result_folder.glob("*.png")))
        took = time.monotonic() - dropped
        source.wait(timeout=30)
        made = next(result_folder.glob("*.png"))
        width, height = size_of_png(place.outside(picture))
        if size_of_png(made) != (4 * width, 4 * height):
            raise CheckFailed(f"{made.name} has the size {size_of_png(made)}.")
        say("drop", answer=answer, result=made.name, seconds=round(took, 2))
        xdotool(display, "windowfocus", window, "key", "--window", window, "ctrl+q")
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(timeout=20)
        say("quit", code=program.returncode)
        if program.returncode != 0:
            raise CheckFailed(f"The window ended with {program.returncode}.")
    finally:
        if program.poll() is None:
            program.kill()
        words = program.communicate()[1].decode("utf-8", "replace").strip()
        if words:
            say("complaints", text=words[-2000:])


def drop(display: str, window: str) -> None:
    geometry = dict(
        line.split("=") for line in xdotool(display, "getwindowgeometry", "--shell", window).splitlines() if "=" in line
    )
    x = int(geometry["X"]) + int(geometry["WIDTH"]) // 2
    y = int(geometry["Y"]) + int(geometry["HEIGHT"]) // 2
    xdotool(display, "mousemove", 60, 50, "mousedown", 1)
    for step in range(1, 9):
        xdotool(display, "mousemove", "--sync", 60 + (x - 60) * step // 8, 50 + (y - 50) * step // 8)
        time.sleep(0.02)
    xdotool(display, "mouseup", 1)


def try_program(place: Place) -> None:
    version = place.run(place.program, "--version").stdout.strip()
    say("version", text=version)
    began = time.monotonic()
    report = place.run(place.program, "--selftest", "--json")
    *records, last = (json.loads(line) for line in report.stdout.splitlines())
    left_out = [record["check"] for record in records if record["outcome"] == "left out"]
    say("selftest", summary=last["summary"], left_out=left_out, seconds=round(time.monotonic() - began, 1))
    if "full edition" in version and "training" in left_out:
        raise CheckFailed("The full edition did not train.")


def check_deb(deb: Path, root: Path) -> None:
    place = Place("/usr/bin/pellucid", root)
    if place.run("sh", "-c", "command -v python3 python", check=False).returncode == 0:
        raise CheckFailed(f"There is a Python in {root}: it proves nothing.")
    with mounted(root), desktop() as display:
        shutil.copyfile(deb, root / "tmp" / deb.name)
        place.run("apt-get", "update", "-qq")
        place.run("apt-get", "purge", "-y", "-qq", "pellucid", "pellucid-full", check=False)
        began = time.monotonic()
        words = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", f"/tmp/{deb.name}")
        place.run(*words, DEBIAN_FRONTEND="noninteractive")
        say("install", seconds=round(time.monotonic() - began, 1))
        if place.run("sh", "-c", "command -v python3 python", check=False).returncode == 0:
            raise CheckFailed("The package has brought a Python.")
        try_program(place)
        folder = root / "root" / "Ein Bild 照片"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_png(folder / "ä b#1.png", 320, 240)
        try_window(place, display, "/root/Ein Bild 照片/ä b#1.png")
        keep = [
            root / "root" / ".config" / "pellucid" / "settings.json",
            root / "root/.local/share/pellucid/models/mine",
        ]
        keep[1].parent.mkdir(parents=True, exist_ok=True)
        keep[1].write_text("a model")
        name = place.run("dpkg-deb", "-f", f"/tmp/{deb.name}", "Package").stdout.strip()
        place.run(*words[:3], "--reinstall", *words[4:], DEBIAN_FRONTEND="noninteractive")
        say("upgrade", kept=[path.exists() for path in keep])
        place.run("apt-get", "remove", "-y", "-qq", name)
        left = [str(path) for path in (root / "opt" / "pellucid", root / "usr" / "bin" / "pellucid") if path.exists()]
        say("remove", left=left, kept=[path.exists() for path in keep])
        if left or not all(path.exists() for path in keep):
            raise CheckFailed("Removing has left parts of the program, or taken what is the user's.")
        place.run("apt-get", "purge", "-y", "-qq", name)
        say("purge", kept=[path.exists() for path in keep])
        if any(path.exists() for path in keep):
            raise CheckFailed("Purging has left settings or models.")


def check_portable(archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pellucid-check-") as name, desktop() as display:
        folder = Path(name) / "Meine Programme 程序 é"
        folder.mkdir()
        began = time.monotonic()
        subprocess.run(["tar", "--zstd", "-xf", archive.absolute()], cwd=folder, check=True)
        say("unpack", seconds=round(time.monotonic() - began, 1))
        home = Path(name) / "Heim 家"
        home.mkdir()
        place = Place(str(next(folder.iterdir()) / "pellucid"), home=str(home))
        try_program(place)
        write_png(home / "ä b#1.png", 320, 240)
        try_window(place, display, str(home / "ä b#1.png"))


def main() -> int:
    words = sys.argv[1:]
    try:
        if words[:1] == ["deb"] and len(words) == 3:
            check_deb(Path(words[1]), Path(words[2]).resolve())
        elif words[:1] == ["portable"] and len(words) == 2:
            check_portable(Path(words[1]))
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except CheckFailed as failure:
        say("failed", why=str(failure))
        return 1
    say("all good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
