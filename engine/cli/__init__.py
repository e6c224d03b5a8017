"""The engine's commands. Each is imported only when it is the one asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from engine.cli.frame import Subparsers, run_command_line

COMMANDS = {
    "restore": ("engine.cli.restore", "add_restore_parser"),
    "evaluate": ("engine.evaluate.cli", "add_evaluate_parser"),
    "blend": ("engine.models.cli", "add_blend_parser"),
    "pair": ("engine.evaluate.pair", "add_pair_parser"),
    "models": ("engine.models.cli", "add_models_parser"),
    "degrade": ("engine.degrade.cli", "add_degrade_parser"),
    "doctor": ("engine.cli.doctor", "add_doctor_parser"),
    "bench": ("engine.bench", "add_bench_parser"),
    "accelerate": ("engine.cli.accelerate", "add_accelerate_parser"),
}


def add_all_parsers(subparsers: Subparsers) -> None:
    """The parsers of every command: for the completion script, which must know them all."""
    for command in COMMANDS:
        _add_parser(command, subparsers)


def main(words: Sequence[str]) -> int:
    """Run one engine command and return its exit code."""
    if "--version" in words:
        from engine.version import version_line

        print(version_line())
        return 0
    command = next(word for word in words if not word.startswith("-"))
    return run_command_line(words, lambda subparsers: _add_parser(command, subparsers))


def _add_parser(command: str, subparsers: Subparsers) -> None:
    module, function = COMMANDS[command]
    getattr(import_module(module), function)(subparsers)
