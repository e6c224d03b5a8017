"""What every command line of ours has in common: `--json` anywhere, sentences instead of tracebacks, exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from types import FrameType
from typing import Any, NoReturn

from engine.cli.output import Output
from engine.errors import Cancelled, Code, PellucidError
from engine.faults import record_fault

DONE, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

Subparsers = Any
"""What `argparse.ArgumentParser.add_subparsers` returns; its real class is private."""


class Parser(argparse.ArgumentParser):
    """argparse, with a short sentence instead of the whole usage when something is wrong."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        raise PellucidError(Code.USAGE, _sentence(message, self), f"Try: {self.prog} --help")


def run_command_line(words: Sequence[str], add_parsers: Callable[[Subparsers], None]) -> int:
    """Parse `words`, run what they ask for, and return the exit code.

    Each parser sets the default `run`, a function `(arguments, output) -> exit code`.
    """
    output = Output(json="--json" in words)
    parser = Parser(prog="pellucid", description="Restores and upscales photographs, and trains the models that do it.")
    parser.add_argument("--json", action="store_true", help="print JSON lines, the last one the summary")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    add_parsers(subparsers)
    previous = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        arguments = parser.parse_args([word for word in words if word != "--json"])
        return int(arguments.run(arguments, output))
    except PellucidError as failure:
        output.error(failure)
        return WRONG_USAGE if failure.code is Code.USAGE else SOME_FAILED
    except (KeyboardInterrupt, Cancelled):
        output.warn("pellucid: interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except Exception as fault:
        output.error(record_fault(fault))
        return SOME_FAILED
    finally:
        signal.signal(signal.SIGTERM, previous)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _sentence(message: str, parser: argparse.ArgumentParser) -> str:
    """argparse's message as a sentence; an unknown option is answered with the nearest one."""
    if message.startswith("unrecognized arguments: "):
        word = message.split(": ", 1)[1].split()[0]
        if not word.startswith("-"):
            return f"There is one word too many: {word}."
        # The top parser reports what a command's parser left over, so look through the commands' options as well.
        option, known = word.split("=")[0], _options(parser)
        if option in known:
            return f"This command has no option {option}."
        nearest = get_close_matches(option, sorted(known), n=1)
        return f"There is no option {word}." + (f" Did you mean {nearest[0]}?" if nearest else "")
    return message[:1].upper() + message[1:].rstrip(".") + "."


def _options(parser: argparse.ArgumentParser) -> set[str]:
    found: set[str] = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= _options(command)
    return found
