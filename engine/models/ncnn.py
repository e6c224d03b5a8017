"""Reads ncnn models (a .param text and a .bin of weights) of RRDBNet and compact nets: what Upscayl's users own.

Files come from strangers: sizes are checked before anything is allocated, and every byte of the .bin must be used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.models.arch import Architecture
from engine.models.arch.compact import COMPACT
from engine.models.arch.rrdbnet import DENSE_BLOCKS, RRDBNET
from engine.models.files import MAX_FILE_BYTES, as_float32, check_model, make_card, unreadable
from engine.models.model import Model

MAGIC = "7767517"
MAX_PARAM_BYTES = 8 << 20
MAX_LAYERS = 20_000
TAG_FP16 = 0x01306B47
TAGS_FP32 = (0, 0x0002C056)
TAG_INT8 = 0x000D4B38
ACTIVATION_LEAKY = 2


@dataclass(frozen=True, slots=True)
class Layer:
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[int, float]
    """Parameters of one value."""
    lists: dict[int, tuple[float, ...]]
    """Parameters of several (keys -23300 and below, counted from 0)."""

    def whole(self, key: int, default: int = 0) -> int:
        return int(self.numbers.get(key, default))


class _Unsupported(Exception):
    pass


class _Broken(Exception):
    pass


def read_ncnn(path: Path) -> Model:
    """The model of a .param/.bin pair, given either of the two paths."""
    param, weights_file = path.with_suffix(".param"), path.with_suffix(".bin")
    try:
        layers = _parse(_read(param, MAX_PARAM_BYTES).decode("utf-8"))
        values = _Values(_read(weights_file, MAX_FILE_BYTES))
        architecture, arguments, state, note = _identify(layers, values)
    except OSError as error:
        raise unreadable(Path(error.filename or param), error) from error
    except _Unsupported as error:
        raise PellucidError(
            Code.MODEL_UNSUPPORTED,
            f"{param} is an ncnn model of a kind that cannot be imported: {error}.",
            "RRDBNet (Real-ESRGAN x4plus and its relatives) and compact nets in fp16 or fp32 can.",
            path=str(param),
        ) from error
    except (_Broken, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise PellucidError(
            Code.MODEL_CORRUPT,
            f"{param} and {weights_file.name} are not a whole ncnn model: {error}.",
            "Download or copy both files again.",
            path=str(param),
        ) from error
    args = architecture.read_arguments(arguments)
    shapes = architecture.parameter_shapes(args)
    weights = {name: value.reshape(shapes[name]) for name, value in state.items()}
    card = make_card(param.stem, architecture, args, description=f"Imported from {param.name}.{note}")
    model = Model(card, as_float32(param, weights), param)
    check_model(model)
    return model


def _read(path: Path, limit: int) -> bytes:
    if path.stat().st_size > limit:
        raise _Broken(f"{path.name} is larger than {limit >> 20} MiB")
    return path.read_bytes()


def _parse(text: str) -> list[Layer]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != [MAGIC]:
        raise _Unsupported("the .param does not start like an ncnn text file")
    if len(lines) < 2 or len(lines) - 2 != int(lines[1][0]) or len(lines) > MAX_LAYERS:
        raise _Broken("the number of layers is not the one announced")
    return [_parse_layer(words) for words in lines[2:]]


def _parse_layer(words: list[str]) -> Layer:
    if len(words) < 4:
        raise _Broken("a layer is cut short")
    takes, gives = int(words[2]), int(words[3])
    if not (0 <= takes <= 64 and 0 <= gives <= 64 and len(words) >= 4 + takes + gives):
        raise _Broken("a layer is cut short")
    numbers: dict[int, float] = {}
    lists: dict[int, tuple[float, ...]] = {}
    for word in words[4 + takes + gives :]:
        key, _, value = word.partition("=")
        if int(key) <= -23300:
            count, *items = value.split(",")
            if int(count) != len(items):
                raise _Broken("a list of parameters is cut short")
            lists[-int(key) - 23300] = tuple(float(item) for item in items)
        else:
            numbers[int(key)] = float(value)
    return Layer(words[0], tuple(words[4 : 4 + takes]), tuple(words[4 + takes : 4 + takes + gives]), numbers, lists)


class _Values:
    """The .bin file, read from front to back."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._position = 0

    def _take(self, count: int) -> bytes:
        if count < 0 or count > len(self._raw) - self._position:
            raise _Broken("the .bin is cut short")
        self._position += count
        return self._raw[self._position - count : self._position]

    def plain(self, count: int) -> npt.NDArray[np.float32]:
        """Biases and slopes: always float32."""
        return np.frombuffer(self._take(4 * count), "<f4").copy()

    def tagged(self, count: int) -> npt.NDArray[np.float32]:
        """Weights: a tag that names the storage, then the values, padded to four bytes."""
        tag = int.from_bytes(self._take(4), "little")
        if tag in TAGS_FP32:
            return self.plain(count)
        if tag == TAG_FP16:
            return np.frombuffer(self._take((2 * count + 3) // 4 * 4), "<f2")[:count].astype(np.float32)
        if tag == TAG_INT8:
            raise _Unsupported("its weights are rounded to 8-bit integers")
        table = self.plain(256)  # any other tag: a table of 256 values, then one index a weight
        return table[np.frombuffer(self._take((count + 3) // 4 * 4), np.uint8)[:count]]

    def finish(self) -> None:
        if self._position != len(self._raw):
            raise _Broken(f"{len(self._raw) - self._position} bytes of the .bin belong to nothing")


Found = tuple[Architecture, dict[str, Any], dict[str, npt.NDArray[np.float32]], str]


def _identify(layers: list[Layer], values: _Values) -> Found:
    kinds = {layer.kind for layer in layers}
    if "PReLU" in kinds and "PixelShuffle" in kinds:
        return _read_compact(layers, values)
    if "Concat" in kinds:
        return _read_rrdbnet(layers, values)
    raise _Unsupported("its layers are those of no network known here")


class _Chain:
    """Follows a graph layer by layer in file order, insisting on what comes next and on where its input comes from."""

    def __init__(self, layers: list[Layer]) -> None:
        self._origin: dict[str, str] = {}
        self._layers: list[Layer] = []
        for layer in layers:
            if layer.kind == "Split":
                source = self.source(layer.inputs[0]) if layer.inputs else ""
                self._origin.update(dict.fromkeys(layer.outputs, source))
            else:
                self._layers.append(layer)
        self._next = 0

    def source(self, blob: str) -> str:
        """The blob behind any number of Splits."""
        return self._origin.get(blob, blob)

    @property
    def left(self) -> int:
        return len(self._layers) - self._next

    def peek(self) -> Layer:
        if not self.left:
            raise _Unsupported("layers are missing")
        return self._layers[self._next]

    def take(self, kinds: Iterable[str], *inputs: str, any_order: bool = False) -> tuple[Layer, str]:
        """The next layer, which must be one of `kinds` and read `inputs`; and the name of what it gives."""
        layer = self.peek()
        found = [self.source(blob) for blob in layer.inputs]
        fits = sorted(found) == sorted(inputs) if any_order else found == list(inputs)
        if layer.kind not in kinds or not fits or len(layer.outputs) != 1:
            raise _Unsupported(f"the layer {self._next} ({layer.kind[:40]}) is not what such a network has there")
        self._next += 1
        return layer, layer.outputs[0]


def _take_convolution(
    chain: _Chain, values: _Values, blob: str, leaky: float | None
) -> tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A 3x3 convolution with bias (and LeakyReLU of this slope): its output, flat weight and bias."""
    layer, out = chain.take(["Convolution"], blob)
    w = layer.whole
    plain = w(1) == 3 and w(11, 3) == 3 and w(2, 1) == 1 and w(3, 1) == 1 and w(4) == 1 and w(14, 1) == 1 and w(5) == 1
    if not plain or w(8):
        raise _Unsupported("a convolution is not a plain 3x3 one with bias")
    slope = None if w(9) == 0 else layer.lists.get(10, (0.0,))[0]
    if w(9) not in (0, ACTIVATION_LEAKY) or (slope is None) != (leaky is None):
        raise _Unsupported("an activation is not the one such a network has")
    if slope is not None and leaky is not None and abs(slope - leaky) > 1e-6:
        raise _Unsupported(f"an activation has the slope {slope} instead of {leaky}")
    outputs, count = w(0), w(6)
    if not (0 < outputs <= 4096 and 0 < count <= 1 << 28):
        raise _Broken("the size of a convolution is not valid")
    weight = values.tagged(count)
    bias = values.plain(outputs)
    if count % (outputs * 9):
        raise _Broken("the size of a convolution is not valid")
    return out, weight.reshape(outputs, -1, 3, 3), bias


def _take_input(chain: _Chain) -> str:
    return chain.take(["Input"])[1]


def _read_compact(layers: list[Layer], values: _Values) -> Found:
    chain = _Chain(layers)
    picture = blob = _take_input(chain)
    state: dict[str, npt.NDArray[np.float32]] = {}
    number = 0
    while chain.peek().kind == "Convolution":
        blob, state[f"body.{number}.weight"], state[f"body.{number}.bias"] = _take_convolution(
            chain, values, blob, leaky=None
        )
        number += 1
        if chain.peek().kind == "PReLU":
            layer, blob = chain.take(["PReLU"], blob)
            slopes = layer.whole(0)
            if slopes != len(state[f"body.{number - 1}.bias"]):
                raise _Unsupported("a PReLU does not have one slope a channel")
            state[f"body.{number}.weight"] = values.plain(slopes)
            number += 1
    layer, detail = chain.take(["PixelShuffle"], blob)
    scale = layer.whole(0)
    if layer.whole(1):
        raise _Unsupported("its pixel shuffle has another order")
    base = picture
    if scale != 1:
        layer, base = chain.take(["Interp"], picture)
        if layer.whole(0) != 1 or layer.numbers.get(1) != scale or layer.numbers.get(2) != scale:
            raise _Unsupported("it does not add the enlarged picture")
    layer, blob = chain.take(["BinaryOp", "Eltwise"], detail, base, any_order=True)
    _check_sum(layer)
    note = ""
    if chain.left:
        layer, blob = chain.take(["Interp"], blob)
        factor = layer.numbers.get(1, 0.0) * scale
        note = f" There it shrinks its result to {factor:g} times the source; here it gives all {scale} times."
    if chain.left:
        raise _Unsupported("it goes on where such a network ends")
    values.finish()
    features = state["body.0.weight"].shape[0] if state else 0
    arguments = {"features": features, "convolutions": (number - 3) // 2, "scale": scale}
    _check_shapes(COMPACT, arguments, state)
    return COMPACT, arguments, state, note


def _read_rrdbnet(layers: list[Layer], values: _Values) -> Found:
    chain = _Chain(layers)
    state: dict[str, npt.NDArray[np.float32]] = {}

    def convolve(blob: str, name: str, leaky: float | None = None) -> str:
        out, state[f"{name}.weight"], state[f"{name}.bias"] = _take_convolution(chain, values, blob, leaky)
        return out

    def add_scaled(blob: str, skip: str) -> str:
        """blob * 0.2 + skip, as one Eltwise or as a product and a sum."""
        layer = chain.peek()
        if layer.kind == "Eltwise":
            layer, out = chain.take(["Eltwise"], blob, skip)
            coefficients = layer.lists.get(1, ())
            if layer.whole(0) != 1 or not np.allclose(coefficients, (0.2, 1.0), atol=1e-6):
                raise _Unsupported("its residuals are not scaled by 0.2")
            return out
        layer, scaled = chain.take(["BinaryOp"], blob)
        if layer.whole(0) != 2 or not layer.whole(1) or abs(layer.numbers.get(2, 0.0) - 0.2) > 1e-6:
            raise _Unsupported("its residuals are not scaled by 0.2")
        layer, out = chain.take(["BinaryOp", "Eltwise"], scaled, skip, any_order=True)
        _check_sum(layer)
        return out

    def enlarge(blob: str) -> str:
        layer, out = chain.take(["Interp"], blob)
        if layer.whole(0) != 1 or layer.numbers.get(1) != 2 or layer.numbers.get(2) != 2:
            raise _Unsupported("it does not enlarge by nearest pixels, twice two times")
        return out

    def dense_block(blob: str, name: str) -> str:
        parts = [blob]
        for number in range(1, 6):
            joined = parts[0] if number == 1 else chain.take(["Concat"], *parts)[1]
            out = convolve(joined, f"{name}.conv{number}", leaky=0.2 if number < 5 else None)
            parts.append(out)
        return add_scaled(parts[-1], blob)

    first = blob = convolve(_take_input(chain), "conv_first")
    blocks = 0
    while chain.peek().kind == "Convolution" and chain.peek().whole(9) == ACTIVATION_LEAKY:
        start = blob
        for dense in DENSE_BLOCKS:
            blob = dense_block(blob, f"body.{blocks}.{dense}")
        blob = add_scaled(blob, start)
        blocks += 1
    blob = convolve(blob, "conv_body")
    layer, blob = chain.take(["BinaryOp", "Eltwise"], first, blob, any_order=True)
    _check_sum(layer)
    blob = convolve(enlarge(blob), "conv_up1", leaky=0.2)
    blob = convolve(enlarge(blob), "conv_up2", leaky=0.2)
    blob = convolve(convolve(blob, "conv_hr", leaky=0.2), "conv_last")
    if chain.left:
        raise _Unsupported("it goes on where such a network ends")
    values.finish()
    growth = state["body.0.rdb1.conv1.weight"].shape[0] if blocks else 0
    arguments = {"features": state["conv_first.weight"].shape[0], "growth": growth, "blocks": blocks, "scale": 4}
    _check_shapes(RRDBNET, arguments, state)
    return RRDBNET, arguments, state, ""


def _check_sum(layer: Layer) -> None:
    """BinaryOp 0 is a sum, Eltwise 1 is one too; neither with coefficients or a scalar."""
    expected = 0 if layer.kind == "BinaryOp" else 1
    if layer.whole(0) != expected or layer.whole(1) or any(value != 1.0 for value in layer.lists.get(1, ())):
        raise _Unsupported("two branches are joined in another way than by their sum")


def _check_shapes(
    architecture: Architecture, arguments: dict[str, Any], state: dict[str, npt.NDArray[np.float32]]
) -> None:
    try:
        shapes = architecture.parameter_shapes(architecture.read_arguments(arguments))
    except PellucidError as error:
        raise _Unsupported(error.message.rstrip(".")) from error
    if {name: value.shape for name, value in state.items()} != shapes:
        raise _Unsupported("the sizes of its layers do not fit together")
