"""The networks Pellucid knows, one file a net. The tuple below is the whole list."""

from __future__ import annotations

from engine.errors import Code, PellucidError
from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes, nearest_name_hint
from engine.models.arch.compact import COMPACT
from engine.models.arch.latticenet import LATTICENET
from engine.models.arch.msrresnet import MSRRESNET
from engine.models.arch.rrdbnet import RRDBNET
from engine.models.arch.shufflemixer import SHUFFLEMIXER
from engine.models.arch.srresnet import SRRESNET
from engine.models.arch.swinir import SWINIR

__all__ = ["ARCHITECTURES", "Architecture", "OpenVinoGraph", "Shapes", "find_architecture"]

ARCHITECTURES: tuple[Architecture, ...] = (COMPACT, MSRRESNET, SRRESNET, RRDBNET, SWINIR, SHUFFLEMIXER, LATTICENET)


def find_architecture(architecture_id: str) -> Architecture:
    for architecture in ARCHITECTURES:
        if architecture.id == architecture_id:
            return architecture
    known = tuple(architecture.id for architecture in ARCHITECTURES)
    raise PellucidError(
        Code.MODEL_UNSUPPORTED,
        f'There is no architecture "{architecture_id}".',
        nearest_name_hint(architecture_id, known),
        architecture=architecture_id,
    )
