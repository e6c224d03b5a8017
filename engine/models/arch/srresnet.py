"""SRResNet of SRGAN: residual blocks with batch normalisation and PReLU, 9x9 convolutions at both ends.

The head is linear (pictures 0..1) or tanh (pictures -1..1 come out); the card states which, and is checked. To run,
normalisations are folded into the convolutions before them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes
from engine.models.card import ValueRange
from engine.models.model import Weights

if TYPE_CHECKING:
    import torch

NORM_EPSILON = 1e-5
NORM_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class SrResNetArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: Annotated[int, msgspec.Meta(ge=1, le=512)] = 64
    blocks: Annotated[int, msgspec.Meta(ge=0, le=128)] = 16
    scale: Literal[2, 4] = 4
    head: Literal["linear", "tanh"] = "linear"


def _stages(args: SrResNetArgs) -> int:
    """Number of x2 pixel-shuffle stages."""
    return 1 if args.scale == 2 else 2


def _convolutions(args: SrResNetArgs) -> list[tuple[str, str, int, int, int]]:
    """(name, name of the normalisation behind it or "", inputs, outputs, side) in order."""
    f = args.features
    found = [("conv_first", "", 3, f, 9)]
    for i in range(args.blocks):
        found.append((f"body.{i}.conv1", f"body.{i}.bn1", f, f, 3))
        found.append((f"body.{i}.conv2", f"body.{i}.bn2", f, f, 3))
    found.append(("conv_body", "bn_body", f, f, 3))
    found += [(f"upconv{n}", "", f, 4 * f, 3) for n in range(1, _stages(args) + 1)]
    found.append(("conv_last", "", f, 3, 9))
    return found


def parameter_shapes(args: SrResNetArgs) -> Shapes:
    shapes: Shapes = {}
    for name, norm, inputs, outputs, side in _convolutions(args):
        shapes[f"{name}.weight"] = (outputs, inputs, side, side)
        shapes[f"{name}.bias"] = (outputs,)
        if norm:
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{norm}.{part}"] = (outputs,)
            shapes[f"{norm}.num_batches_tracked"] = ()
        if name == "conv_first":
            shapes["prelu_first.weight"] = (1,)
        elif name.endswith("conv1") and norm:
            shapes[name.removesuffix("conv1") + "prelu.weight"] = (1,)
        elif name.startswith("upconv"):
            shapes[name.replace("upconv", "prelu_up") + ".weight"] = (1,)
    return shapes


def torch_module(args: SrResNetArgs) -> torch.nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    f = args.features

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(f, f, 3, padding=1)
            self.bn1 = nn.BatchNorm2d(f, eps=NORM_EPSILON)
            self.prelu = nn.PReLU()
            self.conv2 = nn.Conv2d(f, f, 3, padding=1)
            self.bn2 = nn.BatchNorm2d(f, eps=NORM_EPSILON)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))
            return x + y

    class SrResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_first = nn.Conv2d(3, f, 9, padding=4)
            self.prelu_first = nn.PReLU()
            self.body = nn.Sequential(*(Block() for _ in range(args.blocks)))
            self.conv_body = nn.Conv2d(f, f, 3, padding=1)
            self.bn_body = nn.BatchNorm2d(f, eps=NORM_EPSILON)
            for n in range(1, _stages(args) + 1):
                self.add_module(f"upconv{n}", nn.Conv2d(f, 4 * f, 3, padding=1))
                self.add_module(f"prelu_up{n}", nn.PReLU())
            self.conv_last = nn.Conv2d(f, 3, 9, padding=4)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) 0..1 -> (n, 3, h*scale, w*scale), 0..1 from a linear head, -1..1 from tanh."""
            first = self.prelu_first(self.conv_first(picture))
            x = first + self.bn_body(self.conv_body(self.body(first)))
            for n in range(1, _stages(args) + 1):
                x = functional.pixel_shuffle(self.get_submodule(f"upconv{n}")(x), 2)
                x = self.get_submodule(f"prelu_up{n}")(x)
            x = self.conv_last(x)
            return torch.tanh(x) if args.head == "tanh" else x

    return SrResNet()


def fold_normalisation(args: SrResNetArgs, weights: Weights) -> dict[str, npt.NDArray[np.float32]]:
    """Convolutions that contain the normalisation behind them, named "... folded", and the slopes as they are."""
    folded: dict[str, npt.NDArray[np.float32]] = {}
    for name, norm, _, outputs, _ in _convolutions(args):
        gain, shift = np.ones(outputs), np.zeros(outputs)
        if norm:
            gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + NORM_EPSILON)
            shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain
        folded[f"{name} folded.weight"] = (weights[f"{name}.weight"] * gain[:, None, None, None]).astype(np.float32)
        folded[f"{name} folded.bias"] = (weights[f"{name}.bias"] * gain + shift).astype(np.float32)
    folded.update({name: value for name, value in weights.items() if "prelu" in name})
    return folded


def openvino_graph(
    args: SrResNetArgs, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
) -> OpenVinoGraph:
    from engine.models.arch.graph import GraphBuilder

    graph = GraphBuilder(weights, tile, frozen, lambda state: fold_normalisation(args, state))
    first = graph.prelu(graph.convolution(graph.picture, "conv_first folded", padding=4), "prelu_first.weight")
    x = first
    for i in range(args.blocks):
        y = graph.prelu(graph.convolution(x, f"body.{i}.conv1 folded"), f"body.{i}.prelu.weight")
        x = graph.ops.add(x, graph.convolution(y, f"body.{i}.conv2 folded"))
    x = graph.ops.add(first, graph.convolution(x, "conv_body folded"))
    for n in range(1, _stages(args) + 1):
        # One slope for all channels: activation and shuffle commute.
        x = graph.pixel_shuffle(graph.prelu(graph.convolution(x, f"upconv{n} folded"), f"prelu_up{n}.weight"), 2)
    x = graph.convolution(x, "conv_last folded", padding=4)
    return graph.finish(graph.ops.tanh(x) if args.head == "tanh" else x, SRRESNET.id)


def receptive_radius(args: SrResNetArgs) -> int:
    """4 for the first convolution, one each in the body and the first upconv; then stages look from finer grids."""
    reach = 4.0 + 2 * args.blocks + 1
    size = 1.0
    for _ in range(_stages(args)):
        reach += size
        size /= 2
    reach += 4 * size
    # An output pixel lies up to half an input pixel off its own input pixel's centre.
    return int(-(-(reach + 0.5 - size / 2) // 1))


def ranges(args: SrResNetArgs) -> tuple[ValueRange, ValueRange]:
    return "0..1", "-1..1" if args.head == "tanh" else "0..1"


SRRESNET = Architecture(
    id="srresnet",
    args_type=SrResNetArgs,
    parameter_shapes=parameter_shapes,
    torch_module=torch_module,
    openvino_graph=openvino_graph,
    scale=lambda args: int(args.scale),
    receptive_radius=receptive_radius,
    multiple=lambda args: 1,
    buffers=NORM_BUFFERS,
    ranges=ranges,
)
