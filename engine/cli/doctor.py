"""`pellucid doctor`: what this machine has, what works here and what does not, and why."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output

PACKAGES = (
    "numpy",
    "pillow",
    "pillow-heif",
    "imagecodecs",
    "openvino",
    "torch",
    "spandrel",
    "PySide6-Essentials",
    "rawpy",
)

PROBE_SIDE = 128
"""Side of the picture whose restoration is timed, in pixels."""


def add_doctor_parser(subparsers: Subparsers) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "doctor",
        help="say what this machine has and can do",
        description="Say what this machine has, what works here and what does not, and why. "
        "Exit code 1 when pictures cannot be restored at all.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace, output: Output) -> int:
    report = examine()
    output.line(report)
    if not output.json:
        _tell(report, output)
    return DONE if any(backend["available"] for backend in report["backends"]) else SOME_FAILED


def examine() -> dict[str, Any]:
    """Everything the doctor finds, as plain data."""
    from engine.models.library import library_folder, list_models
    from engine.runtime.choose import backend_reports
    from engine.version import version

    backends = [msgspec.to_builtins(report) for report in backend_reports()]
    return {
        "version": version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "backends": backends,
        "speed": _measure_speed(),
        "native_kernels": _native_kernels(),
        "engines": _engines(),
        "packages": {name: _package(name) for name in PACKAGES},
        "library": str(library_folder()),
        "models": len(list_models()),
        "display": _display(),
    }


def _tell(report: dict[str, Any], output: Output) -> None:
    output.say(f"Pellucid {report['version']}, Python {report['python']}, {report['system']}")
    output.say(f"{report['processor']}, {report['cores']} cores, {report['memory_gib']:.1f} GiB of memory")
    output.say("")
    rows = [
        (
            backend["name"],
            "works" if backend["available"] else "not here",
            ", ".join(backend["devices"]) if backend["available"] else backend["reason"],
        )
        for backend in report["backends"]
    ]
    output.table(rows, ("backend", "", "devices, or why not"))
    output.say("")
    for name, what in (("speed", "Speed"), ("native_kernels", "Native kernels"), ("display", "Window")):
        output.say(f"{what}: {report[name]}")
    for line in report["engines"]:
        output.say(f"TensorRT: {line}")
    output.say(f"Models: {report['models']}, the library is {report['library']}")
    missing = [name for name, version in report["packages"].items() if version is None]
    if missing:
        output.say(f"Not installed, and needed only for some things: {', '.join(missing)}")


def _package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    import psutil

    return round(float(psutil.virtual_memory().total) / 2**30, 1)


def _measure_speed() -> str:
    """A small network on noise, for a second: enough to tell a fast machine from a slow one."""
    import time

    import numpy as np

    from engine.errors import PellucidError
    from engine.models.card import Card
    from engine.models.model import Model
    from engine.models.presets import find_preset
    from engine.runtime.choose import open_session

    preset = find_preset("compact-16")
    noise = np.random.default_rng(0)
    weights = {
        name: noise.normal(0, 0.05, shape).astype(np.float32)
        for name, shape in preset.architecture.parameter_shapes(preset.args).items()
    }
    arguments = preset.architecture.write_arguments(preset.args)
    model = Model(Card(name="probe", architecture=preset.architecture.id, arguments=arguments), weights)
    try:
        session = open_session(model)
    except PellucidError as failure:
        return failure.message
    tile = noise.random((1, 3, PROBE_SIDE, PROBE_SIDE), np.float32)
    session.run(tile)
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < 0.5:
        session.run(tile)
        runs += 1
    rate = runs * PROBE_SIDE**2 / 1e6 / (time.perf_counter() - started)
    info = session.info
    session.close()
    return f"{rate:.2f} megapixels a second in one stream (compact-16, {info.backend} {info.precision})"


def _native_kernels() -> str:
    from kernels.errors import KernelError
    from kernels.library import runnable_variants

    try:
        variants = [variant.name.lower() for variant in runnable_variants()]
    except KernelError as error:
        return str(error)
    return f"built; this processor runs {', '.join(variants)}"


def _engines() -> list[str]:
    """Compiled engines and those that are not used, with the reason; nothing where TensorRT never was."""
    from engine.runtime.engine_cache import EngineCache

    cache = EngineCache.of_user()
    kept = [f"{cache.size() / 1e6:.0f} MB of compiled engines in {cache.folder}"] if cache.size() else []
    return [*kept, *(f"not used: {reason}" for reason in cache.refusals())]


def _display() -> str:
    if find_spec("PySide6") is None:
        return "cannot open, because PySide6 is not installed"
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "cannot open, because there is no display; the command line works"
    return "can open"
