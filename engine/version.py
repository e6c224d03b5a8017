"""Which Pellucid this is: its release, and for an installed program what it was built from."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

FACTS_FILE = "build-facts.json"


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """What the build wrote down about itself."""

    version: str
    edition: str
    """"restore", or "full" with everything that trains."""
    commit: str
    date: str
    """Of the commit, ISO: the same source gives the same words."""
    parts: dict[str, str] = field(default_factory=dict)
    """Name and version of what a bug report should name."""


def bundle_folder() -> Path | None:
    """Where an installed program keeps its parts; None when this runs from source."""
    folder = getattr(sys, "_MEIPASS", None)
    return Path(folder) if getattr(sys, "frozen", False) and folder else None


@cache
def build_facts() -> BuildFacts | None:
    """None when this runs from source."""
    folder = bundle_folder()
    if folder is None:
        return None
    return BuildFacts(**json.loads((folder / FACTS_FILE).read_text(encoding="utf-8")))


def version() -> str:
    """Release number, e.g. `0.1.0`."""
    facts = build_facts()
    if facts is not None:
        return facts.version
    try:
        return metadata.version("pellucid")
    except metadata.PackageNotFoundError:
        return "0+source"


def version_line() -> str:
    """One line with the build's facts."""
    facts = build_facts()
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if facts is None:
        return f"pellucid {version()} from source ({machine})"
    parts = ", ".join(f"{name} {number}" for name, number in facts.parts.items())
    return f"pellucid {facts.version}, {facts.edition} edition, of {facts.date}, {facts.commit} ({parts}, {machine})"
