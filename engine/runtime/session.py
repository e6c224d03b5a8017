"""What every backend offers: a session that turns batches of tiles into batches of larger tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from engine.models.model import Weights

Precision = Literal["fp32", "bf16", "fp16"]
Batch = npt.NDArray[np.float32]
"""(n, 3, height, width), float32, 0..1, contiguous. Every net of ours takes and gives RGB."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What made a result: told in every job report."""

    backend: str
    device: str
    precision: Precision
    streams: int
    """How many threads may be inside `run` at once with gain; more of them wait."""
    scale: int
    halo: int
    """Input pixels of context a tile needs on each side."""
    multiple: int
    """Tile sides (halo included) must be a multiple of this; 8 for SwinIR, 1 for convolutional nets."""


class Session(Protocol):
    @property
    def info(self) -> SessionInfo: ...

    def run(self, batch: Batch) -> Batch:
        """Thread-safe. (n, 3, h, w) -> (n, 3, h*scale, w*scale). Raises OutOfMemory by class."""
        ...

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights without recompiling; a `run` in flight finishes with the old ones."""
        ...

    def close(self) -> None: ...
