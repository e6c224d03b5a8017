"""MSRResNet: residual blocks without normalisation, pixel-shuffle stages, plus the bilinearly enlarged input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes
from engine.models.model import Weights

if TYPE_CHECKING:
    import torch

SLOPE = 0.1
RESIDUAL_INITIAL_SCALE = 0.1
"""Weights inside residual blocks start this much smaller, so that a new net is close to its skip."""


class MsrResNetArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: Annotated[int, msgspec.Meta(ge=1, le=512)] = 64
    blocks: Annotated[int, msgspec.Meta(ge=0, le=128)] = 16
    scale: Literal[2, 3, 4] = 4


def _stages(args: MsrResNetArgs) -> tuple[int, ...]:
    """Enlargement of each pixel-shuffle stage."""
    return (2, 2) if args.scale == 4 else (args.scale,)


def parameter_shapes(args: MsrResNetArgs) -> Shapes:
    f = args.features
    shapes: Shapes = {}

    def add(name: str, inputs: int, outputs: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, 3, 3)
        shapes[f"{name}.bias"] = (outputs,)

    add("conv_first", 3, f)
    for i in range(args.blocks):
        add(f"body.{i}.conv1", f, f)
        add(f"body.{i}.conv2", f, f)
    for number, factor in enumerate(_stages(args), start=1):
        add(f"upconv{number}", f, f * factor**2)
    add("conv_hr", f, f)
    add("conv_last", f, 3)
    return shapes


def torch_module(args: MsrResNetArgs) -> torch.nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    f = args.features

    def convolution(inputs: int, outputs: int, initial_scale: float = 1.0) -> nn.Conv2d:
        layer = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
        with torch.no_grad():
            layer.weight.mul_(initial_scale)
        return layer

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = convolution(f, f, RESIDUAL_INITIAL_SCALE)
            self.conv2 = convolution(f, f, RESIDUAL_INITIAL_SCALE)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.conv2(functional.relu(self.conv1(x)))
            return x + y

    class MsrResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_first = convolution(3, f, RESIDUAL_INITIAL_SCALE)
            self.body = nn.Sequential(*(Block() for _ in range(args.blocks)))
            self.upconv1 = convolution(f, f * _stages(args)[0] ** 2, RESIDUAL_INITIAL_SCALE)
            if len(_stages(args)) == 2:
                self.upconv2 = convolution(f, f * 4, RESIDUAL_INITIAL_SCALE)
            self.conv_hr = convolution(f, f, RESIDUAL_INITIAL_SCALE)
            self.conv_last = convolution(f, 3, RESIDUAL_INITIAL_SCALE)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) -> (n, 3, h*scale, w*scale), both 0..1."""
            x = self.body(functional.leaky_relu(self.conv_first(picture), SLOPE))
            for number, factor in enumerate(_stages(args), start=1):
                upconv = getattr(self, f"upconv{number}")
                x = functional.leaky_relu(functional.pixel_shuffle(upconv(x), factor), SLOPE)
            detail: torch.Tensor = self.conv_last(functional.leaky_relu(self.conv_hr(x), SLOPE))
            return detail + functional.interpolate(
                picture, scale_factor=args.scale, mode="bilinear", align_corners=False
            )

    return MsrResNet()


def openvino_graph(
    args: MsrResNetArgs, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
) -> OpenVinoGraph:
    from engine.models.arch.graph import GraphBuilder

    graph = GraphBuilder(weights, tile, frozen)
    x = graph.leaky_relu(graph.convolution(graph.picture, "conv_first"), SLOPE)
    for i in range(args.blocks):
        y = graph.ops.relu(graph.convolution(x, f"body.{i}.conv1"))
        x = graph.ops.add(x, graph.convolution(y, f"body.{i}.conv2"))
    for number, factor in enumerate(_stages(args), start=1):
        # LeakyReLU and shuffle commute; this order lets the convolution absorb the activation.
        x = graph.pixel_shuffle(graph.leaky_relu(graph.convolution(x, f"upconv{number}"), SLOPE), factor)
    x = graph.leaky_relu(graph.convolution(x, "conv_hr"), SLOPE)
    x = graph.convolution(x, "conv_last")
    return graph.finish(graph.ops.add(x, graph.enlarge_bilinear(graph.picture, args.scale)), MSRRESNET.id)


def receptive_radius(args: MsrResNetArgs) -> int:
    """First convolution and blocks count a pixel each; then each stage looks from a finer grid."""
    size = 1.0
    reaches = [1.0] * (1 + 2 * args.blocks)
    for factor in _stages(args):
        reaches.append(size)
        size /= factor
    reaches += [size, size]
    # An output pixel lies up to half an input pixel off its own input pixel's centre.
    return int(-(-(sum(reaches) + 0.5 - size / 2) // 1))


MSRRESNET = Architecture(
    id="msrresnet",
    args_type=MsrResNetArgs,
    parameter_shapes=parameter_shapes,
    torch_module=torch_module,
    openvino_graph=openvino_graph,
    scale=lambda args: int(args.scale),
    receptive_radius=receptive_radius,
    multiple=lambda args: 1,
)
