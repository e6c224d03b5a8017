"""Where the compare view looks: pure geometry, so that every zoom and pan can be tested without a window.

Document coordinates are pixels of the largest picture shown; view coordinates are device pixels of one pane.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

Mode = Literal["divider", "side", "flicker"]
MODES: tuple[Mode, ...] = ("divider", "side", "flicker")
LARGEST_ZOOM = 64.0
SMALLEST_FIT_SHARE = 0.5
"""One may zoom out to half of what fits, no further: the picture never gets lost."""


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    document_width: int = 0
    document_height: int = 0
    view_width: int = 0
    view_height: int = 0
    zoom: float = 1.0
    """Device pixels per document pixel."""
    centre_x: float = 0.0
    centre_y: float = 0.0
    """Document pixel in the middle of the view."""
    split: float = 0.5
    """Divider, as a share of the view's width."""
    mode: Mode = "divider"
    fits: bool = True
    """The zoom follows the window."""
    flicked: bool = False
    """In flicker mode: the first picture is shown instead of the second."""


class DocumentShown(msgspec.Struct, frozen=True):
    """Another picture. `keep`: the same picture at another size (the result has come): look at the same place."""

    width: int
    height: int
    keep: bool = False


class ViewResized(msgspec.Struct, frozen=True):
    width: int
    height: int


class Zoomed(msgspec.Struct, frozen=True):
    """By `factor`, keeping the document point under (x, y) where it is."""

    factor: float
    x: float
    y: float


class ZoomSet(msgspec.Struct, frozen=True):
    zoom: float


class Fitted(msgspec.Struct, frozen=True):
    pass


class Panned(msgspec.Struct, frozen=True):
    """The picture moves with the hand by (dx, dy) view pixels."""

    dx: float
    dy: float


class Centred(msgspec.Struct, frozen=True):
    x: float
    y: float


class SplitMoved(msgspec.Struct, frozen=True):
    split: float


class ModeChosen(msgspec.Struct, frozen=True):
    mode: Mode


class Flicked(msgspec.Struct, frozen=True):
    flicked: bool


CompareMessage = (
    DocumentShown | ViewResized | Zoomed | ZoomSet | Fitted | Panned | Centred | SplitMoved | ModeChosen | Flicked
)


def reduce(state: Compare, message: CompareMessage) -> Compare:
    match message:
        case DocumentShown(width, height, keep):
            return _show(state, width, height, keep)
        case ViewResized(width, height):
            resized = replace(state, view_width=width, view_height=height)
            return _fit(resized) if state.fits else _clamp(resized)
        case Zoomed(factor, x, y):
            zoom = _limit(state, state.zoom * factor)
            anchor_x, anchor_y = to_document(state, x, y)
            return _clamp(
                replace(
                    state,
                    zoom=zoom,
                    fits=False,
                    centre_x=anchor_x - (x - state.view_width / 2) / zoom,
                    centre_y=anchor_y - (y - state.view_height / 2) / zoom,
                )
            )
        case ZoomSet(zoom):
            return _clamp(replace(state, zoom=_limit(state, zoom), fits=False))
        case Fitted():
            return _fit(state)
        case Panned(dx, dy):
            moved = replace(state, centre_x=state.centre_x - dx / state.zoom, centre_y=state.centre_y - dy / state.zoom)
            return _clamp(replace(moved, fits=state.fits and _fits_whole(state)))
        case Centred(x, y):
            return _clamp(replace(state, centre_x=x, centre_y=y, fits=False))
        case SplitMoved(split):
            return replace(state, split=min(1.0, max(0.0, split)))
        case ModeChosen(mode):
            return replace(state, mode=mode, flicked=False)
        case Flicked(flicked):
            return replace(state, flicked=flicked)


def to_document(state: Compare, x: float, y: float) -> tuple[float, float]:
    """The document point under the view point."""
    return (
        state.centre_x + (x - state.view_width / 2) / state.zoom,
        state.centre_y + (y - state.view_height / 2) / state.zoom,
    )


def to_view(state: Compare, x: float, y: float) -> tuple[float, float]:
    """The view point over the document point."""
    return (
        (x - state.centre_x) * state.zoom + state.view_width / 2,
        (y - state.centre_y) * state.zoom + state.view_height / 2,
    )


def visible(state: Compare) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of the document that can be seen, clipped to it."""
    left, top = to_document(state, 0, 0)
    right, bottom = to_document(state, state.view_width, state.view_height)
    return (
        max(0.0, left),
        max(0.0, top),
        min(float(state.document_width), right),
        min(float(state.document_height), bottom),
    )


def level_for(scale: float, levels: int) -> int:
    """Which halving to draw so that it is shrunk by less than two: `scale` is device pixels per level-0 pixel."""
    level = 0
    while level + 1 < levels and scale * 2 ** (level + 1) <= 1.0:
        level += 1
    return level


def _fit_zoom(state: Compare) -> float:
    if not (state.document_width and state.document_height and state.view_width and state.view_height):
        return 1.0
    return min(state.view_width / state.document_width, state.view_height / state.document_height)


def _fit(state: Compare) -> Compare:
    return replace(
        state,
        zoom=_fit_zoom(state),
        centre_x=state.document_width / 2,
        centre_y=state.document_height / 2,
        fits=True,
    )


def _fits_whole(state: Compare) -> bool:
    return (
        state.document_width * state.zoom <= state.view_width + 0.5
        and state.document_height * state.zoom <= state.view_height + 0.5
    )


def _limit(state: Compare, zoom: float) -> float:
    smallest = min(1.0, _fit_zoom(state) * SMALLEST_FIT_SHARE)
    return min(LARGEST_ZOOM, max(smallest, zoom))


def _clamp(state: Compare) -> Compare:
    """The picture covers the view where it can, and is centred where it cannot."""
    return replace(
        state,
        centre_x=_clamp_axis(state.centre_x, state.document_width, state.view_width / state.zoom),
        centre_y=_clamp_axis(state.centre_y, state.document_height, state.view_height / state.zoom),
    )


def _clamp_axis(centre: float, length: int, seen: float) -> float:
    return length / 2 if seen >= length else min(length - seen / 2, max(seen / 2, centre))


def _show(state: Compare, width: int, height: int, keep: bool) -> Compare:
    shown = replace(state, document_width=width, document_height=height)
    if not keep or state.fits or not state.document_width:
        return _fit(shown)
    ratio = width / state.document_width
    return _clamp(
        replace(shown, zoom=state.zoom / ratio, centre_x=state.centre_x * ratio, centre_y=state.centre_y * ratio)
    )
