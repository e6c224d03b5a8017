"""`pellucid dataset check`: pictures are looked at before hours are spent on them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output
from engine.errors import Code, PellucidError
from engine.wire_training import FEW_PICTURES
from trainer.cli.speech import counted


def add_dataset_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("dataset", help="check folders of pictures before training on it")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="what is wrong with the pictures, and what to do about it")
    check.add_argument("folders", nargs="*", metavar="DIR", help="default: the folders that --for names")
    check.add_argument(
        "--for",
        dest="config",
        metavar="PRESET|CONFIG.toml",
        help="check what this training asks of pictures: its crop and context, scale, partners, validation folders",
    )
    check.add_argument("--crop", type=_at_least_one, metavar="N", help="side of what training cuts out (default 128)")
    check.add_argument("--scale", type=int, choices=(1, 2, 3, 4, 8), help="scale of the model (default 4)")
    check.add_argument("--pairs", action="store_true", help="damaged partners are wanted")
    check.add_argument(
        "--validation", action="append", default=[], metavar="DIR", help="pictures it must not share; may repeat"
    )
    check.set_defaults(run=run_check)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


def run_check(arguments: argparse.Namespace, out: Output) -> int:
    from trainer.config import crop_with_context, load_picture_settings
    from trainer.doctor import ADVICE, examine

    crop, scale, pairs = arguments.crop or 128, arguments.scale or 4, arguments.pairs
    folders, validation = arguments.folders, arguments.validation
    if arguments.config:
        config = load_picture_settings(arguments.config)
        crop, scale = arguments.crop or crop_with_context(config.data), arguments.scale or config.model.scale
        pairs = pairs or config.data.source == "pairs"
        folders, validation = folders or config.data.train, validation or config.validation.folders
    if not folders:
        raise PellucidError(Code.USAGE, "Name a folder to check.", "pellucid dataset check DIR...")
    told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 5.0:
            told = time.monotonic()
            out.say(f"{done} of {counted(total)}")

    report = examine(
        [Path(folder) for folder in folders],
        crop,
        scale,
        [Path(folder) for folder in validation],
        pairs,
        progress,
    )
    out.say(
        f"{report.folder}: {counted(report.pictures)}, {report.megapixels:.1f} megapixels, layout {report.layout}, "
        f"smallest side {report.smallest_side}; training cuts {crop}x{crop}."
    )
    counts: dict[str, int] = {}
    for kind, findings in report.by_kind().items():
        counts[kind] = len(findings)
        out.say(f"\n{kind}: {len(findings)}. {ADVICE[kind]}")
        for finding in findings[:10]:
            out.say(f"  {finding.path}: {finding.text}")
        if len(findings) > 10:
            out.say(f"  and {len(findings) - 10} more")
        for finding in findings:
            out.line({"kind": kind, "path": finding.path, "text": finding.text, "advice": ADVICE[kind]})
    if not report.usable:
        out.say("\nNone of these pictures can be trained on.")
    elif report.usable < FEW_PICTURES:
        out.say("\nThey are few: it works, and more make a better model. Hundreds are a start, thousands are better.")
    out.say("\nNothing stands in the way of training." if report.healthy else "\nRepair this before training.")
    out.line(
        {
            "folder": report.folder,
            "layout": report.layout,
            "pictures": report.pictures,
            "megapixels": report.megapixels,
            "smallest_side": report.smallest_side,
            "usable": report.usable,
            "crop": crop,
            "scale": scale,
            "findings": counts,
            "healthy": report.healthy,
        }
    )
    return DONE if report.healthy else SOME_FAILED
