"""How large a tile and how many at a time, from the memory that is free and what a pixel of this network was measured
to take.

The figures are measured once for a network, a precision and a device with two small tiles, and kept in the user's cache
folder; a file that cannot be read is measured again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.errors import PellucidError
from engine.runtime.cache_folder import cache_folder
from engine.whole_file import write_whole

SIDES = (128, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1408, 1536, 2048)
"""Tile sides (halo included) that are tried: multiples of every architecture's own."""

MOST_AT_ONCE = 8
_BATCH_PIXELS = 1 << 19
"""Pixels that keep a large GPU busy; more at a time only costs memory."""
_ENOUGH = 0.85
"""Share of useful pixels beyond which a larger tile gains little."""
_SHARE_ALONE, _SHARE_BESIDE_OTHERS = 0.8, 0.4
"""Of the free memory: somebody else's training needs room for its next step."""
_PROBE_SIDES = (128, 256)
_MOST_ELEMENTS = 2**31 - 1
"""Of one tensor: beyond, convolutions leave the kernels that count in 32 bits for slower ones, which have crashed."""


class MemoryNeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes of a running tile: `per_pixel` for every input pixel, and `fixed` besides.
    largest: elements of the network's largest tensor, for every input pixel."""

    per_pixel: float
    largest: float
    fixed: float = 0.0

    def of(self, pixels: int) -> float:
        return self.fixed + self.per_pixel * pixels

    def pixels_within(self, memory: float) -> int:
        """Input pixels that may run at once in so many bytes."""
        return min(self.most_pixels, int(max(0.0, memory - self.fixed) / max(1.0, self.per_pixel)))

    @property
    def most_pixels(self) -> int:
        """Input pixels that may run at once, whatever the memory."""
        return int(_MOST_ELEMENTS / max(1.0, self.largest))


@dataclass(frozen=True, slots=True)
class TileChoice:
    """side: input pixels, halo included. batch: tiles at a time, a power of two."""

    side: int
    batch: int


def choose_tile(need: MemoryNeed, free: int, *, shared: bool, halo: int, host_side: int = SIDES[-1]) -> TileChoice:
    """The smallest side that wastes little on halos, or the largest that fits; then as many at a time as pay.

    free: bytes on the device; shared: somebody else works there too; host_side: the largest side whose results the host
    can hold.
    """
    room = need.pixels_within(free * (_SHARE_BESIDE_OTHERS if shared else _SHARE_ALONE))
    fitting = [side for side in SIDES if side <= host_side and side * side <= room]
    side = next((side for side in fitting if _useful(side, halo) >= _ENOUGH), fitting[-1] if fitting else SIDES[0])
    return TileChoice(side, power_of_two(min(room // side**2, MOST_AT_ONCE, _BATCH_PIXELS // side**2)))


def power_of_two(most: int) -> int:
    """The largest that is no more, and 1 at the least."""
    return 1 << (max(1, most).bit_length() - 1)


def _useful(side: int, halo: int) -> float:
    return max(0.0, (side - 2 * halo) / side) ** 2


def largest_host_side(free: int, scale: int, waiting: int) -> int:
    """The side whose float results the host can hold, `waiting` of them at a time, in half of its free memory."""
    side = (free / 2 / max(1, waiting) / (12 * scale**2)) ** 0.5
    return max(SIDES[0], int(side))


def measure_need(peak: Callable[[int], int | None], largest: Callable[[], float]) -> MemoryNeed | None:
    """peak(side): bytes that one square tile takes at its worst, None where that cannot be counted. largest(): elements
    of the largest tensor for every input pixel.

    Others who work on the device are counted too: what does not come out the same twice, and more for the larger tile,
    is not believed."""
    small, large = (_steady(peak(side), peak(side)) for side in _PROBE_SIDES)
    if small is None or large is None or large <= small:
        return None
    first, second = (side * side for side in _PROBE_SIDES)
    slope = (large - small) / (second - first)
    return MemoryNeed(slope, largest(), max(0.0, large - slope * second))


def _steady(once: int | None, again: int | None) -> int | None:
    if once is None or again is None or abs(once - again) > 0.05 * max(once, again):
        return None
    return max(once, again)


def known_need(key: str) -> MemoryNeed | None:
    """What was measured before for this key, if it can be read."""
    try:
        return msgspec.convert(_measured().get(key), MemoryNeed)
    except msgspec.ValidationError:
        return None


def remember_need(key: str, need: MemoryNeed) -> None:
    """Kept for the next start. Where nothing can be written it is measured again: nobody is told."""
    measured = {**_measured(), key: msgspec.to_builtins(need)}
    text = json.dumps(measured, indent=1, sort_keys=True)
    with contextlib.suppress(OSError, PellucidError):
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def _path() -> Path:
    return cache_folder() / "calibration.json"


def _measured() -> dict[str, object]:
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
