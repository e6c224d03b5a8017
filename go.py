#!/usr/bin/env python3
"""Set Pellucid up on this machine and run it. Standard library only.

    python3 go.py                     open the app
    python3 go.py restore a.jpg       run the command line: any arguments of `pellucid`
    python3 go.py test [-k NAME ...]  run the tests (arguments go to pytest)
    python3 go.py test --trt [...]    run the tests of TensorRT networks, which need 100 MB of NVIDIA's wheels
    python3 go.py setup [train test]  only set up

Everything goes into the folder .venv beside this file. What is already there is not touched again, so a second start
costs a fraction of a second. The training packages (torch) come with the first command that needs them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
WINDOWS = os.name == "nt"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
PELLUCID = PYTHON.with_name("pellucid.exe" if WINDOWS else "pellucid")

TRT = "--trt"
NEEDS_NATIVE = {"degrade", "bench"}

# Debian package of every library that Qt's window needs; the loader names the file, never the package.
QT_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}
TEST_TOOLS = {
    "Xvfb": "xvfb",
    "xdotool": "xdotool",
    "openbox": "openbox",
    "xclip": "xclip",
    "exiftool": "libimage-exiftool-perl",
    "fc-list": "fontconfig",
}


class SetupFailed(Exception):
    """A sentence for the user."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(command: list[str | Path], failure: str) -> None:
    """Run quietly; on failure show what the command printed, and the sentence."""
    result = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        say(result.stdout[-4000:])
        raise SetupFailed(failure)


def digest(paths: list[Path]) -> str:
    """Of names, sizes and times: enough to see an edit, and fast."""
    state = hashlib.sha256(f"{sys.version_info[:3]}{sys.base_prefix}{HERE}".encode())
    for path in paths:
        facts = path.stat()
        state.update(f"{path.relative_to(HERE)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return state.hexdigest()


class Step:
    """One part of the set-up, repeated only when the files it is made from have changed."""

    def __init__(self, name: str, inputs: list[Path]) -> None:
        self.stamp = VENV / f".done-{name}"
        self.state = digest(inputs)

    def is_done(self) -> bool:
        return self.stamp.is_file() and self.stamp.read_text(encoding="utf-8") == self.state

    def mark_done(self) -> None:
        self.stamp.write_text(self.state, encoding="utf-8")


def make_venv() -> None:
    if PYTHON.is_file():
        return
    say("Making a private Python environment in .venv ...")
    command: list[str | Path] = [sys.executable, "-m", "venv", VENV]
    try:
        run(command, "This Python cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv")
    except SetupFailed:
        shutil.rmtree(VENV, ignore_errors=True)
        raise


def install(part: str, what: str, dependencies: bool = False) -> None:
    """Install requirements/<part>.txt, whole and pinned."""
    requirements = HERE / "requirements" / f"{part}.txt"
    step = Step(part, [requirements])
    if step.is_done():
        return
    say(f"Installing {what} ...")
    command: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not dependencies:
        command.append("--no-deps")
    run(
        [*command, "-r", requirements], f"pip could not install {what}; its last words are above. Is the network there?"
    )
    step.mark_done()


def native_sources() -> list[Path]:
    kernels = HERE / "kernels"
    kept = [path for path in kernels.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted([HERE / "pyproject.toml", *(path for path in kept if path.suffix != ".py")])


def build_native() -> None:
    """Put the project into the environment: the `pellucid` command, and the compiled kernels."""
    step = Step("native", native_sources())
    if step.is_done():
        return
    install("build", "the build tools")
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")) and not WINDOWS:
        raise SetupFailed(
            "A C++ compiler is needed. On Debian or Ubuntu: apt install g++; on macOS: xcode-select --install"
        )
    say("Building the native code ...")
    run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation",
         "--editable", HERE],
        "The native code did not build; the compiler's words are above.",
    )  # fmt: skip
    step.mark_done()


def missing_qt_packages() -> list[str]:
    """Debian names of the libraries that Qt's X11 plugin does not find; empty off Linux."""
    if platform.system() != "Linux":
        return []
    plugins = VENV.glob("lib/python*/site-packages/PySide6/Qt/plugins/platforms/libqxcb.so")
    libraries = VENV.glob("lib/python*/site-packages/PySide6/Qt/lib/libQt6Gui.so.6")
    lines: list[str] = []
    for library in [*plugins, *libraries]:
        listing = subprocess.run(["ldd", library], capture_output=True, text=True, check=False).stdout
        lines += [line.split()[0] for line in listing.splitlines() if "not found" in line]
    return sorted({QT_PACKAGES.get(name, name) for name in lines if not name.startswith("libQt6")})


def install_system_packages(packages: list[str], purpose: str) -> bool:
    """With apt when we are root there; else print the one line to type. Returns whether they are there now."""
    if not packages:
        return True
    line = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"Installing system packages {purpose}: {' '.join(packages)} ...")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], line.split()):
            result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return True
        say(result.stderr[-2000:])
    say(f"Missing {purpose}: {', '.join(packages)}. On Debian or Ubuntu type:\n    sudo {line}")
    return False


def check_qt_libraries() -> None:
    qt = next(VENV.glob("lib/python*/site-packages/PySide6/__init__.py"), None)
    if qt is None:
        return
    step = Step("qt-libraries", [qt])
    if not step.is_done() and install_system_packages(missing_qt_packages(), "for the window"):
        step.mark_done()


def check_test_tools() -> None:
    if platform.system() == "Linux":
        packages = [package for tool, package in TEST_TOOLS.items() if not shutil.which(tool)]
        install_system_packages(packages, "for the tests")


def set_up(parts: set[str]) -> None:
    make_venv()
    install("base", "Pellucid's packages")
    if "train" in parts:
        install("train", "the training packages (torch)", dependencies=True)
    if "native" in parts or not (VENV / ".done-native").is_file():
        build_native()
    if "window" in parts:
        check_qt_libraries()
    if "test" in parts:
        install("test", "the test tools")
        check_test_tools()
    if "trt" in parts:
        install("trt", "TensorRT-RTX (about 100 MB, NVIDIA's licence)")


def parts_for(arguments: list[str]) -> set[str]:
    """What the given command needs beyond restoring."""
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    if command == "test":
        return {"train", "native", "window", "test", *(["trt"] if TRT in arguments else [])}
    if command == "setup":
        return {"native", *arguments[1:]}
    parts = set()
    if command == "train" or (command == "runs" and "resume" in arguments):
        parts |= {"train", "native"}
    if command in NEEDS_NATIVE:
        parts.add("native")
    if not arguments or Path(command).exists():
        parts.add("window")
    return parts


def start(command: list[str]) -> int:
    """Become the program, so that signals, the terminal and the exit code are its own."""
    if not WINDOWS:
        os.execv(command[0], command)
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130


def main(arguments: list[str]) -> int:
    if sys.version_info < (3, 11):
        say(f"Pellucid needs Python 3.11 or newer; this is {platform.python_version()}.")
        return 1
    try:
        set_up(parts_for(arguments))
    except SetupFailed as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments[:1] == ["setup"]:
        return 0
    if arguments[:1] == ["test"]:
        os.chdir(HERE)
        chosen = [argument for argument in arguments[1:] if argument != TRT]
        if TRT in arguments:
            chosen = ["-m", "trt", *chosen]
        return start([str(PYTHON), "-m", "pytest", *chosen])
    return start([str(PELLUCID), *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
