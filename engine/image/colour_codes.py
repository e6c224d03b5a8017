"""What files say about their colours in numbers of their own (PNG chunks, the code points of AVIF and HEIC), as an ICC
profile: every format can carry that, and every program that shows colours as they were meant reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from engine.image.icc import SRGB_CHROMATICITIES, Chromaticities, grey_profile, power_curve, rgb_profile, srgb_curve

COLOUR_CHUNKS: Final = (b"cICP", b"sRGB", b"gAMA", b"cHRM")

_PRIMARIES: Final[dict[int, tuple[str, Chromaticities]]] = {
    1: ("sRGB", SRGB_CHROMATICITIES),
    9: ("BT.2020", (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
}
"""Code points of ITU-T H.273."""
_CURVES: Final = {4: power_curve(2.2), 5: power_curve(2.8), 8: power_curve(1), 13: srgb_curve()}
_HDR: Final = {16: "HDR (PQ)", 18: "HDR (HLG)"}
_SRGB_GAMMA: Final = 45455
_CLOSE_GAMMA, _CLOSE_CHROMATICITY = 500, 0.0011
"""What programs that mean sRGB differ by."""


def read_png_colours(chunks: Mapping[bytes, bytes], icc: bytes | None, grey: bool) -> tuple[bytes | None, bytes | None]:
    """(ICC profile, body of cICP). The profile is None for sRGB, and the other is None but for colours that no profile
    can tell of: those of HDR. What counts most, by the PNG specification (third edition): cICP, iCCP, sRGB, gAMA with
    cHRM.

    icc: what the file has as a profile.
    """
    if (code := chunks.get(b"cICP")) is not None and len(code) == 4:
        primaries, transfer, matrix, full_range = code
        if primaries not in _PRIMARIES or transfer not in _CURVES or matrix != 0 or full_range != 1:
            return icc, code
        return _profile(*_PRIMARIES[primaries], _CURVES[transfer], grey), None
    if icc:
        return icc, None
    if b"sRGB" in chunks:
        return None, None
    return _from_gamma(_gamma(chunks), _chromaticities(chunks), grey), None


def read_code_points(primaries: int, transfer: int, icc: bytes | None) -> tuple[bytes | None, bytes | None]:
    """As read_png_colours, of AVIF and HEIC, where a profile counts more. The curves and primaries of television,
    and what is not said, are taken for sRGB, as programs show them."""
    if icc:
        return icc, None
    if transfer in _HDR:
        return None, bytes([primaries, transfer, 0, 1])
    title, chromaticities = _PRIMARIES.get(primaries, _PRIMARIES[1])
    return _profile(title, chromaticities, _CURVES.get(transfer, srgb_curve()), grey=False), None


def name_of_colours(cicp: bytes) -> str:
    """What people call colours that no profile can tell of."""
    return _HDR.get(cicp[1], "of a rare kind")


def _from_gamma(gamma: int, chromaticities: Chromaticities, grey: bool) -> bytes | None:
    usual = not gamma or abs(gamma - _SRGB_GAMMA) <= _CLOSE_GAMMA
    if usual and (grey or chromaticities == SRGB_CHROMATICITIES):
        return None
    try:
        curve = power_curve(100_000 / gamma) if gamma else srgb_curve()
        return _profile(f"Gamma {100_000 / gamma:.2g}" if gamma else "Own primaries", chromaticities, curve, grey)
    except ValueError:  # nonsense that no program can make anything of
        return None


def _profile(title: str, chromaticities: Chromaticities, curve: bytes, grey: bool) -> bytes | None:
    if curve == srgb_curve() and (grey or chromaticities == SRGB_CHROMATICITIES):
        return None
    return grey_profile(title, curve) if grey else rgb_profile(title, chromaticities, curve)


def _gamma(chunks: Mapping[bytes, bytes]) -> int:
    """100,000 times the exponent that light was encoded with; 0 where none is said, or none that is in use."""
    body = chunks.get(b"gAMA", b"")
    gamma = int(struct.unpack(">I", body)[0]) if len(body) == 4 else 0
    return gamma if 10_000 <= gamma <= 1_000_000 else 0


def _chromaticities(chunks: Mapping[bytes, bytes]) -> Chromaticities:
    body = chunks.get(b"cHRM", b"")
    if len(body) != 32:
        return SRGB_CHROMATICITIES
    told = tuple(value / 100_000 for value in struct.unpack(">8I", body))
    if all(abs(one - other) <= _CLOSE_CHROMATICITY for one, other in zip(told, SRGB_CHROMATICITIES, strict=True)):
        return SRGB_CHROMATICITIES
    return told[0], told[1], told[2], told[3], told[4], told[5], told[6], told[7]
