"""What this program is made of: the build's report where it is installed, else from what lies in the environment."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

from gui.program import is_frozen

NOTICES_FILE = "THIRD-PARTY-NOTICES.txt"
FACTS_FILE = "build-facts.json"
"""Both made by the build, which has traced every file to its licence."""
QT_TERMS = """\
Qt and PySide6 are used under the GNU Lesser General Public License, version 3 (LGPL-3.0), as separate shared
libraries that you may replace by your own.
"""


def version() -> str:
    """Release number, and for an installed program which edition of it."""
    if is_frozen():
        facts = json.loads((_bundle() / FACTS_FILE).read_text("utf-8"))
        return f"{facts['version']} ({facts['edition']}, {facts['date']}, {facts['commit']})"
    try:
        return metadata.version("pellucid")
    except metadata.PackageNotFoundError:
        return _version_of_checkout()


def notices() -> str:
    """Name, version and licence of every part that is installed beside us, with its licence text where it has one."""
    if is_frozen():
        return (_bundle() / NOTICES_FILE).read_text("utf-8")
    parts = sorted(
        {part.metadata["Name"]: part for part in metadata.distributions() if part.metadata["Name"]}.items(),
        key=lambda pair: pair[0].lower(),
    )
    summary = [f"{name} {part.version}: {_licence(part)}" for name, part in parts]
    texts = [f"{'=' * 72}\n{name} {part.version}\n\n{text}" for name, part in parts if (text := _licence_text(part))]
    return "\n".join(summary) + f"\n\n{QT_TERMS}\n" + "\n\n".join(texts)


def _bundle() -> Path:
    return Path(str(getattr(sys, "_MEIPASS", "")))


def _licence(part: metadata.Distribution) -> str:
    fields = part.metadata.json
    if expression := fields.get("license_expression"):
        return str(expression)
    classified = [line.split(" :: ")[-1] for line in fields.get("classifier") or [] if line.startswith("License")]
    if classified:
        return ", ".join(classified)
    return str(fields.get("license") or "?").splitlines()[0][:80]


def _licence_text(part: metadata.Distribution) -> str:
    texts: list[str] = []
    for file in part.files or []:
        name = Path(str(file)).name.upper()
        if name.startswith(("LICENSE", "LICENCE", "NOTICE", "COPYING")) and len(texts) < 3:
            try:
                texts.append(Path(str(file.locate())).read_text("utf-8", "replace").strip())
            except OSError:
                continue
    return "\n\n".join(texts)


def _version_of_checkout() -> str:
    project = Path(__file__).parent.parent / "pyproject.toml"
    try:
        lines = project.read_text("utf-8").splitlines()
    except OSError:
        return "?"
    return next((line.split('"')[1] for line in lines if line.startswith("version = ")), "?")
