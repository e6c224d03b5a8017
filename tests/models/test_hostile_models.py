"""Damaged and hostile model files: each ends in one sentence, quickly, and none of them runs anything."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Code, PellucidError
from engine.models.arch.compact import COMPACT, CompactArgs
from engine.models.files import make_card, write_model
from engine.models.foreign import read_any_model
from engine.models.model import Model

ARGS = CompactArgs(features=4, convolutions=1, scale=2)


def small_model() -> Model:
    random = np.random.default_rng(0)
    shapes = COMPACT.parameter_shapes(ARGS)
    return Model(
        make_card("small", COMPACT, ARGS),
        {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()},
    )


def refused(path: Path) -> PellucidError:
    """The refusal: a sentence that names the file, and no more than a sentence."""
    with pytest.raises(PellucidError) as caught:
        read_any_model(path)
    error = caught.value
    assert error.code in (Code.MODEL_CORRUPT, Code.MODEL_UNSAFE, Code.MODEL_UNSUPPORTED, Code.MODEL_MISSING), error
    assert path.stem in error.message or "architecture" in error.message or "small" in error.message, error.message
    assert error.message.endswith(".") and "\n" not in error.message and "Traceback" not in error.message
    assert len(error.message) < 1000
    return error


# safetensors ----------------------------------------------------------------------------------------------------------

GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DATA = np.array([1, 2], "<f4").tobytes()


def safetensors(header: object, data: bytes = DATA, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def with_card(**change: Any) -> bytes:
    """The small model with another card than the one it deserves."""
    model = small_model()
    card = {**msgspec.to_builtins(model.card), **change}
    card = {key: value for key, value in card.items() if value != "DELETE"}
    return with_card_text(json.dumps(card))


def with_card_text(text: str, **tensors: np.ndarray) -> bytes:
    arrays = {**small_model().weights, **tensors}
    header: dict[str, Any] = {"__metadata__": {"pellucid": text}}
    data = b""
    for name, value in arrays.items():
        raw = np.asarray(value, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return safetensors(header, data)


def good_card() -> str:
    return json.dumps(msgspec.to_builtins(small_model().card))


SAFETENSORS: dict[str, Callable[[], bytes]] = {
    "empty file": lambda: b"",
    "one byte": lambda: b"\x00",
    "eight zero bytes": lambda: b"\x00" * 8,
    "header longer than the file": lambda: safetensors({"a": GOOD}, length=10**6),
    "header of 2**63 bytes": lambda: safetensors({"a": GOOD}, length=2**63),
    "header of 2**64 - 1 bytes": lambda: safetensors({"a": GOOD}, length=2**64 - 1),
    "header above the limit": lambda: struct.pack("<Q", 17 << 20) + b" " * (17 << 20),
    "not JSON": lambda: safetensors(b"{'a': 1}"),
    "not UTF-8": lambda: safetensors(b'{"\xff\xfe": {}}'),
    "JSON list": lambda: safetensors([1, 2, 3]),
    "JSON nested 100,000 deep": lambda: safetensors(b"[" * 100_000),
    "JSON nested 100,000 deep in the metadata": lambda: safetensors(b'{"__metadata__":' + b'{"a":' * 100_000),
    "tensor is a number": lambda: safetensors({"a": 5}),
    "dtype missing": lambda: safetensors({"a": {"shape": [2], "data_offsets": [0, 8]}}),
    "dtype unknown": lambda: safetensors({"a": {**GOOD, "dtype": "F128"}}),
    "dtype is a list": lambda: safetensors({"a": {**GOOD, "dtype": []}}),
    "shape negative": lambda: safetensors({"a": {**GOOD, "shape": [-2]}}),
    "shape of two negatives": lambda: safetensors({"a": {**GOOD, "shape": [-1, -2]}}),
    "shape of fractions": lambda: safetensors({"a": {**GOOD, "shape": [1.5]}}),
    "shape larger than the data": lambda: safetensors({"a": {**GOOD, "shape": [2000]}}),
    "shape that overflows 64 bits": lambda: safetensors({"a": {**GOOD, "shape": [2**33, 2**33]}}),
    "shape beyond 64 bits": lambda: safetensors(
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 400 + b'],"data_offsets":[0,8]}}'
    ),
    "shape of a million sides": lambda: safetensors({"a": {**GOOD, "shape": [1] * 1_000_000}}),
    "offsets reversed": lambda: safetensors({"a": {**GOOD, "data_offsets": [8, 0]}}),
    "offsets negative": lambda: safetensors({"a": {**GOOD, "data_offsets": [-8, 0]}}),
    "offsets beyond the file": lambda: safetensors({"a": {**GOOD, "data_offsets": [800, 808]}}),
    "offsets that overlap": lambda: safetensors({"a": GOOD, "b": GOOD}),
    "a hole between tensors": lambda: safetensors({"a": GOOD, "b": {**GOOD, "data_offsets": [12, 20]}}, DATA * 3),
    "bytes that belong to nothing": lambda: safetensors({"a": GOOD}, DATA + b"x"),
    "data cut short": lambda: safetensors({"a": GOOD}, DATA[:-1]),
    "metadata is a list": lambda: safetensors({"__metadata__": [], "a": GOOD}),
    "metadata holds numbers": lambda: safetensors({"__metadata__": {"pellucid": 5}, "a": GOOD}),
    "no tensor at all": lambda: safetensors({}, b""),
    "tensors of no network": lambda: safetensors({"hello": GOOD}),
    "card is not JSON": lambda: with_card_text("card"),
    "card is empty": lambda: with_card_text(""),
    "card is a list": lambda: with_card_text("[]"),
    "card nested 100,000 deep": lambda: with_card_text("[" * 100_000),
    "card without a name": lambda: with_card(name="DELETE"),
    "card with an unknown field": lambda: with_card(command="rm -rf /"),
    "card named like a path": lambda: with_card(name="../../etc/passwd"),
    "card named with an escape sequence": lambda: with_card(name="\x1b]0;owned\x07"),
    "card named with a million letters": lambda: with_card(name="x" * 1_000_000),
    "card of an unknown architecture": lambda: with_card(architecture="os.system"),
    "card with a wrong scale": lambda: with_card(scale=3),
    "card with scale zero": lambda: with_card(scale=0),
    "card with a text as scale": lambda: with_card(scale="4; rm"),
    "card with wrong parameters": lambda: with_card(parameters=1),
    "card with a wrong range": lambda: with_card(output_range="0..255"),
    "card with a billion blocks": lambda: with_card(arguments={"features": 4, "convolutions": 10**9, "scale": 2}),
    "card with negative features": lambda: with_card(arguments={"features": -4, "convolutions": 1, "scale": 2}),
    "card with more blocks than tensors": lambda: with_card(arguments={"features": 4, "convolutions": 9, "scale": 2}),
    "card with fewer blocks than tensors": lambda: with_card(arguments={"features": 4, "convolutions": 0, "scale": 2}),
    "card that says bicubic": lambda: with_card(architecture="bicubic"),
    "card that says foreign, scale 1000": lambda: with_card(architecture="foreign", scale=1000),
    "one weight is NaN": lambda: with_card_text(good_card(), **{"body.0.bias": np.array([0, np.nan, 0, 0])}),
    "one weight is infinite": lambda: with_card_text(good_card(), **{"body.0.bias": np.array([0, np.inf, 0, 0])}),
    "one tensor has another shape": lambda: with_card_text(good_card(), **{"body.0.bias": np.zeros(5)}),
    "one tensor too many": lambda: with_card_text(good_card(), **{"body.9.bias": np.zeros(5)}),
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_a_hostile_safetensors_is_refused_in_a_sentence(case: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(SAFETENSORS[case]())
    refused(path)


def test_a_safetensors_cut_anywhere_is_refused(tmp_path: Path) -> None:
    write_model(small_model(), tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        refused(path)


# checkpoints ----------------------------------------------------------------------------------------------------------


class Payload:
    """Runs a command when a pickle that holds it is loaded by an ordinary unpickler."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._made = (function, arguments)

    def __reduce__(self) -> Any:
        return self._made


def state() -> OrderedDict[str, torch.Tensor]:
    return OrderedDict((name, torch.from_numpy(value)) for name, value in small_model().weights.items())


def saved(value: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def dangers(mark: Path) -> dict[str, object]:
    """Objects that leave the file `mark` behind when they are unpickled."""
    touch = f"touch '{mark}'"
    code = f"open({str(mark)!r}, 'w').close()"
    return {
        "os.system": Payload(os.system, touch),
        "exec": Payload(exec, code),
        "eval": Payload(eval, f"open({str(mark)!r}, 'w')"),
        "open": Payload(open, str(mark), "w"),
        "nested in a list": [[[{"deep": [Payload(os.system, touch)]}]]],
        "as a key": {Payload(os.mkdir, str(mark)): 1},
        "subprocess": Payload(__import__("subprocess").call, ["touch", str(mark)]),
        "runpy": Payload(__import__("runpy").run_path, str(mark)),
        "a class of pathlib": Payload(Path.touch, mark),
        "functools.partial": Payload(__import__("functools").partial(os.system, touch)),
        "operator.attrgetter": Payload(__import__("operator").methodcaller("touch"), mark),
        "builtins.getattr": Payload(getattr, "text", "upper"),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("danger", sorted(dangers(Path("x"))))
def test_a_checkpoint_with_a_payload_is_refused_and_the_payload_does_not_run(
    danger: str, zipped: bool, tmp_path: Path
) -> None:
    mark = tmp_path / "pwned"
    path = tmp_path / "evil.pth"
    path.write_bytes(saved({**state(), "extra": dangers(mark)[danger]}, zipped))
    assert refused(path).code is Code.MODEL_UNSAFE
    assert not mark.exists()


def test_the_payload_would_have_run_in_an_ordinary_unpickler(tmp_path: Path) -> None:
    """Or else the test above would prove nothing."""
    mark = tmp_path / "pwned"
    pickle.loads(pickle.dumps(dangers(mark)["os.system"]))
    assert mark.exists()


def tar_checkpoint(mark: Path) -> bytes:
    """The layout that torch wrote before 2017: a tar with pickles inside."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            raw = pickle.dumps(Payload(os.system, f"touch '{mark}'"), protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            tar.addfile(entry, io.BytesIO(raw))
    return buffer.getvalue()


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, raw in entries.items():
            file.writestr(name, raw)
    return buffer.getvalue()


def zip_of(program: bytes, **more: bytes) -> bytes:
    return archive({"a/data.pkl": program, "a/data/0": b"\0" * 64, **more})


def storage(length: bytes = b"K\x10", kind: bytes = b"ctorch\nFloatStorage\n", key: bytes = b"X\x01\0\0\0000") -> bytes:
    """Instructions that push a storage of 16 floats."""
    return b"(X\x07\0\0\0storage" + kind + key + b"X\x03\0\0\0cpu" + length + b"tQ"


def tensor(source: bytes, offset: bytes = b"K\0", size: bytes = b"K\x10\x85", stride: bytes = b"K\x01\x85") -> bytes:
    """A program for {"w": tensor}."""
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + source + offset + size + stride + b"\x89)tR"
    return b"\x80\x02}X\x01\0\0\0w" + rebuilt + b"s."


HUGE = b"\x8a\x05\0\0\0\0\x01"  # 2**32 as LONG1

CHECKPOINTS: dict[str, Callable[[Path], bytes]] = {
    "empty file": lambda mark: b"",
    "only PK": lambda mark: b"PK",
    "an empty zip": lambda mark: archive({}),
    "a zip of something else": lambda mark: archive({"mimetype": b"application/epub"}),
    "a zip whose directory is cut off": lambda mark: zip_of(tensor(storage()))[:-30],
    "a zip with two programs": lambda mark: archive({"a/data.pkl": b"", "b/data.pkl": b""}),
    "a compressed zip bomb": lambda mark: archive({"a/data.pkl": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED),
    "compressed values": lambda mark: archive(
        {"a/data.pkl": tensor(storage()), "a/data/0": b"\0" * 1_000_000}, zipfile.ZIP_DEFLATED
    ),
    "a program above the limit": lambda mark: zip_of(b"\0" * (65 << 20)),
    "big-endian numbers": lambda mark: zip_of(tensor(storage()), **{"a/byteorder": b"big"}),
    "a TorchScript program": lambda mark: zip_of(tensor(storage()), **{"a/code/__torch__.py": b"import os"}),
    "an empty program": lambda mark: zip_of(b""),
    "a program without an end": lambda mark: zip_of(b"\x80\x02}" * 3),
    "a program that pops nothing": lambda mark: zip_of(b"\x80\x020."),
    "a program that never marked": lambda mark: zip_of(b"\x80\x02t."),
    "a program that recalls nothing": lambda mark: zip_of(b"\x80\x02h\x05."),
    "a memo place of four billion": lambda mark: zip_of(b"\x80\x02}r\xff\xff\xff\xff0j\xfe\xff\xff\xff."),
    "a text of 2**60 letters": lambda mark: zip_of(b"\x80\x04\x8d\0\0\0\0\0\0\0\x10."),
    "a negative text": lambda mark: zip_of(b"\x80\x02T\xff\xff\xff\xff."),
    "a number of two billion digits": lambda mark: zip_of(b"\x80\x02\x8b\xff\xff\xff\x7f."),
    "text that is not UTF-8": lambda mark: zip_of(b"\x80\x02X\x02\0\0\0\xff\xfe."),
    "protocol 200": lambda mark: zip_of(b"\x80\xc8}."),
    "a list as a key": lambda mark: zip_of(b"\x80\x02}]K\x01s."),
    "items put into a number": lambda mark: zip_of(b"\x80\x02K\x01(K\x01K\x02u."),
    "an import without a name": lambda mark: zip_of(b"\x80\x04K\x01K\x02\x93."),
    "an import that does not end": lambda mark: zip_of(b"\x80\x02cos"),
    "a call of a text": lambda mark: zip_of(b"\x80\x02X\x02\0\0\0os)R."),
    "a class of ours": lambda mark: zip_of(b"\x80\x02cengine.models.library\nremove\n(X\x01\0\0\0atR."),
    "the INST instruction": lambda mark: zip_of(b"(S'touch'\nios\nsystem\n."),
    "the OBJ instruction": lambda mark: zip_of(b"\x80\x02(cos\nsystem\nX\x05\0\0\0touch" + b"o."),
    "the NEWOBJ instruction": lambda mark: zip_of(b"\x80\x02ccollections\nOrderedDict\n)\x81."),
    "an extension code": lambda mark: zip_of(b"\x80\x02\x82\x01."),
    "a persistent id as text": lambda mark: zip_of(b"\x80\x02Pstorage\n."),
    "attributes on a function": lambda mark: zip_of(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b."),
    "no dict inside": lambda mark: zip_of(b"\x80\x02]."),
    "a dict of numbers": lambda mark: zip_of(b"\x80\x02}K\x01K\x02s."),
    "a dict that holds itself": lambda mark: zip_of(b"\x80\x02}q\0X\x05\0\0\0modelh\0s."),
    "lists a million deep": lambda mark: zip_of(b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b"."),
    "values that are missing": lambda mark: zip_of(tensor(storage(key=b"X\x01\0\0\0009"))),
    "values outside the archive": lambda mark: zip_of(tensor(storage(key=b"X\x0b\0\0\0../../../..x"))),
    "values cut short": lambda mark: zip_of(tensor(storage(length=b"K\x20"), size=b"K\x20\x85")),
    "values of 2**32": lambda mark: zip_of(tensor(storage(length=HUGE))),
    "values of a negative count": lambda mark: zip_of(tensor(storage(length=b"J\xff\xff\xff\xff"))),
    "values of an unknown type": lambda mark: zip_of(tensor(storage(kind=b"ctorch\nQInt8Storage\n"))),
    "values whose type is a text": lambda mark: zip_of(tensor(storage(kind=b"X\x01\0\0\0F"))),
    "a tensor of nothing": lambda mark: zip_of(tensor(b"N")),
    "a tensor beyond its values": lambda mark: zip_of(tensor(storage(), offset=b"K\x01")),
    "a tensor that strides beyond them": lambda mark: zip_of(tensor(storage(), size=b"K\x05\x85", stride=b"K\x04\x85")),
    "a tensor with negative steps": lambda mark: zip_of(tensor(storage(), stride=b"J\xff\xff\xff\xff\x85")),
    "a tensor of 2**64 values, none of them real": lambda mark: zip_of(
        tensor(storage(), size=HUGE + HUGE + b"\x86", stride=b"K\0K\0\x86")
    ),
    "a tensor whose shape is a list": lambda mark: zip_of(tensor(storage(), size=b"]")),
    "a tensor with more sides than steps": lambda mark: zip_of(tensor(storage(), size=b"K\x04K\x04\x86")),
    "a tensor of truths as a shape": lambda mark: zip_of(tensor(storage(), size=b"\x88\x85")),
    "a tar of 2017 with a payload": tar_checkpoint,
    "a bare pickle with a payload": lambda mark: pickle.dumps(Payload(os.system, f"touch '{mark}'"), protocol=2),
    "a text pickle with a payload": lambda mark: f"cos\nsystem\n(S'touch {mark}'\ntR.".encode(),
    "a bare pickle of numbers": lambda mark: pickle.dumps({"a": 1}, protocol=4),
    "a legacy file of another version": lambda mark: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(9, 2),
    "a legacy file cut in its values": lambda mark: saved(state(), zipped=False)[:-40],
    "a legacy file cut in its program": lambda mark: saved(state(), zipped=False)[:300],
    "a whole network object": lambda mark: saved(torch.nn.Conv2d(3, 3, 3)),
    "weights of no network": lambda mark: saved({"a": torch.zeros(3)}),
    "weights that are NaN": lambda mark: saved({**state(), "body.0.bias": torch.full((4,), float("nan"))}),
    "sparse weights": lambda mark: saved({"a": torch.eye(3).to_sparse()}),
    "quantised weights": lambda mark: saved({"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}),
    "a picture": lambda mark: b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_hostile_checkpoint_is_refused_in_a_sentence_and_runs_nothing(case: str, tmp_path: Path) -> None:
    mark = tmp_path / "pwned"
    path = tmp_path / "hostile.pth"
    path.write_bytes(CHECKPOINTS[case](mark))
    refused(path)
    assert not mark.exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_with_any_byte_changed_is_read_or_refused_never_worse(zipped: bool, tmp_path: Path) -> None:
    whole = bytearray(saved(state(), zipped))
    random = np.random.default_rng(0)
    path = tmp_path / "hostile.pth"
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_any_model(path)
        except PellucidError as error:
            assert error.message.endswith(".")


@given(program=st.binary(max_size=60))
def test_no_program_of_any_bytes_gets_past_the_interpreter(
    program: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.pth"
    path.write_bytes(zip_of(b"\x80\x02" + program))
    refused(path)


# paths ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["safetensors", "pth", "ckpt", "pt", "param", "bin"])
def test_a_missing_file_is_a_sentence(ending: str, tmp_path: Path) -> None:
    assert refused(tmp_path / f"hostile.{ending}").code is Code.MODEL_MISSING


@pytest.mark.parametrize("ending", ["safetensors", "pth", "param"])
def test_a_folder_is_a_sentence(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"hostile.{ending}"
    path.mkdir()
    with pytest.raises(PellucidError, match="hostile"):
        read_any_model(path)


@pytest.mark.parametrize("ending", ["", ".txt", ".exe", ".onnx"])
def test_an_unknown_ending_is_a_sentence(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"hostile{ending}"
    path.write_bytes(b"x")
    assert "safetensors" in refused(path).hint
