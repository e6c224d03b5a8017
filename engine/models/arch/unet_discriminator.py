"""A discriminator that looks at every pixel: three levels down, three up with added skips, spectral norm inside.

It is trained beside a generator and never restores a picture, so it has no OpenVINO graph and no model files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, cast

import msgspec

from engine.models.arch.architecture import Shapes

if TYPE_CHECKING:
    import torch


class UNetDiscriminatorArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: Annotated[int, msgspec.Meta(ge=1, le=512)] = 64


def _inner(args: UNetDiscriminatorArgs) -> dict[str, tuple[int, int, int, int]]:
    """Name -> (inputs, outputs, kernel, stride) of every convolution under spectral norm, in the order of layers."""
    f = args.features
    return {
        "down.0": (f, 2 * f, 4, 2),
        "down.1": (2 * f, 4 * f, 4, 2),
        "down.2": (4 * f, 8 * f, 4, 2),
        "up.0": (8 * f, 4 * f, 3, 1),
        "up.1": (4 * f, 2 * f, 3, 1),
        "up.2": (2 * f, f, 3, 1),
        "tail.0": (f, f, 3, 1),
        "tail.1": (f, f, 3, 1),
    }


def parameter_shapes(args: UNetDiscriminatorArgs) -> Shapes:
    """Learnable tensors by name. The vectors of the power iteration are state, but nothing that is learnt."""
    f = args.features
    shapes: Shapes = {"head.weight": (f, 3, 3, 3), "head.bias": (f,)}
    for name, (inputs, outputs, kernel, _) in _inner(args).items():
        shapes[f"{name}.parametrizations.weight.original"] = (outputs, inputs, kernel, kernel)
    shapes["logits.weight"] = (1, f, 3, 3)
    shapes["logits.bias"] = (1,)
    return shapes


def count_parameters(args: UNetDiscriminatorArgs) -> int:
    """Learnable values, exactly: 616,057 with 24 features."""
    return sum(math.prod(shape) for shape in parameter_shapes(args).values())


def torch_module(args: UNetDiscriminatorArgs) -> torch.nn.Module:
    from torch import nn
    from torch.nn import functional
    from torch.nn.utils.parametrizations import spectral_norm

    class UNetDiscriminator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(3, args.features, 3, 1, 1)
            self.down, self.up, self.tail = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
            for name, (inputs, outputs, kernel, stride) in _inner(args).items():
                convolution = spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False))
                cast(nn.ModuleList, getattr(self, name.partition(".")[0])).append(convolution)
            self.logits = nn.Conv2d(args.features, 1, 3, 1, 1)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) in 0..1, sides multiples of 8 -> (n, 1, h, w): a logit for each pixel."""
            x = functional.leaky_relu(self.head(picture), 0.2)
            skips = []
            for convolution in self.down:
                skips.append(x)
                x = functional.leaky_relu(convolution(x), 0.2)
            for convolution in self.up:
                x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
                x = functional.leaky_relu(convolution(x), 0.2) + skips.pop()
            for convolution in self.tail:
                x = functional.leaky_relu(convolution(x), 0.2)
            return cast("torch.Tensor", self.logits(x))

    return UNetDiscriminator()
