"""A bundle as an installer for Windows, compiled by NSIS, which runs on Linux as well.

python packaging/windows_installer.py check      compile with a stand-in payload, install and uninstall it under wine
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent


class InstallerFailed(Exception):
    """What makensis or the installer did not do."""


def compile_installer(payload: Path, edition: str, version: str, output: Path, icon: Path | None = None) -> None:
    """`payload`: the folder whose contents are installed."""
    defines = {
        "VERSION": version,
        "EDITION": edition,
        "PAYLOAD": str(payload.resolve() / "*.*"),
        "OUTPUT": str(output.resolve()),
        "LICENCE": str(HERE.parent / "LICENSE"),
    }
    if icon is not None:
        defines["ICON"] = str(icon.resolve())
    sign = "/" if os.name == "nt" else "-"
    words = ["makensis", f"{sign}V2", f"{sign}WX", f"{sign}INPUTCHARSET", "UTF8"]
    words += [f"{sign}D{name}={value}" for name, value in defines.items()]
    ended = subprocess.run(
        [*words, str(HERE / "windows" / "pellucid.nsi")], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise InstallerFailed(f"makensis ended with {ended.returncode}: {(ended.stdout + ended.stderr)[-3000:]}")


def make_installer(bundle: Path, edition: str, version: str, parts: Path, dist: Path) -> Path:
    name = "pellucid" if edition == "restore" else "pellucid-full"
    target = dist / f"{name}-{version}-windows-x86_64-setup.exe"
    compile_installer(bundle, edition, version, target, parts / "pellucid.ico")
    return target


def write_stand_in(folder: Path) -> None:
    """What a bundle looks like from outside; the programs are no programs."""
    (folder / "_internal" / "engine").mkdir(parents=True)
    for name in ("pellucid.exe", "pellucidw.exe", "_internal/build-facts.json", "_internal/engine/x.toml"):
        (folder / name).write_text("stand-in", encoding="utf-8")


class Wine:
    """A Windows of its own below a folder."""

    def __init__(self, folder: Path) -> None:
        program = next((name for name in ("wine64", "/usr/lib/wine/wine64", "wine") if shutil.which(name)), None)
        if program is None:
            raise InstallerFailed("wine is not installed. On Debian or Ubuntu: apt install wine64")
        self._program = program
        self.prefix = folder / "prefix"
        self._environment = {
            **os.environ,
            "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            # Neither .NET nor a browser is asked for.
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "DISPLAY": "",
        }

    def run(self, *words: str) -> str:
        ended = subprocess.run(
            [self._program, *words], env=self._environment, capture_output=True, text=True, timeout=240, check=False
        )
        if ended.returncode:
            raise InstallerFailed(f"{' '.join(words)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        return ended.stdout

    def wait(self) -> None:
        server = "/usr/lib/wine/wineserver"
        subprocess.run([shutil.which("wineserver") or server, "-w"], env=self._environment, timeout=240, check=False)

    def has_key(self, key: str) -> bool:
        words = [self._program, "reg", "query", key]
        return not subprocess.run(
            words, env=self._environment, capture_output=True, timeout=120, check=False
        ).returncode


def check_under_wine(folder: Path) -> list[str]:
    """Install, look, install over it, uninstall, look, and purge; what was seen. Raises InstallerFailed."""
    payload, setup = folder / "payload", folder / "pellucid-setup.exe"
    write_stand_in(payload)
    compile_installer(payload, "restore", "0.1.0", setup)
    wine = Wine(folder)
    wine.run("wineboot", "--init")
    wine.wait()
    seen: list[str] = []
    uninstall_key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Pellucid"
    local = next((wine.prefix / "drive_c" / "users").glob("*/AppData/Local"))
    program = local / "Programs" / "Pellucid"
    menu = local.parent / "Roaming" / "Microsoft" / "Windows" / "Start Menu" / "Programs" / "Pellucid.lnk"

    def expect(what: str, holds: bool) -> None:
        if not holds:
            raise InstallerFailed(f"Not so: {what}.")
        seen.append(what)

    wine.run(str(setup), "/S")
    wine.wait()
    expect("the programs are installed", (program / "pellucid.exe").is_file() and (program / "pellucidw.exe").is_file())
    expect("their parts are installed", (program / "_internal" / "engine" / "x.toml").is_file())
    expect("the start menu has an entry", menu.is_file())
    expect("Windows lists it among its programs", wine.has_key(uninstall_key))
    expect("pictures offer it under Open with", wine.has_key(r"HKCU\Software\Classes\.png\OpenWithProgids"))
    settings, model = local / "pellucid" / "settings.json", local / "pellucid" / "models" / "mine.safetensors"
    run = local / "pellucid" / "runs" / "first" / "config.toml"
    rest = [local / "pellucid" / place / "x" for place in ("Cache", "Logs", "components", "pasted")]
    for file in (settings, model, run, *rest):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine", encoding="utf-8")
    (program / "_internal" / "old.txt").write_text("of an older version", encoding="utf-8")
    wine.run(str(setup), "/S")
    wine.wait()
    expect("an upgrade leaves no old parts", not (program / "_internal" / "old.txt").exists())
    (program / "notes.txt").write_text("the user's", encoding="utf-8")
    wine.run(str(program / "uninstall.exe"), "/S")
    wine.wait()
    expect("uninstalling removes the program", not (program / "pellucid.exe").exists())
    expect("and its parts", not (program / "_internal").exists())
    expect("and the entry in the start menu", not menu.exists())
    expect("and the entry among the programs", not wine.has_key(uninstall_key))
    expect("but no file of the user's in its folder", (program / "notes.txt").is_file())
    expect("and keeps settings, models and trainings", settings.is_file() and model.is_file() and run.is_file())
    wine.run(str(setup), "/S")
    wine.wait()
    wine.run(str(program / "uninstall.exe"), "/S", "/PURGE")
    wine.wait()
    expect("purging removes settings and models", not settings.exists() and not model.exists())
    expect("and all else that is not the user's", not any(file.parent.exists() for file in rest))
    expect("but no training", run.is_file())
    return seen


def main() -> int:
    if sys.argv[1:] != ["check"]:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="pellucid-windows-") as name:
        try:
            for line in check_under_wine(Path(name)):
                print(f"ok  {line}")
        except InstallerFailed as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
