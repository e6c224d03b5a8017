"""Makes, in the build environment, what the spec puts beside the program: the build's facts, licences of our own, the
icon in every system's format, and an empty library in the place of x265.

    python packaging/prepare.py EDITION PARTS VERSION COMMIT EPOCH
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from licences import moment_of

ROOT = Path(__file__).resolve().parent.parent
NAMED_PARTS = {"Qt": "PySide6-Essentials", "OpenVINO": "openvino", "torch": "torch"}
"""What a bug report should name: word in `pellucid --version` -> distribution."""
ICON_SIDES = (16, 24, 32, 48, 64, 128, 256, 512)


def write_facts(edition: str, version: str, commit: str, epoch: int, target: Path) -> None:
    kept = {name: dist for name, dist in NAMED_PARTS.items() if edition == "full" or name != "torch"}
    facts = {
        "version": version,
        "edition": edition,
        "commit": commit,
        "date": moment_of(epoch)[:10],
        "parts": {name: metadata.version(distribution).split("+")[0] for name, distribution in kept.items()},
    }
    target.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def draw_icons(folder: Path) -> None:
    """pellucid-N.png for every side, pellucid.ico and pellucid.icns, from the drawing; it is that of gui.icons."""
    from PIL import Image
    from PySide6.QtCore import QSize
    from PySide6.QtGui import QGuiApplication, QImageReader

    application = QGuiApplication(["icons", "-platform", "offscreen"])
    for side in ICON_SIDES:
        reader = QImageReader(str(ROOT / "packaging" / "linux" / "pellucid.svg"))
        reader.setScaledSize(QSize(side, side))
        drawn = reader.read()
        if drawn.isNull() or not drawn.save(str(folder / f"pellucid-{side}.png")):
            raise SystemExit(f"The icon was not drawn: {reader.errorString()}")
    pictures = {side: Image.open(folder / f"pellucid-{side}.png").convert("RGBA") for side in ICON_SIDES}
    pictures[256].save(folder / "pellucid.ico", sizes=[(side, side) for side in ICON_SIDES if side <= 256])
    pictures[512].save(folder / "pellucid.icns")
    del application


def make_stand_in(folder: Path) -> None:
    """An empty library with the interface that libheif links to, named as the real x265, which is GPL and not shipped.

    libheif asks it for an encoder; the answer is none. Reading HEIC needs nothing of it.
    """
    site = Path(sysconfig.get_path("platlib"))
    real = next((path for path in site.glob("pillow_heif*/*x265*") if path.is_file()), None)
    if real is None:
        real = next((path for path in site.glob("*x265*.dll")), None)
    if real is None:
        return
    number = re.search(rb"x265_api_get_(\d+)", real.read_bytes())
    if number is None:
        raise SystemExit(f"{real} has another interface than the stand-in knows.")
    source = folder / "stand_in.c"
    export = "__declspec(dllexport) " if sys.platform == "win32" else ""
    source.write_text(
        f"{export}const void *x265_api_get_{number.group(1).decode()}(int depth) {{ (void)depth; return 0; }}\n"
        f"{export}void x265_cleanup(void) {{}}\n",
        encoding="utf-8",
    )
    target = folder / real.name
    if sys.platform == "win32":
        command = ["cl", "/nologo", "/LD", str(source), f"/Fe:{target}"]
    elif sys.platform == "darwin":
        command = [
            "cc",
            "-dynamiclib",
            "-O2",
            "-install_name",
            f"@loader_path/{real.name}",
            "-o",
            str(target),
            str(source),
        ]
    else:
        command = ["cc", "-shared", "-fPIC", "-O2", "-s", f"-Wl,-soname,{real.name}", "-o", str(target), str(source)]
    subprocess.run(command, check=True, cwd=folder)


def main() -> None:
    edition, folder, version, commit, epoch = sys.argv[1:]
    parts = Path(folder)
    write_facts(edition, version, commit, int(epoch), parts / "build-facts.json")
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, parts / name)
    draw_icons(parts)
    make_stand_in(parts)


if __name__ == "__main__":
    main()
