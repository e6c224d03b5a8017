"""Finds out which of our architectures a foreign state dict belongs to, from its names and shapes alone.

Whatever is recognised fits exactly: the same tensors with the same shapes, so it runs on every backend of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import PellucidError
from engine.models.arch import Architecture
from engine.models.arch.compact import COMPACT
from engine.models.arch.msrresnet import MSRRESNET
from engine.models.arch.rrdbnet import RRDBNET
from engine.models.arch.shufflemixer import SHUFFLEMIXER
from engine.models.arch.swinir import SWINIR

State = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Recognised:
    architecture: Architecture
    args: Any
    weights: dict[str, npt.NDArray[np.generic]]
    """Under our names."""


def recognise(state: State) -> Recognised | None:
    """The architecture, its arguments and the tensors under our names; None when it is none of ours."""
    for guess in (_rrdbnet, _compact, _swinir, _msrresnet, _shufflemixer):
        found = guess(state)
        if found is not None:
            return found
    return None


def _fitting(architecture: Architecture, arguments: dict[str, Any], state: State) -> Recognised | None:
    """`state` if every tensor of the architecture is there in its shape, and nothing else is."""
    try:
        args = architecture.read_arguments(arguments)
    except PellucidError:
        return None
    shapes = architecture.parameter_shapes(args)
    if {name: value.shape for name, value in state.items()} != shapes:
        return None
    return Recognised(architecture, args, {name: state[name] for name in shapes})


def _side(state: State, name: str, axis: int) -> int:
    """A side of a tensor, 0 when it is not there."""
    value = state.get(name)
    return int(value.shape[axis]) if value is not None and value.ndim > axis else 0


def _count(state: State, pattern: str) -> int:
    """One more than the highest number at the pattern's group."""
    found = (re.match(pattern, name) for name in state)
    return max((int(match[1]) + 1 for match in found if match and len(match[1]) < 5), default=0)


_RRDB_2018 = (
    (r"model\.0\.(weight|bias)", r"conv_first.\1"),
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(weight|bias)", r"body.\1.rdb\2.conv\3.\4"),
    (r"model\.1\.sub\.\d+\.(weight|bias)", r"conv_body.\1"),
    (r"model\.3\.(weight|bias)", r"conv_up1.\1"),
    (r"model\.6\.(weight|bias)", r"conv_up2.\1"),
    (r"model\.8\.(weight|bias)", r"conv_hr.\1"),
    (r"model\.10\.(weight|bias)", r"conv_last.\1"),
)
"""Names of the first ESRGAN release."""

_RRDB_2019 = (
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.(weight|bias)", r"body.\1.rdb\2.conv\3.\4"),
    (r"trunk_conv\.(weight|bias)", r"conv_body.\1"),
    (r"upconv(\d)\.(weight|bias)", r"conv_up\1.\2"),
    (r"HRconv\.(weight|bias)", r"conv_hr.\1"),
)
"""Names of the second one, which BSRGAN and RealSR kept."""

_MSR_2019 = (
    (r"recon_trunk\.(\d+)\.(conv[12])\.(weight|bias)", r"body.\1.\2.\3"),
    (r"HRconv\.(weight|bias)", r"conv_hr.\1"),
)


def _renamed(state: State, rules: tuple[tuple[str, str], ...]) -> State:
    """`state` with every name that a rule matches whole replaced."""
    renamed: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in state.items():
        for pattern, new in rules:
            match = re.fullmatch(pattern, name)
            if match:
                name = match.expand(new)
                break
        renamed[name] = value
    return renamed


def _rrdbnet(state: State) -> Recognised | None:
    if "model.1.sub.0.RDB1.conv1.0.weight" in state:
        state = _renamed(state, _RRDB_2018)
    elif "RRDB_trunk.0.RDB1.conv1.weight" in state:
        state = _renamed(state, _RRDB_2019)
    if "body.0.rdb1.conv1.weight" not in state:
        return None
    scale = {3: 4, 12: 2, 48: 1}.get(_side(state, "conv_first.weight", 1))
    arguments = {
        "features": _side(state, "conv_first.weight", 0),
        "growth": _side(state, "body.0.rdb1.conv1.weight", 0),
        "blocks": _count(state, r"body\.(\d+)\."),
        "scale": scale,
    }
    return _fitting(RRDBNET, arguments, state)


def _compact(state: State) -> Recognised | None:
    layers = _count(state, r"body\.(\d+)\.weight")
    if layers < 3 or "body.0.weight" not in state:
        return None
    arguments = {
        "features": _side(state, "body.0.weight", 0),
        "convolutions": (layers - 3) // 2,
        "scale": isqrt(_side(state, f"body.{layers - 1}.weight", 0) // 3),
    }
    return _fitting(COMPACT, arguments, state)


def _swinir(state: State) -> Recognised | None:
    first = "layers.0.residual_group.blocks.0"
    table = _side(state, f"{first}.attn.relative_position_bias_table", 0)
    window = (isqrt(table) + 1) // 2
    if not table or window == 7:  # the JPEG nets with window 7 count colours in 0..255
        return None
    kept = {
        name: value for name, value in state.items() if not name.endswith((".relative_position_index", ".attn_mask"))
    }
    groups = _count(kept, r"layers\.(\d+)\.")
    if groups > 32:
        return None
    depths = [_count(kept, rf"layers\.{i}\.residual_group\.blocks\.(\d+)\.") for i in range(groups)]
    heads = [
        _side(kept, f"layers.{i}.residual_group.blocks.0.attn.relative_position_bias_table", 1) for i in range(groups)
    ]
    if "conv_up1.weight" in kept:
        upsampler, scale = "nearest+conv", 4 if "conv_up2.weight" in kept else 2
    elif "conv_before_upsample.0.weight" in kept:
        two_stages = "upsample.2.weight" in kept
        upsampler, scale = "pixelshuffle", 4 if two_stages else isqrt(_side(kept, "upsample.0.weight", 0) // 64)
    else:
        upsampler, scale = "pixelshuffledirect", isqrt(_side(kept, "upsample.0.weight", 0) // 3)
    arguments = {
        "embed": _side(kept, "conv_first.weight", 0),
        "depths": depths,
        "heads": heads,
        "window": window,
        "mlp_hidden": _side(kept, f"{first}.mlp.fc1.weight", 0),
        "upsampler": upsampler,
        "residual": "1conv" if "conv_after_body.weight" in kept else "3conv",
        "scale": scale,
    }
    return _fitting(SWINIR, arguments, kept)


def _msrresnet(state: State) -> Recognised | None:
    if "recon_trunk.0.conv1.weight" in state:
        state = _renamed(state, _MSR_2019)
    if "body.0.conv1.weight" not in state or "upconv1.weight" not in state:
        return None
    features = max(1, _side(state, "conv_first.weight", 0))
    one_stage = isqrt(_side(state, "upconv1.weight", 0) // features)
    arguments = {
        "features": features,
        "blocks": _count(state, r"body\.(\d+)\."),
        "scale": 4 if "upconv2.weight" in state else one_stage,
    }
    return _fitting(MSRRESNET, arguments, state)


def _shufflemixer(state: State) -> Recognised | None:
    if "blocks.0.net.0.spatial.weight" not in state:
        return None
    features = max(1, _side(state, "to_feat.weight", 0))
    hidden = _side(state, "blocks.0.net.0.mlp1.fc.0.weight", 0)
    one_stage = isqrt(_side(state, "upsapling.0.weight", 0) // features)
    arguments = {
        "features": features,
        "kernel": _side(state, "blocks.0.net.0.spatial.weight", 2),
        "blocks": _count(state, r"blocks\.(\d+)\."),
        "expansion": hidden // max(1, features // 2),
        "scale": 4 if "upsapling.3.weight" in state else one_stage,
    }
    return _fitting(SHUFFLEMIXER, arguments, state)
