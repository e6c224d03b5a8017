"""`pellucid watch`: a training followed in the terminal."""

from __future__ import annotations

import argparse
import shutil
import time

import msgspec

from engine.cli.frame import DONE, SOME_FAILED, Subparsers
from engine.cli.output import Output
from trainer.cli.folders import find_run


def add_watch_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("watch", help="follow a training in the terminal")
    parser.add_argument("name", metavar="RUN", help="its folder, or its name in the list")
    parser.add_argument("--once", action="store_true", help="show how it stands and return")
    parser.set_defaults(run=run_watch)


def run_watch(arguments: argparse.Namespace, out: Output) -> int:
    from trainer.curves import Story
    from trainer.rundir import RunFolder
    from trainer.text_plot import draw_story

    run = RunFolder(find_run(arguments.name))
    story, offset = Story(), 0
    clear = out.interactive and not arguments.once
    while True:
        news = False
        for event, offset in run.events(offset):  # noqa: B020, B007
            story.add(event)
            out.line({str(name): value for name, value in msgspec.to_builtins(event).items()})
            news = True
        alive = run.owner() is not None
        ends = arguments.once or (not alive and not news)
        if (news and (clear or ends)) or (ends and not clear):
            size = shutil.get_terminal_size((100, 30))
            drawing = draw_story(story, min(size.columns - 16, 120), size.lines - 1 if clear else 0)
            if clear:
                # Each line is cleared as it is drawn anew, and what is left below at the end: nothing flickers.
                drawing = "\x1b[K\n".join(line[: size.columns] for line in drawing.split("\n"))
                drawing = f"\x1b[H{drawing}\x1b[K\x1b[J"
            out.say(drawing)
        if ends:
            out.line({"run": str(run.path), "state": story.state, "iteration": story.iteration})
            return DONE if story.state != "failed" else SOME_FAILED
        time.sleep(0.5)
