"""Names of files whose bytes are no UTF-8. Python holds such bytes as lone surrogates, which no message can carry."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

Decoded = TypeVar("Decoded")
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")


def spell_out(text: str) -> str:
    """The same text, such bytes written as escapes: a file v\\xfe.png is told of as v\\udcfe.png."""
    return _LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def holds_undecodable(text: str) -> bool:
    return _LONE.search(text) is not None


def to_ascii_json(message: Any) -> bytes:
    """JSON in which such names survive, as escapes; msgspec writes none. Slower: for messages that hold one."""
    return json.dumps(msgspec.to_builtins(message), separators=(",", ":")).encode("ascii")


def from_ascii_json(text: bytes, kind: type[Decoded]) -> Decoded:
    """What `to_ascii_json` wrote. Raises msgspec.DecodeError for anything else."""
    try:
        return msgspec.convert(json.loads(text, parse_constant=_refuse_constant), kind)
    except ValueError as error:  # also where such a text stands in the place of a word that msgspec knows
        raise msgspec.DecodeError(f"JSON is malformed: {error}") from error
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error


def may_hold_escapes(text: bytes) -> bool:
    """Whether JSON that msgspec refuses may be one of `to_ascii_json`: some half of a surrogate pair is written out."""
    return _ESCAPED.search(text) is not None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
