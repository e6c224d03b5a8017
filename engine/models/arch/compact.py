"""SRVGG "compact": a plain stack of convolutions at input resolution, one pixel shuffle, plus the enlarged input.

State-dict names are the community's: body.0 is the first convolution, odd numbers are PReLU slopes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from engine.models.arch.architecture import Architecture, OpenVinoGraph, Shapes
from engine.models.model import Weights

Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Weight, bias and PReLU slopes."""

if TYPE_CHECKING:
    import torch


class CompactArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: Annotated[int, msgspec.Meta(ge=1, le=512)] = 64
    convolutions: Annotated[int, msgspec.Meta(ge=0, le=128)] = 16
    """Between the first and the last one."""
    scale: Literal[1, 2, 3, 4, 8] = 4


def _last(args: CompactArgs) -> int:
    """Number of the last convolution in `body`."""
    return 2 * args.convolutions + 2


def parameter_shapes(args: CompactArgs) -> Shapes:
    f = args.features
    shapes: Shapes = {}
    for i in range(0, _last(args), 2):
        shapes[f"body.{i}.weight"] = (f, 3 if i == 0 else f, 3, 3)
        shapes[f"body.{i}.bias"] = (f,)
        shapes[f"body.{i + 1}.weight"] = (f,)
    shapes[f"body.{_last(args)}.weight"] = (3 * args.scale**2, f, 3, 3)
    shapes[f"body.{_last(args)}.bias"] = (3 * args.scale**2,)
    return shapes


def torch_module(args: CompactArgs) -> torch.nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    def convolution(inputs: int, outputs: int, share: float) -> nn.Conv2d:
        """Begins as `share` of random weights that keep the spread of what passes through."""
        layer = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(layer.weight, a=0.25)
        layer.weight.data.mul_(share)
        assert layer.bias is not None
        layer.bias.data.zero_()
        return layer

    def passing_on() -> nn.Conv2d:
        """Begins by handing on what it gets, but for a little. There is no way around these layers: sixteen random
        ones would scatter each pixel over its whole neighbourhood, and learning would begin by gathering it again."""
        layer = convolution(args.features, args.features, 0.1)
        with torch.no_grad():
            layer.weight.add_(nn.init.dirac_(torch.empty_like(layer.weight)))
        return layer

    class Compact(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for i in range(args.convolutions + 1):
                layers.append(convolution(3, args.features, 1.0) if i == 0 else passing_on())
                layers.append(nn.PReLU(args.features))
            # Little detail at first: the enlarged input is a fair guess.
            layers.append(convolution(args.features, 3 * args.scale**2, 0.1))
            self.body = nn.ModuleList(layers)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            """(n, 3, h, w) -> (n, 3, h*scale, w*scale), both 0..1."""
            x = picture
            for layer in self.body:
                x = layer(x)
            detail = functional.pixel_shuffle(x, args.scale)
            return detail + functional.interpolate(picture, scale_factor=args.scale, mode="nearest")

    return Compact()


def openvino_graph(
    args: CompactArgs, weights: Weights, tile: tuple[int, int] | None = None, frozen: bool = False
) -> OpenVinoGraph:
    from engine.models.arch.graph import GraphBuilder

    graph = GraphBuilder(weights, tile, frozen)
    x = graph.picture
    for i in range(0, _last(args), 2):
        x = graph.prelu(graph.convolution(x, f"body.{i}"), f"body.{i + 1}.weight")
    x = graph.convolution(x, f"body.{_last(args)}")
    # The enlarged input enters before the shuffle, where it is only each channel repeated.
    copies = graph.constant(np.repeat([0, 1, 2], args.scale**2), np.int64)
    base = graph.ops.gather(graph.picture, copies, graph.constant(1, np.int64))
    return graph.finish(graph.pixel_shuffle(graph.ops.add(x, base), args.scale), COMPACT.id)


def receptive_radius(args: CompactArgs) -> int:
    return args.convolutions + 2


def adapt(weights: Weights, there: CompactArgs, here: CompactArgs) -> Weights | None:
    """The weights of one network as those of another that has more layers, or another scale: it returns the same
    picture, larger by doubled pixels, smaller by their means. None where the two differ in anything else."""
    deeper = here.convolutions >= there.convolutions
    divides = max(here.scale, there.scale) % min(here.scale, there.scale) == 0
    if not (deeper and divides and here.features == there.features):
        return None
    layers = there.convolutions + 1
    body = [
        (weights[f"body.{i}.weight"], weights[f"body.{i}.bias"], weights[f"body.{i + 1}.weight"])
        for i in range(0, 2 * layers, 2)
    ]
    result: dict[str, npt.NDArray[np.float32]] = {}
    for i, (weight, bias, slopes) in enumerate(_spread(body, here)):
        result |= {f"body.{2 * i}.weight": weight, f"body.{2 * i}.bias": bias, f"body.{2 * i + 1}.weight": slopes}
    for part in ("weight", "bias"):
        last = weights[f"body.{_last(there)}.{part}"]
        result[f"body.{_last(here)}.{part}"] = _at_scale(last, there.scale, here.scale)
    return result


def _spread(body: list[Layer], here: CompactArgs) -> list[Layer]:
    """The layers with others between them, evenly, that hand on what they get: as many as `here` has."""
    as_it_is = np.zeros((here.features, here.features, 3, 3), np.float32)
    as_it_is[range(here.features), range(here.features), 1, 1] = 1
    handing_on = (as_it_is, np.zeros(here.features, np.float32), np.ones(here.features, np.float32))
    added = here.convolutions + 1 - len(body)
    stack: list[Layer] = []
    for i, layer in enumerate(body):
        stack += [layer] + [handing_on] * (round((i + 1) * added / len(body)) - round(i * added / len(body)))
    return stack


def _at_scale(last: npt.NDArray[np.float32], there: int, here: int) -> npt.NDArray[np.float32]:
    """(3 * there * there, ...) -> (3 * here * here, ...): the last layer's filters, one for each pixel that the network
    makes of one. The enlarged input needs nothing: its pixels are equal."""
    filters = last.reshape(3, there, there, -1)
    if here > there:
        filters = filters.repeat(here // there, axis=1).repeat(here // there, axis=2)
    else:
        filters = filters.reshape(3, here, there // here, here, there // here, -1).mean((2, 4), dtype=np.float64)
    return np.ascontiguousarray(filters.reshape(-1, *last.shape[1:]), np.float32)


COMPACT = Architecture(
    id="compact",
    args_type=CompactArgs,
    parameter_shapes=parameter_shapes,
    torch_module=torch_module,
    openvino_graph=openvino_graph,
    scale=lambda args: int(args.scale),
    receptive_radius=receptive_radius,
    multiple=lambda args: 1,
    adapt=adapt,
)
