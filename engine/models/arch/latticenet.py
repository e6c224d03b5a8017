"""LatticeNet: lattice blocks that combine two paths with learned coefficients, fused backwards.

The coefficients come from the mean and the deviation of every channel over the whole picture, so this net sees all of
its input at once: a tile is restored by its own statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np

from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes
from engine.models.model import Weights

if TYPE_CHECKING:
    import torch

SLOPE = 0.05
REDUCTION = 16
RGB_MEAN = (0.4488, 0.4371, 0.4040)
VARIANCE_EPSILON = 1e-8
"""Keeps the deviation of a constant channel differentiable."""


class LatticeNetArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: Annotated[int, msgspec.Meta(ge=16, le=512, multiple_of=16)] = 64
    narrow: Annotated[int, msgspec.Meta(ge=1, le=512)] = 48
    """Channels inside a lattice block's convolutions."""
    scale: Literal[1, 2, 3, 4] = 4


BLOCKS = 4


def parameter_shapes(args: LatticeNetArgs) -> Shapes:
    f, n = args.features, args.narrow
    shapes: Shapes = {}

    def add(name: str, inputs: int, outputs: int, side: int = 3) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, side, side)
        shapes[f"{name}.bias"] = (outputs,)

    def add_path(name: str) -> None:
        add(f"{name}.0", f, n)
        add(f"{name}.2", n, n)
        add(f"{name}.4", n, f)

    def add_coefficient(name: str) -> None:
        for part in ("conv_mean", "conv_std"):
            add(f"{name}.{part}.0", f, f // REDUCTION, 1)
            add(f"{name}.{part}.2", f // REDUCTION, f, 1)

    add("conv1", 3, f)
    add("conv2", f, f)
    for block in range(1, BLOCKS + 1):
        name = f"body_unit{block}"
        add_path(f"{name}.conv_block0")
        add_coefficient(f"{name}.fea_ca1")
        add_coefficient(f"{name}.x_ca1")
        add_path(f"{name}.conv_block1")
        add_coefficient(f"{name}.fea_ca2")
        add_coefficient(f"{name}.x_ca2")
        add(f"{name}.compress", 2 * f, f, 1)
    for fusion in range(1, BLOCKS):
        add(f"T_tdm{fusion}.0", f, f // 2, 1)
        add(f"L_tdm{fusion}.0", f, f // 2, 1)
    add("tail.0", f, f)
    add("tail.1", f, 3 * args.scale**2)
    return shapes


def torch_module(args: LatticeNetArgs) -> torch.nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    f, n = args.features, args.narrow

    def path() -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, outputs in ((f, n), (n, n), (n, f)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE)]
        return nn.Sequential(*layers)

    def squeeze() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(f, f // REDUCTION, 1), nn.ReLU(), nn.Conv2d(f // REDUCTION, f, 1), nn.Sigmoid())

    class Coefficient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_mean = squeeze()
            self.conv_std = squeeze()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.mean((2, 3), keepdim=True)
            deviation = torch.sqrt((x - mean).square().mean((2, 3), keepdim=True) + VARIANCE_EPSILON)
            total: torch.Tensor = self.conv_mean(mean) + self.conv_std(deviation)
            return total / 2

    class LatticeBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_block0 = path()
            self.fea_ca1 = Coefficient()
            self.x_ca1 = Coefficient()
            self.conv_block1 = path()
            self.fea_ca2 = Coefficient()
            self.x_ca2 = Coefficient()
            self.compress = nn.Conv2d(2 * f, f, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            near = self.conv_block0(x)
            p = x + self.fea_ca1(near) * near
            q = near + self.x_ca1(x) * x
            far = self.conv_block1(p)
            joined = torch.cat((far + self.fea_ca2(q) * q, q + self.x_ca2(far) * far), 1)
            out: torch.Tensor = self.compress(joined)
            return out

    class LatticeNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
            self.conv1 = nn.Conv2d(3, f, 3, padding=1)
            self.conv2 = nn.Conv2d(f, f, 3, padding=1)
            for block in range(1, BLOCKS + 1):
                self.add_module(f"body_unit{block}", LatticeBlock())
            for fusion in range(1, BLOCKS):
                self.add_module(f"T_tdm{fusion}", nn.Sequential(nn.Conv2d(f, f // 2, 1), nn.ReLU()))
                self.add_module(f"L_tdm{fusion}", nn.Sequential(nn.Conv2d(f, f // 2, 1), nn.ReLU()))
            self.tail = nn.Sequential(nn.Conv2d(f, f, 3, padding=1), nn.Conv2d(f, 3 * args.scale**2, 3, padding=1))

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) -> (n, 3, h*scale, w*scale), both 0..1."""
            mean = self.get_buffer("mean")
            first = self.conv2(self.conv1(picture - mean))
            states = [first]
            for block in range(1, BLOCKS + 1):
                states.append(self.get_submodule(f"body_unit{block}")(states[-1]))
            fused = states[BLOCKS]
            for fusion in range(1, BLOCKS):
                top = self.get_submodule(f"T_tdm{fusion}")(fused)
                side = self.get_submodule(f"L_tdm{fusion}")(states[BLOCKS - fusion])
                fused = torch.cat((top, side), 1)
            return functional.pixel_shuffle(self.tail(fused + first), args.scale) + mean

    return LatticeNet()


def openvino_graph(
    args: LatticeNetArgs, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
) -> OpenVinoGraph:
    from engine.models.arch.graph import GraphBuilder, Node

    graph = GraphBuilder(weights, tile, frozen)
    ops = graph.ops
    add, multiply = ops.add, ops.multiply
    plane = graph.constant([2, 3], np.int64)
    mean_colour = graph.constant(np.array(RGB_MEAN).reshape(1, 3, 1, 1))

    def path(x: Node, name: str) -> Node:
        for number in (0, 2, 4):
            x = graph.leaky_relu(graph.convolution(x, f"{name}.{number}"), SLOPE)
        return x

    def squeeze(x: Node, name: str) -> Node:
        x = ops.relu(graph.convolution(x, f"{name}.0", padding=0))
        return ops.sigmoid(graph.convolution(x, f"{name}.2", padding=0))

    def coefficient(x: Node, name: str) -> Node:
        mean = ops.reduce_mean(x, plane, True)
        centred = ops.subtract(x, mean)
        variance = ops.reduce_mean(multiply(centred, centred), plane, True)
        deviation = ops.sqrt(add(variance, graph.constant(VARIANCE_EPSILON)))
        total = add(squeeze(mean, f"{name}.conv_mean"), squeeze(deviation, f"{name}.conv_std"))
        return multiply(total, graph.constant(0.5))

    def lattice_block(x: Node, name: str) -> Node:
        near = path(x, f"{name}.conv_block0")
        p = add(x, multiply(coefficient(near, f"{name}.fea_ca1"), near))
        q = add(near, multiply(coefficient(x, f"{name}.x_ca1"), x))
        far = path(p, f"{name}.conv_block1")
        upper = add(far, multiply(coefficient(q, f"{name}.fea_ca2"), q))
        lower = add(q, multiply(coefficient(far, f"{name}.x_ca2"), far))
        return graph.convolution(graph.concatenate([upper, lower]), f"{name}.compress", padding=0)

    first = graph.convolution(graph.convolution(ops.subtract(graph.picture, mean_colour), "conv1"), "conv2")
    states = [first]
    for block in range(1, BLOCKS + 1):
        states.append(lattice_block(states[-1], f"body_unit{block}"))
    fused = states[BLOCKS]
    for fusion in range(1, BLOCKS):
        top = ops.relu(graph.convolution(fused, f"T_tdm{fusion}.0", padding=0))
        side = ops.relu(graph.convolution(states[BLOCKS - fusion], f"L_tdm{fusion}.0", padding=0))
        fused = graph.concatenate([top, side])
    x = graph.convolution(graph.convolution(add(fused, first), "tail.0"), "tail.1")
    return graph.finish(add(graph.pixel_shuffle(x, args.scale), mean_colour), LATTICENET.id)


LATTICENET = Architecture(
    id="latticenet",
    args_type=LatticeNetArgs,
    parameter_shapes=parameter_shapes,
    torch_module=torch_module,
    openvino_graph=openvino_graph,
    scale=lambda args: int(args.scale),
    receptive_radius=lambda args: None,
    multiple=lambda args: 1,
)
