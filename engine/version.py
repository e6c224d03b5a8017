"""Which Pellucid this is."""

from __future__ import annotations

import platform
from importlib import metadata


def version() -> str:
    """Release number, e.g. `0.1.0`."""
    try:
        return metadata.version("pellucid")
    except metadata.PackageNotFoundError:
        return "0+source"


def version_line() -> str:
    """One line with the build's facts."""
    return f"pellucid {version()} (Python {platform.python_version()}, {platform.system()} {platform.machine()})"
