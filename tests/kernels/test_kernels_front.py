from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kernels
from kernels.degrade import degrade, pixels_of, plan_size, planes_of
from kernels.errors import KernelError, KernelInputError, KernelsMissingError, NoDeviceError
from kernels.library import (
    ABI,
    PATIENCE_SECONDS,
    WRITING_SECONDS,
    Status,
    _wait_until_written,
    cuda_devices,
    cuda_library,
)
from kernels.ops import LONGEST_ROW, OP, Blur, Filter, Noise, Opcode, Subsampling

HEADERS = Path(kernels.__file__).parent / "include" / "pellucid"


def plan_of(record: Any, count: int = 1) -> Any:
    return np.array([[record]] * count, OP)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: a.astype(np.float64), "float64"),
        (lambda a: (a * 255).astype(np.uint8), "uint8"),
        (lambda a: a[:, :, :, ::2], "not contiguous"),
        (lambda a: a[:, :, :0], "which is nothing"),
        (lambda a: a[:, :2].copy(), "two planes|2 planes"),
        (lambda a: a[0], "shape"),
        (lambda a: a.tolist(), "list"),
        (lambda a: a * 255, "outside 0..1"),
        (lambda a: np.where(a > 0.99, np.float32(np.nan), a), "NaN"),
        (lambda a: np.where(a > 0.99, np.float32(np.inf), a), "infinity"),
        (lambda a: np.lib.stride_tricks.as_strided(a, (1, 3, 70000, 2)), "65535|not contiguous"),
    ],
)
def test_pictures_that_are_none_are_refused_in_words(spoil: Any, words: str, op: Any) -> None:
    good = np.random.default_rng(0).random((1, 3, 40, 50), dtype=np.float32)
    copy = good.copy()
    with pytest.raises(KernelInputError, match=words):
        degrade(spoil(good), plan_of(op(Opcode.JPEG, (50, 2))), 0, [0])
    np.testing.assert_array_equal(good, copy)


def test_the_bad_picture_of_a_batch_is_named(op: Any) -> None:
    pictures = np.full((4, 3, 9, 17), 0.5, np.float32)
    pictures[2, 1, 8, 16] = np.nan
    with pytest.raises(KernelInputError, match="sample 2") as caught:
        degrade(pictures, plan_of(op(Opcode.CLAMP_ROUND), 4), 0, range(4))
    assert caught.value.sample == 2


@pytest.mark.parametrize(
    ("code", "i", "f", "words"),
    [
        (99, (), (), "opcode"),
        (Opcode.BLUR, (4, 21), (1, 1), "blur kernel"),
        (Opcode.BLUR, (0, 22), (1, 1), "blur size is 22"),
        (Opcode.BLUR, (0, 65), (1, 1), "blur size"),
        (Opcode.BLUR, (0, 21), (0, 1), "sigma_x is 0"),
        (Opcode.BLUR, (0, 21), (1, float("nan")), "sigma_y is -?nan"),
        (Opcode.BLUR, (3, 21), (0, 0, 0, 0, 9), "cutoff"),
        (Opcode.RESIZE, (0, 5, 1), (), "0 x 5"),
        (Opcode.RESIZE, (65535, 65535, 1), (), "pixels"),
        (Opcode.RESIZE, (5, 5, 7), (), "filter"),
        (Opcode.GAUSSIAN_NOISE, (0,), (-1,), "sigma"),
        (Opcode.POISSON_NOISE, (0, 100), (1,), "levels"),
        (Opcode.POISSON_NOISE, (2, 0), (1,), "noise"),
        (Opcode.JPEG, (0, 0), (), "quality is 0"),
        (Opcode.JPEG, (101, 0), (), "quality is 101"),
        (Opcode.JPEG, (50, 3), (), "subsampling"),
        (Opcode.USM, (500,), (1, 1), "radius"),
        (Opcode.DROPOUT, (0, 0, 11, 1), (0,), "inside"),
        (Opcode.CROP, (2**31 - 1, 0, 2**31 - 1, 1), (), "inside"),
        (Opcode.FLIP, (2,), (), "flip"),
        (Opcode.HOST_CODEC, (0, 80), (), "caller runs it"),
    ],
)
def test_wrong_records_are_refused_before_any_work(code: int, i: Any, f: Any, words: str, op: Any) -> None:
    pictures = np.full((2, 3, 10, 12), 0.5, np.float32)
    out = np.full((2, 3, 10, 12), 7, np.float32)
    plan = np.zeros((2, 2), OP)
    plan[:, 0] = op(Opcode.CLAMP_ROUND)
    plan[1, 1] = op(code, i, f)
    with pytest.raises(KernelInputError, match=words) as caught:
        degrade(pictures, plan, 0, [0, 1], out=out)
    assert (caught.value.sample, caught.value.operation) == (1, 1)
    assert (out == 7).all()


def test_wrong_options_are_refused(op: Any, picture: Any) -> None:
    plan = plan_of(op(Opcode.CLAMP_ROUND))
    for arguments, words in [
        ({"threads": 0}, "threads"),
        ({"variant": "mmx"}, "no variant"),
        ({"samples": [0, 1]}, "2 numbers for 1"),
        ({"samples": [-1]}, "outside"),
        ({"seed": 1 << 64}, "outside"),
        ({"seed": [1, 2]}, "seed"),
        ({"ops": plan[:, :0].repeat(2, 0)}, "shape"),
        ({"ops": [1, 2]}, "OP records"),
        ({"out": [np.empty((3, 5, 5), np.float32)]}, "45 x 61"),
        ({"out": [picture]}, "overlaps"),
        ({"out": []}, "out holds 0"),
    ]:
        call = {"images": [picture], "ops": plan, "seed": 0, "samples": [0], **arguments}
        with pytest.raises(KernelInputError, match=words):
            degrade(**call)


def test_what_may_not_be_written_is_refused(op: Any, picture: Any, tmp_path: Path) -> None:
    plan = plan_of(op(Opcode.CLAMP_ROUND))
    locked = np.zeros_like(picture)
    locked.flags.writeable = False
    file = tmp_path / "pixels"
    file.write_bytes(bytes(picture.nbytes))
    mapped = np.memmap(file, np.float32, "r", shape=picture.shape)
    for target in (locked, mapped, np.broadcast_to(locked, picture.shape)):
        with pytest.raises(KernelInputError, match=r"out\[0\] is read-only"):
            degrade([picture], plan, 0, [0], out=[target])
        with pytest.raises(KernelInputError, match="out is read-only"):
            degrade(picture[None], plan, 0, [0], out=target[None])
        assert not target.any()
    assert degrade([mapped], plan, 0, [0], threads=1)[0].shape == picture.shape, "read-only inputs are welcome"


def test_a_result_shares_memory_with_nothing(op: Any) -> None:
    memory = np.full(60_000, 0.5, np.float32)

    def at(start: int, side: int) -> Any:
        return memory[start : start + 3 * side * side].reshape(3, side, side)

    own = np.empty((3, 10, 10), np.float32)
    # inputs, outputs, and what is said; None: allowed
    for images, out, words in [
        ([at(0, 10), at(300, 10)], [at(30_000, 10), at(30_000, 10)], r"out\[1\] overlaps out\[0\]"),
        ([at(0, 10), at(300, 10)], [at(30_299, 10), at(30_000, 10)], r"out\[1\] overlaps out\[0\]"),
        ([at(0, 10), at(300, 20)], [at(31_000, 10), at(30_999, 20)], r"out\[1\] overlaps out\[0\]"),
        ([at(0, 100), at(10, 4)], [np.empty((3, 100, 100), np.float32), at(15_000, 4)], r"out\[1\] overlaps an input"),
        ([at(299, 10)], [at(0, 10)], r"out\[0\] overlaps an input"),
        ([at(0, 10)], [at(299, 10)], r"out\[0\] overlaps an input"),
        ([at(0, 10), at(0, 10), at(150, 10)], [at(450, 10), at(750, 10), own], None),
    ]:
        memory[:] = 0.5
        plan, samples = plan_of(op(Opcode.CLAMP_ROUND), len(images)), range(len(images))
        if words is None:
            degrade(images, plan, 0, samples, out=out)
            continue
        for wrap in (lambda a: a, torch.from_numpy):
            with pytest.raises(KernelInputError, match=words):
                degrade(images, plan, 0, samples, out=[wrap(a) for a in out])
        assert (memory == 0.5).all()


def test_the_place_of_a_picture_that_is_none_stays_as_it_was(op: Any) -> None:
    pictures = np.full((3, 3, 9, 17), 0.5, np.float32)
    pictures[1, 2, 8, 16] = np.nan
    out = np.full_like(pictures, 7)
    with pytest.raises(KernelInputError, match="sample 1"):
        degrade(pictures, plan_of(op(Opcode.CLAMP_ROUND), 3), 0, range(3), out=out, threads=1)
    assert (out[1] == 7).all()


def test_an_empty_batch_is_an_empty_batch(op: Any) -> None:
    assert degrade(np.empty((0, 3, 5, 5), np.float32), np.zeros((0, 3), OP), 0, []).shape == (0, 3, 5, 5)
    assert degrade([], np.zeros((0, 3), OP), 0, []) == []


def test_a_batch_of_several_result_sizes_must_be_a_list(op: Any) -> None:
    pictures = np.full((2, 3, 10, 12), 0.5, np.float32)
    plan = np.array([[op(Opcode.CROP, (0, 0, 5, 5))], [op(Opcode.CROP, (0, 0, 6, 5))]], OP)
    with pytest.raises(KernelInputError, match="list"):
        degrade(pictures, plan, 0, [0, 1])
    assert [p.shape for p in degrade(list(pictures), plan, 0, [0, 1])] == [(3, 5, 5), (3, 6, 5)]


def test_results_go_into_the_arrays_given(op: Any, picture: Any) -> None:
    out = [np.zeros_like(picture)]
    assert degrade([picture], plan_of(op(Opcode.CLAMP_ROUND)), 0, [0], out=out) is out
    np.testing.assert_allclose(out[0], picture, atol=0.002)


def test_tensors_come_back_as_tensors_and_hold_what_arrays_hold(op: Any, picture: Any) -> None:
    plan = plan_of(op(Opcode.JPEG, (40, 2)), 2)
    array = np.stack([picture, picture])
    tensor = torch.from_numpy(array)
    result = degrade(tensor, plan, 0, [0, 1])
    assert isinstance(result, torch.Tensor)
    np.testing.assert_array_equal(result.numpy(), degrade(array, plan, 0, [0, 1]))
    out = torch.zeros_like(tensor)
    address = out.data_ptr()
    degrade(tensor, plan, 0, [0, 1], out=out)
    assert out.data_ptr() == address
    assert torch.equal(out, result)
    for spoilt, words in [
        (tensor.double(), "float64"),
        (tensor.transpose(2, 3), "contiguous"),
        (tensor.clone().requires_grad_(), "gradient"),
        (tensor.to("meta"), "meta"),
    ]:
        with pytest.raises(KernelInputError, match=words):
            degrade(spoilt, plan, 0, [0, 1])


def test_plan_size_follows_every_operation(op: Any) -> None:
    row = np.array([op(Opcode.CROP, (1, 1, 8, 9)), op(Opcode.FLIP, (0, 0, 1)), op(Opcode.RESIZE, (33, 7, 1))], OP)
    assert [plan_size(row[:k], 10, 12) for k in range(4)] == [(10, 12), (8, 9), (9, 8), (33, 7)]


def test_without_a_gpu_the_cuda_library_loads_and_says_why(picture: Any) -> None:
    try:
        cuda_library()
    except KernelsMissingError:
        pytest.skip("this build has no CUDA library")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(NoDeviceError, match="looking for devices"):
        cuda_devices()


def test_importing_the_front_loads_neither_torch_nor_the_library() -> None:
    code = (
        "import sys, kernels.degrade, kernels.library;"
        "print('torch' in sys.modules, kernels.library.cpu_library.cache_info().misses)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.split() == ["False", "0"]


def c_enum(text: str, c_name: str) -> dict[str, int]:
    body = re.search(rf"enum {c_name} \{{(.*?)\}}", text, re.DOTALL)
    assert body, c_name
    found = re.findall(r"PELLUCID_(\w+) = (-?\d+)", body[1])
    return {name: int(value) for name, value in found}


@pytest.mark.skipif(not HEADERS.is_dir(), reason="an installed wheel leaves the headers out")
def test_the_header_and_the_records_have_one_layout() -> None:
    text = (HEADERS / "ops.h").read_text("utf-8")
    body = re.search(r"typedef struct PellucidOp \{(.*?)\} PellucidOp;", text, re.DOTALL)
    assert body
    kinds = {"uint32_t": "<u4", "int32_t": "<i4", "float": "<f4"}
    fields = re.findall(r"^\s*(\w+) (\w+)(?:\[(\d+)\])?;", body[1], re.MULTILINE)
    layout = [(name, kinds[kind], (int(n),)) if n else (name, kinds[kind]) for kind, name, n in fields]
    assert np.dtype(layout) == OP
    assert OP.itemsize == 64
    assert c_enum(text, "PellucidOpcode") == {m.name: m.value for m in Opcode}
    assert c_enum(text, "PellucidBlur") == {m.name: m.value for m in Blur}
    assert c_enum(text, "PellucidFilter") == {m.name: m.value for m in Filter}
    assert c_enum(text, "PellucidNoise") == {m.name: m.value for m in Noise}
    assert c_enum(text, "PellucidSubsampling") == {m.name: m.value for m in Subsampling}
    interface = (HEADERS / "pellucid.h").read_text("utf-8")
    assert c_enum(interface, "PellucidStatus") == {m.name: m.value for m in Status}
    assert f"#define PELLUCID_ABI {ABI}" in interface
    assert f"MAX_OPERATIONS = {LONGEST_ROW};" in (HEADERS.parents[1] / "src" / "prepare.h").read_text("utf-8")


def test_every_refusal_is_both_a_kernel_error_and_a_value_error() -> None:
    assert issubclass(KernelInputError, KernelError)
    assert issubclass(KernelInputError, ValueError)
    assert issubclass(NoDeviceError, RuntimeError)


def test_a_library_that_is_just_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "half.so"
    path.write_bytes(b"half")
    began = time.monotonic()
    _wait_until_written(path)
    assert WRITING_SECONDS / 2 < time.monotonic() - began < PATIENCE_SECONDS
    began = time.monotonic()
    _wait_until_written(path)
    _wait_until_written(tmp_path / "absent.so")
    assert time.monotonic() - began < WRITING_SECONDS / 2


def test_pixels_become_planes_and_come_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 17, 23, 3), np.uint8)
    pixels[0, 0, :, 0] = np.arange(23)
    planes = planes_of(pixels)
    np.testing.assert_array_equal(planes, pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(pixels_of(planes), pixels)
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(planes_of(every)[0, 0].ravel(), np.arange(256, dtype=np.float32) / np.float32(255))
    np.testing.assert_array_equal(planes_of(pixels[:, ::2, ::-1]), planes[:, :, ::2, ::-1])
    assert planes_of(pixels[:0]).shape == (0, 3, 17, 23)


def test_planes_are_rounded_to_even_and_clamped() -> None:
    values = np.concatenate([np.random.default_rng(0).uniform(-0.5, 1.5, 2000), (np.arange(256) + 0.5) / 255])
    planes = np.resize(values.astype(np.float32), (2, 3, 21, 19))
    expected = np.rint(np.clip(planes, 0, 1) * np.float32(255)).astype(np.uint8).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(pixels_of(planes), expected)
    assert pixels_of(np.full((1, 3, 1, 1), np.nan, np.float32)).max() == 0
    np.testing.assert_array_equal(pixels_of(planes[:, :, ::-1]), expected[:, ::-1])


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 4, 4, 4), (1, 2, 2, 3, 3)])
def test_what_is_no_pixels_is_refused(shape: tuple[int, ...]) -> None:
    for dtype in (np.uint8, np.float32, np.float64):
        for convert in (planes_of, pixels_of):
            with pytest.raises(KernelInputError, match="they must be"):
                convert(np.zeros(shape, dtype))
