"""Bicubic and Lanczos interpolation as a session: what every network has to beat."""

from __future__ import annotations

from typing import cast

import numpy as np

from engine.errors import Code, PellucidError
from engine.image.resample import Filter
from engine.models.card import Card
from engine.models.classical import enlarge
from engine.models.model import Model, Weights
from engine.runtime.halo import halo_of
from engine.runtime.session import Batch, SessionInfo

NAME = "numpy"
CLASSICAL = ("bicubic", "lanczos")


class ClassicalSession:
    """One thread a tile; nothing to compile, no weights."""

    def __init__(self, model: Model, *, streams: int) -> None:
        self._card = model.card
        self._kind = cast(Filter, model.card.architecture)
        scale = model.card.scale
        # The width is enlarged first, then the height, in float32.
        per_pixel = 12 * (1 + scale + scale**2)
        self._info = SessionInfo(
            NAME, "cpu", "fp32", streams, scale, halo_of(model.card), multiple=1, bytes_per_pixel=per_pixel
        )

    @property
    def info(self) -> SessionInfo:
        return self._info

    def serves(self, card: Card) -> bool:
        return card.architecture == self._card.architecture and card.scale == self._card.scale

    def run(self, batch: Batch) -> Batch:
        """(n, 3, h, w) -> (n, 3, h * scale, w * scale)."""
        return np.ascontiguousarray(enlarge(batch, self._info.scale, self._kind))

    def set_weights(self, weights: Weights) -> None:
        if weights:
            raise PellucidError(Code.MODELS_DIFFER, f"{self._card.name} is an interpolation and has no weights.")

    def close(self) -> None:
        pass
