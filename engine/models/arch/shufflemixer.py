"""ShuffleMixer: large depthwise convolutions, point-wise mixing of half the channels, channel shuffles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes
from engine.models.model import Weights

if TYPE_CHECKING:
    import torch

SHUFFLE_GROUPS = 8
FUSION_EXTRA = 16
"""Channels that the fusing convolution of a block has more than the net."""
NORM_EPSILON = 1e-5


class ShuffleMixerArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: Annotated[int, msgspec.Meta(ge=8, le=512, multiple_of=8)] = 64
    kernel: Annotated[int, msgspec.Meta(ge=1, le=31)] = 7
    """Side of the depthwise convolutions, odd."""
    blocks: Annotated[int, msgspec.Meta(ge=0, le=64)] = 5
    expansion: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    scale: Literal[2, 3, 4] = 4

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}")


def _stages(args: ShuffleMixerArgs) -> tuple[int, ...]:
    return (2, 2) if args.scale == 4 else (args.scale,)


def parameter_shapes(args: ShuffleMixerArgs) -> Shapes:
    f, half = args.features, args.features // 2
    shapes: Shapes = {"to_feat.weight": (f, 3, 3, 3)}

    def add(name: str, inputs: int, outputs: int, side: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, side, side)
        shapes[f"{name}.bias"] = (outputs,)

    for i in range(args.blocks):
        for layer in (f"blocks.{i}.net.0", f"blocks.{i}.net.1"):
            shapes[f"{layer}.norm1.body.weight"] = (f,)
            shapes[f"{layer}.norm2.body.weight"] = (f,)
            add(f"{layer}.spatial", 1, f, args.kernel)
            for mlp in ("mlp1", "mlp2"):
                add(f"{layer}.{mlp}.fc.0", half, half * args.expansion, 1)
                add(f"{layer}.{mlp}.fc.2", half * args.expansion, half, 1)
        add(f"blocks.{i}.conv.0", f, f + FUSION_EXTRA, 3)
        add(f"blocks.{i}.conv.2", f + FUSION_EXTRA, f, 1)
    for number, factor in enumerate(_stages(args)):
        add(f"upsapling.{3 * number}", f, f * factor**2, 1)  # sic: the name in published weights
    add("tail", f, 3, 3)
    return shapes


def torch_module(args: ShuffleMixerArgs) -> torch.nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    f, half = args.features, args.features // 2

    class ChannelNorm(nn.Module):
        """Each pixel's channels to zero mean and unit variance, then a gain."""

        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Module()
            self.body.register_parameter("weight", nn.Parameter(torch.ones(f)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            centred = x - x.mean(1, keepdim=True)
            variance = centred.square().mean(1, keepdim=True)
            gain: torch.Tensor = self.body.get_parameter("weight")
            return centred * torch.rsqrt(variance + NORM_EPSILON) * gain.view(1, -1, 1, 1)

    class SplitMlp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Sequential(
                nn.Conv2d(half, half * args.expansion, 1), nn.SiLU(), nn.Conv2d(half * args.expansion, half, 1)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mixed = torch.cat((self.fc(x[:, :half]), x[:, half:]), 1)
            n, c, h, w = mixed.shape
            shuffled = mixed.view(n, SHUFFLE_GROUPS, c // SHUFFLE_GROUPS, h, w).transpose(1, 2)
            return shuffled.reshape(n, c, h, w)

    class MixingLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = ChannelNorm()
            self.norm2 = ChannelNorm()
            self.spatial = nn.Conv2d(f, f, args.kernel, padding=args.kernel // 2, groups=f)
            self.mlp1 = SplitMlp()
            self.mlp2 = SplitMlp()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.spatial(x + self.mlp1(self.norm1(x)))
            y: torch.Tensor = self.mlp2(self.norm2(x))
            return x + y

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(MixingLayer(), MixingLayer())
            self.conv = nn.Sequential(
                nn.Conv2d(f, f + FUSION_EXTRA, 3, padding=1), nn.SiLU(), nn.Conv2d(f + FUSION_EXTRA, f, 1)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.net(x)
            y: torch.Tensor = self.conv(x)
            return x + y

    class ShuffleMixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.to_feat = nn.Conv2d(3, f, 3, padding=1, bias=False)
            self.blocks = nn.Sequential(*(Block() for _ in range(args.blocks)))
            stages: list[nn.Module] = []
            for factor in _stages(args):
                stages += [nn.Conv2d(f, f * factor**2, 1), nn.PixelShuffle(factor), nn.SiLU()]
            self.upsapling = nn.Sequential(*stages)
            self.tail = nn.Conv2d(f, 3, 3, padding=1)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) -> (n, 3, h*scale, w*scale), both 0..1."""
            detail: torch.Tensor = self.tail(self.upsapling(self.blocks(self.to_feat(picture))))
            return detail + functional.interpolate(
                picture, scale_factor=args.scale, mode="bilinear", align_corners=False
            )

    return ShuffleMixer()


def openvino_graph(
    args: ShuffleMixerArgs, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
) -> OpenVinoGraph:
    import numpy as np

    from engine.models.arch.graph import GraphBuilder, Node

    graph = GraphBuilder(weights, tile, frozen)
    ops = graph.ops
    channel_axis = graph.constant([1], np.int64)

    def norm(x: Node, name: str) -> Node:
        centred = ops.subtract(x, ops.reduce_mean(x, channel_axis, True))
        variance = ops.reduce_mean(ops.multiply(centred, centred), channel_axis, True)
        deviation = ops.sqrt(ops.add(variance, graph.constant(NORM_EPSILON)))
        return ops.multiply(ops.divide(centred, deviation), graph.channel_vector(f"{name}.body.weight"))

    def mlp(x: Node, name: str) -> Node:
        mixed, kept = ops.split(x, graph.constant(1, np.int64), 2).outputs()
        mixed = ops.swish(graph.convolution(mixed, f"{name}.fc.0", padding=0))
        mixed = graph.convolution(mixed, f"{name}.fc.2", padding=0)
        return ops.shuffle_channels(graph.concatenate([mixed, kept]), 1, SHUFFLE_GROUPS)

    x = graph.convolution(graph.picture, "to_feat", bias=False)
    for i in range(args.blocks):
        y = x
        for layer in (f"blocks.{i}.net.0", f"blocks.{i}.net.1"):
            y = ops.add(y, mlp(norm(y, f"{layer}.norm1"), f"{layer}.mlp1"))
            y = graph.depthwise_convolution(y, f"{layer}.spatial", args.kernel // 2)
            y = ops.add(y, mlp(norm(y, f"{layer}.norm2"), f"{layer}.mlp2"))
        x = ops.add(x, y)
        y = ops.swish(graph.convolution(x, f"blocks.{i}.conv.0"))
        x = ops.add(x, graph.convolution(y, f"blocks.{i}.conv.2", padding=0))
    for number, factor in enumerate(_stages(args)):
        # Activation and shuffle commute; this order lets the convolution absorb the activation.
        x = graph.pixel_shuffle(ops.swish(graph.convolution(x, f"upsapling.{3 * number}", padding=0)), factor)
    x = graph.convolution(x, "tail")
    return graph.finish(ops.add(x, graph.enlarge_bilinear(graph.picture, args.scale)), SHUFFLEMIXER.id)


def receptive_radius(args: ShuffleMixerArgs) -> int:
    """Two depthwise convolutions and a 3x3 one a block, the first convolution, and less than one for the tail."""
    return args.blocks * (2 * (args.kernel // 2) + 1) + 2


SHUFFLEMIXER = Architecture(
    id="shufflemixer",
    args_type=ShuffleMixerArgs,
    parameter_shapes=parameter_shapes,
    torch_module=torch_module,
    openvino_graph=openvino_graph,
    scale=lambda args: int(args.scale),
    receptive_radius=receptive_radius,
    multiple=lambda args: 1,
)
