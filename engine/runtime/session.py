"""What every backend offers: a session that turns batches of tiles into batches of larger tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

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
    bytes_per_pixel: float = 0.0
    """Memory that a running tile takes for each input pixel it reads, its result included; 0: not known."""
    fixed_bytes: int = 0
    """Memory that each stream takes besides, whatever the tile."""
    best_side: int = 0
    """Tile side (halo included) beyond which this session becomes slower by the pixel; 0: the larger the better."""
    feather: int = 0
    """Input pixels on each side of a cut over which two tiles are blended; for nets that no halo makes exact."""
    frozen: bool = False
    """The weights are part of what was compiled: faster, and `set_weights` is refused."""
    read_side: int = 0
    """Tiles should read exactly this many pixels a side (halo included) where the picture is as large, so that a device
    meets one shape only; 0: any."""


class Session(Protocol):
    @property
    def info(self) -> SessionInfo: ...

    def run(self, batch: Batch) -> Batch:
        """Thread-safe. (n, 3, h, w) -> (n, 3, h*scale, w*scale). Raises OutOfMemory by class."""
        ...

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights without recompiling; a `run` in flight finishes with the old ones. Not when frozen."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Interruptible(Protocol):
    """A session that can leave a running tile unfinished, for a user who cancels."""

    def interrupt(self) -> None:
        """Every `run` in flight ends soon, with engine.errors.Cancelled; later ones are not touched."""
        ...


@dataclass(frozen=True, slots=True)
class PackedTile:
    """A finished tile in whole steps of 8 bits: (h * scale, w * scale, 3)."""

    pixels: npt.NDArray[np.uint8]
    finite: bool
    """False: values that are no numbers were among the network's."""


@runtime_checkable
class PacksPixels(Protocol):
    """A session that takes and gives pixels as files hold them, where floats would cost more than the network."""

    def run_packed(self, window: npt.NDArray[np.uint8]) -> PackedTile:
        """(h, w, 3) -> a tile. Thread-safe. Raises OutOfMemory by class."""
        ...


@runtime_checkable
class Losable(Protocol):
    """A session on a device that may stop working for good."""

    def check(self) -> None:
        """Raises DeviceLost once it has."""
        ...


@runtime_checkable
class Talkative(Protocol):
    """A session that changes while it serves, and tells."""

    def take_notices(self) -> list[str]:
        """Sentences for the user since the last call."""
        ...
