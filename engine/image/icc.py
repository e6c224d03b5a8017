"""ICC profiles made from a few facts: where the primaries and white lie, and the curve from samples to light.

Laid out as ICC.1:2010 (version 4.3) says, with nothing of the day or the machine: the same facts give the same bytes.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

SRGB_CHROMATICITIES: Final[Chromaticities] = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
D50: Final = np.array([0x0000F6D6, 0x00010000, 0x0000D32D]) / 65536
"""White of the space that profiles connect through, X Y Z."""
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def power_curve(exponent: float) -> bytes:
    """Light is the sample to the power of `exponent`."""
    return struct.pack(">4s4xH2x", b"para", 0) + _fixed(exponent)


def srgb_curve() -> bytes:
    return struct.pack(">4s4xH2x", b"para", 3) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def rgb_profile(title: str, chromaticities: Chromaticities, curve: bytes) -> bytes:
    """Raises ValueError for chromaticities that span no colours."""
    to_xyz, to_d50 = _matrices(chromaticities)
    primaries = {name: _xyz(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz.T, strict=True)}
    adaptation = b"sf32\0\0\0\0" + _fixed(*to_d50.ravel())
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"RGB ", title, primaries | curves | {b"chad": adaptation})


def grey_profile(title: str, curve: bytes) -> bytes:
    return _profile(b"GRAY", title, {b"kTRC": curve})


def colour_profile_of_grey(profile: bytes) -> bytes | None:
    """The RGB profile in which three equal samples look as the one in the grey `profile`; None where that one is of
    another kind than such are."""
    if profile[16:24] != b"GRAYXYZ ":
        return None
    count = int.from_bytes(profile[128:132], "big")
    for at in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, offset, size = struct.unpack_from(">4sII", profile, at)
        curve = profile[offset : offset + size]
        if name == b"kTRC" and len(curve) == size and curve[:4] in (b"curv", b"para"):
            return rgb_profile("Grey", SRGB_CHROMATICITIES, curve)
    return None


def _matrices(chromaticities: Chromaticities) -> tuple[Matrix, Matrix]:
    """From linear RGB to XYZ as seen under D50, and from XYZ under the own white to that."""
    points = np.array(chromaticities, np.float64).reshape(4, 2)
    if not bool(np.isfinite(points).all()) or bool((points[:, 1] <= 0).any()):
        raise ValueError("a chromaticity is impossible")
    white, *primaries = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
    columns = np.stack(primaries, axis=1)
    if abs(np.linalg.det(columns)) < 1e-6:
        raise ValueError("the primaries lie on a line")
    to_own_xyz = columns * np.linalg.solve(columns, white)
    cones, cones_d50 = _BRADFORD @ white, _BRADFORD @ D50
    if bool((np.abs(cones) < 1e-6).any()):
        raise ValueError("the white is impossible")
    to_d50 = np.linalg.inv(_BRADFORD) @ np.diag(cones_d50 / cones) @ _BRADFORD
    to_xyz = to_d50 @ to_own_xyz
    if bool((np.abs(to_xyz) > 100).any()):
        raise ValueError("the primaries are impossible")
    return to_xyz, to_d50


def _profile(space: bytes, title: str, tags: dict[bytes, bytes]) -> bytes:
    everything = {b"desc": _text(title), b"cprt": _text("No copyright"), b"wtpt": _xyz(*D50), **tags}
    places: dict[bytes, int] = {}
    """Equal values are stored once."""
    body = b""
    start = 128 + 4 + 12 * len(everything)
    table = struct.pack(">I", len(everything))
    for name, value in everything.items():
        if value not in places:
            places[value] = start + len(body)
            body += value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, places[value], len(value))
    header = struct.pack(
        ">I4sI4s4s4s6H4s28x3i48x",
        *(start + len(body), b"", 0x04300000, b"mntr", space, b"XYZ "),
        *(2000, 1, 1, 0, 0, 0),
        b"acsp",
        *(round(value * 65536) for value in D50),
    )
    return header + table + body


def _text(text: str) -> bytes:
    spelt = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(spelt), 28) + spelt


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(x, y, z)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
