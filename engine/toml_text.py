"""TOML from strangers: read whole, or refused with a sentence, however it is meant to hurt."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from engine.errors import Code, PellucidError

LONGEST = 1_000_000
"""Characters or bytes; a written configuration has some thousands."""
DEEPEST = 40

# tomllib needs time and memory in the square of the parts of a dotted key.
_ENDLESS_KEY = re.compile(r"""(?<![\w"'-])(?:["'\w-]++[ \t]*+\.[ \t]*+){40}""")


def read_text(path: Path) -> str:
    """The text of a file that may be a pipe, a device, far too long or no text at all: then a sentence."""
    try:
        if path.exists() and not path.is_file():
            raise PellucidError(Code.FILE_UNREADABLE, f"{path} is not a regular file.", path=str(path))
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except FileNotFoundError as error:
        raise PellucidError(Code.FILE_MISSING, f"There is no file {path}.", path=str(path)) from error
    except OSError as error:
        raise PellucidError(
            Code.FILE_UNREADABLE, f"{path} cannot be read: {error.strerror}.", path=str(path)
        ) from error
    if len(content) > LONGEST:
        raise _refusal(str(path), f"has more than the {LONGEST} bytes that are the limit", "")
    try:
        return content.decode("utf-8-sig")  # some editors begin every file with a byte order mark
    except UnicodeDecodeError as error:
        raise PellucidError(Code.FILE_UNREADABLE, f"{path} is not UTF-8 text.", path=str(path)) from error


def parse_toml(text: str, source: str, hint: str = "") -> dict[str, Any]:
    """`source` names the text in errors."""
    if len(text) > LONGEST:
        raise _refusal(source, f"has {len(text)} characters, and {LONGEST} are the limit", hint)
    if _ENDLESS_KEY.search(text):
        raise _refusal(source, f"has a key of more than {DEEPEST} parts", hint)
    try:
        tree = tomllib.loads(text)
    except RecursionError as error:
        raise _refusal(source, f"is nested more than {DEEPEST} deep", hint) from error
    except ValueError as error:  # also a number of thousands of digits, which is no TOMLDecodeError
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else "a number is too long"
        raise _refusal(source, f"is not valid TOML: {reason}", hint) from error
    level: list[object] = [tree]
    for _ in range(DEEPEST):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return tree
    raise _refusal(source, f"is nested more than {DEEPEST} deep", hint)


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _refusal(source: str, what: str, hint: str) -> PellucidError:
    return PellucidError(Code.CONFIG, f"{source} {what}.", hint, source=source)
