"""The front door: `pellucid` opens the window, `pellucid COMMAND ...` hands over to the engine or the trainer.

Nothing heavy is imported before it is known what is wanted, so that every command starts at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

from gui.program import PROCESS_OPTION, PROCESSES

ENGINE_COMMANDS = ("restore", "evaluate", "blend", "pair", "models", "degrade", "doctor", "bench", "accelerate")
TRAINER_COMMANDS = ("train", "runs", "watch", "dataset")
WINDOW_OPTIONS = ("--new-window",)

USAGE = """\
usage: pellucid [FILE ...]            open the window, with these pictures
       pellucid COMMAND ... [--json]  run on the command line

  restore     make pictures larger and sharper
  evaluate    score a model on a folder of pictures
  blend       mix a faithful and a vivid model into one
  pair        make a faithful and a vivid model know each other
  models      list, show, import, rename and remove models
  degrade     damage pictures as training does
  train       train a model from a folder of pictures
  runs        list, watch, pause, resume and stop trainings
  watch       follow a training in the terminal
  dataset     check folders of pictures before training on it
  doctor      say what this machine has and can do
  bench       measure speed, memory and seams on this machine
  accelerate  install, look at and remove accelerators for NVIDIA GPUs
  completion  print a completion script for your shell

pellucid COMMAND --help tells more. --version prints the version, --selftest tries out everything that is installed.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 some files failed, 2 wrong usage, 130 interrupted."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == [PROCESS_OPTION]:
        return _become(words[1:])
    command = next((word for word in words if not word.startswith("-")), "")
    if command in TRAINER_COMMANDS:
        return _hand_over("trainer.cli" if find_spec("trainer") else "engine.cli.no_trainer", words)
    if command in ENGINE_COMMANDS:
        return _hand_over("engine.cli", words)
    if command == "completion":
        modules = ["engine.cli", *(["trainer.cli"] if find_spec("trainer") else [])]
        return int(import_module("engine.cli.completion").main(words, modules))
    if "--version" in words:
        return _hand_over("engine.cli", ["--version"])
    if "--selftest" in words:
        return _hand_over("gui.selftest", [word for word in words if word != "--selftest"])
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return 0
    if unknown := [word for word in words if word.startswith("-") and word not in WINDOW_OPTIONS]:
        print(f"pellucid: there is no option {unknown[0]} here.\n\n{USAGE}", file=sys.stderr, end="")
        return 2
    if command and len(words) == 1 and not _names_a_file(command):
        return _unknown_command(command)
    return _open_window(words)


def _hand_over(module: str, words: list[str]) -> int:
    """By name, so that this module and the windows know nothing of what lies behind."""
    return int(import_module(module).main(words))


def _become(words: list[str]) -> int:
    """Another process of ours, in an installed Pellucid that has no interpreter to run a module with."""
    if not words or words[0] not in PROCESSES:
        print(f"pellucid: {PROCESS_OPTION} names one of {', '.join(PROCESSES)}.", file=sys.stderr)
        return 2
    sys.argv[1:] = words[1:]
    return int(import_module(words[0]).main())


def _open_window(files: list[str]) -> int:
    try:
        run = import_module("gui.app").run
    except ImportError as error:
        print(f"pellucid: the window cannot open, because {error}.", file=sys.stderr)
        print("          The command line works without it: pellucid restore IN... -o OUT", file=sys.stderr)
        return 1
    return int(run(files))


def _names_a_file(word: str) -> bool:
    from pathlib import Path

    return Path(word).exists() or "." in word or "/" in word or "\\" in word


def _unknown_command(word: str) -> int:
    from difflib import get_close_matches

    nearest = get_close_matches(word, [*ENGINE_COMMANDS, *TRAINER_COMMANDS, "completion"], n=1)
    meant = f" Did you mean {nearest[0]}?" if nearest else ""
    print(f"pellucid: there is no command or file {word!r}.{meant}\n\n{USAGE}", file=sys.stderr, end="")
    return 2


if __name__ == "__main__":
    sys.exit(main())
