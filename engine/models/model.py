"""A model in memory: a card that says what it is, and its weights as plain numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.models.card import Card

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Model:
    """`weights`: state-dict name -> float32 array, parameters and buffers alike; empty for classical models."""

    card: Card
    weights: Weights
    path: Path | None = None
