"""Bicubic and Lanczos as models, in numpy: the baselines every network is compared with."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engine.image.resample import Filter, Taps, make_taps
from engine.models.card import Card
from engine.models.model import Model

Planes = npt.NDArray[np.float32]
"""(..., height, width), float32."""

BLOCK = 128
"""Output samples made by one matrix product: enough to be fast, few enough for the band to fill the matrix."""

CLASSICAL_MODELS: tuple[Model, ...] = (
    Model(Card(name="bicubic", architecture="bicubic", halo=3, description="Bicubic interpolation, a = -0.5."), {}),
    Model(Card(name="lanczos", architecture="lanczos", halo=4, description="Lanczos interpolation, three lobes."), {}),
)


def find_classical(name: str) -> Model | None:
    return next((model for model in CLASSICAL_MODELS if model.card.name == name), None)


def enlarge(planes: Planes, scale: float, kind: Filter) -> Planes:
    """(..., h, w) -> (..., round(h*scale), round(w*scale)); values may overshoot 0..1 at edges."""
    height, width = planes.shape[-2:]
    return resize(planes, max(1, round(height * scale)), max(1, round(width * scale)), kind)


def imresize(planes: Planes, scale: float) -> Planes:
    """MATLAB's `imresize(picture, scale)`: bicubic with a = -0.5, antialiased when it shrinks, sides rounded up.

    Exactly so where scale or 1/scale is a whole number; else the ratio is that of the rounded sides.
    """
    height, width = planes.shape[-2:]
    new_height, new_width = (max(1, math.ceil(round(side * scale, 9))) for side in (height, width))
    divisor = round(1 / scale)
    if scale >= 1 or abs(divisor * scale - 1) > 1e-9:
        return resize(planes, new_height, new_width, "bicubic")
    # A side that is no multiple keeps the ratio: mirrored rows follow until there is a multiple, and some to spare.
    bottom, right = (-side % divisor + 4 * divisor for side in (height, width))
    mirrored = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(0, bottom), (0, right)], mode="symmetric")
    sides = (mirrored.shape[-2] // divisor, mirrored.shape[-1] // divisor)
    return np.ascontiguousarray(resize(mirrored, *sides, "bicubic")[..., :new_height, :new_width])


def resize(planes: Planes, new_height: int, new_width: int, kind: Filter) -> Planes:
    """Separable resampling of the last two axes. Pixel centres map to pixel centres, borders are mirrored."""
    height, width = planes.shape[-2:]
    planes = np.ascontiguousarray(planes, np.float32)
    if width != new_width:
        planes = _apply(planes, make_taps(width, new_width, kind), across=True)
    if height != new_height:
        planes = _apply(planes, make_taps(height, new_height, kind), across=False)
    return planes


def _apply(planes: Planes, taps: Taps, *, across: bool) -> Planes:
    """Taps along the width (across) or the height, a block of outputs at a time as a small matrix product."""
    length = len(taps.index)
    height, width = planes.shape[-2:]
    out = np.empty((*planes.shape[:-2], *((height, length) if across else (length, width))), np.float32)
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        index, weight = taps.index[start:stop], taps.weight[start:stop]
        first, last = int(index.min()), int(index.max())
        band = np.zeros((stop - start, last + 1 - first), np.float32)
        np.add.at(band, (np.arange(stop - start)[:, None], index - first), weight)
        if across:
            np.matmul(planes[..., first : last + 1], band.T, out=out[..., start:stop])
        else:
            np.matmul(band, planes[..., first : last + 1, :], out=out[..., start:stop, :])
    return out
