"""Models stay loaded between pictures, and never longer than they are what their names mean."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import engine.restore
from engine.models.files import write_model
from engine.models.library import import_model
from engine.models.model import Model
from engine.restore import Restorer
from engine.wire import RestoreOptions
from tests.restore.conftest import small_model


def same(one: Model, other: Model) -> bool:
    return all(np.array_equal(array, other.weights[name]) for name, array in one.weights.items())


def test_a_model_is_read_once(library: Path) -> None:
    restorer = Restorer()
    options = RestoreOptions(model="faithful")
    assert restorer.model_for(options) is restorer.model_for(options)


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_a_model_that_was_replaced_is_read_again(library: Path, tmp_path: Path, alpha: float | None) -> None:
    restorer = Restorer()
    options = RestoreOptions(model="faithful", partner="vivid" if alpha else "", alpha=alpha)
    before = restorer.model_for(options)
    newer = small_model("faithful", 7, role="psnr")
    write_model(newer, tmp_path / "newer.safetensors")
    import_model(tmp_path / "newer.safetensors", "faithful", replace=True)
    after = restorer.model_for(options)
    assert not same(after, before)
    if alpha is None:
        assert same(after, newer)


def test_a_model_file_that_was_written_anew_is_read_again(library: Path, tmp_path: Path) -> None:
    restorer, path = Restorer(), tmp_path / "training.safetensors"
    for seed in (3, 4):
        written = small_model("training", seed)
        write_model(written, path)
        assert same(restorer.model_for(RestoreOptions(model=str(path))), written)


def test_requests_are_taken_in_and_jobs_end_while_a_model_is_loaded(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    load = engine.restore.find_model

    def load_slowly(name: str) -> Model:
        begun.set()
        assert go_on.wait(30)
        return load(name)

    monkeypatch.setattr(engine.restore, "find_model", load_slowly)
    restorer = Restorer()
    loader = threading.Thread(target=restorer.model_for, args=[RestoreOptions(model="faithful")])
    loader.start()
    assert begun.wait(30)

    def serve() -> None:
        restorer.expect(str(tmp_path / "a.png"))
        restorer.end("1")

    listener = threading.Thread(target=serve)
    listener.start()
    listener.join(5)
    waits = listener.is_alive()
    go_on.set()
    loader.join()
    listener.join()
    assert not waits
