"""RRDBNet of ESRGAN: residual-in-residual dense blocks, then nearest enlargements each followed by a convolution.

State-dict names are the community's. Scales 1 and 2 first fold pixels into channels (pixel unshuffle), then enlarge by
four.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes
from engine.models.model import Weights

if TYPE_CHECKING:
    import torch

SLOPE = 0.2
RESIDUAL_SCALE = 0.2
RESIDUAL_INITIAL_SCALE = 0.1
DENSE_BLOCKS = ("rdb1", "rdb2", "rdb3")


class RrdbNetArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: Annotated[int, msgspec.Meta(ge=1, le=512)] = 64
    growth: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32
    blocks: Annotated[int, msgspec.Meta(ge=0, le=128)] = 23
    scale: Literal[1, 2, 4] = 4


def _unshuffle(args: RrdbNetArgs) -> int:
    return 4 // args.scale


def parameter_shapes(args: RrdbNetArgs) -> Shapes:
    f, g = args.features, args.growth
    shapes: Shapes = {}

    def add(name: str, inputs: int, outputs: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, 3, 3)
        shapes[f"{name}.bias"] = (outputs,)

    add("conv_first", 3 * _unshuffle(args) ** 2, f)
    for i in range(args.blocks):
        for dense in DENSE_BLOCKS:
            for number in range(1, 6):
                add(f"body.{i}.{dense}.conv{number}", f + (number - 1) * g, g if number < 5 else f)
    add("conv_body", f, f)
    add("conv_up1", f, f)
    add("conv_up2", f, f)
    add("conv_hr", f, f)
    add("conv_last", f, 3)
    return shapes


def torch_module(args: RrdbNetArgs) -> torch.nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    f, g = args.features, args.growth

    def activate(x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(x, SLOPE)

    class DenseBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for number in range(1, 6):
                layer = nn.Conv2d(f + (number - 1) * g, g if number < 5 else f, 3, padding=1)
                nn.init.kaiming_normal_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
                with torch.no_grad():
                    layer.weight.mul_(RESIDUAL_INITIAL_SCALE)
                self.add_module(f"conv{number}", layer)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = [x]
            for number in range(1, 5):
                parts.append(activate(getattr(self, f"conv{number}")(torch.cat(parts, 1))))
            y: torch.Tensor = self.get_submodule("conv5")(torch.cat(parts, 1))
            return x + y * RESIDUAL_SCALE

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rdb1 = DenseBlock()
            self.rdb2 = DenseBlock()
            self.rdb3 = DenseBlock()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
            return x + y * RESIDUAL_SCALE

    class RrdbNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_first = nn.Conv2d(3 * _unshuffle(args) ** 2, f, 3, padding=1)
            self.body = nn.Sequential(*(Block() for _ in range(args.blocks)))
            self.conv_body = nn.Conv2d(f, f, 3, padding=1)
            self.conv_up1 = nn.Conv2d(f, f, 3, padding=1)
            self.conv_up2 = nn.Conv2d(f, f, 3, padding=1)
            self.conv_hr = nn.Conv2d(f, f, 3, padding=1)
            self.conv_last = nn.Conv2d(f, 3, 3, padding=1)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) -> (n, 3, h*scale, w*scale), both 0..1."""
            x = functional.pixel_unshuffle(picture, _unshuffle(args)) if _unshuffle(args) > 1 else picture
            first = self.conv_first(x)
            x = first + self.conv_body(self.body(first))
            x = activate(self.conv_up1(functional.interpolate(x, scale_factor=2, mode="nearest")))
            x = activate(self.conv_up2(functional.interpolate(x, scale_factor=2, mode="nearest")))
            restored: torch.Tensor = self.conv_last(activate(self.conv_hr(x)))
            return restored

    return RrdbNet()


def openvino_graph(
    args: RrdbNetArgs, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
) -> OpenVinoGraph:
    from engine.models.arch.graph import GraphBuilder

    graph = GraphBuilder(weights, tile, frozen)
    add, multiply = graph.ops.add, graph.ops.multiply

    def convolution(x: object, name: str) -> object:
        return graph.leaky_relu(graph.convolution(x, name), SLOPE)

    def dense_block(x: object, name: str) -> object:
        parts = [x]
        for number in range(1, 5):
            joined = graph.concatenate(parts) if number > 1 else x
            parts.append(convolution(joined, f"{name}.conv{number}"))
        y = graph.convolution(graph.concatenate(parts), f"{name}.conv5")
        return add(x, multiply(y, graph.constant(RESIDUAL_SCALE)))

    first = graph.convolution(graph.pixel_unshuffle(graph.picture, _unshuffle(args)), "conv_first")
    x = first
    for i in range(args.blocks):
        y = x
        for dense in DENSE_BLOCKS:
            y = dense_block(y, f"body.{i}.{dense}")
        x = add(x, multiply(y, graph.constant(RESIDUAL_SCALE)))
    x = add(first, graph.convolution(x, "conv_body"))
    x = convolution(graph.enlarge_nearest(x, 2), "conv_up1")
    x = convolution(graph.enlarge_nearest(x, 2), "conv_up2")
    return graph.finish(graph.convolution(convolution(x, "conv_hr"), "conv_last"), RRDBNET.id)


def receptive_radius(args: RrdbNetArgs) -> int:
    """In unshuffled pixels: 15 convolutions a block, two around the body, then four on finer grids."""
    coarse = 15 * args.blocks + 2
    # conv_last, conv_hr and conv_up2 reach 3 fine pixels; the enlargement halves them, conv_up1 adds one, halved again.
    enlarged = 2
    return (coarse + enlarged) * _unshuffle(args) + _unshuffle(args) - 1


RRDBNET = Architecture(
    id="rrdbnet",
    args_type=RrdbNetArgs,
    parameter_shapes=parameter_shapes,
    torch_module=torch_module,
    openvino_graph=openvino_graph,
    scale=lambda args: int(args.scale),
    receptive_radius=receptive_radius,
    multiple=_unshuffle,
)
