"""TensorRT beside torch: torch serves from the first tile on, the engine is built meanwhile, checked, and takes over.

Nobody waits for a compiler, and no engine is believed: before it serves, and after every change of weights, a tile of
its is compared with torch's. What differs is dropped with a sentence, and torch goes on alone.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from engine.errors import PellucidError
from engine.models.card import Card
from engine.models.model import Model, Weights
from engine.runtime.engine_cache import EngineCache, EngineKey
from engine.runtime.pipeline import Compiled, PipelinedSession
from engine.runtime.session import Batch, PackedTile, Precision, SessionInfo
from engine.runtime.tensorrt_builder import EngineBuild
from engine.runtime.tensorrt_engine import EngineRefusal, TensorRtEngine
from engine.runtime.tensorrt_library import find_flavour, installed_version, load_library
from engine.runtime.torch_device import ALONE
from engine.runtime.torch_network import load_torch
from engine.tiling.measure import natural_picture

QUIET_SECONDS = 0.5
"""Weights that have not changed for so long are worth refitting: while a slider moves torch serves."""

LARGEST_ERROR = {"fp32": 2e-3, "bf16": 24 / 255, "fp16": 6 / 255}
"""Between torch and the engine, both in this precision, on any value of the probe tile (0..1)."""
MEAN_ERROR = {"fp32": 1e-4, "bf16": 1.5 / 255, "fp16": 0.3 / 255}


class Engine(Compiled, Protocol):
    def prepare(self, weights: Weights) -> Any:
        """What `refit` needs, worked out without the device: seconds the first time, and nobody waits for them."""
        ...

    def refit(self, prepared: Any) -> None: ...


Obtain = Callable[[threading.Event, Weights], "Engine | None"]
"""Builds or loads the engine, without weights that could be trusted; None when it was stopped."""


class AcceleratedSession:
    """A pipelined torch session, and an engine that takes over whole tiles once it has proved itself."""

    def __init__(
        self,
        session: PipelinedSession,
        model: Model,
        obtain: Obtain,
        *,
        on_refusal: Callable[[str], None] = lambda reason: None,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        """on_refusal: told why the engine is not to be built again."""
        self._session = session
        self._name = model.card.name
        self._obtain = obtain
        self._on_refusal = on_refusal
        self._quiet = quiet_seconds
        self._changed = threading.Condition()
        self._weights: Weights = model.weights
        self._version = 0
        self._settled = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._accelerate, name="accelerate", daemon=True)
        self._thread.start()

    @property
    def info(self) -> SessionInfo:
        return self._session.info

    def check(self) -> None:
        self._session.check()

    def serves(self, card: Card) -> bool:
        return self._session.serves(card)

    def run(self, batch: Batch) -> Batch:
        """(n, 3, h, w) -> (n, 3, h * scale, w * scale). Thread-safe."""
        return self._session.run(batch)

    def run_packed(self, window: Any) -> PackedTile:
        return self._session.run_packed(window)

    def set_weights(self, weights: Weights) -> None:
        """At once on torch; the engine follows when the weights have come to rest."""
        with self._changed:
            # No tile may go through the engine with the old weights once this returns.
            self._session.use_compiled(None)
            self._session.set_weights(weights)
            self._weights = weights
            self._version += 1
            self._settled.clear()
            self._changed.notify_all()

    def interrupt(self) -> None:
        self._session.interrupt()

    def take_notices(self) -> list[str]:
        return self._session.take_notices()

    def settle(self, seconds: float) -> bool:
        """Waits until the engine serves or has been given up; for tests and measurements."""
        return self._settled.wait(seconds)

    def close(self) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        self._session.close()

    # The background.

    def _accelerate(self) -> None:
        try:
            engine = self._obtain(self._stopped, self._weights)
            if engine is None:
                self._settled.set()
            while engine is not None and (wanted := self._wait_for_rest()) is not None:
                version, weights = wanted
                self._refit(engine, weights)
                self._prove(engine)
                self._take_over(engine, version)
        except EngineRefusal as refusal:
            self._on_refusal(refusal.message)
            self._give_up(f"{refusal.message} So torch goes on alone.")
        except PellucidError as failure:
            self._give_up(f"{failure.message} So torch goes on alone.")
        except Exception as failure:  # whatever a driver or a compiler throws, the pictures go on
            self._give_up(
                f"TensorRT failed for {self._name} ({type(failure).__name__}: {failure}); torch goes on alone."
            )

    def _refit(self, engine: Engine, weights: Weights) -> None:
        prepared = engine.prepare(weights)
        self._session.between_batches(lambda: engine.refit(prepared))

    def _give_up(self, text: str) -> None:
        with contextlib.suppress(PellucidError):  # closed meanwhile: nobody listens any more
            self._session.use_compiled(None)
            self._session.say(text)
        self._settled.set()

    def _wait_for_rest(self) -> tuple[int, Weights] | None:
        """The newest weights, once the engine lacks them and they have not changed for a while; None: stopped."""
        with self._changed:
            while self._settled.is_set() and not self._stopped.is_set():
                self._changed.wait()
            while not self._stopped.is_set():
                seen = self._version
                if not self._changed.wait_for(
                    lambda seen=seen: self._version != seen or self._stopped.is_set(),  # type: ignore[misc]
                    self._quiet if seen else 0,
                ):
                    return seen, self._weights
            return None

    def _take_over(self, engine: Engine, version: int) -> None:
        with self._changed:
            if version == self._version:
                self._session.use_compiled(engine)
                self._settled.set()

    def _prove(self, engine: Engine) -> None:
        """Runs one tile through both. Raises EngineRefusal where they differ."""
        precision = self._session.info.precision
        tile = natural_picture(engine.side, engine.side, seed=7)[np.newaxis]
        expected, got = self._session.compare(tile, engine)
        if not np.isfinite(got).all():
            raise EngineRefusal(f"{engine.backend} gave values that are no numbers for {self._name}.")
        error = np.abs(got - expected)
        if error.max() > LARGEST_ERROR[precision] or error.mean() > MEAN_ERROR[precision]:
            steps = error.max() * 255
            raise EngineRefusal(f"{engine.backend} differed from torch by up to {steps:.1f}/255 for {self._name}.")


def _capability(torch_device: Any) -> str:
    major, minor = load_torch().cuda.get_device_capability(torch_device)
    return f"{major}.{minor}"


def accelerated(session: PipelinedSession, model: Model, flavour_name: str) -> AcceleratedSession:
    """Lets TensorRT take over the session's tiles when it is ready. The session runs on a CUDA device."""
    flavour = find_flavour(flavour_name)
    info = session.info
    precision: Precision = info.precision
    # What fits when the session opens: a batch that shrinks later leaves the engine valid.
    side, batch = info.read_side, session.batch
    torch_device = session.device.torch_device
    card = model.card
    key = EngineKey(
        structure=f"{card.architecture} {sorted(card.arguments.items())}",
        precision=precision,
        side=side,
        batch=batch,
        library=f"{flavour.name} {installed_version(flavour)}",
        gpu=f"{session.device.title} {_capability(torch_device)}",
    )
    cache = EngineCache.of_user()

    def obtain(stopped: threading.Event, weights: Weights) -> Engine | None:
        if cache.refusal(key):
            return None  # told when it was found; `pellucid doctor` repeats it
        trt = load_library(flavour)
        plan = cache.load(key)
        if plan is not None:
            with contextlib.suppress(PellucidError):
                return _load(trt, plan)
            cache.forget(key)  # of another driver, say: built again
        build = EngineBuild(
            Model(card, weights),
            flavour=flavour.name,
            precision=precision,
            side=side,
            batch=batch,
            device=torch_device.index or 0,
        )
        try:
            plan = build.wait(stopped)
            if plan is None:
                return None
            engine = _load(trt, plan)
        except PellucidError as failure:
            cache.refuse(key, failure.message)
            raise
        cache.store(key, plan)
        return engine

    def _load(trt: Any, plan: bytes) -> TensorRtEngine:
        with ALONE, load_torch().cuda.device(torch_device):
            return TensorRtEngine(trt, plan, card, backend=flavour.name, precision=precision, side=side, batch=batch)

    return AcceleratedSession(session, model, obtain, on_refusal=lambda reason: cache.refuse(key, reason))
