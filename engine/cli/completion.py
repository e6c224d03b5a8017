"""`pellucid completion SHELL`: a script that lets the shell complete our commands, options and file names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from engine.cli.frame import DONE, WRONG_USAGE, Parser
from engine.cli.output import Output

SHELLS = ("bash", "zsh", "tcsh")


def main(words: Sequence[str], command_modules: Sequence[str]) -> int:
    """Print the script for the shell named last in `words`; each module of commands has `add_all_parsers`."""
    output = Output(json=False)
    shell = words[-1]
    if shell not in SHELLS:
        output.warn(f"usage: pellucid completion {{{','.join(SHELLS)}}}")
        output.warn('For bash, put this into ~/.bashrc:  eval "$(pellucid completion bash)"')
        return DONE if shell in ("-h", "--help") else WRONG_USAGE
    import shtab

    parser = Parser(prog="pellucid")
    parser.add_argument("--json", action="store_true", help="print JSON lines, the last one the summary")
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for module in command_modules:
        import_module(module).add_all_parsers(subparsers)
    output.say(shtab.complete(parser, shell))
    return DONE
