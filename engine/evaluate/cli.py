"""`pellucid evaluate`: a model's figures on a test set, or its pictures where there is no truth to compare with."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.metrics.scored import Protocol
from engine.wire import RestoreOptions

if TYPE_CHECKING:
    from engine.evaluate.pairs import Pairs
    from engine.evaluate.report import Failed, PictureScore
    from engine.evaluate.run import Subject
    from engine.image.buffer import ImageBuffer
    from engine.metrics.perceptual import Perceptual
SHEET_FORMATS = (".png", ".jpg", ".jpeg", ".webp")


def add_evaluate_parser(subparsers: Subparsers) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="score a model on a folder of pictures",
        description="Restore a folder of low-quality pictures. With --gt: score each result, bicubic beside it. "
        "Without: write the results to --output.",
    )
    parser.add_argument("--model", required=True, metavar="NAME|FILE", help="see: pellucid models list")
    parser.add_argument("--partner", default="", metavar="NAME|FILE", help="the vivid model that --alpha blends in")
    parser.add_argument("--alpha", type=float, metavar="A", help="0 faithful, 1 vivid, or between")
    parser.add_argument("--lq", required=True, type=Path, metavar="DIR", help="the low-quality pictures")
    parser.add_argument("--gt", type=Path, metavar="DIR", help="the true pictures, of the same names")
    parser.add_argument(
        "--protocol",
        default="rgb",
        choices=get_args(Protocol),
        help="rgb: all channels, whole picture (default); y: BT.601 luma, a border as wide as the scale cut off",
    )
    learned = parser.add_mutually_exclusive_group()
    learned.add_argument("--st-lpips", action="store_true", help="also ST-LPIPS, if stlpips-pytorch is installed")
    learned.add_argument("--lpips", type=Path, metavar="WEIGHTS", help="also LPIPS, with the weights in this file")
    outputs = parser.add_argument_group("what is written")
    outputs.add_argument("-o", "--output", type=Path, metavar="DIR", help="the results, as PNG")
    outputs.add_argument("--csv", type=Path, metavar="FILE", help="the table")
    outputs.add_argument("--report", type=Path, metavar="FILE", help="everything, as JSON")
    outputs.add_argument("--sheet", type=Path, metavar="FILE", help="a contact sheet: .png, .jpg or .webp")
    machine = parser.add_argument_group("machine")
    machine.add_argument("--backend", default="", metavar="NAME", help="see: pellucid doctor")
    machine.add_argument("--device", default="", metavar="NAME")
    machine.add_argument("--precision", default="", choices=["", "fp32", "bf16", "fp16"])
    machine.add_argument("--tile", type=int, default=0, metavar="PIXELS", help="side of a tile (default: chosen)")
    machine.add_argument("--tta", action="store_true", help="average eight flips and rotations")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    from engine.evaluate.pairs import find_pairs
    from engine.evaluate.run import evaluate, write_outputs
    from engine.image.decode import read_image

    _check(arguments)
    pairs = find_pairs(arguments.lq, arguments.gt)
    perceptual = _perceptual(arguments)
    with _open_subject(arguments, output.warn) as subject, show_progress(output, len(pairs.pairs)) as advance:

        def tell(outcome: PictureScore | Failed) -> None:
            output.line(_as_line(outcome))
            advance()

        evaluation = evaluate(
            subject,
            pairs,
            arguments.protocol,
            read=read_image,
            perceptual=perceptual,
            save=_saver(arguments.output, pairs) if arguments.output else None,
            on_picture=tell,
        )
    report = evaluation.report
    if arguments.gt and report.pictures:
        headers, rows = report.rows()
        output.table(rows, headers)
        output.say(_protocol_in_a_sentence(report.protocol, report.border))
    elif arguments.output:
        output.say(f"{len(report.pictures)} pictures written to {arguments.output}; without --gt there is no score.")
    for failure in report.failed:
        output.warn(f"pellucid: {failure.name}: {failure.message}")
    if pairs.unused_truths:
        output.warn(f"pellucid: {_unused(pairs.unused_truths)} in {arguments.gt} not needed.")
    for path in write_outputs(evaluation, table=arguments.csv, json=arguments.report, sheet=arguments.sheet):
        output.say(f"Written: {path}")
    output.line(report.summary())
    return SOME_FAILED if report.failed else DONE


def _check(arguments: argparse.Namespace) -> None:
    """What argparse cannot see, before any work is done."""
    if arguments.gt is None:
        if arguments.output is None and arguments.sheet is None:
            raise PellucidError(
                Code.USAGE,
                "Without --gt there is nothing to score, and without --output or --sheet nothing to write.",
                "Add the folder of true pictures with --gt, or a folder for the results with --output.",
            )
        for option, value in (
            ("--csv", arguments.csv),
            ("--st-lpips", arguments.st_lpips),
            ("--lpips", arguments.lpips),
        ):
            if value:
                raise PellucidError(Code.USAGE, f"{option} needs the true pictures.", "Name their folder with --gt.")
    if arguments.sheet and arguments.sheet.suffix.lower() not in SHEET_FORMATS:
        raise PellucidError(Code.USAGE, f"A contact sheet cannot be written as {arguments.sheet.name}.", "Use .png.")
    if arguments.tile and not 16 <= arguments.tile <= 100_000:
        raise PellucidError(Code.USAGE, f"--tile is {arguments.tile}; it goes from 16 to 100000.")
    if arguments.output and arguments.output.exists() and not arguments.output.is_dir():
        raise PellucidError(Code.FILE_UNWRITABLE, f"{arguments.output} is a file; the results need a folder.")
    if arguments.output and arguments.output.exists() and arguments.output.samefile(arguments.lq):
        raise PellucidError(Code.USAGE, f"The results would overwrite the pictures in {arguments.lq}.")


def _perceptual(arguments: argparse.Namespace) -> Perceptual | None:
    from engine.metrics.perceptual import load_perceptual, load_st_lpips

    if arguments.st_lpips:
        return load_st_lpips()
    if arguments.lpips is None:
        return None
    metric = load_perceptual(arguments.lpips)
    if metric.shift_tolerant:
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f"The file {arguments.lpips} holds the weights of {metric.name}, which is not LPIPS.",
            "Use --st-lpips for that metric.",
        )
    return metric


@contextmanager
def _open_subject(arguments: argparse.Namespace, warn: Callable[[str], None]) -> Iterator[Subject]:
    """The model, restoring as `pellucid restore` does. `warn` is told, once each, what readers of the scores should
    know: that the CPU had to help out, that tiles were repeated in higher precision."""
    from engine.evaluate.run import Subject
    from engine.restore import Restorer, Unwatched, restore_pixels

    told: set[str] = set()

    class Telling(Unwatched):
        def notice(self, text: str) -> None:
            if text not in told:
                told.add(text)
                warn(text)

    options = RestoreOptions(
        model=arguments.model,
        partner=arguments.partner,
        alpha=arguments.alpha,
        backend=arguments.backend,
        device=arguments.device,
        precision=arguments.precision,
        tile=arguments.tile,
        tta=arguments.tta,
    )
    restorer = Restorer()
    try:
        model = restorer.model_for(options)
        watch = Telling()
        session = restorer.session_for(model, options, bulk=True, notice=watch.notice)

        def restore(image: ImageBuffer) -> ImageBuffer:
            return restore_pixels(image, model, session, options, watch)

        yield Subject(model.card.name, model.card.scale, restore)
    finally:
        restorer.close()


def _saver(folder: Path, pairs: Pairs) -> Callable[[str, ImageBuffer], None]:
    """Writes each result as PNG under the stem of its source, or its whole name where two have the same stem."""
    from engine.image.encode import write_image

    stems = Counter(Path(pair.name).stem for pair in pairs.pairs)

    def save(name: str, result: ImageBuffer) -> None:
        stem = Path(name).stem
        write_image(result, folder / f"{stem if stems[stem] == 1 else name}.png", "png")

    return save


@contextmanager
def show_progress(output: Output, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error while a person watches."""
    if not output.interactive:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("pictures", total=total)
        yield lambda: bar.advance(task)


def _as_line(outcome: PictureScore | Failed) -> dict[str, Any]:
    from engine.evaluate.report import Failed, plain_scores

    if isinstance(outcome, Failed):
        return {"picture": outcome.name, "failed": outcome.message}
    return {
        "picture": outcome.name,
        "width": outcome.width,
        "height": outcome.height,
        "seconds": round(outcome.seconds, 3),
        **plain_scores("", outcome.result),
        **plain_scores("bicubic_", outcome.bicubic),
    }


def _protocol_in_a_sentence(protocol: Protocol, border: int) -> str:
    if protocol == "rgb":
        return "Protocol rgb: 8-bit results, all channels, no border cut."
    return f"Protocol y: BT.601 luma of 8-bit results, a border of {border} pixels cut off; RGB figures without cut."


def _unused(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return (
        f"{shown} is" if len(names) == 1 else f"{shown}{'' if len(names) <= 5 else f' and {len(names) - 5} more'} are"
    )
