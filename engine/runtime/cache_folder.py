"""Where things are kept that can be made again: compiled engines, measured memory needs."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's own; it may not exist yet."""
    return Path(platformdirs.user_cache_dir("pellucid", appauthor=False))
