"""The networks offered by name: an architecture with its arguments, and how many parameters that makes."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from engine.errors import Code, PellucidError
from engine.models.arch import Architecture
from engine.models.arch.architecture import nearest_name_hint
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.arch.latticenet import LATTICENET, LatticeNetArgs
from engine.models.arch.msrresnet import MSRRESNET, MsrResNetArgs
from engine.models.arch.rrdbnet import RRDBNET, RrdbNetArgs
from engine.models.arch.shufflemixer import SHUFFLEMIXER, ShuffleMixerArgs
from engine.models.arch.srresnet import SRRESNET, SrResNetArgs
from engine.models.arch.swinir import SWINIR, SwinIrArgs
from engine.models.arch.unet_discriminator import UNetDiscriminatorArgs, count_parameters


@dataclass(frozen=True, slots=True)
class Preset:
    id: str
    architecture: Architecture
    args: msgspec.Struct

    @property
    def parameters(self) -> int:
        return self.architecture.count_parameters(self.args)

    @property
    def scale(self) -> int:
        return self.architecture.scale(self.args)


PRESETS: tuple[Preset, ...] = (
    Preset("msrresnet-16", MSRRESNET, MsrResNetArgs(blocks=16)),
    Preset("msrresnet-24", MSRRESNET, MsrResNetArgs(blocks=24)),
    Preset("srresnet", SRRESNET, SrResNetArgs()),
    Preset("rrdbnet-23", RRDBNET, RrdbNetArgs(blocks=23)),
    Preset("rrdbnet-16", RRDBNET, RrdbNetArgs(blocks=16)),
    Preset("rrdbnet-6", RRDBNET, RrdbNetArgs(blocks=6)),
    Preset("swinir-78", SWINIR, SwinIrArgs()),
    Preset("swinir-light", SWINIR, SwinIrArgs(embed=60, depths=(6,) * 4, heads=(6,) * 4, mlp_hidden=120)),
    Preset("compact-16", COMPACT, CompactArgs(convolutions=16)),
    Preset("compact-32", COMPACT, CompactArgs(convolutions=32)),
    Preset("shufflemixer", SHUFFLEMIXER, ShuffleMixerArgs()),
    Preset("latticenet", LATTICENET, LatticeNetArgs()),
)


@dataclass(frozen=True, slots=True)
class DiscriminatorPreset:
    """A network that is trained beside a generator. It judges pictures of any size and makes none."""

    id: str
    args: UNetDiscriminatorArgs

    @property
    def parameters(self) -> int:
        return count_parameters(self.args)


DISCRIMINATORS: tuple[DiscriminatorPreset, ...] = (
    DiscriminatorPreset("unet-sn-24", UNetDiscriminatorArgs(features=24)),
    DiscriminatorPreset("unet-sn-64", UNetDiscriminatorArgs(features=64)),
)


def find_preset(preset_id: str) -> Preset:
    for preset in PRESETS:
        if preset.id == preset_id:
            return preset
    raise PellucidError(
        Code.MODEL_UNSUPPORTED,
        f'There is no architecture preset "{preset_id}".',
        nearest_name_hint(preset_id, tuple(preset.id for preset in PRESETS)),
        preset=preset_id,
    )
