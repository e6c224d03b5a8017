"""What the window asks of the picture process, and what it gets: one JSON object a line; pixels lie in files."""

from __future__ import annotations

import msgspec


class _Message(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    key: str
    """Chosen by the window; the reply carries it."""


class Thumbnail(_Message, frozen=True):
    """A small picture for the list, no side longer than `side` pixels."""

    path: str
    side: int


class Decode(_Message, frozen=True):
    """The whole picture, upright and in sRGB, into `pixels`, its halvings into `levels`. A newer one supersedes it."""

    path: str
    pixels: str
    levels: str


class Shrink(_Message, frozen=True):
    """Rows `top` to `bottom` of the mapped file `pixels` are new: bring its halvings in `levels` up to date."""

    pixels: str
    levels: str
    width: int
    height: int
    channels: int
    top: int
    bottom: int


Request = Thumbnail | Decode | Shrink


class ThumbnailMade(_Message, frozen=True):
    """`rgba`: (height, width, 4) uint8. `full_width`, `full_height`: of the upright picture."""

    width: int
    height: int
    full_width: int
    full_height: int
    rgba: bytes


class Decoded(_Message, frozen=True):
    width: int
    height: int
    channels: int


class Shrunk(_Message, frozen=True):
    top: int
    bottom: int


class Unreadable(_Message, frozen=True):
    """Qt cannot read it: the format is none of its own, or the file is damaged."""

    reason: str


class Superseded(_Message, frozen=True):
    pass


Reply = ThumbnailMade | Decoded | Shrunk | Unreadable | Superseded

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    return _requests.decode(line)


def decode_reply(line: bytes) -> Reply:
    return _replies.decode(line)
