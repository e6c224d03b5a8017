"""The right backend is chosen, a forced one is obeyed or refused in a sentence, and all give the same picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.errors import Code, OutOfMemory, PellucidError
from engine.models.card import Card
from engine.models.classical import enlarge, find_classical
from engine.models.model import Model
from engine.runtime import choose, memory, openvino_cpu, torch_cuda, torch_device, torch_eager, torch_network
from engine.runtime.choose import backend_reports, open_session
from engine.runtime.halo import halo_of
from engine.runtime.pipeline import PipelinedSession
from engine.runtime.torch_cuda import pipelined_torch_session
from engine.runtime.torch_device import HostDevice
from engine.tiling.measure import measure_cutting_errors, measure_halo, natural_picture
from engine.tiling.run import TilingSettings, restore_tiles

MakeModel = Callable[..., Model]
has_bf16 = "bf16" in openvino_cpu.supported_precisions()


def pretend_missing(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))


def test_openvino_runs_our_networks_on_the_cpu(small_model: MakeModel) -> None:
    session = open_session(small_model("compact"), device="cpu")
    assert session.info.backend == "openvino"
    assert session.info.device == "cpu"
    assert session.info.precision == ("bf16" if has_bf16 else "fp32")


def test_a_missing_backend_is_reported_and_replaced(small_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_missing(monkeypatch, "openvino")
    report = next(report for report in backend_reports() if report.name == "openvino")
    assert not report.available
    assert "not installed" in report.reason
    assert open_session(small_model("compact"), device="cpu").info.backend == "torch"
    with pytest.raises(PellucidError, match="openvino is not installed") as caught:
        open_session(small_model("compact"), backend="openvino")
    assert caught.value.code is Code.BACKEND_UNAVAILABLE


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"backend": "openvin"}, Code.USAGE, 'Did you mean "openvino"'),
        ({"precision": "fp8"}, Code.USAGE, "no precision"),
        ({"backend": "openvino", "precision": "fp16"}, Code.BACKEND_UNAVAILABLE, "fp16"),
        ({"backend": "openvino", "device": "cuda"}, Code.BACKEND_UNAVAILABLE, "cuda"),
        ({"backend": "torch", "device": "toaster"}, Code.BACKEND_UNAVAILABLE, "toaster"),
        ({"backend": "torch", "device": "cuda:77"}, Code.BACKEND_UNAVAILABLE, "cuda:77"),
    ],
)
def test_what_cannot_be_had_is_refused_in_a_sentence(
    small_model: MakeModel, options: dict[str, str], code: Code, words: str
) -> None:
    with pytest.raises(PellucidError) as caught:
        open_session(small_model("compact"), **options)
    assert caught.value.code is code
    assert words in str(caught.value)


def test_precisions_that_a_card_calls_bad_are_never_chosen(small_model: MakeModel) -> None:
    model = small_model("compact", bad_precisions=["bf16"])
    assert open_session(model, device="cpu").info.precision == "fp32"
    assert open_session(model, backend="torch", device="cpu").info.precision == "fp32"
    with pytest.raises(PellucidError, match="wrong pictures in bf16"):
        open_session(model, precision="bf16")


def test_swinir_is_never_run_in_half_precision(small_model: MakeModel) -> None:
    with pytest.raises(PellucidError, match="wrong pictures in fp16"):
        open_session(small_model("swinir"), backend="torch", precision="fp16")


@pytest.mark.parametrize("name", ["compact", "srresnet", "srresnet-tanh-x2", "swinir"])
def test_torch_and_openvino_give_the_same_picture(small_model: MakeModel, name: str) -> None:
    model = small_model(name)
    picture = natural_picture(32, 40, seed=1)[np.newaxis]
    with_torch = open_session(model, backend="torch", device="cpu", precision="fp32")
    with_openvino = open_session(model, backend="openvino", precision="fp32")
    np.testing.assert_allclose(with_torch.run(picture), with_openvino.run(picture), atol=2e-4)
    other = small_model(name, seed=9)
    with_torch.set_weights(other.weights)
    with_openvino.set_weights(other.weights)
    np.testing.assert_allclose(with_torch.run(picture), with_openvino.run(picture), atol=2e-4)
    with_torch.close()


def test_torch_refuses_weights_that_do_not_fit(small_model: MakeModel) -> None:
    session = open_session(small_model("compact"), backend="torch", device="cpu", precision="fp32")
    with pytest.raises(PellucidError) as caught:
        session.set_weights(small_model("rrdbnet-x2").weights)
    assert caught.value.code is Code.MODELS_DIFFER


def test_torch_says_out_of_memory_by_class(small_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(small_model("compact"), backend="torch", device="cpu", precision="fp32")
    monkeypatch.setattr(torch_eager, "available_memory", lambda: 1 << 20)
    with pytest.raises(OutOfMemory):
        session.run(natural_picture(64, 64, seed=1)[np.newaxis])


@pytest.mark.parametrize("name", ["bicubic", "lanczos"])
@pytest.mark.parametrize("tile", [0, 31])
def test_interpolation_in_tiles_equals_interpolation_of_the_whole(name: str, tile: int) -> None:
    model = find_classical(name)
    assert model is not None
    session = open_session(model)
    picture = natural_picture(70, 93, seed=2)
    rows: list[Any] = []
    restore_tiles(
        picture,
        session,
        on_band=lambda top, bottom, band: rows.append(band.copy()),
        settings=TilingSettings(tile=tile),
    )
    whole = enlarge(picture, 4, name)
    np.testing.assert_allclose(np.concatenate(rows).transpose(2, 0, 1), whole, atol=1e-5)
    with pytest.raises(PellucidError):
        session.set_weights({"a": np.zeros(1, dtype=np.float32)})


@pytest.mark.parametrize(("asked", "found"), [("rtx 4090", "cuda:1"), ("cuda", "cuda:2"), ("cuda:0, cuda:1", "cuda:0")])
def test_a_foreign_network_runs_on_the_gpu_that_is_named(
    monkeypatch: pytest.MonkeyPatch, asked: str, found: str
) -> None:
    numbers = {"rtx 4090": "cuda:1", "cuda": "cuda:2", "cuda:0": "cuda:0"}
    opened: list[Any] = []
    monkeypatch.setattr(torch_device, "find_cuda_device", numbers.__getitem__)
    monkeypatch.setattr(torch_network, "supported_precisions", lambda device: ("bf16", "fp16", "fp32"))
    monkeypatch.setattr(torch_eager, "TorchSession", lambda model, **options: opened.append(options))
    open_session(Model(Card(name="a", architecture="foreign"), {}), device=asked)
    assert opened == [{"device": found, "precision": "fp32"}]


def test_of_several_gpus_those_with_memory_take_part(small_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model, full = small_model("compact"), {"cuda:0"}

    def open_it(model: Model, *, device: str, precision: Any) -> Any:
        if device in full:
            raise OutOfMemory(f"{device} has too little memory.")
        return pipelined_torch_session(model, HostDevice(), precision)

    monkeypatch.setattr(torch_cuda, "open_torch_cuda", open_it)
    monkeypatch.setattr(torch_device, "find_cuda_device", lambda device: device)
    options = {"backend": "torch", "device": "cuda:0, cuda:1", "precision": "fp32"}
    session = open_session(model, **options)
    assert isinstance(session, PipelinedSession)
    assert session.take_notices() == ["cuda:0 has too little memory. It takes no part."]
    session.close()
    full.add("cuda:1")
    with pytest.raises(OutOfMemory, match="cuda:0"):
        open_session(model, **options)


def test_the_card_decides_the_halo() -> None:
    assert halo_of(Card(name="a", architecture="compact", halo=5)) == 5
    assert halo_of(Card(name="a", architecture="compact")) == 18, "sixteen convolutions, the first, and the last"
    assert halo_of(Card(name="a", architecture="rrdbnet")) >= 64
    assert halo_of(Card(name="a", architecture="foreign")) >= 64


def test_the_measured_halo_is_never_more_than_the_reach(small_model: MakeModel) -> None:
    session = open_session(small_model("compact"), backend="openvino", precision="fp32")
    candidates = (0, 8, 16, 18, 24)
    errors = measure_cutting_errors(session, candidates)
    assert errors[0] > 1 / 255
    assert errors[18] < 1e-5
    assert errors[24] < 1e-5
    found = measure_halo(session, candidates)
    assert found in (8, 16, 18)
    assert errors[found] <= 1 / 255


def test_a_driver_that_is_not_there_means_no_cuda_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(choose.ctypes, "CDLL", refuse)
    assert choose.cuda_devices() == []


def test_available_memory_respects_the_limit_of_the_process() -> None:
    resource = pytest.importorskip("resource")
    free = memory.available_memory()
    assert free > 0
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    import psutil

    taken = psutil.Process().memory_info().vms
    try:
        resource.setrlimit(resource.RLIMIT_AS, (taken + (64 << 20), hard))
        assert memory.available_memory() <= 64 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
