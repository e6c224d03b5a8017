#!/usr/bin/env python3
"""Prove a Linux package where there is nothing but a bare Debian: no Python, no Qt, no desktop.

    python3 packaging/check_linux.py deb dist/pellucid_0.1.0_amd64.deb dist/pellucid-full_0.1.0_amd64.deb
    python3 packaging/check_linux.py portable dist/pellucid-0.1.0-linux-x86_64.tar.zst
    python3 packaging/check_linux.py starts /opt/pellucid/pellucid          (figures: run it on a quiet machine)

deb (as root): every package in a fresh copy of a bare Debian, which debootstrap makes once below --root. Tried on
a full disk, then installed by apt as an older release of itself and upgraded; files, completions and self-test looked
at; its window started on an X server of our own, a file dropped on it from another program, the restored picture
waited for, a second start handed over, a picture opened with it from the menu; the next package given takes its place;
removed and purged, and what is left is looked for.
portable: unpacked and used in the same way, here, in a folder with spaces and Chinese characters in its name.
starts: how long the window takes from the start of the program, and the first picture from its drop.

Needs Xvfb, openbox, xdotool and zstd, deb also debootstrap, and for the program that the file is dragged from a Python
with PySide6 (PELLUCID_QT_PYTHON). Prints JSON lines, one a step, and ends with 1 at the first that fails.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.gui.screen import Frame, Screen  # noqa: E402 - beside this file lies no package

PATIENCE = 120.0
RELEASE = "bookworm"
"""The oldest that is supported: what runs here runs on what is newer."""
START_AT_ONCE = {"schema": 1, "start_at_once": True}
"""Settings: a picture that is dropped is restored without another word. All else is as the program comes."""
PAINTED = 100
"""Colours on the screen. A frame of a window without contents has 30, the whole window 130."""
LEFT_BEHIND = ("/var/cache/apt", "/var/lib/apt", "/var/log", "/tmp", "/proc", "/dev")
"""Where the system itself keeps the names of what was installed."""
ALWAYS_HERE = (
    *("/usr/bin/pellucid", "/opt/pellucid/pellucid", "/opt/pellucid/_internal/THIRD-PARTY-NOTICES.txt"),
    *("/usr/share/applications/pellucid.desktop", "/usr/share/icons/hicolor/scalable/apps/pellucid.svg"),
    *("/usr/share/icons/hicolor/48x48/apps/pellucid.png", "/usr/share/metainfo/app.pellucid.Pellucid.metainfo.xml"),
    *("/usr/share/man/man1/pellucid.1.gz", "/usr/share/bash-completion/completions/pellucid"),
)
MENU = "/usr/share/applications"


class CheckFailed(Exception):
    """What did not happen."""


def say(step: str, **facts: object) -> None:
    print(json.dumps({"step": step, **facts}, ensure_ascii=False), flush=True)


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise CheckFailed(otherwise)


def wait_for(what: str, true: Callable[[], object], seconds: float = PATIENCE) -> float:
    """The moment (time.monotonic) when it was true."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise CheckFailed(f"{what} did not happen within {seconds:.0f} s.")
        time.sleep(0.005)
    return time.monotonic()


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
        """What a person has who has just logged in, and nothing of ours."""
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

    def start(self, *words: str, display: str) -> subprocess.Popen[bytes]:
        command = [*self.enter, self.program, *words]
        return subprocess.Popen(command, env=self.environment(DISPLAY=display), cwd="/", stderr=subprocess.PIPE)

    def own(self, *parts: str) -> Path:
        """A file of the user's, from outside."""
        return self.outside(self.home).joinpath(*parts)


@contextlib.contextmanager
def screen() -> Iterator[Screen]:
    made = Screen()
    try:
        time.sleep(0.5)  # the window manager has settled
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def mounted(kind: str, where: Path, *options: str) -> Iterator[None]:
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", kind, *options, kind, where], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", where], check=False)


# -------------------------------------------------------------------------------------------------- pictures and starts


def write_photograph(path: Path, width: int, height: int) -> None:
    """A colourful PNG with edges and texture, with nothing but the standard library."""
    rows = []
    for y in range(height):
        row = bytearray(b"\0")
        for x in range(width):
            edge = 90 if (x // 24 + y // 24) % 2 else 0
            row += bytes(((x * 255 // width + edge) % 256, (y * 255 // height), (x * x + y * 3 + edge) % 256))
        rows.append(bytes(row))
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    data = b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big") for kind, body in parts
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def size_of_png(path: Path) -> tuple[int, int]:
    data = path.read_bytes()[:24]
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def forget_files(folder: Path) -> None:
    """Out of the system's memory, so that the next start reads them from the disk, as the first after switching on."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def wait_for_paint(on: Screen, began: float) -> tuple[float, Frame]:
    """Seconds from `began` until the whole window was on the screen, and the screen then."""
    frame = on.look()

    def painted() -> bool:
        nonlocal frame
        frame = on.look()
        return frame.colours() >= PAINTED

    return wait_for("The window", painted) - began, frame


def quit_window(on: Screen, program: subprocess.Popen[bytes]) -> None:
    """By its own shortcut; anything it complained of is told."""
    on.do("key", "ctrl+q")
    try:
        complaints = program.communicate(timeout=20)[1].decode("utf-8", "replace").strip()
    except subprocess.TimeoutExpired:
        raise CheckFailed("Ctrl+Q did not close the window.") from None
    if complaints:
        say("complaints", text=complaints[-2000:])
    expect(program.returncode == 0, f"The window ended with {program.returncode}.")
    wait_for("The empty screen", lambda: on.look().colours() < PAINTED)


@contextlib.contextmanager
def window(place: Place, on: Screen, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The program with its window painted, and the seconds that it took. Killed if it is still there at the end."""
    began = time.monotonic()
    program = place.start(*words, display=on.display)
    try:
        yield program, wait_for_paint(on, began)[0]
    finally:
        if program.poll() is None:
            program.kill()
            program.communicate()


def drop_and_wait(place: Place, on: Screen, picture: str) -> tuple[str, Path, float]:
    """Drop it into the window from another program: what that was told, the result, and the seconds to it."""
    folder = place.outside(picture).parent / "Pellucid"
    before = set(folder.glob("*.png"))
    python = os.environ.get("PELLUCID_QT_PYTHON", sys.executable)
    answer, dropped = on.drag_files(picture, end=(640, 400), python=python)
    # A result has its name only when it is whole.
    moment = wait_for("The restored picture", lambda: set(folder.glob("*.png")) - before)
    [made] = set(folder.glob("*.png")) - before
    width, height = size_of_png(place.outside(picture))
    expect(size_of_png(made) == (4 * width, 4 * height), f"{made.name} has the size {size_of_png(made)}.")
    return answer, made, moment - dropped


def write_settings(place: Place) -> Path:
    path = place.own(".config", "pellucid", "settings.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(START_AT_ONCE), encoding="utf-8")
    return path


# --------------------------------------------------------------------------------------------------------- what it does


def try_program(place: Place) -> None:
    version = place.run(place.program, "--version").stdout.strip()
    say("version", text=version)
    began = time.monotonic()
    report = place.run(place.program, "--selftest", "--json")
    *records, last = (json.loads(line) for line in report.stdout.splitlines())
    outcomes = {record["check"]: record["outcome"] for record in records}
    left_out = [check for check, outcome in outcomes.items() if outcome == "left out"]
    say("selftest", summary=last["summary"], left_out=left_out, seconds=round(time.monotonic() - began, 1))
    if "full edition" in version:
        expect(outcomes.get("training") == "ok", "The full edition did not train.")
        expect(outcomes.get("trained model") == "ok", "The full edition did not restore with what it had trained.")
    expect(any(check.startswith("model ") for check in outcomes), "No model came along.")


def try_window(place: Place, on: Screen, picture: str, shots: Path | None, name: str) -> None:
    """Start, drop, wait for the whole result, start again while it is open, quit."""
    write_settings(place)
    write_photograph(place.outside(picture), 320, 240)
    with window(place, on) as (program, seconds):
        say("window", seconds=round(seconds, 2))
        if shots:
            on.look().write_png(shots / f"{name}-started.png")
        answer, made, took = drop_and_wait(place, on, picture)
        say("drop", answer=answer, result=made.name, seconds=round(took, 2))
        expect(answer == "CopyAction", "The window did not take the file.")
        journal = place.own(".local", "state", "pellucid")
        expect(journal.is_dir(), "The window has left no state.")
        time.sleep(1.0)
        if shots:
            on.look().write_png(shots / f"{name}-restored.png")
        windows = on.do("search", "--onlyvisible", "--name", "Pellucid", check=False).split()
        another = str(Path(picture).with_name("zweites 二.png"))
        write_photograph(place.outside(another), 100, 80)
        began = time.monotonic()
        second = place.run(place.program, another, DISPLAY=on.display)
        took = time.monotonic() - began
        wait_for("The second picture", lambda: any(made.parent.glob("zweites*.png")))
        after = on.do("search", "--onlyvisible", "--name", "Pellucid", check=False).split()
        say("second start", code=second.returncode, windows=len(after), seconds=round(took, 2))
        expect(windows == after, "A second start has opened a second window.")
        time.sleep(1.0)
        quit_window(on, program)
        say("quit", code=program.returncode)
    try_two_starts_at_once(place, on, str(Path(picture).parent / "zwei 二"))


def try_two_starts_at_once(place: Place, on: Screen, folder: str) -> None:
    """A double click too many: one window has both pictures, the other start hands over and ends."""
    pictures = [f"{folder}/{name}.png" for name in ("eins", "zwei")]
    for picture in pictures:
        write_photograph(place.outside(picture), 60, 40)
    programs = [place.start(picture, display=on.display) for picture in pictures]
    results = place.outside(folder) / "Pellucid"
    try:
        wait_for("Both pictures", lambda: all(any(results.glob(f"{name}_*.png")) for name in ("eins", "zwei")))
        windows = on.do("search", "--onlyvisible", "--name", "Pellucid", check=False).split()
        open_ones = [program for program in programs if program.poll() is None]
        say("two starts at once", windows=len(windows))
        expect(len(windows) == len(open_ones) == 1, "Two starts at once have opened two windows.")
        time.sleep(1.0)
        quit_window(on, open_ones[0])
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def measure_starts(place: Place, on: Screen, bundle: Path, times: int) -> None:
    """Medians of many; the first start of each kind is not counted."""
    write_settings(place)
    warm, cold = [], []
    for number in range(times + 1):
        with window(place, on) as (program, seconds):
            quit_window(on, program)
        warm += [seconds] if number else []
    for _ in range(max(3, times // 3)):
        forget_files(bundle)
        with window(place, on) as (program, seconds):
            quit_window(on, program)
        cold.append(seconds)
    say("start, files in memory", **spread(warm))
    say("start, files on the disk", **spread(cold))
    first = []
    for number in range(max(3, times // 2)):
        picture = str(Path(place.home) / "drops" / f"{number}.png")
        write_photograph(place.outside(picture), 640, 480)
        with window(place, on) as (program, _):
            first.append(drop_and_wait(place, on, picture)[2])
            quit_window(on, program)
    say("first picture after the drop, 640 x 480, x4", **spread(first))


def spread(seconds: list[float]) -> dict[str, object]:
    return {
        "median_s": round(statistics.median(seconds), 2),
        "least_s": round(min(seconds), 2),
        "most_s": round(max(seconds), 2),
        "times": len(seconds),
    }


# --------------------------------------------------------------------------------------------------------------- Debian


def make_bare_debian(folder: Path, release: str) -> None:
    if not (folder / "etc" / "debian_version").is_file():
        say("debootstrap", release=release, folder=str(folder))
        words = ["debootstrap", "--variant=minbase", release, str(folder)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def as_older_release(deb: Path, folder: Path) -> Path:
    """The same package as an earlier release, with a part that the next one no longer has."""
    tree, target = folder / "older", folder / "older.deb"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 0.0.1", control.read_text("utf-8"), flags=re.MULTILINE))
    control.write_text(re.sub(r"^Provides: .*\n", "", control.read_text("utf-8"), flags=re.MULTILINE))
    (tree / "opt" / "pellucid" / "_internal" / "of-an-older-release.txt").write_text("old")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, target], check=True, stdout=-3)
    shutil.rmtree(tree)
    return target


def install(place: Place, deb: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    inside = place.root / "tmp" / deb.name
    shutil.copyfile(deb, inside)
    try:
        words = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", f"/tmp/{deb.name}")
        return place.run(*words, check=check, DEBIAN_FRONTEND="noninteractive")
    finally:
        inside.unlink()


def field_of(deb: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", deb, name], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def count_packages(place: Place) -> int:
    return len(place.run("dpkg-query", "-f", "x", "-W").stdout)


def left_behind(root: Path) -> list[str]:
    """Everything in the system that still bears the name."""
    found = []
    for folder, folders, files in os.walk(root):
        inside = "/" + str(Path(folder).relative_to(root)).removeprefix(".")
        folders[:] = [name for name in folders if f"{inside.rstrip('/')}/{name}" not in LEFT_BEHIND]
        found += [f"{inside.rstrip('/')}/{name}" for name in (*folders, *files) if "pellucid" in name.lower()]
    return sorted(found)


def check_deb(deb: Path, other: Path | None, bare: Path, shots: Path | None) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="pellucid-check-", dir=bare.parent) as work,
        screen() as on,
        contextlib.ExitStack() as mounts,
    ):
        root = Path(work) / "root"
        subprocess.run(["cp", "-a", bare, root], check=True)
        mounts.enter_context(mounted("proc", root / "proc"))
        mounts.enter_context(mounted("tmpfs", root / "dev" / "shm"))
        place = Place("/usr/bin/pellucid", root)
        name = field_of(deb, "Package")
        say(
            "package",
            name=name,
            version=field_of(deb, "Version"),
            download_mb=round(deb.stat().st_size / 1e6, 1),
            installed_mb=round(int(field_of(deb, "Installed-Size")) * 1024 / 1e6, 1),
        )
        has_python = ("sh", "-c", "command -v python3 python")
        expect(place.run(*has_python, check=False).returncode, f"There is a Python in {bare}: it proves nothing.")
        place.run("apt-get", "update", "-qq")
        older = as_older_release(deb, Path(work))
        before = count_packages(place)
        check_full_disk(place, older)
        began = time.monotonic()
        install(place, older)
        say("install", seconds=round(time.monotonic() - began, 1), packages_with_it=count_packages(place) - before)
        expect(place.run(*has_python, check=False).returncode, "The package has brought a Python.")
        settings = write_settings(place)
        model, run = place.own(".local/share/pellucid/models/mine"), place.own(".local/share/pellucid/runs/mine")
        for path in (model, run):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("the user's")
        mine = {path: path.read_bytes() for path in (settings, model, run)}

        def kept() -> list[bool]:
            return [path.exists() and path.read_bytes() == content for path, content in mine.items()]

        began = time.monotonic()
        install(place, deb)
        stale = (root / "opt/pellucid/_internal/of-an-older-release.txt").exists()
        say("upgrade", seconds=round(time.monotonic() - began, 1), old_parts=stale, settings_models_runs_kept=kept())
        expect(not stale and all(kept()), "The upgrade has left old parts, or taken what is the user's.")
        check_files(place, name)
        try_program(place)
        try_window(place, on, "/root/Ein Bild 照片/ä b#1.png", shots, name)
        check_open_with(place, on, "/root/Ein Bild 照片/öffnen mit %20 #2.png")
        mine[settings] = settings.read_bytes()
        if other is not None:
            check_other_edition(place, on, other, kept)
            place.run("dpkg", "--purge", field_of(deb, "Package"))
            name = field_of(other, "Package")
            say("what the first edition left, purged", settings_models_runs_kept=kept())
            expect(all(kept()), "Purging what one edition has left took the settings of the other.")
        place.run("apt-get", "remove", "-y", "-qq", name)
        left = [path for path in left_behind(root) if not path.startswith(("/root", "/var/lib/dpkg"))]
        cache = (root / MENU.lstrip("/") / "mimeinfo.cache").read_text("utf-8")
        say("remove", left=left, still_offered="pellucid" in cache, settings_models_runs_kept=kept())
        expect("pellucid" not in cache, "Pictures still offer what is no longer there.")
        expect(not left and all(kept()), "Removing has left parts of the program, or taken what is the user's.")
        place.run("apt-get", "purge", "-y", "-qq", "pellucid", "pellucid-full")
        stays = [path for path in left_behind(root) if (root / path.lstrip("/") / "runs").is_dir()]
        left = [path for path in left_behind(root) if "/Ein Bild" not in path and path not in stays]
        say("purge", left=left, settings_models_runs_kept=kept())
        expect(kept() == [False, False, True], "Purging takes settings and models, and never a training.")
        expect(not left, "Purging has left something of the program.")


def check_files(place: Place, name: str) -> None:
    """What the package says it has is there, unchanged; what a desktop looks for is among it."""
    listed = place.run("dpkg", "-L", name).stdout.splitlines()
    lost = [path for path in listed if not os.path.lexists(place.outside(path))]
    missing = [path for path in ALWAYS_HERE if path not in listed]
    changed = place.run("dpkg", "--verify", name, check=False).stdout.split("\n")[:-1]
    completes = "source /usr/share/bash-completion/completions/pellucid && complete -p pellucid"
    completion = place.run("bash", "-c", completes).stdout.strip()
    say("files", listed=len(listed), lost=lost, missing=missing, changed=changed, completion=completion)
    expect(not (lost or missing or changed), "The installed files are not those of the package.")


def check_other_edition(place: Place, on: Screen, deb: Path, kept: Callable[[], list[bool]]) -> None:
    """It takes the place of the one that is installed, and of its files, while the window of that one is open and has
    not yet loaded all that it will need."""
    name, picture = field_of(deb, "Package"), "/root/Ein Bild 照片/während der Installation.png"
    write_photograph(place.outside(picture), 100, 80)
    with window(place, on) as (program, _):
        install(place, deb)
        answer, made, took = drop_and_wait(place, on, picture)
        say("the other edition, under an open window", answer=answer, result=made.name, seconds=round(took, 2))
        time.sleep(1.0)
        quit_window(on, program)
    listed = place.run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", "pellucid*").stdout
    version = place.run(place.program, "--version").stdout.strip()
    say("the other edition", packages=listed.split("\n")[:-1], version=version, settings_models_runs_kept=kept())
    expect(f"{name} installed" in listed and all(kept()), "The other edition did not take its place.")


def check_open_with(place: Place, on: Screen, picture: str) -> None:
    """As a file manager does it: the desktop's own program knows us for pictures, and starts us with one."""
    tools = ("libglib2.0-bin", "desktop-file-utils")
    place.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *tools, DEBIAN_FRONTEND="noninteractive")
    offered = place.run("gio", "mime", "image/png").stdout
    expect("pellucid.desktop" in offered, "Pellucid is not offered for PNG pictures.")
    write_photograph(place.outside(picture), 120, 90)
    words = [*place.enter, "gio", "launch", f"{MENU}/pellucid.desktop", picture]
    subprocess.run(words, env=place.environment(DISPLAY=on.display), cwd="/", check=True, stderr=subprocess.DEVNULL)
    results = place.outside(picture).parent / "Pellucid"
    wait_for("The picture that was opened with it", lambda: any(results.glob(f"{Path(picture).stem}_*.png")))
    time.sleep(1.0)
    on.do("key", "ctrl+q")
    wait_for("The empty screen", lambda: on.look().colours() < PAINTED)
    say("open with", offered=offered.count("pellucid.desktop") > 0, opened=Path(picture).name)


def check_full_disk(place: Place, deb: Path) -> None:
    """A disk that is too small for the program: apt says so, nothing of it stays, and the next try works."""
    with mounted("tmpfs", place.root / "opt", "-o", "size=60m"):
        ended = install(place, deb, check=False)
        left = [path.name for path in (place.root / "opt").iterdir()]
        state = place.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "pellucid*", check=False).stdout
        words = [line for line in (ended.stdout + ended.stderr).splitlines() if "No space" in line]
        say("full disk", code=ended.returncode, said=words[:1], left=left, state=state)
        expect(ended.returncode and words, "A full disk was not noticed.")
        expect(not left and "installed" not in state.replace("not-installed", ""), "A failed installation left parts.")
    (place.root / "opt").mkdir(exist_ok=True)


# ------------------------------------------------------------------------------------------------------------- portable


def check_portable(archive: Path, shots: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="pellucid-check-") as name, screen() as on:
        folder = Path(name) / "Meine Programme 程序 é"
        folder.mkdir()
        unpack = ["tar", "--zstd", "-xf", str(archive.absolute())]
        began = time.monotonic()
        subprocess.run(unpack, cwd=folder, check=True)
        [bundle] = folder.iterdir()
        size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file() and not path.is_symlink())
        say(
            "unpack",
            seconds=round(time.monotonic() - began, 1),
            download_mb=round(archive.stat().st_size / 1e6, 1),
            installed_mb=round(size / 1e6, 1),
        )
        home = Path(name) / "Heim 家"
        home.mkdir()
        place = Place(str(bundle / "pellucid"), home=str(home))
        try_program(place)
        try_window(place, on, str(home / "ä b#1.png"), shots, archive.name.split("-0")[0] + "-portable")
        settings = (home / ".config/pellucid/settings.json").read_bytes()
        # Deleting is removing; a newer one beside it, or in its place, finds the same settings.
        shutil.rmtree(bundle)
        subprocess.run(unpack, cwd=folder, check=True)
        with window(place, on) as (program, _):
            quit_window(on, program)
        same = (home / ".config/pellucid/settings.json").read_bytes() == settings
        say("unpacked anew", settings_kept=same, beside_it=sorted(path.name for path in folder.iterdir()))
        expect(same, "The settings were lost.")
        small = Path(name) / "voll 满"
        try:
            with mounted("tmpfs", small, "-o", "size=60m"):
                check_full_archive(unpack, small)
        except subprocess.CalledProcessError:
            say("full disk", left_out="Only root can mount a small one.")


def check_full_archive(unpack: list[str], small: Path) -> None:
    """tar notices; what lies there then says in a sentence that it is not whole."""
    ended = subprocess.run(unpack, cwd=small, capture_output=True, text=True, check=False)
    [bundle] = small.iterdir()
    half = subprocess.run([bundle / "pellucid", "--version"], capture_output=True, text=True, check=False)
    words = (half.stdout + half.stderr).strip()
    say("full disk", code=ended.returncode, said=ended.stderr.splitlines()[:1], half_a_program_says=words[-300:])
    expect(ended.returncode, "A full disk was not noticed.")
    expect(half.returncode and words, "Half a program says nothing of what it lacks.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(dest="way", required=True)
    deb = ways.add_parser("deb")
    deb.add_argument("packages", nargs="+", type=Path, metavar="DEB")
    deb.add_argument("--root", type=Path, default=ROOT / "build" / "bare-debian", help="kept, and copied for each run")
    deb.add_argument("--release", default=RELEASE, help=f"of Debian, where ROOT is not there yet ({RELEASE})")
    portable = ways.add_parser("portable")
    portable.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    starts = ways.add_parser("starts")
    starts.add_argument("program", type=Path)
    starts.add_argument("--times", type=int, default=10)
    for way in (deb, portable):
        way.add_argument("--shots", type=Path, metavar="FOLDER", help="photographs of the screen")
    words = parser.parse_args()
    if getattr(words, "shots", None):
        words.shots.mkdir(parents=True, exist_ok=True)
    try:
        if words.way == "deb":
            make_bare_debian(words.root.absolute(), words.release)
            for number, package in enumerate(words.packages):
                others = [other for other in words.packages if other != package]
                check_deb(package, others[number - 1] if others else None, words.root.absolute(), words.shots)
        elif words.way == "portable":
            for archive in words.archives:
                check_portable(archive, words.shots)
        else:
            with tempfile.TemporaryDirectory(prefix="pellucid-home-") as home, screen() as on:
                place = Place(str(words.program.absolute()), home=home)
                measure_starts(place, on, words.program.resolve().parent, words.times)
    except (CheckFailed, subprocess.SubprocessError) as failure:
        say("failed", why=str(failure))
        return 1
    say("all good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
