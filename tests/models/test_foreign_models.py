"""Models of other programs: recognised by their names and shapes, or run by spandrel; and ours load elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from engine.errors import Code, PellucidError
from engine.models.arch import Architecture
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.arch.msrresnet import MSRRESNET, MsrResNetArgs
from engine.models.arch.rrdbnet import RRDBNET, RrdbNetArgs
from engine.models.arch.shufflemixer import SHUFFLEMIXER, ShuffleMixerArgs
from engine.models.arch.swinir import SWINIR, SwinIrArgs
from engine.models.files import read_model, weights_hash, write_model
from engine.models.foreign import foreign_module, import_spandrel, name_from, read_any_model
from engine.models.model import Model
from engine.models.recognise import recognise

SWIN = {"embed": 12, "mlp_hidden": 24, "depths": (2, 3), "heads": (2, 3)}
KNOWN: list[tuple[Architecture, Any]] = [
    (COMPACT, CompactArgs(features=8, convolutions=3, scale=2)),
    (COMPACT, CompactArgs(features=6, convolutions=0, scale=1)),
    (RRDBNET, RrdbNetArgs(features=8, growth=4, blocks=2, scale=4)),
    (RRDBNET, RrdbNetArgs(features=8, growth=4, blocks=1, scale=2)),
    (RRDBNET, RrdbNetArgs(features=8, growth=4, blocks=1, scale=1)),
    (MSRRESNET, MsrResNetArgs(features=8, blocks=3, scale=4)),
    (MSRRESNET, MsrResNetArgs(features=8, blocks=2, scale=3)),
    (SWINIR, SwinIrArgs(**SWIN)),
    (SWINIR, SwinIrArgs(**SWIN, upsampler="pixelshuffle", residual="3conv", scale=2)),
    (SWINIR, SwinIrArgs(**SWIN, upsampler="pixelshuffle", scale=4)),
    (SWINIR, SwinIrArgs(**SWIN, upsampler="nearest+conv", window=4)),
    (SHUFFLEMIXER, ShuffleMixerArgs(features=16, kernel=3, blocks=2, expansion=3, scale=4)),
    (SHUFFLEMIXER, ShuffleMixerArgs(features=16, blocks=1, scale=3)),
]
each_known = pytest.mark.parametrize(("architecture", "args"), KNOWN, ids=lambda value: getattr(value, "id", ""))

WRAPPERS: dict[str, Any] = {
    "bare": lambda state: state,
    "params_ema beside params": lambda state: {"params": {"x": torch.zeros(1)}, "params_ema": state},
    "params": lambda state: {"params": state},
    "a training checkpoint": lambda state: {"epoch": 3, "lr": 1e-4, "state_dict": state, "optimizer": {"state": {}}},
    "DataParallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "half precision": lambda state: {name: value.half() for name, value in state.items()},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    yield


def to_torch(weights: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in weights.items()}


@each_known
def test_our_networks_are_recognised_in_files_of_others(
    architecture: Architecture, args: Any, draw_weights: Any, tmp_path: Path
) -> None:
    weights = draw_weights(architecture, args)
    torch.save(to_torch(weights), tmp_path / "theirs.pth")
    constants = architecture.community_constants(args)
    safetensors.numpy.save_file({**weights, **constants}, tmp_path / "theirs.safetensors")
    for file in ("theirs.pth", "theirs.safetensors"):
        model = read_any_model(tmp_path / file)
        assert model.card.architecture == architecture.id
        assert architecture.read_arguments(model.card.arguments) == args
        assert weights_hash(model.weights) == weights_hash(weights)
        assert model.card.name == "theirs"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_whatever_a_training_program_wrapped_around_the_weights_is_opened(
    wrapper: str, zipped: bool, draw_weights: Any, tmp_path: Path
) -> None:
    weights = draw_weights(*KNOWN[0])
    torch.save(WRAPPERS[wrapper](to_torch(weights)), tmp_path / "theirs.pth", _use_new_zipfile_serialization=zipped)
    model = read_any_model(tmp_path / "theirs.pth")
    assert model.card.architecture == "compact"
    for name, value in weights.items():
        expected = value.astype(np.float16).astype(np.float32) if wrapper == "half precision" else value
        assert np.array_equal(model.weights[name], expected)


def test_every_storage_type_and_view_reads_as_torch_reads_it(draw_weights: Any, tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    views = {
        "transposed": base.t(),
        "sliced": base[1:3, ::2],
        "one": torch.tensor(2.5),
        "none": torch.zeros(0, 3),
        "double": base.double() / 3,
        "half": base.half() / 3,
        "bfloat": base.to(torch.bfloat16) / 3,
        "long": torch.arange(5) - 2,
        "bytes": torch.arange(5, dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "learnable": torch.nn.Parameter(base / 7),
    }
    from engine.models.pth import read_checkpoint

    for zipped in (True, False):
        torch.save(views, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        read = read_checkpoint(tmp_path / "a.pth")
        theirs = torch.load(tmp_path / "a.pth", weights_only=True)
        assert list(read) == list(views)
        for name, value in theirs.items():
            expected = value.detach().float().numpy() if value.is_floating_point() else value.numpy()
            assert read[name].shape == expected.shape and np.array_equal(read[name], expected), name


OLD_NAMES = {
    "2018": [
        (r"conv_first\.", "model.0."),
        (r"body\.(\d+)\.rdb(\d)\.conv(\d)\.", r"model.1.sub.\1.RDB\2.conv\3.0."),
        (r"conv_body\.", "model.1.sub.2."),
        (r"conv_up1\.", "model.3."),
        (r"conv_up2\.", "model.6."),
        (r"conv_hr\.", "model.8."),
        (r"conv_last\.", "model.10."),
    ],
    "2019": [
        (r"body\.(\d+)\.rdb(\d)\.conv(\d)\.", r"RRDB_trunk.\1.RDB\2.conv\3."),
        (r"conv_body\.", "trunk_conv."),
        (r"conv_up(\d)\.", r"upconv\1."),
        (r"conv_hr\.", "HRconv."),
    ],
}


@pytest.mark.parametrize("year", OLD_NAMES)
def test_old_names_of_rrdbnet_are_recognised_and_mean_what_spandrel_thinks(
    year: str, draw_weights: Any, tmp_path: Path
) -> None:
    args = RrdbNetArgs(features=8, growth=32, blocks=2)
    weights = draw_weights(RRDBNET, args)
    old = {}
    for name, value in weights.items():
        new = name
        for pattern, replacement in OLD_NAMES[year]:
            new, changed = re.subn(f"^{pattern}", replacement, new)
            if changed:
                break
        old[new] = value
    assert set(old) != set(weights)
    found = recognise(old)
    assert found is not None and found.args == args
    picture = torch.rand(1, 3, 9, 11)
    module = RRDBNET.torch_module(args).eval()
    module.load_state_dict(to_torch(found.weights))
    theirs = foreign_module(Model(read_card_of(old, tmp_path), old))
    with torch.inference_mode():
        assert torch.equal(module(picture), theirs(picture))


def read_card_of(state: dict[str, np.ndarray], folder: Path) -> Any:
    safetensors.numpy.save_file(state, folder / "old.safetensors")
    return read_any_model(folder / "old.safetensors").card


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize(
    ("architecture", "args", "theirs"),
    [
        (COMPACT, CompactArgs(features=8, convolutions=3, scale=4), "Compact"),
        (RRDBNET, RrdbNetArgs(features=8, growth=32, blocks=2, scale=4), "ESRGAN"),
        (RRDBNET, RrdbNetArgs(features=8, growth=32, blocks=1, scale=2), "ESRGAN"),
        (SWINIR, SwinIrArgs(**SWIN), "SwinIR"),
        (SWINIR, SwinIrArgs(**SWIN, upsampler="pixelshuffle", scale=2), "SwinIR"),
        (SWINIR, SwinIrArgs(**SWIN, upsampler="nearest+conv", residual="3conv"), "SwinIR"),
    ],
)
def test_spandrel_loads_what_we_save_and_computes_the_same(
    architecture: Architecture, args: Any, theirs: str, make_model: Any, tmp_path: Path
) -> None:
    import_spandrel()
    import spandrel

    model = make_model("ours", architecture, args)
    write_model(model, tmp_path / "ours.safetensors")
    described = spandrel.ModelLoader(device="cpu").load_from_file(tmp_path / "ours.safetensors")
    assert described.architecture.id == theirs
    assert described.scale == model.card.scale
    module = architecture.torch_module(args).eval()
    module.load_state_dict(to_torch(dict(model.weights)))
    for height, width in ((16, 24), (20, 22)):
        picture = torch.rand(1, 3, height, width)
        with torch.inference_mode():
            ours, other = module(picture), described.model.eval()(picture)
        assert ours.std() > 0.05
        assert (ours - other).abs().max() <= 1e-4 * float(ours.abs().max())


def test_a_network_only_spandrel_knows_is_run_by_it_and_kept_in_our_file(tmp_path: Path) -> None:
    import_spandrel()
    from spandrel.architectures.SPAN import SPAN

    torch.manual_seed(0)
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2).eval()
    torch.save(network.state_dict(), tmp_path / "span.pth")
    model = read_any_model(tmp_path / "span.pth")
    assert (model.card.architecture, model.card.scale) == ("foreign", 2)
    write_model(model, tmp_path / "kept.safetensors")
    kept = read_model(tmp_path / "kept.safetensors")
    picture = torch.rand(1, 3, 12, 15)
    with torch.inference_mode():
        assert torch.equal(foreign_module(kept)(picture), network(picture))


def test_a_network_that_does_not_make_colour_pictures_is_refused(tmp_path: Path) -> None:
    import_spandrel()
    from spandrel.architectures.SPAN import SPAN

    network = SPAN(num_in_ch=1, num_out_ch=1, feature_channels=16, upscale=2)
    torch.save(network.state_dict(), tmp_path / "grey.pth")
    with pytest.raises(PellucidError, match="colour pictures"):
        read_any_model(tmp_path / "grey.pth")


def test_without_torch_an_unknown_network_is_a_sentence_and_a_known_one_works(
    draw_weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restore edition has no torch: a fresh interpreter in which it cannot be imported."""
    torch.save(to_torch(draw_weights(*KNOWN[0])), tmp_path / "known.pth")
    torch.save({"strange.weight": torch.zeros(3, 3)}, tmp_path / "unknown.pth")
    script = """
import sys
from pathlib import Path

import importlib.util
hidden = ("torch", "spandrel", "torchvision")
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in hidden else real(name, package)
for name in hidden:
    sys.modules[name] = None  # importing it raises
from engine.errors import PellucidError
from engine.models.foreign import read_any_model
print(read_any_model(Path(sys.argv[1])).card.architecture)
try:
    read_any_model(Path(sys.argv[2]))
except PellucidError as error:
    print(error.code, error.message)
print(sys.modules["torch"] is None, "openvino" in sys.modules)
"""
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "known.pth"), str(tmp_path / "unknown.pth")],
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    lines = ran.stdout.splitlines()
    assert lines[0] == "compact"
    assert lines[1].startswith(f"{Code.BACKEND_UNAVAILABLE} This network needs the package torch")
    assert lines[2] == "True False"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("4x-Ultra.pth", "4x-Ultra"),
        ("a:b*c.pth", "a-b-c"),
        (".pth", "pth"),
        ("山 №1.safetensors", "山 №1"),
        ("...pth", "model"),
    ],
)
def test_a_model_is_named_after_its_file(file: str, name: str) -> None:
    assert name_from(Path(file)) == name
