"""Every generator as a TensorRT network: built whole without a GPU, and its description worked out step by step.

No engine can run here. What can be checked is what TensorRT was told: an interpreter below reads the description back,
layer by layer, from TensorRT's own objects and computes with torch what TensorRT's documentation says each layer does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from engine.errors import PellucidError
from engine.models.card import Card
from engine.models.model import Model
from engine.models.presets import PRESETS
from engine.runtime.choose import open_session
from engine.runtime.tensorrt_builder import EngineBuild
from engine.runtime.tensorrt_engine import TensorRtEngine, build_engine
from engine.runtime.tensorrt_library import find_flavour, is_installed, load_library, quiet_logger
from engine.runtime.tensorrt_network import INPUT, OUTPUT, Defined, ExportedNetwork, define_network
from engine.tiling.measure import natural_picture

pytestmark = [
    pytest.mark.trt,
    pytest.mark.skipif(
        not is_installed(find_flavour("tensorrt-rtx")),
        reason="the tensorrt-rtx wheels are not installed; `python3 go.py test --trt` installs them",
    ),
]

MakeModel = Callable[..., Model]
SMALL = (
    "compact",
    "msrresnet",
    "msrresnet-x3",
    "srresnet",
    "srresnet-tanh-x2",
    "rrdbnet",
    "rrdbnet-x2",
    "shufflemixer",
    "latticenet",
    "swinir",
)


@pytest.fixture(scope="module")
def trt() -> Any:
    return load_library(find_flavour("tensorrt-rtx"))


@pytest.fixture
def describe(trt: Any) -> Iterator[Callable[[Model, Any, int], Defined]]:
    """describe(model, precision, side) -> the description; what it stands on lives as long as the test."""
    alive = []

    def make(model: Model, precision: Any, side: int) -> Defined:
        builder = trt.Builder(quiet_logger(trt))
        defined = define_network(trt, builder, ExportedNetwork(model.card, side), model.weights, precision)
        alive.append((defined, builder))
        return defined

    yield make
    while alive:
        alive.pop()


def full_size_model(name: str) -> Model:
    preset = next(preset for preset in PRESETS if preset.id == name)
    random = np.random.default_rng(0)
    weights = {
        key: np.abs(random.normal(0, 0.05, shape)).astype(np.float32) + (0.5 if "var" in key else 0)
        for key, shape in preset.architecture.parameter_shapes(preset.args).items()
    }
    arguments = preset.architecture.write_arguments(preset.args)
    card = Card(
        name=name,
        architecture=preset.architecture.id,
        arguments=arguments,
        scale=preset.architecture.scale(preset.args),
    )
    return Model(card, weights)


def large(name: str) -> Any:
    """The deep ones take a minute together: `go.py test --trt` runs them, the default run does not."""
    return pytest.param(name, marks=pytest.mark.slow) if name.startswith(("rrdbnet", "swinir")) else name


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("name", [large(preset.id) for preset in PRESETS])
def test_every_generator_builds_whole_with_any_number_of_tiles(
    trt: Any, name: str, precision: Any, record_property: Callable[[str, object], None]
) -> None:
    model = full_size_model(name)
    started = time.process_time()
    plan = build_engine(trt, model.card, model.weights, precision=precision, side=64, batch=8, refittable=False)
    record_property("megabytes", round(len(plan) / 1e6, 1))
    record_property("cpu_seconds", round(time.process_time() - started, 1))
    learned = sum(array.size for array in model.weights.values()) * 2
    assert 0.8 * learned < len(plan) < 1.5 * learned + 12e6, "the weights once, narrow, and little else"


@pytest.mark.parametrize("name", SMALL)
def test_what_tensorrt_was_told_computes_what_torch_computes(
    trt: Any, small_model: MakeModel, describe: Callable[..., Defined], name: str
) -> None:
    model = small_model(name)
    torch_session = open_session(model, backend="torch", device="cpu", precision="fp32")
    for count in (1, 3):
        batch = np.stack([natural_picture(32, 32, seed=seed) for seed in range(count)])
        got = interpret(trt, describe(model, "fp32", 32).network, batch)
        np.testing.assert_allclose(got, torch_session.run(batch), atol=3e-5 * max(1, np.abs(got).max()))
    torch_session.close()


@pytest.mark.parametrize("name", SMALL)
def test_narrow_networks_keep_the_picture_and_its_sums_wide(
    trt: Any, small_model: MakeModel, describe: Callable[..., Defined], name: str
) -> None:
    network = describe(small_model(name), "bf16", 32).network
    assert network.get_input(0).dtype == trt.float32
    assert network.get_output(0).dtype == trt.float32
    heavy = {trt.LayerType.CONVOLUTION, trt.LayerType.MATRIX_MULTIPLY}
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        if layer.type in heavy:
            assert layer.get_output(0).dtype == trt.bfloat16, layer.name
    if name in ("compact", "msrresnet"):
        before_the_end = [network.get_layer(number) for number in range(network.num_layers)]
        last_sum = [layer for layer in before_the_end if layer.type == trt.LayerType.ELEMENTWISE][-1]
        assert last_sum.get_output(0).dtype == trt.float32


@pytest.mark.parametrize("name", SMALL)
def test_the_names_for_refitting_cover_every_weight_and_follow_it(
    trt: Any, small_model: MakeModel, describe: Callable[..., Defined], name: str
) -> None:
    first, second = small_model(name), small_model(name, seed=8)
    defined = describe(first, "fp32", 32)
    old, new = defined.weights.values(first.weights), defined.weights.values(second.weights)
    assert old.keys() == new.keys()
    network = defined.network
    learned = sum(old[key].numel() for key in old if not np.array_equal(old[key], new[key]))
    moments = sum(a.size for key, a in first.weights.items() if "running" in key or "num_batches" in key)
    assert learned >= 0.98 * (sum(array.size for array in first.weights.values()) - moments)
    # What a refit would put in place of the old values gives the network of the new ones.
    batch = natural_picture(32, 32, seed=1)[np.newaxis]
    swapped = interpret(trt, network, batch, [(old[weights_name], new[weights_name]) for weights_name in old])
    expected = open_session(second, backend="torch", device="cpu", precision="fp32").run(batch)
    np.testing.assert_allclose(swapped, expected, atol=3e-5 * max(1, np.abs(expected).max()))


def test_a_child_process_builds_what_the_parent_would(trt: Any, small_model: MakeModel) -> None:
    build = EngineBuild(
        small_model("compact"), flavour="tensorrt-rtx", precision="bf16", side=32, batch=2, refittable=False
    )
    plan = build.wait(threading.Event())
    assert plan is not None
    assert len(plan) > 10_000


def test_without_a_driver_an_engine_that_must_be_refitted_or_run_is_refused_in_a_sentence(
    trt: Any, small_model: MakeModel
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    model = small_model("compact")
    plan = build_engine(trt, model.card, model.weights, precision="bf16", side=32, batch=2, refittable=False)
    for broken in (plan, plan[: len(plan) // 2], b"", b"no engine at all"):
        with pytest.raises(PellucidError, match="TensorRT"):
            TensorRtEngine(trt, broken, model.card, backend="tensorrt-rtx", precision="bf16", side=32, batch=2)
    with pytest.raises(PellucidError, match="cannot build"):
        build_engine(trt, model.card, model.weights, precision="bf16", side=32, batch=2, refittable=True)


def interpret(trt: Any, network: Any, batch: Any, replacements: Sequence[tuple[Any, Any]] = ()) -> Any:
    """The description, computed by torch in float32. replacements: (old, new) values of weights, found by the old."""
    import torch
    from torch.nn import functional

    values: dict[str, Any] = {network.get_input(0).name: torch.from_numpy(batch)}

    def weights(array: Any) -> Any:
        found = torch.from_numpy(np.array(array)).flatten()
        for old, new in replacements:
            if old.numel() == found.numel() and torch.equal(old.flatten(), found):
                return new.flatten()
        return found

    wise = {
        trt.ElementWiseOperation.SUM: torch.add,
        trt.ElementWiseOperation.SUB: torch.sub,
        trt.ElementWiseOperation.PROD: torch.mul,
        trt.ElementWiseOperation.DIV: torch.div,
    }
    kinds = trt.LayerType
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        entries = [values[layer.get_input(k).name] for k in range(layer.num_inputs) if layer.get_input(k) is not None]
        x = entries[0] if entries else None
        if layer.type == kinds.CONSTANT:
            layer.__class__ = trt.IConstantLayer
            made = weights(layer.weights).reshape(tuple(layer.shape))
        elif layer.type == kinds.CONVOLUTION:
            layer.__class__ = trt.IConvolutionLayer
            side = tuple(layer.kernel_size_nd)
            kernel = weights(layer.kernel).reshape(layer.num_output_maps, -1, *side)
            bias = weights(layer.bias) if np.size(layer.bias) else None
            made = functional.conv2d(x, kernel, bias, padding=tuple(layer.padding_nd), groups=layer.num_groups)
        elif layer.type == kinds.ACTIVATION:
            layer.__class__ = trt.IActivationLayer
            kind = trt.ActivationType
            made = {
                kind.RELU: lambda x: functional.relu(x),
                kind.SIGMOID: torch.sigmoid,
                kind.TANH: torch.tanh,
                kind.GELU_ERF: lambda x: functional.gelu(x),
                kind.LEAKY_RELU: lambda x, slope=layer.alpha: functional.leaky_relu(x, slope),
            }[layer.type](x)
        elif layer.type == kinds.PARAMETRIC_RELU:
            made = torch.where(x >= 0, x, x * entries[1])
        elif layer.type == kinds.ELEMENTWISE:
            layer.__class__ = trt.IElementWiseLayer
            made = wise[layer.op](*entries)
        elif layer.type == kinds.UNARY:
            layer.__class__ = trt.IUnaryLayer
            made = {trt.UnaryOperation.SQRT: torch.sqrt, trt.UnaryOperation.RECIP: torch.reciprocal}[layer.op](x)
        elif layer.type == kinds.REDUCE:
            layer.__class__ = trt.IReduceLayer
            assert layer.op == trt.ReduceOperation.AVG
            axes = [axis for axis in range(x.dim()) if layer.axes >> axis & 1]
            made = x.mean(axes, keepdim=layer.keep_dims)
        elif layer.type == kinds.SHUFFLE:
            layer.__class__ = trt.IShuffleLayer
            made = x.permute(*list(layer.first_transpose)[: x.dim()])
            if layer.reshape_dims is not None:
                sides = [made.shape[k] if side == 0 else side for k, side in enumerate(layer.reshape_dims)]
                made = made.reshape(sides)
            made = made.permute(*list(layer.second_transpose)[: made.dim()])
        elif layer.type == kinds.RESIZE:
            layer.__class__ = trt.IResizeLayer
            scales = list(layer.scales)[2:]
            if layer.resize_mode == trt.InterpolationMode.NEAREST:
                made = functional.interpolate(x, scale_factor=scales, mode="nearest")
            else:
                assert layer.coordinate_transformation == trt.ResizeCoordinateTransformation.HALF_PIXEL
                made = functional.interpolate(x, scale_factor=scales, mode="bilinear", align_corners=False)
        elif layer.type == kinds.CONCATENATION:
            layer.__class__ = trt.IConcatenationLayer
            made = torch.cat(entries, layer.axis)
        elif layer.type == kinds.MATRIX_MULTIPLY:
            layer.__class__ = trt.IMatrixMultiplyLayer
            sides = [
                entry.transpose(-1, -2) if turned == trt.MatrixOperation.TRANSPOSE else entry
                for entry, turned in zip(entries, (layer.op0, layer.op1), strict=True)
            ]
            made = sides[0] @ sides[1]
        elif layer.type == kinds.SCALE:
            layer.__class__ = trt.IScaleLayer
            made = x * weights(layer.scale).view(1, -1, 1, 1) + weights(layer.shift).view(1, -1, 1, 1)
        elif layer.type == kinds.NORMALIZATION:
            layer.__class__ = trt.INormalizationLayer
            assert layer.axes == 1 << (x.dim() - 1)
            normal = functional.layer_norm(x, x.shape[-1:], eps=layer.epsilon)
            made = normal * entries[1] + entries[2]
        elif layer.type == kinds.SOFTMAX:
            layer.__class__ = trt.ISoftMaxLayer
            made = x.softmax(int(layer.axes).bit_length() - 1)
        elif layer.type == kinds.GATHER:
            layer.__class__ = trt.IGatherLayer
            indices = entries[1].long()
            made = x.index_select(layer.axis, indices) if indices.dim() else x.select(layer.axis, int(indices))
        else:
            assert layer.type == kinds.CAST, layer.type
            made = x
        values[layer.get_output(0).name] = made
    assert INPUT in values
    return values[OUTPUT].numpy()
