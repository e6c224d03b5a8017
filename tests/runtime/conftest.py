"""Small networks with weights that act like trained ones."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from engine.models.arch import find_architecture
from engine.models.arch.compact import CompactArgs
from engine.models.arch.latticenet import LatticeNetArgs
from engine.models.arch.msrresnet import MsrResNetArgs
from engine.models.arch.rrdbnet import RrdbNetArgs
from engine.models.arch.shufflemixer import ShuffleMixerArgs
from engine.models.arch.srresnet import SrResNetArgs
from engine.models.arch.swinir import SwinIrArgs
from engine.models.card import Card
from engine.models.model import Model

SMALL_NETS: dict[str, tuple[str, msgspec.Struct]] = {
    "compact": ("compact", CompactArgs(features=16, convolutions=16)),
    "msrresnet": ("msrresnet", MsrResNetArgs(features=8, blocks=16)),
    "msrresnet-x3": ("msrresnet", MsrResNetArgs(features=8, blocks=4, scale=3)),
    "srresnet": ("srresnet", SrResNetArgs(features=8, blocks=16)),
    "srresnet-tanh-x2": ("srresnet", SrResNetArgs(features=8, blocks=4, scale=2, head="tanh")),
    "rrdbnet": ("rrdbnet", RrdbNetArgs(features=8, growth=4, blocks=8)),
    "rrdbnet-x2": ("rrdbnet", RrdbNetArgs(features=8, growth=4, blocks=3, scale=2)),
    "shufflemixer": ("shufflemixer", ShuffleMixerArgs(features=16)),
    "latticenet": ("latticenet", LatticeNetArgs(features=16, narrow=12)),
    "swinir": ("swinir", SwinIrArgs(embed=12, depths=(2, 2), heads=(2, 2), mlp_hidden=24)),
}
"""As deep as the real ones where depth decides how far they look, but narrow."""


def make_small_model(name: str, seed: int = 0, **facts: object) -> Model:
    """Random weights of the size that keeps a signal's size from layer to layer, biases small."""
    architecture_id, args = SMALL_NETS[name]
    architecture = find_architecture(architecture_id)
    random = np.random.default_rng(seed)
    weights = {}
    for key, shape in architecture.parameter_shapes(args).items():
        if key.endswith("running_var") or (
            len(shape) == 1 and ("norm" in key or "bn" in key) and key.endswith("weight")
        ):
            values = random.uniform(0.8, 1.2, shape)
        elif len(shape) >= 2:
            inputs = int(np.prod(shape[1:]))
            values = random.normal(0, 0.7 / np.sqrt(inputs), shape)
        else:
            values = random.normal(0, 0.02, shape)
        weights[key] = values.astype(np.float32)
    card = Card(
        name=name,
        architecture=architecture_id,
        arguments=architecture.write_arguments(args),
        scale=architecture.scale(args),
        input_range=architecture.ranges(args)[0],
        output_range=architecture.ranges(args)[1],
        **facts,
    )
    return Model(card, weights)


@pytest.fixture
def small_model() -> Callable[..., Model]:
    """small_model(name, seed=0, **facts of the card) -> Model"""
    return make_small_model
