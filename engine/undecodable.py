"""Names of files whose bytes are no UTF-8. Python holds such bytes as lone surrogates, which no message can carry."""

from __future__ import annotations

import re

_LONE = re.compile("[\ud800-\udfff]")


def spell_out(text: str) -> str:
    """The same text, such bytes written as escapes: a file v\\xfe.png is told of as v\\udcfe.png."""
    return _LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def holds_undecodable(text: str) -> bool:
    return _LONE.search(text) is not None
