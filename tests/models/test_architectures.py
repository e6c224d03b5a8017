"""Every network: its exact size, its torch module, and an OpenVINO graph that computes the same."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engine.errors import Code, PellucidError
from engine.models.arch import ARCHITECTURES, Architecture, find_architecture
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.arch.latticenet import LATTICENET, LatticeNetArgs
from engine.models.arch.msrresnet import MSRRESNET, MsrResNetArgs
from engine.models.arch.rrdbnet import RRDBNET, RrdbNetArgs
from engine.models.arch.shufflemixer import SHUFFLEMIXER, ShuffleMixerArgs
from engine.models.arch.srresnet import SRRESNET, SrResNetArgs
from engine.models.arch.swinir import SWINIR, SwinIrArgs
from engine.models.presets import PRESETS, find_preset
from engine.runtime.openvino_cpu import openvino_core

F32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
SWIN = {"embed": 12, "mlp_hidden": 20, "depths": (2, 3), "heads": (2, 3)}

VARIANTS: list[tuple[Architecture, msgspec.Struct]] = [
    *((COMPACT, CompactArgs(features=8, convolutions=3, scale=scale)) for scale in (1, 2, 3, 4)),
    *((MSRRESNET, MsrResNetArgs(features=8, blocks=2, scale=scale)) for scale in (2, 3, 4)),
    (SRRESNET, SrResNetArgs(features=8, blocks=2, scale=2, head="tanh")),
    (SRRESNET, SrResNetArgs(features=8, blocks=1, scale=4)),
    *((RRDBNET, RrdbNetArgs(features=8, growth=4, blocks=2, scale=scale)) for scale in (1, 2, 4)),
    (SWINIR, SwinIrArgs(**SWIN)),
    (SWINIR, SwinIrArgs(**SWIN, upsampler="pixelshuffle", residual="3conv", scale=2)),
    (SWINIR, SwinIrArgs(**SWIN, upsampler="pixelshuffle", scale=3)),
    (SWINIR, SwinIrArgs(**SWIN, upsampler="nearest+conv", window=4)),
    *((SHUFFLEMIXER, ShuffleMixerArgs(features=16, kernel=5, blocks=2, scale=scale)) for scale in (3, 4)),
    *((LATTICENET, LatticeNetArgs(features=16, narrow=12, scale=scale)) for scale in (1, 4)),
]
each_variant = pytest.mark.parametrize(
    ("architecture", "args"), VARIANTS, ids=[f"{a.id}-x{a.scale(args)}-{n}" for n, (a, args) in enumerate(VARIANTS)]
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def picture_for(architecture: Architecture, args: Any, seed: int = 0) -> np.ndarray:
    """Odd sides where the network allows them."""
    step = architecture.multiple(args)
    height, width = (2 * step, 3 * step) if architecture.fixed_tile else (13 * step, 17 * step)
    return np.random.default_rng(seed).random((1, 3, height, width), dtype=np.float32)


def run_torch(architecture: Architecture, args: Any, weights: dict[str, np.ndarray], picture: np.ndarray) -> np.ndarray:
    module = architecture.torch_module(args).eval()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    with torch.inference_mode():
        return module(torch.from_numpy(picture)).numpy()


def tile_for(architecture: Architecture, picture: np.ndarray) -> tuple[int, int] | None:
    return (picture.shape[2], picture.shape[3]) if architecture.fixed_tile else None


@pytest.mark.parametrize(
    ("preset_id", "parameters"),
    [
        ("msrresnet-16", 1_517_571),
        ("msrresnet-24", 2_108_419),
        ("srresnet", 1_549_462),
        ("rrdbnet-23", 16_697_987),
        ("rrdbnet-16", 11_662_019),
        ("rrdbnet-6", 4_467_779),
        ("swinir-78", 2_251_758),
        ("swinir-light", 929_628),
        ("compact-16", 621_424),
        ("compact-32", 1_213_296),
        ("shufflemixer", 410_579),
        ("latticenet", 776_944),
    ],
)
def test_a_preset_has_exactly_its_parameters_and_torch_agrees(preset_id: str, parameters: int) -> None:
    preset = find_preset(preset_id)
    assert preset.parameters == parameters
    assert preset.scale == 4
    with torch.device("meta"):
        module = preset.architecture.torch_module(preset.args)
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters


def test_every_preset_is_listed_once_and_every_architecture_has_one() -> None:
    assert len({preset.id for preset in PRESETS}) == len(PRESETS) == 12
    assert {preset.architecture.id for preset in PRESETS} == {architecture.id for architecture in ARCHITECTURES}


@each_variant
def test_names_and_shapes_are_known_without_torch(architecture: Architecture, args: Any) -> None:
    module = architecture.torch_module(args)
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert architecture.parameter_shapes(args) == expected
    learnable = {name for name, _ in module.named_parameters()}
    assert architecture.count_parameters(args) == sum(value.numel() for value in module.parameters())
    assert {name for name in expected if name.rpartition(".")[2] not in architecture.buffers} == learnable


@each_variant
def test_openvino_computes_what_torch_computes_and_new_weights_need_no_new_graph(
    architecture: Architecture, args: Any, draw_weights: Any
) -> None:
    first, second = draw_weights(architecture, args, 1), draw_weights(architecture, args, 2)
    picture = picture_for(architecture, args)
    tile = tile_for(architecture, picture)
    graph = architecture.openvino_graph(args, first, tile)
    compiled = openvino_core().compile_model(graph.model, "CPU", F32)
    request = compiled.create_infer_request()
    outputs = []
    for weights in (first, second):
        expected = run_torch(architecture, args, weights, picture)
        scale = architecture.scale(args)
        assert expected.shape == (1, 3, picture.shape[2] * scale, picture.shape[3] * scale)
        assert expected.std() > 0.05, "weights that do nothing would prove nothing"
        arrays = graph.arrays(weights)
        assert [tuple(port.shape) for port in compiled.inputs[1:]] == [array.shape for array in arrays]
        result = request.infer([picture, *arrays])[0].copy()
        assert np.abs(result - expected).max() <= 1e-5
        outputs.append(result)
    fresh = architecture.openvino_graph(args, second, tile)
    again = openvino_core().compile_model(fresh.model, "CPU", F32)([picture, *fresh.arrays(second)])[0]
    assert np.array_equal(outputs[1], again)
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01


@each_variant
def test_a_frozen_graph_computes_the_same(architecture: Architecture, args: Any, draw_weights: Any) -> None:
    weights = draw_weights(architecture, args, 3)
    picture = picture_for(architecture, args)
    graph = architecture.openvino_graph(args, weights, tile_for(architecture, picture), frozen=True)
    assert graph.weight_inputs == ()
    result = openvino_core().compile_model(graph.model, "CPU", F32)([picture])[0]
    assert np.abs(result - run_torch(architecture, args, weights, picture)).max() <= 1e-5


def test_a_free_graph_takes_pictures_of_any_size(draw_weights: Any) -> None:
    args = MsrResNetArgs(features=8, blocks=1)
    weights = draw_weights(MSRRESNET, args, 4)
    graph = MSRRESNET.openvino_graph(args, weights, None)
    request = openvino_core().compile_model(graph.model, "CPU", F32).create_infer_request()
    for height, width in ((1, 1), (7, 3), (33, 20), (7, 3)):
        picture = np.random.default_rng(height).random((1, 3, height, width), dtype=np.float32)
        result = request.infer([picture, *graph.arrays(weights)])[0]
        assert np.abs(result - run_torch(MSRRESNET, args, weights, picture)).max() <= 1e-5


def test_swinir_in_torch_takes_sides_that_are_no_multiple_of_a_window(draw_weights: Any) -> None:
    args = SwinIrArgs(**SWIN)
    weights = draw_weights(SWINIR, args, 5)
    picture = np.random.default_rng(0).random((1, 3, 13, 22), dtype=np.float32)
    result = run_torch(SWINIR, args, weights, picture)
    padded = np.pad(picture, ((0, 0), (0, 0), (0, 3), (0, 2)), mode="reflect")
    assert np.array_equal(result, run_torch(SWINIR, args, weights, padded)[:, :, :52, :88])


def test_swinir_refuses_a_tile_off_the_grid_of_windows(draw_weights: Any) -> None:
    args = SwinIrArgs(**SWIN)
    with pytest.raises(PellucidError, match="multiples of 8"):
        SWINIR.openvino_graph(args, draw_weights(SWINIR, args), (16, 20))


@pytest.mark.parametrize(
    ("architecture", "args"),
    [
        (COMPACT, CompactArgs(features=4, convolutions=3, scale=4)),
        (COMPACT, CompactArgs(features=4, convolutions=0, scale=1)),
        (MSRRESNET, MsrResNetArgs(features=4, blocks=1, scale=4)),
        (MSRRESNET, MsrResNetArgs(features=4, blocks=2, scale=2)),
        (MSRRESNET, MsrResNetArgs(features=4, blocks=1, scale=3)),
        (SRRESNET, SrResNetArgs(features=4, blocks=1, scale=4)),
        (SRRESNET, SrResNetArgs(features=4, blocks=1, scale=2)),
        (RRDBNET, RrdbNetArgs(features=4, growth=2, blocks=1, scale=4)),
        (RRDBNET, RrdbNetArgs(features=4, growth=2, blocks=1, scale=2)),
        (SHUFFLEMIXER, ShuffleMixerArgs(features=8, kernel=3, blocks=1, scale=4)),
        (SHUFFLEMIXER, ShuffleMixerArgs(features=8, kernel=5, blocks=1, scale=2)),
    ],
    ids=lambda value: value.id if isinstance(value, Architecture) else None,
)
def test_no_pixel_beyond_the_radius_changes_the_output_and_one_just_inside_does(
    architecture: Architecture, args: Any, draw_weights: Any
) -> None:
    """Gradients of one output pixel with positive weights, so that nothing cancels and no unit is dead."""
    radius = architecture.receptive_radius(args)
    step, scale = architecture.multiple(args), architecture.scale(args)
    side = -(-(2 * radius + 3) // step) * step + 2 * step
    module = architecture.torch_module(args).eval().double()
    weights = draw_weights(architecture, args, 6)
    positive = {name: torch.from_numpy(np.asarray(np.abs(value))).double() for name, value in weights.items()}
    module.load_state_dict(positive)
    picture = torch.rand((1, 3, side, side), dtype=torch.float64, requires_grad=True)
    restored = module(picture)
    worst = 0
    for offset in range(scale * step):
        place = side // 2 // step * step * scale + offset
        (gradient,) = torch.autograd.grad(restored[0, :, place, place].sum(), picture, retain_graph=True)
        touched = gradient[0].abs().sum(0).amax(0).nonzero().flatten()
        own = place // scale
        worst = max(worst, own - int(touched.min()), int(touched.max()) - own)
    assert worst <= radius
    slack = 4 * step if architecture is RRDBNET else 2
    assert worst >= radius - slack, "the radius claims far more than the network uses"


def test_a_net_with_global_statistics_says_that_it_has_no_radius() -> None:
    assert LATTICENET.receptive_radius(LatticeNetArgs()) is None


def test_compact_stays_off_the_reorder_cliff(draw_weights: Any) -> None:
    """A reorder a convolution, or a PReLU of its own, means that the plugin stopped fusing: up to 3.8 times slower."""
    args = CompactArgs(features=64, convolutions=6)
    weights = draw_weights(COMPACT, args, 7)
    picture = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
    for frozen in (False, True):
        graph = COMPACT.openvino_graph(args, weights, None, frozen)
        compiled = openvino_core().compile_model(graph.model, "CPU", {**F32, "PERF_COUNT": True})
        request = compiled.create_infer_request()
        request.infer([picture, *graph.arrays(weights)])
        ran = [node for node in request.profiling_info if node.cpu_time.total_seconds() > 0]
        convolutions = [node for node in ran if node.node_type == "Convolution"]
        # Reorders of a picture (not of weights) move whole maps between layouts: only at the ends.
        slopes = [node for node in ran if node.node_type in ("PRelu", "PReLU")]
        assert len(convolutions) == 8
        assert slopes == []
        weight_names = set(graph.weight_inputs)
        maps = [
            node
            for node in ran
            if node.node_type == "Reorder" and not any(name in node.node_name for name in weight_names)
        ]
        assert len(maps) <= 4, [node.node_name for node in maps]


def test_swinir_is_known_to_be_unsafe_in_half_precision() -> None:
    assert [architecture.id for architecture in ARCHITECTURES if not architecture.fp16_safe] == ["swinir"]


def test_a_tanh_head_gives_another_range_and_says_so() -> None:
    assert SRRESNET.ranges(SrResNetArgs()) == ("0..1", "0..1")
    assert SRRESNET.ranges(SrResNetArgs(head="tanh")) == ("0..1", "-1..1")


def test_arguments_survive_a_card() -> None:
    for architecture, args in VARIANTS:
        assert architecture.read_arguments(architecture.write_arguments(args)) == args


@pytest.mark.parametrize(
    ("architecture", "arguments", "words"),
    [
        ("compact", {"feature": 64}, 'Did you mean "features"'),
        ("compact", {"features": 0}, "features"),
        ("compact", {"features": 10**9}, "features"),
        ("compact", {"scale": 5}, "scale"),
        ("msrresnet", {"blocks": -1}, "blocks"),
        ("msrresnet", {"blocks": "many"}, "blocks"),
        ("srresnet", {"head": "sigmoid"}, "head"),
        ("swinir", {"embed": 79}, "multiple"),
        ("swinir", {"depths": [6], "heads": [6, 6]}, "same length"),
        ("swinir", {"depths": [6] * 99, "heads": [6] * 99}, "depths"),
        ("shufflemixer", {"kernel": 4}, "odd"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(architecture: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(PellucidError) as caught:
        find_architecture(architecture).read_arguments(arguments)
    assert caught.value.code is Code.MODEL_UNSUPPORTED
    assert words in str(caught.value)


def test_an_unknown_architecture_is_answered_with_the_nearest() -> None:
    with pytest.raises(PellucidError, match='Did you mean "rrdbnet"'):
        find_architecture("rrdbnett")
    with pytest.raises(PellucidError, match='Did you mean "compact-16"'):
        find_preset("compact-15")


def test_every_net_can_be_trained_a_step(draw_weights: Any) -> None:
    """A fresh module gives a finite picture near its input's range, and every parameter gets a gradient."""
    torch.manual_seed(0)
    for architecture, args in VARIANTS:
        module = architecture.torch_module(args).train()
        picture = torch.from_numpy(np.repeat(picture_for(architecture, args), 2, axis=0))
        restored = module(picture)
        restored.square().mean().backward()
        assert restored.isfinite().all()
        assert restored.abs().max() < 20
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), (architecture.id, name)


@pytest.mark.parametrize("convolutions", [16, 32])
def test_every_layer_of_a_new_compact_network_feels_the_loss(convolutions: int) -> None:
    """There is no way around its layers: begun at random, the first would get a thousandth of what the last gets."""
    import torch

    torch.manual_seed(5)
    network = COMPACT.torch_module(CompactArgs(scale=4, convolutions=convolutions))
    picture = torch.rand(1, 3, 24, 24)
    wanted = torch.nn.functional.interpolate(picture, scale_factor=4, mode="bicubic")
    (network(picture) - wanted).abs().mean().backward()
    layers = [parameter for parameter in network.parameters() if parameter.dim() == 4][1:-1]
    felt = [float(layer.grad.norm() / layer.detach().norm()) for layer in layers if layer.grad is not None]
    assert len(felt) == convolutions
    assert min(felt) > 0.3 * max(felt)
