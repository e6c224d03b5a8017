"""The one program inside an installed Pellucid. What it becomes, the front door decides by its words."""

from __future__ import annotations

import multiprocessing
import os
import sys


def restore_library_path() -> None:
    """The loader of this program points LD_LIBRARY_PATH at our libraries, for this process alone: a browser, a file
    manager or a notifier that it starts must find the system's. Our own processes are told to set theirs anew."""
    os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if before is not None:
        os.environ["LD_LIBRARY_PATH"] = before
    else:
        os.environ.pop("LD_LIBRARY_PATH", None)


def keep_own_modules() -> None:
    """Modules that are imported late are read out of the program's file, by its name. An upgrade puts another file in
    its place, with other modules at those places. The one that was started stays readable under this name."""
    import pyimod02_importers  # PyInstaller's, in the frozen program only

    pyimod02_importers.pyz_archive._filename = "/proc/self/exe"


if __name__ == "__main__":
    if sys.platform == "linux" and hasattr(sys, "_MEIPASS"):
        keep_own_modules()
    # Loader processes of the trainer come in here where processes are spawned; this does not return for them.
    multiprocessing.freeze_support()
    if sys.platform == "linux":
        restore_library_path()
    from gui.__main__ import main

    sys.exit(main())
