"""TensorRT itself: where it is, whether it can be used here and if not why, and its module, loaded when asked for.

Two flavours of one interface: `tensorrt-rtx` for GeForce and RTX cards, `tensorrt` for those of data centres. Either
comes from the component folder that `pellucid accelerate install` fills, or from the Python environment.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import platformdirs

from engine.errors import Code, PellucidError


@dataclass(frozen=True, slots=True)
class Flavour:
    """name: as users write it. module: as Python imports it. package: whose version counts."""

    name: str
    module: str
    package: str


FLAVOURS = (
    Flavour("tensorrt-rtx", "tensorrt_rtx_bindings", "tensorrt-rtx-cu13-bindings"),
    Flavour("tensorrt", "tensorrt_bindings", "tensorrt-cu13-bindings"),
)


def find_flavour(name: str) -> Flavour:
    return next(flavour for flavour in FLAVOURS if flavour.name == name)


def component_folder(name: str) -> Path:
    """Where an installed component lies; it may not exist."""
    return Path(platformdirs.user_data_dir("pellucid", appauthor=False)) / "components" / name


def is_installed(flavour: Flavour) -> bool:
    """Without importing anything."""
    return (component_folder(flavour.name) / flavour.module).is_dir() or (
        importlib.util.find_spec(flavour.module) is not None
    )


def installed_version(flavour: Flavour) -> str:
    """ "" when it is not there."""
    folder = component_folder(flavour.name)
    for found in metadata.distributions(name=flavour.package, path=[str(folder), *sys.path]):
        return str(found.version)
    return ""


def load_library(flavour: Flavour) -> Any:
    """The module. Raises PellucidError in a sentence; whatever a broken installation throws is part of it."""
    folder = component_folder(flavour.name)
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    if not is_installed(flavour):
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f"{flavour.name} is not installed.",
            f"`pellucid accelerate install {flavour.name}` installs it.",
        )
    try:
        return importlib.import_module(flavour.module)
    except Exception as error:  # a missing driver, a library of another version: anything may come out of an import
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            f"{flavour.name} is installed but cannot be loaded: {_first_line(error)}.",
            f"`pellucid accelerate install {flavour.name}` installs it anew.",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def quiet_logger(trt: Any) -> Any:
    """A logger that keeps what TensorRT says instead of printing it: `logger.said`, newest last."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.said: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.said = [*self.said[-9:], message]

    return Logger()
