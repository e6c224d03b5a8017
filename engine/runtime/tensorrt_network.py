"""Our networks as TensorRT networks, layer by layer, straight from the torch modules: no ONNX between them.

The module is exported for one size of tile and any number of tiles. What does not depend on the picture (weights,
masks, tables, folded normalisations) is worked out by torch and becomes named weights, so that the same names can be
refitted for other weights of the network. TensorRT is told every type: weights and features narrow, the picture and
every sum that it takes part in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.errors import Code, PellucidError
from engine.models.arch import find_architecture
from engine.models.card import Card
from engine.models.model import Weights
from engine.runtime.session import Precision
from engine.runtime.torch_network import load_torch

Tensor = Any
"""torch.Tensor, or trt.ITensor where a layer is meant."""
State = Mapping[str, Tensor]

INPUT, OUTPUT = "picture", "restored"

MakeWeights = Callable[[dict[str, Tensor]], Tensor]
"""Values of the graph's constant nodes -> one engine weight, still float32."""


class ExportedNetwork:
    """A network of one card as a graph of torch operations on tiles of one size."""

    def __init__(self, card: Card, side: int) -> None:
        torch = load_torch()
        architecture = find_architecture(card.architecture)
        args = architecture.read_arguments(card.arguments)
        self.scale = architecture.scale(args)
        self.side = side
        module = _ranged(architecture.torch_module(args).eval(), architecture.ranges(args))
        picture = torch.zeros((2, 3, side, side))
        batch = torch.export.Dim("batch", min=1, max=1024)
        with torch.no_grad():
            exported = torch.export.export(module, (picture,), dynamic_shapes=({0: batch},), strict=False)
        self.nodes = list(exported.graph.nodes)
        signature = exported.graph_signature
        self._sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self._own = {**exported.state_dict, **exported.constants}
        self.entry = next(
            node for node in self.nodes if node.op == "placeholder" and node.name in signature.user_inputs
        )
        self.result = next(node for node in self.nodes if node.op == "output").args[0][0]
        self.varying = self._find_varying()

    def _find_varying(self) -> set[str]:
        """Names of the nodes that depend on the picture or on how many tiles there are."""
        varying = {self.entry.name}
        for node in self.nodes:
            if any(source.name in varying for source in node.all_input_nodes):
                varying.add(node.name)
        return varying

    def constants(self, weights: Weights) -> dict[str, Tensor]:
        """The values of every other node, for these weights, float32 and int64 as torch makes them."""
        torch = load_torch()
        values: dict[str, Tensor] = {}

        def value(argument: Any) -> Any:
            if isinstance(argument, torch.fx.Node):
                return values[argument.name]
            if isinstance(argument, list | tuple):
                return type(argument)(value(item) for item in argument)
            return argument

        with torch.no_grad():
            for node in self.nodes:
                if node.name in self.varying or node.op == "output":
                    continue
                if node.op == "placeholder":
                    name = self._sources.get(node.name, node.target)
                    key = name.removeprefix("network.")
                    values[node.name] = torch.from_numpy(np.array(weights[key])) if key in weights else self._own[name]
                else:
                    keywords = {key: value(argument) for key, argument in node.kwargs.items()}
                    values[node.name] = node.target(*(value(argument) for argument in node.args), **keywords)
        return values


def _ranged(network: Any, ranges: tuple[str, str]) -> Any:
    """The module with pictures 0..1 on both ends."""
    torch = load_torch()

    class Ranged(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, picture: Tensor) -> Tensor:
            result = self.network(picture * 2 - 1 if ranges[0] == "-1..1" else picture)
            return (result + 1) / 2 if ranges[1] == "-1..1" else result

    return Ranged()


class EngineWeights:
    """The values an engine was built with or is refitted with, by the names that it knows them by."""

    def __init__(self, exported: ExportedNetwork, makers: Mapping[str, MakeWeights], kind: Any) -> None:
        """kind: the torch dtype of narrow values."""
        self._exported = exported
        self._makers = dict(makers)
        self._kind = kind

    def __len__(self) -> int:
        return len(self._makers)

    def values(self, weights: Weights) -> dict[str, Tensor]:
        """Contiguous torch tensors on the CPU."""
        constants = self._exported.constants(weights)
        return {name: make(constants).to(self._kind).contiguous() for name, make in self._makers.items()}


def define_network(
    trt: Any, builder: Any, exported: ExportedNetwork, weights: Weights, precision: Precision
) -> Defined:
    """Fills a new network definition. `trt` is the module tensorrt or tensorrt_rtx."""
    return _Definition(trt, builder, exported, weights, precision).finish()


class Defined:
    """A network definition, what names its weights, and the arrays that must live until it is built."""

    def __init__(self, network: Any, weights: EngineWeights, held: list[Any]) -> None:
        self.network = network
        self.weights = weights
        self.held = held


class _Definition:
    def __init__(
        self, trt: Any, builder: Any, exported: ExportedNetwork, weights: Weights, precision: Precision
    ) -> None:
        torch = load_torch()
        self._trt = trt
        self._exported = exported
        self._network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        kinds = {
            "fp32": (torch.float32, trt.float32),
            "bf16": (torch.bfloat16, trt.bfloat16),
            "fp16": (torch.float16, trt.float16),
        }
        self._kind, self._low = kinds[precision]
        self._values = exported.constants(weights)
        self._makers: dict[str, MakeWeights] = {}
        self._held: list[Any] = []
        self._layers: dict[str, Any] = {}
        self._constants: dict[str, Any] = {}
        self._handlers = self._all_handlers()

    def finish(self) -> Defined:
        side = self._exported.side
        entry = self._network.add_input(INPUT, self._trt.float32, (-1, 3, side, side))
        self._layers[self._exported.entry.name] = entry
        for node in self._exported.nodes:
            if node.op != "call_function" or node.name not in self._exported.varying or node.name in self._layers:
                continue
            name = _operation(node)
            if name in _NO_TENSOR:
                continue
            handler = self._handlers.get(name)
            if handler is None:
                raise PellucidError(
                    Code.MODEL_UNSUPPORTED, f"TensorRT cannot be given the operation {name} yet.", operation=name
                )
            made = handler(node)
            if made is not None:
                self._layers[node.name] = made
        result = self._cast(self._layers[self._exported.result.name], self._trt.float32)
        result.name = OUTPUT
        self._network.mark_output(result)
        return Defined(self._network, EngineWeights(self._exported, self._makers, self._kind), self._held)

    def _all_handlers(self) -> dict[str, Callable[[Any], Any]]:
        trt = self._trt
        kind, wise = trt.ActivationType, trt.ElementWiseOperation

        def activation(which: Any) -> Callable[[Any], Any]:
            return lambda node: self._network.add_activation(self._low_input(node), which).get_output(0)

        return {
            "conv2d": self._convolution,
            "linear": self._linear,
            "matmul": self._matmul,
            "prelu": self._prelu,
            "leaky_relu": self._leaky_relu,
            "relu": activation(kind.RELU),
            "sigmoid": activation(kind.SIGMOID),
            "tanh": activation(kind.TANH),
            "gelu": activation(kind.GELU_ERF),
            "silu": self._silu,
            "pixel_shuffle": self._pixel_shuffle,
            "pixel_unshuffle": self._pixel_unshuffle,
            "upsample_nearest2d": self._nearest,
            "upsample_bilinear2d": self._bilinear,
            "cat": self._concatenate,
            "add": lambda node: self._elementwise(node, wise.SUM),
            "sub": lambda node: self._elementwise(node, wise.SUB),
            "mul": lambda node: self._elementwise(node, wise.PROD),
            "div": lambda node: self._elementwise(node, wise.DIV),
            "square": self._square,
            "sqrt": lambda node: self._unary(self._input(node), trt.UnaryOperation.SQRT),
            "rsqrt": self._reciprocal_root,
            "mean": self._mean,
            "batch_norm": self._batch_norm,
            "layer_norm": self._layer_norm,
            "softmax": self._softmax,
            "roll": self._roll,
            "slice": self._slice,
            "unbind": lambda node: None,
            "getitem": self._item,
            "permute": lambda node: self._transpose(node, node.args[1]),
            "transpose": self._swap,
            "reshape": self._reshape,
            "view": self._reshape,
            "unsqueeze": self._reshape,
            "alias": self._input,
            "to": self._input,
            "contiguous": self._input,
            "clone": self._input,
        }

    # What layers stand on.

    def _input(self, node: Any, place: int = 0) -> Any:
        return self._layers[node.args[place].name]

    def _low_input(self, node: Any, place: int = 0) -> Any:
        return self._cast(self._input(node, place), self._low)

    def _cast(self, tensor: Any, kind: Any) -> Any:
        if tensor.dtype == kind:
            return tensor
        return self._network.add_cast(tensor, kind).get_output(0)

    def _weights(self, name: str, make: MakeWeights) -> Any:
        """Named, narrow, and remembered for refitting."""
        value = make(self._values).to(self._kind).contiguous()
        self._held.append(value)
        self._makers[name] = make
        weights = self._trt.Weights(self._low, value.data_ptr(), value.numel())
        return weights, tuple(value.shape)

    def _constant(self, name: str, make: MakeWeights) -> Any:
        if name not in self._constants:
            weights, shape = self._weights(name, make)
            self._constants[name] = self._network.add_constant(shape, weights).get_output(0)
            self._network.set_weights_name(weights, name)
        return self._constants[name]

    def _fixed(self, values: Any, dtype: Any) -> Any:
        """A constant that no weights change."""
        array = np.ascontiguousarray(values, dtype)
        shape = np.shape(values)
        self._held.append(array)
        return self._network.add_constant(shape, self._trt.Weights(array)).get_output(0)

    def _number(self, value: float, rank: int, kind: Any) -> Any:
        return self._cast(self._fixed(np.full((1,) * rank, value), np.float32), kind)

    def _constant_of(self, node: Any, rank: int) -> Any:
        """A constant node's value with as many sides as what it meets."""

        def make(values: dict[str, Tensor]) -> Tensor:
            value = values[node.name]
            return value.reshape((1,) * (rank - value.dim()) + tuple(value.shape))

        return self._constant(f"{node.name} {rank}", make)

    def _shape(self, node: Any) -> tuple[int, ...]:
        """-1 where it depends on the number of tiles."""
        return tuple(side if isinstance(side, int) else -1 for side in node.meta["val"].shape)

    # Layers.

    def _convolution(self, node: Any) -> Any:
        x, kernel, bias, stride, padding, dilation, groups = _filled(
            node, (None, None, None, (1, 1), (0, 0), (1, 1), 1)
        )
        if any(side != 1 for side in (*stride, *dilation)):
            raise PellucidError(Code.MODEL_UNSUPPORTED, "TensorRT gets convolutions of stride 1 only here.")
        kernel_name = f"{node.name} kernel"
        weights, shape = self._weights(kernel_name, lambda values: values[kernel.name])
        entry = self._cast(self._layers[x.name], self._low)
        layer = self._network.add_convolution_nd(entry, shape[0], shape[2:], weights)
        self._network.set_weights_name(weights, kernel_name)
        if bias is not None:
            bias_name = f"{node.name} bias"
            layer.bias, _ = self._weights(bias_name, lambda values: values[bias.name])
            self._network.set_weights_name(layer.bias, bias_name)
        layer.padding_nd = tuple(padding)
        layer.num_groups = groups
        return layer.get_output(0)

    def _linear(self, node: Any) -> Any:
        x, weight, bias = _filled(node, (None, None, None))
        entry = self._cast(self._layers[x.name], self._low)
        rank = len(entry.shape)
        plain, turned = self._trt.MatrixOperation.NONE, self._trt.MatrixOperation.TRANSPOSE
        kernel = self._constant_of(weight, rank)
        product = self._network.add_matrix_multiply(entry, plain, kernel, turned).get_output(0)
        if bias is None:
            return product
        return self._sum(product, self._constant_of(bias, rank))

    def _sum(self, a: Any, b: Any) -> Any:
        return self._network.add_elementwise(a, b, self._trt.ElementWiseOperation.SUM).get_output(0)

    def _matmul(self, node: Any) -> Any:
        plain = self._trt.MatrixOperation.NONE
        return self._network.add_matrix_multiply(
            self._low_input(node), plain, self._low_input(node, 1), plain
        ).get_output(0)

    def _prelu(self, node: Any) -> Any:
        slopes = node.args[1].name
        constant = self._constant(f"{node.name} slopes", lambda values: values[slopes].reshape(1, -1, 1, 1))
        return self._network.add_parametric_relu(self._low_input(node), constant).get_output(0)

    def _leaky_relu(self, node: Any) -> Any:
        layer = self._network.add_activation(self._low_input(node), self._trt.ActivationType.LEAKY_RELU)
        layer.alpha = float(node.args[1]) if len(node.args) > 1 else 0.01
        return layer.get_output(0)

    def _silu(self, node: Any) -> Any:
        x = self._low_input(node)
        gate = self._network.add_activation(x, self._trt.ActivationType.SIGMOID).get_output(0)
        return self._network.add_elementwise(x, gate, self._trt.ElementWiseOperation.PROD).get_output(0)

    def _pixel_shuffle(self, node: Any) -> Any:
        factor = node.args[1]
        _, channels, height, width = self._shape(node)
        old_height, old_width = height // factor, width // factor
        return self._regroup(
            self._input(node),
            (0, channels, factor, factor, old_height, old_width),
            (0, 1, 4, 2, 5, 3),
            (0, channels, height, width),
        )

    def _pixel_unshuffle(self, node: Any) -> Any:
        factor = node.args[1]
        _, channels, height, width = self._shape(node)
        return self._regroup(
            self._input(node),
            (0, channels // factor**2, height, factor, width, factor),
            (0, 1, 3, 5, 2, 4),
            (0, channels, height, width),
        )

    def _regroup(self, x: Any, first: tuple[int, ...], order: tuple[int, ...], last: tuple[int, ...]) -> Any:
        """Sides of 0 stay what they are."""
        apart = self._network.add_shuffle(x)
        apart.reshape_dims = first
        apart.second_transpose = self._trt.Permutation(order)
        together = self._network.add_shuffle(apart.get_output(0))
        together.reshape_dims = last
        return together.get_output(0)

    def _nearest(self, node: Any) -> Any:
        layer = self._resize(node)
        layer.resize_mode = self._trt.InterpolationMode.NEAREST
        layer.coordinate_transformation = self._trt.ResizeCoordinateTransformation.ASYMMETRIC
        layer.nearest_rounding = self._trt.ResizeRoundMode.FLOOR
        return layer.get_output(0)

    def _bilinear(self, node: Any) -> Any:
        layer = self._resize(node)
        layer.resize_mode = self._trt.InterpolationMode.LINEAR
        layer.coordinate_transformation = self._trt.ResizeCoordinateTransformation.HALF_PIXEL
        return layer.get_output(0)

    def _resize(self, node: Any) -> Any:
        layer = self._network.add_resize(self._input(node))
        before, after = self._shape(node.args[0]), self._shape(node)
        layer.scales = (1.0, 1.0, after[2] / before[2], after[3] / before[3])
        return layer

    def _concatenate(self, node: Any) -> Any:
        parts = [self._layers[part.name] for part in node.args[0]]
        kind = parts[0].dtype if len({part.dtype for part in parts}) == 1 else self._trt.float32
        layer = self._network.add_concatenation([self._cast(part, kind) for part in parts])
        layer.axis = node.args[1] if len(node.args) > 1 else 0
        return layer.get_output(0)

    def _elementwise(self, node: Any, operation: Any) -> Any:
        if node.kwargs.get("alpha", 1) != 1:
            raise PellucidError(Code.MODEL_UNSUPPORTED, "TensorRT gets sums without a factor only here.")
        torch = load_torch()
        rank = len(node.meta["val"].shape)
        layers = [
            self._layers.get(argument.name) if isinstance(argument, torch.fx.Node) else None
            for argument in node.args[:2]
        ]
        known = [layer for layer in layers if layer is not None]
        wide = any(layer.dtype != known[0].dtype for layer in known)
        kind = self._trt.float32 if wide else known[0].dtype
        sides = []
        for argument, layer in zip(node.args[:2], layers, strict=True):
            if layer is None:
                constant = isinstance(argument, torch.fx.Node)
                layer = self._constant_of(argument, rank) if constant else self._number(float(argument), rank, kind)
            sides.append(self._with_rank(self._cast(layer, kind), rank))
        return self._network.add_elementwise(*sides, operation).get_output(0)

    def _with_rank(self, tensor: Any, rank: int) -> Any:
        if len(tensor.shape) == rank:
            return tensor
        shuffle = self._network.add_shuffle(tensor)
        shuffle.reshape_dims = (1,) * (rank - len(tensor.shape)) + tuple(tensor.shape)
        return shuffle.get_output(0)

    def _square(self, node: Any) -> Any:
        x = self._input(node)
        return self._network.add_elementwise(x, x, self._trt.ElementWiseOperation.PROD).get_output(0)

    def _unary(self, x: Any, operation: Any) -> Any:
        return self._network.add_unary(x, operation).get_output(0)

    def _reciprocal_root(self, node: Any) -> Any:
        root = self._unary(self._input(node), self._trt.UnaryOperation.SQRT)
        return self._unary(root, self._trt.UnaryOperation.RECIP)

    def _mean(self, node: Any) -> Any:
        keeps = node.args[2] if len(node.args) > 2 else False
        axes = sum(1 << axis % len(node.args[0].meta["val"].shape) for axis in node.args[1])
        # Thousands of values: eight bits of mantissa would not add them up.
        x = self._cast(self._input(node), self._trt.float32)
        mean = self._network.add_reduce(x, self._trt.ReduceOperation.AVG, axes, keeps).get_output(0)
        return self._cast(mean, self._input(node).dtype)

    def _batch_norm(self, node: Any) -> Any:
        gain, shift, mean, variance = (argument.name for argument in node.args[1:5])
        epsilon = node.args[7]

        def factor(values: dict[str, Tensor]) -> Tensor:
            return values[gain] / (values[variance].double() + epsilon).sqrt()

        scale, _ = self._weights(f"{node.name} scale", factor)
        moved, _ = self._weights(
            f"{node.name} shift", lambda values: values[shift] - values[mean].double() * factor(values)
        )
        layer = self._network.add_scale_nd(
            self._low_input(node), self._trt.ScaleMode.CHANNEL, moved, scale, self._trt.Weights(self._low), 1
        )
        self._network.set_weights_name(scale, f"{node.name} scale")
        self._network.set_weights_name(moved, f"{node.name} shift")
        return layer.get_output(0)

    def _layer_norm(self, node: Any) -> Any:
        x, _, gain, shift, epsilon = _filled(node, (None, None, None, None, 1e-5))
        entry = self._cast(self._layers[x.name], self._low)
        rank = len(entry.shape)
        layer = self._network.add_normalization(
            entry, self._constant_of(gain, rank), self._constant_of(shift, rank), 1 << (rank - 1)
        )
        layer.epsilon = epsilon
        return layer.get_output(0)

    def _softmax(self, node: Any) -> Any:
        layer = self._network.add_softmax(self._low_input(node))
        layer.axes = 1 << (node.args[1] % len(node.meta["val"].shape))
        return layer.get_output(0)

    def _roll(self, node: Any) -> Any:
        x = self._input(node)
        for shift, axis in zip(node.args[1], node.args[2], strict=True):
            length = self._shape(node)[axis]
            x = self._gather(x, np.roll(np.arange(length), shift), axis)
        return x

    def _slice(self, node: Any) -> Any:
        _, axis, start = _filled(node, (None, 0, 0))[:3]
        before, after = self._shape(node.args[0]), self._shape(node)
        if before == after:
            return self._input(node)
        return self._gather(self._input(node), np.arange(start or 0, (start or 0) + after[axis]), axis)

    def _item(self, node: Any) -> Any:
        """One of the parts that `unbind` took a tensor into."""
        unbind, place = node.args
        axis = unbind.args[1] if len(unbind.args) > 1 else 0
        return self._gather(self._layers[unbind.args[0].name], place, axis)

    def _gather(self, x: Any, indices: Any, axis: int) -> Any:
        return self._network.add_gather(x, self._fixed(indices, np.int32), axis).get_output(0)

    def _swap(self, node: Any) -> Any:
        order = list(range(len(node.meta["val"].shape)))
        a, b = node.args[1] % len(order), node.args[2] % len(order)
        order[a], order[b] = order[b], order[a]
        return self._transpose(node, order)

    def _transpose(self, node: Any, order: Any) -> Any:
        layer = self._network.add_shuffle(self._input(node))
        layer.first_transpose = self._trt.Permutation([axis % len(order) for axis in order])
        return layer.get_output(0)

    def _reshape(self, node: Any) -> Any:
        shape = self._shape(node)
        if shape.count(-1) > 1:
            raise PellucidError(Code.MODEL_UNSUPPORTED, "TensorRT gets tensors with one free side only here.")
        layer = self._network.add_shuffle(self._input(node))
        layer.reshape_dims = shape
        return layer.get_output(0)


_NO_TENSOR = {"sym_size", "_assert_tensor_metadata", "_assert_scalar", "ge", "le", "mul_sym"}
"""What an export says about the number of tiles: TensorRT works that out by itself."""


def _operation(node: Any) -> str:
    """conv2d for aten.conv2d.default."""
    name = getattr(node.target, "_opname", None) or getattr(node.target, "__name__", str(node.target))
    return str(name).split(".")[0]


def _filled(node: Any, defaults: tuple[Any, ...]) -> list[Any]:
    """The positional arguments, the missing ones as torch takes them."""
    return [node.args[k] if k < len(node.args) else default for k, default in enumerate(defaults)]
