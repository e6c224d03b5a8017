"""What the trainer's commands answer in the edition that only restores."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cli.frame import WRONG_USAGE
from engine.cli.output import Output
from engine.errors import Code, PellucidError


def main(words: Sequence[str]) -> int:
    command = next(word for word in words if not word.startswith("-"))
    failure = PellucidError(
        Code.USAGE,
        f"This edition of Pellucid restores pictures; `pellucid {command}` comes with the full edition.",
        "Install the full edition in its place: settings and models stay.",
        command=command,
    )
    Output(json="--json" in words).error(failure)
    return WRONG_USAGE
