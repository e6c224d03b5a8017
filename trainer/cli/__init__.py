"""The trainer's commands: train, runs, watch, dataset. Nothing heavy is imported before it is needed."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cli.frame import Subparsers, run_command_line
from trainer.cli.dataset import add_dataset_parser
from trainer.cli.runs import add_runs_parser
from trainer.cli.train import add_train_parser
from trainer.cli.watch import add_watch_parser


def main(words: Sequence[str]) -> int:
    return run_command_line(words, add_parsers)


def add_parsers(subparsers: Subparsers) -> None:
    add_train_parser(subparsers)
    add_runs_parser(subparsers)
    add_watch_parser(subparsers)
    add_dataset_parser(subparsers)


add_all_parsers = add_parsers
"""The name that shell completion asks every module of commands for."""
