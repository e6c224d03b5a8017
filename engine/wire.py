"""The messages between the windows, the command line and the workers: one JSON object a line.

Standard library and msgspec only, so that a window can build and read them without loading anything heavy. Requests go
to a worker's standard input, events come from its standard output. Pixels never travel here: they lie in a file that
both sides map, and a message names it.

A job ends in EXACTLY ONE of Restored, Skipped, Failed or Cancelled; a worker that dies without one becomes Crashed,
made by the client from how the process ended.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from engine.undecodable import from_ascii_json, may_hold_escapes, to_ascii_json

PROTOCOL = 2
"""Raised whenever an older peer could misread a message."""

Existing = Literal["number", "skip", "overwrite"]
OutputFormat = Literal["same", "png", "jpeg", "webp", "tiff", "avif"]


class _Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """How large the result is: exactly one of the fields, or none for the model's own scale.

    scale: factor on both sides; width, height: pixels, the other side follows; fit: (width, height) box it fits into.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    fit: tuple[int, int] | None = None


class RestoreOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to restore: the same record for the app, the command line and the queue's journal."""

    model: str = ""
    """Name in the library, or path of a file; empty: the default for this machine."""
    partner: str = ""
    """The vivid (GAN) half of a pair; empty: the partner named in the model's card, if `alpha` is given."""
    alpha: float | None = None
    """0 the model, 1 its partner, between: the blend of both."""
    strength: float = 1.0
    """1 the network's picture, 0 the resampled original, between: the mix of both."""
    size: Size = Size()
    backend: str = ""
    device: str = ""
    precision: Literal["", "fp32", "bf16", "fp16"] = ""
    tile: int = 0
    """Side of a tile in input pixels; 0: the largest that the memory budget allows."""
    halo: int | None = None
    tta: bool = False
    """Average over the eight flips and rotations: slower, a little cleaner."""
    tileable: bool = False
    """The picture is a texture that repeats: borders wrap around."""
    format: OutputFormat = "same"
    quality: int = 92
    bits: Literal[0, 8, 16] = 0
    """Bits a sample of the result; 0: as the source, where the format can hold it."""
    profile: Literal["keep", "srgb"] = "keep"
    keep_metadata: bool = True
    existing: Existing = "number"
    name: str = "{name}_{model}_x{scale}"
    """File name of the result without extension; fields: name, model, scale, alpha, width, height, date."""
    max_megapixels: float = 500.0
    """Largest picture that is opened, and the largest result is 16 times that: a guard against hostile files."""


class RestoreRequest(_Message, frozen=True):
    """Restore one file. `target` is a folder, or a file when it ends in a known image extension."""

    job: str
    source: str
    target: str
    root: str = ""
    """Folder that was dropped or named: the source's place below it is mirrored below `target`."""
    options: RestoreOptions = RestoreOptions()


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """A rectangle in pixels of the upright source."""

    x: int
    y: int
    width: int
    height: int


class PreviewRequest(_Message, frozen=True):
    """Restore one region only, for the eye. A newer request with the same `view` makes an older one obsolete."""

    job: str
    view: str
    source: str
    region: Region
    options: RestoreOptions = RestoreOptions()


class SourceRequest(_Message, frozen=True):
    """Decode a file for the eye only: upright, sRGB. For formats that the window cannot read by itself.

    `longest` > 0: shrunk so that neither side is longer (thumbnails); 0: as it is. Answered by SourceReady or Failed.
    """

    job: str
    source: str
    longest: int = 0
    max_megapixels: float = 500.0


class Cancel(_Message, frozen=True):
    job: str


class Pause(_Message, frozen=True):
    """Start no new tile until Resume."""


class Resume(_Message, frozen=True):
    pass


class Shutdown(_Message, frozen=True):
    """Finish the running tile, cancel everything else, and exit 0."""


Request = RestoreRequest | PreviewRequest | SourceRequest | Cancel | Pause | Resume | Shutdown


class BackendReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    available: bool
    reason: str = ""
    devices: list[str] = []


class Ready(_Message, frozen=True):
    """First event of a worker."""

    protocol: int
    version: str
    pid: int
    backends: list[BackendReport] = []


class InHand(_Message, frozen=True):
    """Said before the worker touches the job's file or pixels, for as long as it does, or until the job's end: so that
    it is known what a worker that died may have died of."""

    job: str
    held: bool = True
    """False: laid down, and waiting for its turn."""


class Accepted(_Message, frozen=True):
    """The picture is open: what it is, and what will come out."""

    job: str
    width: int
    height: int
    out_width: int
    out_height: int
    backend: str
    device: str
    precision: str
    model: str
    target: str


class Progress(_Message, frozen=True):
    """Coalesced: at most some ten a second a job."""

    job: str
    tiles_done: int
    tiles: int
    megapixels_per_second: float
    """Input pixels."""
    seconds_left: float | None = None


class BandReady(_Message, frozen=True):
    """Rows `top` to `bottom` of the result lie in the mapped file `pixels`: (out_height, out_width, channels) uint8."""

    job: str
    pixels: str
    width: int
    height: int
    channels: int
    top: int
    bottom: int


class PreviewReady(_Message, frozen=True):
    """A whole restored region, (height, width, channels) uint8, in the mapped file `pixels`."""

    job: str
    view: str
    pixels: str
    width: int
    height: int
    channels: int
    region: Region
    scale: float
    seconds: float


class SourceReady(_Message, frozen=True):
    """A decoded picture, (height, width, channels) uint8, in the mapped file `pixels`."""

    job: str
    pixels: str
    width: int
    height: int
    channels: int
    full_width: int
    full_height: int


class Notice(_Message, frozen=True):
    """Something the user should know that is no failure: a tile repeated in higher precision, a smaller tile, ..."""

    job: str
    text: str


class Restored(_Message, frozen=True):
    job: str
    target: str
    width: int
    height: int
    seconds: float
    megapixels_per_second: float
    backend: str
    precision: str
    model: str


class Skipped(_Message, frozen=True):
    job: str
    target: str
    reason: str


class Failed(_Message, frozen=True):
    job: str
    code: str
    message: str
    hint: str = ""


class Cancelled(_Message, frozen=True):
    job: str


class Crashed(_Message, frozen=True):
    """Made by the client, never sent: the worker ended without a terminal message for this job."""

    job: str
    exit_code: int | None
    signal: str = ""
    last_lines: list[str] = []


Event = (
    Ready
    | InHand
    | Accepted
    | Progress
    | BandReady
    | PreviewReady
    | SourceReady
    | Notice
    | Restored
    | Skipped
    | Failed
    | Cancelled
    | Crashed
)
Terminal = Restored | Skipped | Failed | Cancelled | Crashed

_encoder = msgspec.json.Encoder()
_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(message: Request | Event) -> bytes:
    """One line, newline included."""
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:  # the name of a file that is no UTF-8
        return to_ascii_json(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises msgspec.DecodeError (with the place of the fault) for anything that is not a request."""
    return _decode_with_names(_request_decoder, line)


def decode_event(line: bytes) -> Event:
    """Raises msgspec.DecodeError (with the place of the fault) for anything that is not an event."""
    return _decode_with_names(_event_decoder, line)


Decoded = TypeVar("Decoded")


def decode_json(decoder: msgspec.json.Decoder[Decoded], text: bytes) -> Decoded:
    """As the decoder does, but with msgspec.DecodeError also for what is not UTF-8 or is nested without end."""
    try:
        return decoder.decode(text)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError("it is not UTF-8") from error
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error


def _decode_with_names(decoder: msgspec.json.Decoder[Decoded], line: bytes) -> Decoded:
    """As decode_json, and the names of files that are no UTF-8 come through."""
    try:
        return decode_json(decoder, line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if not may_hold_escapes(line):
            raise
        return from_ascii_json(line, decoder.type)
