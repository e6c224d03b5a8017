"""Where runs lie, and how one is found by its name."""

from __future__ import annotations

import os
import time
from pathlib import Path

from engine.errors import Code, PellucidError


def runs_folder() -> Path:
    """Where runs live that were not put anywhere by name: PELLUCID_RUNS, or the user's data folder."""
    chosen = os.environ.get("PELLUCID_RUNS")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_data_path("pellucid", appauthor=False)) / "runs"


def new_run_folder(name: str) -> Path:
    from trainer.export import file_name

    base = f"{file_name(name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, number = runs_folder() / base, 1
    while folder.exists():
        number += 1
        folder = runs_folder() / f"{base}-{number}"
    return folder


def find_run(name: str) -> Path:
    """A run by its path, or by its folder's name among all runs."""
    for folder in (Path(name).expanduser(), runs_folder() / name):
        if (folder / "config.toml").is_file():
            return folder
    raise PellucidError(Code.FILE_MISSING, f"There is no run {name}.", "List them with: pellucid runs list.", run=name)
