"""`pellucid restore`: pictures in, sharper and larger pictures out."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from contextlib import ExitStack, suppress
from os.path import lexists
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_args

import msgspec

from engine.cli.frame import DONE, INTERRUPTED, SOME_FAILED, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.options import check_options
from engine.wire import (
    Accepted,
    Cancelled,
    Event,
    Existing,
    Failed,
    InHand,
    Notice,
    OutputFormat,
    Progress,
    Restored,
    RestoreOptions,
    RestoreRequest,
    Size,
    Skipped,
)
from engine.wire_results import tell_left_out

if TYPE_CHECKING:
    from engine.journal import Journal

DEFAULTS = RestoreOptions()


def add_restore_parser(subparsers: Subparsers) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "restore", help="make pictures larger and sharper", description="Make pictures larger and sharper."
    )
    parser.add_argument("sources", nargs="*", metavar="IN", help="pictures, and folders of pictures")
    parser.add_argument("-o", "--output", metavar="OUT", help="folder, or file for one picture (default: beside it)")
    parser.add_argument("--resume", action="store_true", help="go on with what an interrupted restore has left")
    what = parser.add_argument_group("what is done")
    what.add_argument("--model", default="", metavar="NAME|FILE", help="see: pellucid models list")
    what.add_argument("--partner", default="", metavar="NAME|FILE", help="the vivid model that --alpha blends in")
    what.add_argument("--alpha", type=float, metavar="A", help="0 faithful, 1 vivid, or between")
    what.add_argument("--strength", type=float, default=1.0, metavar="S", help="1 all of it, 0 none (default 1)")
    what.add_argument("--tta", action="store_true", help="average eight flips and rotations: slower, a little cleaner")
    what.add_argument("--tileable", action="store_true", help="the picture is a texture whose borders meet")
    size = parser.add_argument_group("size of the result").add_mutually_exclusive_group()
    size.add_argument("--scale", type=float, metavar="S", help="factor, e.g. 1.5 (default: the model's own)")
    size.add_argument("--width", type=int, metavar="PIXELS")
    size.add_argument("--height", type=int, metavar="PIXELS")
    size.add_argument("--fit", metavar="WxH", help="as large as fits into this box")
    files = parser.add_argument_group("files")
    files.add_argument("--format", default="same", choices=get_args(OutputFormat), help="(default: as the source)")
    files.add_argument("--quality", type=int, default=DEFAULTS.quality, metavar="1..100", help="of JPEG, WebP and AVIF")
    files.add_argument("--bits", type=int, default=0, choices=[0, 8, 16], help="a sample; 0 as the source (default)")
    files.add_argument("--srgb", action="store_true", help="convert colours to sRGB instead of keeping the profile")
    files.add_argument("--no-metadata", action="store_true", help="leave out EXIF and XMP")
    files.add_argument("--existing", default="number", choices=get_args(Existing))
    files.add_argument("--name", default=DEFAULTS.name, metavar="TEMPLATE", help=f"(default {DEFAULTS.name})")
    files.add_argument("--max-megapixels", type=float, default=DEFAULTS.max_megapixels, metavar="N", help="guard")
    machine = parser.add_argument_group("machine")
    machine.add_argument("--backend", default="", metavar="NAME", help="see: pellucid doctor")
    machine.add_argument("--device", default="", metavar="NAME")
    machine.add_argument("--precision", default="", choices=["", "fp32", "bf16", "fp16"])
    machine.add_argument("--tile", type=int, default=0, metavar="PIXELS", help="side of a tile (default: chosen)")
    machine.add_argument("--halo", type=int, metavar="PIXELS", help="context around a tile (default: the model's)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    from engine.journal import Journal, Unfinished, journal_folder, take_over
    from engine.queue import RestoreQueue
    from engine.restore import Restorer

    earlier = Unfinished()
    left_out: list[str] = []
    if arguments.resume:
        _refuse_beside_resume(arguments)
        earlier = take_over(journal_folder())
        requests = list(earlier.requests)
        if not requests:
            output.say("Nothing is left to do.")
    else:
        requests, left_out = _requests(arguments, output)
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    is_gone = _was_deleted if arguments.resume else _is_missing
    kept = _Kept(output, {job.job for job in requests if is_gone(job.source)})
    try:
        with ExitStack() as stack:
            if requests or earlier.files:
                try:
                    kept.journal = stack.enter_context(Journal(journal_folder(), requests, instead_of=earlier))
                except PellucidError as failure:
                    output.warn(f"pellucid: {failure.message} An interrupted restore could not be resumed.")
            report = stack.enter_context(_progress(output, requests))

            def tell(event: Event) -> None:
                if isinstance(event, InHand):
                    return  # for those who watch a process
                if isinstance(event, Restored | Skipped | Failed | Cancelled):
                    # First of all: whatever happens to the words about it, what is done is not done again.
                    counts[type(event).__name__.lower()] += 1
                    kept.strike(event)
                output.line(msgspec.to_builtins(event))
                report.event(event)
                if isinstance(event, Failed) and event.code == Code.DISK_FULL:
                    raise _DiskFull

            queue = RestoreQueue(Restorer(), tell)
            for request in requests:
                queue.submit(request)
            queue.close()
            queue.run()
            if not arguments.resume and not counts["restored"] + counts["skipped"]:
                kept.forget()
    except _DiskFull:
        pass
    except KeyboardInterrupt:
        output.warn("pellucid: interrupted.")
        kept.tell_how_to_go_on()
        return INTERRUPTED
    except BaseException:
        with suppress(OSError):
            kept.tell_how_to_go_on()
        raise
    kept.tell_how_to_go_on()
    seconds = time.perf_counter() - started
    restored, bad = counts["restored"], counts["failed"]
    summary = {"restored": restored, "skipped": counts["skipped"], "failed": bad, "left_out": left_out}
    output.line(summary | {"seconds": round(seconds, 3)})
    if len(requests) > 1:
        output.say(f"{restored} of {len(requests)} pictures restored in {seconds:.1f} s.")
    return SOME_FAILED if bad else DONE


def _requests(arguments: argparse.Namespace, output: Output) -> tuple[list[RestoreRequest], list[str]]:
    """What to do, and the pictures that are left out because they are results of others."""
    from engine.image.naming import collect_sources

    options = options_from(arguments)
    if not arguments.sources:
        raise PellucidError(Code.USAGE, "Name at least one picture or folder.", "Try: pellucid restore --help")
    collected = collect_sources([Path(name) for name in arguments.sources])
    sources = collected.pictures
    if not sources:
        output.say(f"There is no picture in {', '.join(arguments.sources)}.")
    if collected.left_out:
        output.say(tell_left_out(collected.left_out))
    if len(sources) > 1 and arguments.output and _is_file_name(Path(arguments.output)):
        raise PellucidError(
            Code.USAGE,
            f"-o {arguments.output} is the name of one file, and there are {len(sources)} pictures to restore.",
            "Name a folder; --format says what is written into it.",
        )
    requests = [
        RestoreRequest(
            job=str(number),
            source=str(source),
            target=arguments.output or str(source.parent),
            root=str(root) if root and arguments.output else "",
            options=options,
        )
        for number, (source, root) in enumerate(sources, 1)
    ]
    return requests, [path for path, _original in collected.left_out]


def _refuse_beside_resume(arguments: argparse.Namespace) -> None:
    if arguments.sources or arguments.output:
        named = arguments.sources[0] if arguments.sources else f"-o {arguments.output}"
        raise PellucidError(
            Code.USAGE,
            f"--resume goes on with the pictures of an interrupted restore and takes no others: {named}.",
            "Leave one of the two out.",
        )
    if options_from(arguments) != DEFAULTS:
        raise PellucidError(
            Code.USAGE,
            "--resume goes on as the interrupted restore was begun and takes no other options.",
            "Leave them out.",
        )


def _is_file_name(path: Path) -> bool:
    from engine.image.formats import EXTENSIONS, WRITTEN

    return EXTENSIONS.get(path.suffix.lower()) in WRITTEN and not path.is_dir()


class _DiskFull(Exception):
    """A result found no room: neither would the next, and computing it would be for nothing."""


_MAY_PASS = (Code.DISK_FULL, Code.FILE_UNWRITABLE, Code.FILE_UNREADABLE, Code.FILE_MISSING)
"""Failures that a drive that is connected again, or some room on it, makes go away."""


def _is_missing(source: str) -> bool:
    return not lexists(source)


def _was_deleted(source: str) -> bool:
    """It is missing from its folder; of a drive that is not connected the folder is missing too."""
    return _is_missing(source) and Path(source).parent.is_dir()


class _Kept:
    """The pictures that `--resume` would go on with, as far as the state folder can be written."""

    def __init__(self, output: Output, never_there: set[str]) -> None:
        """`never_there`: jobs whose sources are missing from the start; neither a wrong name nor a deleted picture is
        there another time."""
        self.journal: Journal | None = None
        self._output = output
        self._never_there = never_there
        self._warned = False

    def strike(self, event: Restored | Skipped | Failed | Cancelled) -> None:
        """Interrupted jobs stay, and those that may do better another time."""
        stays = isinstance(event, Cancelled) or (isinstance(event, Failed) and event.code in _MAY_PASS)
        if not stays or event.job in self._never_there:
            self._end(event.job)

    def forget(self) -> None:
        """Nothing came of anything: whoever gave the command gives it again, or a better one."""
        for job in self.journal.left if self.journal else ():
            self._end(job)

    def _end(self, job: str) -> None:
        if self.journal is None:
            return
        try:
            self.journal.end(job)
        except OSError as error:
            if not self._warned:
                self._warned = True
                self._output.warn(
                    f"pellucid: It cannot be written down what is done: {error.strerror or error}. "
                    "After an interrupt, --resume would do it again."
                )

    def tell_how_to_go_on(self) -> None:
        if self.journal is not None and (left := len(self.journal.left)):
            self._output.warn(f"pellucid: {left} {'picture is' if left == 1 else 'pictures are'} left to do.")
            self._output.warn("          Go on with: pellucid restore --resume")


def options_from(arguments: argparse.Namespace) -> RestoreOptions:
    options = RestoreOptions(
        model=arguments.model,
        partner=arguments.partner,
        alpha=arguments.alpha,
        strength=arguments.strength,
        size=Size(
            scale=arguments.scale,
            width=arguments.width,
            height=arguments.height,
            fit=_box(arguments.fit) if arguments.fit else None,
        ),
        backend=arguments.backend,
        device=arguments.device,
        precision=arguments.precision,
        tile=arguments.tile,
        halo=arguments.halo,
        tta=arguments.tta,
        tileable=arguments.tileable,
        format=arguments.format,
        quality=arguments.quality,
        bits=arguments.bits,
        profile="srgb" if arguments.srgb else "keep",
        keep_metadata=not arguments.no_metadata,
        existing=arguments.existing,
        name=arguments.name,
        max_megapixels=arguments.max_megapixels,
    )
    check_options(options, spell=lambda name: "--" + name.removeprefix("size.").replace("_", "-"))
    return options


def _box(text: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise PellucidError(Code.USAGE, f"--fit is {text!r}; it is written like 1920x1080.") from None
    return width, height


class _Report(Protocol):
    def event(self, event: Event) -> None: ...

    def __enter__(self) -> _Report: ...

    def __exit__(self, *_: object) -> None: ...


def _progress(output: Output, requests: list[RestoreRequest]) -> _Report:
    sources = {request.job: request.source for request in requests}
    return _Bars(output, sources) if output.interactive else _Lines(output, sources)


class _Lines:
    """A line for every file that has ended; for logs and pipes."""

    def __init__(self, output: Output, sources: dict[str, str]) -> None:
        self._output = output
        self._sources = sources

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def event(self, event: Event) -> None:
        match event:
            case Restored():
                self._output.say(
                    f"{event.target}  {event.width} x {event.height}, {event.seconds:.1f} s, "
                    f"{event.megapixels_per_second:.2g} MP/s, {event.model} on {event.backend} {event.precision}"
                )
            case Skipped():
                self._output.say(f"{event.target}  skipped: {event.reason}")
            case Failed() if not self._output.json:
                self._output.warn(f"pellucid: {event.message}")
                if event.hint:
                    self._output.warn(f"          {event.hint}")
            case Notice():
                self._output.say(f"{self._sources[event.job]}: {event.text}")
            case _:
                pass


class _Bars(_Lines):
    """Bars that move, for a person at a terminal."""

    def __init__(self, output: Output, sources: dict[str, str]) -> None:
        super().__init__(output, sources)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            # A name like "IMG [alt].jpg" is no markup.
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._whole = self._bars.add_task("pictures", total=len(sources), rate="") if len(sources) > 1 else None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def event(self, event: Event) -> None:
        match event:
            case Accepted():
                self._tasks[event.job] = self._bars.add_task(Path(self._sources[event.job]).name, total=None, rate="")
            case Progress():
                self._bars.update(
                    self._tasks[event.job],
                    total=event.tiles,
                    completed=event.tiles_done,
                    rate=f"{event.megapixels_per_second:.2g} MP/s",
                )
            case Restored() | Skipped() | Failed() | Cancelled():
                if (task := self._tasks.pop(event.job, None)) is not None:
                    self._bars.remove_task(task)
                if self._whole is not None:
                    self._bars.advance(self._whole)
            case _:
                pass
        super().event(event)
