"""`pellucid accelerate`: install, look at and remove the optional accelerators for NVIDIA GPUs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli.frame import DONE, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError

AGREE = "--accept-licence"


def add_accelerate_parser(subparsers: Subparsers) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "accelerate",
        help="install, look at and remove accelerators for NVIDIA GPUs",
        description="Install, look at and remove accelerators for NVIDIA GPUs. Pellucid runs whole without them.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))
    adding = actions.add_parser("install", help="fetch, check and install one")
    _add_name(adding)
    adding.add_argument(AGREE, action="store_true", help="agree to the maker's licence without being asked")
    adding.add_argument("--wheels", type=Path, metavar="FOLDER", help="take the packages from here, fetch nothing")
    adding.set_defaults(run=_install)

    showing = actions.add_parser("status", help="say what is installed, and what could be")
    showing.set_defaults(run=_status)

    removing = actions.add_parser("remove", help="remove one, and the engines that were compiled")
    _add_name(removing)
    removing.set_defaults(run=_remove)

    building = actions.add_parser("build-engine", help=argparse.SUPPRESS)
    building.add_argument("request", type=Path)
    building.set_defaults(run=_build_engine)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", default="tensorrt-rtx", metavar="NAME", help="tensorrt-rtx (default) or tensorrt"
    )


def _install(arguments: argparse.Namespace, output: Output) -> int:
    from engine.accelerate import find_component, install, wheels_for_this_computer

    component = find_component(arguments.name)
    wheels = wheels_for_this_computer(component)
    size = sum(wheel.size for wheel in wheels)
    output.say(f"{component.title} {component.version}, for {component.suits}.")
    output.say(f"{size / 1e6:.0f} MB to fetch, {component.unpacked / 1e6:.0f} MB on the disk.")
    output.say(f"Licence: {component.licence}. Its text lies in the package, and stays with it.")
    output.line(
        {"component": component.name, "version": component.version, "licence": component.licence, "bytes": size,
         "unpacked": component.unpacked}
    )  # fmt: skip
    if not arguments.accept_licence and not _agreed(output):
        raise PellucidError(
            Code.USAGE, "Nothing was installed, because the licence was not agreed to.", f"Agree with {AGREE}."
        )
    watched = _Progress(output)
    found = install(component.name, progress=watched.tell, wheels_folder=arguments.wheels)
    watched.end()
    output.say(f"Installed {component.title} {found.version} in {found.folder}. Its licence: {found.licence_file}")
    output.say("Pictures go on as before; the first ones on a GPU are made by torch while engines are compiled.")
    output.line({"installed": found.name, "version": found.version, "bytes": found.size, "folder": str(found.folder)})
    return DONE


def _agreed(output: Output) -> bool:
    if output.json or not sys.stdin.isatty():
        return False
    return input("Do you agree to this licence? [y/N] ").strip().casefold() in ("y", "yes")


def _status(_: argparse.Namespace, output: Output) -> int:
    from engine.accelerate import COMPONENTS, status
    from engine.runtime.choose import backend_reports
    from engine.runtime.engine_cache import EngineCache

    reports = {report.name: report for report in backend_reports()}
    rows = []
    for component in COMPONENTS:
        found, report = status(component.name), reports[component.name]
        output.line(
            {"component": component.name, "version": found.version, "bytes": found.size, "usable": report.available,
             "reason": report.reason, "suits": component.suits}
        )  # fmt: skip
        rows.append((component.name, found.version or "-", "works" if report.available else report.reason))
    output.table(rows, ("accelerator", "version", ""))
    cache = EngineCache.of_user()
    output.say(f"Compiled engines: {cache.size() / 1e6:.0f} MB in {cache.folder}")
    for reason in cache.refusals():
        output.say(f"Not used: {reason}")
    output.line({"engines": cache.size(), "folder": str(cache.folder), "refused": cache.refusals()})
    return DONE


def _remove(arguments: argparse.Namespace, output: Output) -> int:
    from engine.accelerate import remove

    freed = remove(arguments.name)
    output.say(f"Removed {arguments.name}: {freed / 1e6:.0f} MB are free again.")
    output.line({"removed": arguments.name, "bytes": freed})
    return DONE


def _build_engine(arguments: argparse.Namespace, output: Output) -> int:
    """What a bundled program is called with to build an engine in a process of its own."""
    from engine.runtime.tensorrt_builder import build

    return build(arguments.request)


class _Progress:
    """A line that is drawn over and over for people, a record now and then for programs."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told: tuple[str, int] | None = None

    def tell(self, step: str, done: int, total: int) -> None:
        percent = 100 * done // max(1, total)
        if self._told == (step, percent):
            return
        self._told = step, percent
        self._output.line({"step": step, "done": done, "total": total})
        if self._output.interactive:
            print(f"\r{step:>10} {percent:3d} %", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._output.interactive:
            print(file=sys.stderr)
