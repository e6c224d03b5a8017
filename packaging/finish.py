"""After PyInstaller: strip, forget the build machine's paths, trace every file to its licence, write notices and SBOM.

python packaging/finish.py BUNDLE PARTS      (in the build environment; the build's facts are in PARTS)
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import licences

NOTICES = "THIRD-PARTY-NOTICES.txt"


def contents_folder(bundle: Path) -> Path:
    if sys.platform == "darwin":
        return bundle / "Contents" / "Frameworks"
    return bundle / "_internal"


@dataclass(frozen=True, slots=True)
class Elf:
    """A library or program, and what it asks of the system's loader."""

    path: Path
    needed: tuple[str, ...]
    run_path: tuple[str, ...]


def read_elves(folder: Path) -> list[Elf]:
    paths = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size > 4:
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    paths.append(path)
    listing = subprocess.run(
        ["readelf", "--wide", "--dynamic", *map(str, paths)], capture_output=True, text=True, check=False
    ).stdout
    # With one file alone readelf leaves out its name; a bundle never has just one.
    elves = []
    for part in re.split(r"^File: ", listing, flags=re.MULTILINE)[1:]:
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", part)
        run_path = ":".join(re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", part)).split(":")
        elves.append(Elf(Path(part.splitlines()[0]), tuple(needed), tuple(entry for entry in run_path if entry)))
    return elves


def drop_unneeded(folder: Path, elves: list[Elf]) -> list[Elf]:
    """Libraries of the system, and Qt's, that were collected for a plugin that has not stayed, and theirs in turn.

    Removes them and returns the rest. Only what lies at the top of the bundle or among Qt's libraries: everything
    else belongs to a package that may load it by name.
    """
    kept = {elf.path: elf for elf in elves}
    while True:
        needed = {name for elf in kept.values() for name in elf.needed}
        idle = [
            path
            for path in kept
            if (path.parent == folder or path.parent.parts[-3:] == ("PySide6", "Qt", "lib"))
            and path.name.startswith("lib")
            and path.name not in needed
            and not path.name.startswith("libpython")
        ]
        if not idle:
            break
        for path in idle:
            path.unlink()
            del kept[path]
    for link in folder.glob("lib*.so*"):
        if link.is_symlink() and not link.exists():
            link.unlink()
    return list(kept.values())


def strip_libraries(elves: list[Elf]) -> None:
    """Symbols that only a debugger reads. Libraries in *.libs were moved about by patchelf: strip breaks them."""
    chosen = [
        elf.path
        for elf in elves
        if not any(part.endswith(".libs") for part in elf.path.parts)
        and "kernels" not in elf.path.parts
        and elf.path.name != "pellucid"
    ]
    for path in chosen:
        path.chmod(path.stat().st_mode | 0o200)
    subprocess.run(["strip", "--strip-unneeded", "--preserve-dates", *map(str, chosen)], check=True)


def forget_paths(elves: list[Elf]) -> None:
    """A run path that points out of the bundle is one of the build machine; nobody else has it."""
    for elf in elves:
        kept = [entry for entry in elf.run_path if entry.startswith("$ORIGIN")]
        if kept != list(elf.run_path):
            words = ["--set-rpath", ":".join(kept)] if kept else ["--remove-rpath"]
            subprocess.run(["patchelf", *words, str(elf.path)], check=True)


def check_python_parts(bundle: Path) -> None:
    """Nothing in the bundle may name a place of the build machine in a text that users read."""
    home = f"{Path.home()}/".encode()
    for path in bundle.rglob("*"):
        if path.suffix in (".json", ".txt", ".toml") and path.is_file() and home in path.read_bytes():
            raise SystemExit(f"{path} names {home.decode()}, a folder of the build machine.")


def main() -> None:
    bundle, parts = Path(sys.argv[1]), Path(sys.argv[2])
    facts = json.loads((parts / "build-facts.json").read_text("utf-8"))
    if sys.platform == "linux":
        elves = drop_unneeded(contents_folder(bundle), read_elves(bundle))
        strip_libraries(elves)
        forget_paths(elves)
    components = licences.read_components(parts / "origins.json", bundle)
    notices = licences.format_notices(components, "Pellucid")
    (contents_folder(bundle) / NOTICES).write_text(notices, encoding="utf-8")
    (parts / NOTICES).write_text(notices, encoding="utf-8")
    moment = licences.moment_of(int(os.environ["SOURCE_DATE_EPOCH"]))
    sbom = licences.format_sbom(components, "Pellucid", facts["version"], facts["commit"], moment)
    (parts / "sbom.cdx.json").write_text(sbom, encoding="utf-8")
    check_python_parts(bundle)


if __name__ == "__main__":
    main()
