"""Builds one engine in a process of its own, so that nobody waits for it and nothing it does can take the work down:

    python -m engine.runtime.tensorrt_builder REQUEST.json

Prints one line: {"engine": path} or {"error": sentence}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from engine.errors import Code, PellucidError
from engine.models.card import Card
from engine.models.model import Model
from engine.runtime.session import Precision
from engine.runtime.tensorrt_engine import build_engine
from engine.runtime.tensorrt_library import find_flavour, load_library
from engine.version import bundle_folder


class BuildRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    flavour: str
    card: Card
    weights: str
    """Path of the arrays, as numpy keeps them."""
    engine: str
    """Where the engine is to be written."""
    precision: Precision
    side: int
    batch: int
    refittable: bool
    device: int = 0
    """Number of the GPU it is built for."""


class EngineBuild:
    """A build on its way, in a child process of low priority."""

    def __init__(
        self,
        model: Model,
        *,
        flavour: str,
        precision: Precision,
        side: int,
        batch: int,
        refittable: bool = True,
        device: int = 0,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pellucid-engine-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        weights, self._engine = folder / "weights.npz", folder / "engine"
        np.savez(weights, **dict(model.weights.items()))  # type: ignore[arg-type]
        request = BuildRequest(
            flavour, model.card, str(weights), str(self._engine), precision, side, batch, refittable, device
        )
        path = folder / "request.json"
        path.write_bytes(msgspec.json.encode(request))
        self._name = model.card.name
        self._process = subprocess.Popen(
            [*_command(), str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def wait(self, stopped: threading.Event) -> bytes | None:
        """The engine; None when `stopped` was set meanwhile. Raises PellucidError with the child's sentence."""
        try:
            while True:
                try:
                    out, err = self._process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    if stopped.is_set():
                        self._process.kill()
                        self._process.communicate()
                        return None
            return self._read(out, err)
        finally:
            self._folder.cleanup()

    def _read(self, out: bytes, err: bytes) -> bytes:
        answer: dict[str, str] = {}
        lines = [line for line in out.decode(errors="replace").splitlines() if line.startswith("{")]
        with suppress(ValueError, IndexError):
            answer = json.loads(lines[-1])
        if self._process.returncode == 0 and "engine" in answer:
            return self._engine.read_bytes()
        words = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
        ended = f"it ended with the code {self._process.returncode}" + (f" after: {words[-1][:200]}" if words else "")
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE,
            answer.get("error") or f'Building the TensorRT engine of "{self._name}" failed: {ended}.',
        )


def _command() -> list[str]:
    if bundle_folder() is not None:
        return [sys.executable, "accelerate", "build-engine"]
    return [sys.executable, "-m", "engine.runtime.tensorrt_builder"]


def build(request_path: Path) -> int:
    """What the child process does."""
    if hasattr(os, "nice"):
        os.nice(10)
    request = msgspec.json.decode(request_path.read_bytes(), type=BuildRequest)
    try:
        trt = load_library(find_flavour(request.flavour))
        from engine.runtime.torch_network import load_torch

        torch = load_torch()
        if torch.cuda.is_available():
            torch.cuda.set_device(request.device)
            torch.cuda.init()
        with np.load(request.weights) as arrays:
            weights = {name: arrays[name] for name in arrays.files}
        plan = build_engine(
            trt,
            request.card,
            weights,
            precision=request.precision,
            side=request.side,
            batch=request.batch,
            refittable=request.refittable,
        )
        Path(request.engine).write_bytes(plan)
    except PellucidError as error:
        print(json.dumps({"error": error.message}), flush=True)
        return 1
    print(json.dumps({"engine": request.engine}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
