"""`pellucid completion SHELL`: a script that lets the shell complete our commands, options and file names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from engine.cli.frame import DONE, Parser, Subparsers, run_command_line
from engine.cli.output import Output

SHELLS = ("bash", "zsh", "tcsh")


def main(words: Sequence[str], command_modules: Sequence[str]) -> int:
    """Print the script for the shell named in `words`; each module of commands has `add_all_parsers`."""

    def run(arguments: argparse.Namespace, output: Output) -> int:
        import shtab

        parser = Parser(prog="pellucid")
        parser.add_argument("--json", action="store_true", help="print JSON lines, the last one the summary")
        subparsers = parser.add_subparsers(metavar="COMMAND")
        for module in command_modules:
            import_module(module).add_all_parsers(subparsers)
        script = shtab.complete(parser, arguments.shell)
        output.say(script)
        output.line({"shell": arguments.shell, "script": script})
        return DONE

    def add(subparsers: Subparsers) -> None:
        parser: argparse.ArgumentParser = subparsers.add_parser(
            "completion",
            description="Print a completion script. For bash, put this into ~/.bashrc: "
            'eval "$(pellucid completion bash)"',
        )
        parser.add_argument("shell", choices=SHELLS)
        parser.set_defaults(run=run)

    return run_command_line(words, add)
