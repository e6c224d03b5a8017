"""How much context a tile of a model needs when its card does not say."""

from __future__ import annotations

from engine.models.arch import find_architecture
from engine.models.card import Card

_SMALL_RADIUS = 24
"""Input pixels: up to here the exact reach of a network is taken, and tiles equal the whole to the last bit."""

_MEASURED = {"msrresnet": 16, "srresnet": 16, "rrdbnet": 96, "swinir": 24, "shufflemixer": 32, "latticenet": 32}
"""Where the error of cutting falls below 1/255 (`pellucid bench tiling` prints it); beyond it, reach is theoretical."""

_FOREIGN = 64


def halo_of(card: Card) -> int:
    """Input pixels on each side."""
    if card.halo is not None:
        return card.halo
    if card.architecture in ("bicubic", "lanczos"):
        return 8
    if card.architecture == "foreign":
        return _FOREIGN
    architecture = find_architecture(card.architecture)
    radius = architecture.receptive_radius(architecture.read_arguments(card.arguments))
    if radius is not None and radius <= _SMALL_RADIUS:
        return radius
    measured = _MEASURED.get(card.architecture, _FOREIGN)
    return measured if radius is None else min(radius, measured)
