"""Building blocks of OpenVINO graphs whose weights are inputs.

Everything is float32; the plugin's precision hint decides what it computes in. Facts that shaped this (measured):
convolution weights and biases as inputs cost 2-7 %; a bias and a PReLU slope that are both inputs break the plugin's
fusion and cost 3.8 times in float32, so PReLU is written as max(x, 0) + slope * min(x, 0) here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.models.arch.architecture import OpenVinoGraph
from engine.models.model import Weights

if TYPE_CHECKING:
    import openvino

Node = Any
"""openvino.Node; the library's type hints are not used by the checker."""


class GraphBuilder:
    """Collects the nodes and the weight inputs of one graph."""

    def __init__(
        self,
        weights: Weights,
        tile: tuple[int, int] | None,
        frozen: bool = False,
        fold: Callable[[Weights], Weights] | None = None,
    ) -> None:
        import openvino
        from openvino import opset13

        self.ops = opset13
        self._fold = fold
        self._frozen = frozen
        self._weights = weights if fold is None else fold(weights)
        self._inputs: dict[str, Node] = {}
        height, width = tile if tile is not None else (-1, -1)
        self.picture: Node = self.ops.parameter(
            openvino.PartialShape([1, 3, height, width]), np.float32, name="picture"
        )

    def weight(self, name: str) -> Node:
        """The graph input that carries this tensor, in its own shape; in a frozen graph, the tensor itself."""
        if self._frozen:
            return self.ops.constant(np.ascontiguousarray(self._weights[name], np.float32), name=name)
        if name not in self._inputs:
            self._inputs[name] = self.ops.parameter(list(self._weights[name].shape), np.float32, name=name)
        return self._inputs[name]

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> Node:
        return self.ops.constant(np.asarray(value, dtype=dtype))

    def channel_vector(self, name: str) -> Node:
        """A weight of shape (c,) as (1, c, 1, 1)."""
        return self.ops.reshape(self.weight(name), self.constant([1, -1, 1, 1], np.int64), False)

    def convolution(self, x: Node, name: str, padding: int = 1, bias: bool = True) -> Node:
        """Stride 1, zeros around; weights `name`.weight and `name`.bias."""
        y = self.ops.convolution(x, self.weight(f"{name}.weight"), [1, 1], [padding] * 2, [padding] * 2, [1, 1])
        return self.ops.add(y, self.channel_vector(f"{name}.bias")) if bias else y

    def depthwise_convolution(self, x: Node, name: str, padding: int) -> Node:
        weight = self.weight(f"{name}.weight")  # (c, 1, k, k)
        c, _, k, _ = self._weights[f"{name}.weight"].shape
        grouped = self.ops.reshape(weight, self.constant([c, 1, 1, k, k], np.int64), False)
        y = self.ops.group_convolution(x, grouped, [1, 1], [padding] * 2, [padding] * 2, [1, 1])
        return self.ops.add(y, self.channel_vector(f"{name}.bias"))

    def leaky_relu(self, x: Node, slope: float) -> Node:
        return self.ops.prelu(x, self.constant([slope]))

    def prelu(self, x: Node, slope_name: str) -> Node:
        """max(x, 0) + slope * min(x, 0): the form that stays fast with the slope as an input; frozen: PReLU itself."""
        if self._frozen:
            return self.ops.prelu(x, self.weight(slope_name))
        zero = self.constant(0.0)
        negative = self.ops.multiply(self.channel_vector(slope_name), self.ops.minimum(x, zero))
        return self.ops.add(self.ops.maximum(x, zero), negative)

    def pixel_shuffle(self, x: Node, factor: int) -> Node:
        return x if factor == 1 else self.ops.depth_to_space(x, "depth_first", factor)

    def pixel_unshuffle(self, x: Node, factor: int) -> Node:
        return x if factor == 1 else self.ops.space_to_depth(x, "depth_first", factor)

    def enlarge_nearest(self, x: Node, factor: int) -> Node:
        """Every pixel becomes a square of factor x factor."""
        return self._interpolate(x, factor, "nearest", "asymmetric")

    def enlarge_bilinear(self, x: Node, factor: int) -> Node:
        """Bilinear, pixel centres aligned, edges repeated."""
        return self._interpolate(x, factor, "linear_onnx", "half_pixel")

    def _interpolate(self, x: Node, factor: int, mode: str, coordinates: str) -> Node:
        if factor == 1:
            return x
        return self.ops.interpolate(
            x,
            self.constant([factor, factor]),
            mode=mode,
            shape_calculation_mode="scales",
            coordinate_transformation_mode=coordinates,
            nearest_mode="floor",
            axes=self.constant([2, 3], np.int64),
        )

    def concatenate(self, parts: Sequence[Node], axis: int = 1) -> Node:
        return self.ops.concat(list(parts), axis)

    def finish(self, output: Node, name: str) -> OpenVinoGraph:
        import openvino

        inputs = [self.picture, *self._inputs.values()]
        model: openvino.Model = openvino.Model([self.ops.result(output, name="restored")], inputs, name)
        return OpenVinoGraph(model, tuple(self._inputs), self._fold)
