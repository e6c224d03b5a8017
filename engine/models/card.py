"""The card of a model: everything a user or a backend must know about it, stored in the header of its file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ValueRange = Literal["0..1", "-1..1"]


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured figure: `value` on `dataset` under `protocol` ("rgb" or "y")."""

    metric: str
    dataset: str
    value: float
    protocol: str = ""
    alpha: float | None = None


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    architecture: str
    """Architecture id: msrresnet, srresnet, rrdbnet, swinir, compact, shufflemixer, latticenet; classical ones:
    bicubic, lanczos; `foreign` for networks only spandrel knows."""
    arguments: dict[str, int | float | str | bool | list[int]] = {}
    scale: int = 4
    input_range: ValueRange = "0..1"
    output_range: ValueRange = "0..1"
    parameters: int = 0
    """Learnable values, exactly."""
    halo: Annotated[int, msgspec.Meta(ge=0, le=4096)] | None = None
    """Input pixels of context a tile needs on each side for tiled to equal whole within 1/255; None: not measured."""
    bad_precisions: list[str] = []
    """Precisions known to give wrong pictures, e.g. fp16 for SwinIR."""
    licence: str = ""
    attribution: list[str] = []
    recipe: str = ""
    """Hash of all in the training configuration that makes the weights; see docs/training.md."""
    description: str = ""
    role: Literal["", "psnr", "gan", "blend"] = ""
    partner: str = ""
    """Weights hash of the other half of a PSNR/GAN pair."""
    parents: list[str] = []
    """For a blend: weights hashes of the PSNR and GAN parents."""
    alpha: float | None = None
    scores: list[Score] = []
    format: int = 1
