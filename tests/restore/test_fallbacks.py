"""Who takes over when a job's GPU cannot do it, with GPUs that are not real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import restore
from engine.errors import DeviceLost, OutOfMemory
from engine.image.buffer import ImageBuffer
from engine.models.model import Model
from engine.restore import Restorer, Unwatched, restore_pixels
from engine.runtime.session import Batch, PackedTile, Session
from engine.tiling.augment import AugmentedSession
from engine.wire import RestoreOptions
from tests.restore.conftest import small_model


def test_a_model_that_no_gpu_has_room_for_runs_on_the_cpu_and_says_so(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, str]] = []
    open_session = restore.open_session

    def open_on_a_full_gpu(model: Model, **options: Any) -> Any:
        opened.append((options["device"], options["precision"]))
        if options["device"] != "cpu":
            raise OutOfMemory('cuda:0 has too little memory for the model "faithful".')
        return open_session(model, **options)

    monkeypatch.setattr(restore, "open_session", open_on_a_full_gpu)
    restorer, said = Restorer(), []
    options = RestoreOptions(model="faithful", device="cuda", precision="fp16", backend="torch")
    model = restorer.model_for(options)
    sessions = [restorer.session_for(model, options, notice=said.append) for _ in range(2)]
    assert sessions[0] is sessions[1]
    assert sessions[0].info.device == "cpu"
    assert said == ['cuda:0 has too little memory for the model "faithful". The CPU restores instead.'] * 2
    assert opened == [("cuda", "fp16"), ("cpu", ""), ("cuda", "fp16")], "each time the GPU is tried first"
    restorer.close()


class Mortal:
    """A session on a GPU that stops working after some tiles."""

    def __init__(self, session: Session, tiles: int) -> None:
        self.info = replace(session.info, backend="torch", device="cuda:0")
        self._session = session
        self._left = tiles

    def check(self) -> None:
        if self._left <= 0:
            raise DeviceLost("cuda:0 stopped working (an illegal access).")

    def run(self, batch: Batch) -> Batch:
        self.check()
        self._left -= 1
        return self._session.run(batch)

    def run_packed(self, window: Any) -> Any:
        self.check()
        self._left -= 1
        planes = np.float32(window.transpose(2, 0, 1)[np.newaxis]) / np.float32(255)
        made = self._session.run(planes)[0].transpose(1, 2, 0)
        return PackedTile(np.rint(np.clip(made, 0, 1) * 255).astype(np.uint8), True)

    def set_weights(self, weights: Any) -> None:
        self.check()

    def close(self) -> None:
        self._session.close()


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_gpu_that_is_lost_in_a_picture_leaves_it_and_the_next_ones_to_the_cpu(
    bits: int, tta: bool, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the CPU alone would have made them, with all that was asked for."""
    opened: list[tuple[str, str]] = []
    open_session = restore.open_session

    def open_on_a_mortal_gpu(model: Model, **options: Any) -> Any:
        opened.append((options["device"], options["precision"]))
        session = open_session(model, device="cpu", precision="fp32")
        return session if options["device"] == "cpu" else Mortal(session, 2)

    monkeypatch.setattr(restore, "open_session", open_on_a_mortal_gpu)
    restorer, said = Restorer(), Said()
    options = RestoreOptions(model="faithful", device="cuda", precision="fp32", tta=tta, tile=16)
    model = restorer.model_for(options)
    random = np.random.default_rng(0)
    image = ImageBuffer(random.integers(0, 1 << bits, (30, 40, 3)).astype(np.uint8 if bits == 8 else np.uint16))
    alone = AugmentedSession(open_session(model, device="cpu", precision="fp32"))
    plain = open_session(model, device="cpu", precision="fp32")
    expected = restore_pixels(image, model, alone if tta else plain, RestoreOptions())
    devices = []
    for _ in range(3):
        session = restorer.session_for(model, options, notice=said.notice)
        devices.append(session.info.device)
        result = restore_pixels(image, model, session, options, said)
        assert np.abs(result.colour.astype(int) - expected.colour).max() <= 1
    assert devices == ["cuda:0", "cpu", "cpu"]
    assert opened == [("cuda", "fp32"), ("cpu", "fp32"), ("cpu", "fp32")]
    assert all("cuda:0 stopped working" in text for text in said.texts)
    assert "restores the rest" in said.texts[0]
    assert said.texts[1].endswith("The CPU restores instead.")
    for one in (restorer, alone, plain):
        one.close()


class Said(Unwatched):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def notice(self, text: str) -> None:
        self.texts.append(text)


class BrokenBeside:
    """Another session under another name, giving values that are no numbers."""

    def __init__(self, session: Session, **names: Any) -> None:
        self.info = replace(session.info, **names)
        self._session = session

    def run(self, batch: Batch) -> Batch:
        return self._session.run(batch) * np.float32("nan")


@pytest.mark.parametrize(
    ("backend", "device", "stronger"),
    [
        ("tensorrt + torch", "cuda:0,cuda:1", "torch"),
        ("tensorrt-rtx", "cuda:0", "torch"),
        ("torch", "cuda:0", "torch"),
        ("openvino", "cpu", "openvino"),
    ],
)
def test_a_broken_tile_is_repeated_in_float32_whatever_ran_it(
    monkeypatch: pytest.MonkeyPatch, backend: str, device: str, stronger: str
) -> None:
    model, open_session = small_model("a", 1), restore.open_session
    asked: list[Any] = []

    def open_there(model: Model, **options: Any) -> Session:
        asked.append(options)
        return open_session(model, backend=options["backend"], device="cpu", precision="fp32")

    monkeypatch.setattr(restore, "open_session", open_there)
    real = open_session(model, device="cpu", precision="fp32")
    broken = BrokenBeside(real, backend=backend, device=device, precision="bf16")
    random = np.random.default_rng(0)
    image = ImageBuffer(random.integers(0, 256, (30, 40, 3), np.uint8))
    result = restore_pixels(image, model, broken, RestoreOptions())
    assert asked == [{"backend": stronger, "device": device, "precision": "fp32"}]
    expected = restore_pixels(image, model, real, RestoreOptions())
    assert np.abs(result.colour.astype(int) - expected.colour).max() <= 1
    real.close()
