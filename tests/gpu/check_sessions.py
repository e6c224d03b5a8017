"""Every session on a GPU against float32 torch, the tiling law, memory that runs out, weights under recorded graphs.

    python tests/gpu/check_sessions.py             # on a machine with an NVIDIA GPU
    python tests/gpu/check_sessions.py --dry-run   # small networks on the CPU, to see that it runs

Needs torch, numpy, psutil, msgspec and platformdirs. `test_sessions_gpu.py` takes its cases from here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.errors import OutOfMemory, PellucidError
from engine.models.arch import find_architecture
from engine.models.blend import blend
from engine.models.card import Card
from engine.models.model import Model
from engine.models.presets import find_preset
from engine.runtime.choose import open_session
from engine.runtime.pipeline import PipelinedSession
from engine.runtime.session import Precision
from engine.runtime.torch_cuda import pipelined_torch_session
from engine.runtime.torch_device import CudaDevice, Device, HostDevice
from engine.runtime.torch_eager import TorchSession
from engine.tiling.measure import natural_picture
from engine.tiling.run import TilingSettings, restore_tiles
from engine.tiling.source import InterleavedSource

NETWORKS = ("compact-32", "msrresnet-16", "srresnet", "rrdbnet-23", "swinir-78", "shufflemixer", "latticenet")
SMALLER = {
    "compact-32": {"features": 16, "convolutions": 6},
    "msrresnet-16": {"features": 8, "blocks": 3},
    "srresnet": {"features": 8, "blocks": 2},
    "rrdbnet-23": {"features": 8, "growth": 4, "blocks": 1},
    "swinir-78": {"embed": 12, "depths": [2, 2], "heads": [2, 2], "mlp_hidden": 24},
    "shufflemixer": {"features": 16, "blocks": 2},
    "latticenet": {"features": 16, "narrow": 12},
}

BOUNDS: dict[Precision, float] = {"fp32": 1e-4, "bf16": 0.05, "fp16": 0.01}
"""Root mean square of the error to float32 torch, as a share of the result's own deviation from its mean."""
PEAK_BOUNDS: dict[Precision, float] = {"fp32": 2e-3, "bf16": 0.6, "fp16": 0.15}
"""The same of the largest error."""
TILING_BOUND = 1 / 255


@dataclass(frozen=True)
class Finding:
    """One promise that was looked at. worst and bound in the unit that `what` names."""

    what: str
    worst: float
    bound: float

    @property
    def kept(self) -> bool:
        return bool(self.worst <= self.bound)


def make_model(name: str, seed: int = 0, small: bool = False) -> Model:
    """A preset with weights that keep a signal's size from layer to layer, as trained ones do."""
    preset = find_preset(name)
    architecture = preset.architecture
    arguments = {**architecture.write_arguments(preset.args), **(SMALLER[name] if small else {})}
    args = architecture.read_arguments(arguments)
    random = np.random.default_rng(seed)
    weights = {}
    for key, shape in architecture.parameter_shapes(args).items():
        one = len(shape) == 1
        if key.endswith("running_var") or (one and ("norm" in key or "bn" in key) and key.endswith("weight")):
            values = random.uniform(0.8, 1.2, shape)
        elif len(shape) >= 2:
            values = random.normal(0, 0.7 / np.sqrt(np.prod(shape[1:])), shape)
        else:
            values = random.normal(0, 0.02, shape)
        weights[key] = np.asarray(values, np.float32)
    ranges = architecture.ranges(args)
    card = Card(
        name=name,
        architecture=architecture.id,
        arguments=architecture.write_arguments(args),
        scale=architecture.scale(args),
        input_range=ranges[0],
        output_range=ranges[1],
    )
    return Model(card, weights)


class Machine:
    """Where it runs: the first GPU, or the CPU with small networks."""

    def __init__(self, dry: bool) -> None:
        self.dry = dry
        self.device = self.new_device()
        self.names = NETWORKS
        self.precisions: tuple[Precision, ...] = ("fp32", "bf16") if dry else ("fp32", "bf16", "fp16")

    def new_device(self) -> Device:
        """Each session has its own, as it has in use: a recording that broke is the last of its device."""
        return HostDevice() if self.dry else CudaDevice("cuda:0")

    def model(self, name: str, seed: int = 0) -> Model:
        return make_model(name, seed, small=self.dry)

    @contextmanager
    def session(self, model: Model, precision: Precision) -> Iterator[PipelinedSession]:
        session = pipelined_torch_session(model, self.new_device(), precision)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def eager(self, model: Model, precision: Precision = "fp32") -> Iterator[TorchSession]:
        session = TorchSession(model, device=self.device.name, precision=precision)
        try:
            yield session
        finally:
            session.close()


def is_recorded(session: PipelinedSession) -> bool:
    """Whether tiles of some shape run through a recorded graph."""
    return any(lane.is_recorded for lane in session._lanes.values())


def tiles(count: int, side: int) -> Any:
    return np.stack([natural_picture(side, side, seed=seed) for seed in range(count)])


def picture8(height: int, width: int, seed: int = 3) -> Any:
    """(height, width, 3) uint8: one natural square, mirrored over and over, because a large one takes minutes."""
    side = min(256, max(height, width))
    square = np.rint(natural_picture(side, side, seed).transpose(1, 2, 0) * 255).astype(np.uint8)
    twice = np.concatenate([square, square[::-1]])
    twice = np.concatenate([twice, twice[:, ::-1]], axis=1)
    repeats = -(-height // len(twice)), -(-width // len(twice)), 1
    return np.ascontiguousarray(np.tile(twice, repeats)[:height, :width])


def precisions_of(machine: Machine, model: Model) -> list[Precision]:
    safe = find_architecture(model.card.architecture).fp16_safe
    return [precision for precision in machine.precisions if precision != "fp16" or safe]


def check_precision(machine: Machine, name: str) -> Iterator[Finding]:
    """Batches through the pipeline, the last ones through recorded graphs, against eager float32 torch."""
    model = machine.model(name)
    side = 32 if machine.dry else 128
    batch = tiles(3, side)
    with machine.eager(model) as eager:
        expected = np.concatenate([eager.run(batch[k : k + 1]) for k in range(len(batch))])
    spread = float(expected.std())
    for precision in precisions_of(machine, model):
        with machine.session(model, precision) as session:
            first = session.run(batch)
            for _ in range(4):
                again = session.run(batch)
            recorded = is_recorded(session)
        error = np.abs(again - expected)
        finite = bool(np.isfinite(again).all() and np.isfinite(first).all())
        rms = float(np.sqrt((error**2).mean())) / spread if finite else float("inf")
        yield Finding(f"{name} {precision}: rms error / deviation", rms, BOUNDS[precision])
        yield Finding(
            f"{name} {precision}: largest error / deviation", float(error.max()) / spread, PEAK_BOUNDS[precision]
        )
        change = float(np.abs(again - first).max()) / spread
        yield Finding(f"{name} {precision}: recorded against not, / deviation", change, PEAK_BOUNDS[precision])
        yield Finding(f"{name} {precision}: recorded (0: yes)", 0.0 if recorded else 1.0, 0.0)


def check_tiling(machine: Machine, name: str) -> Iterator[Finding]:
    """Tiled equals whole, in float32, packed and as floats."""
    model = machine.model(name)
    if model.card.architecture in ("swinir", "latticenet"):
        return  # they look further than any halo
    height, width = (150, 200) if machine.dry else (600, 800)
    picture = picture8(height, width)
    planes = InterleavedSource(picture)[0:3, 0:height, 0:width]
    with machine.eager(model) as eager:
        whole = np.clip(eager.run(planes[np.newaxis])[0].transpose(1, 2, 0), 0, 1)
    with machine.session(model, "fp32") as session:
        for packed in (False, True):
            rows: list[Any] = []
            restore_tiles(
                InterleavedSource(picture),
                session,
                on_band=lambda top, bottom, band, rows=rows: rows.append(band.copy()),
                settings=TilingSettings(tile=64 if machine.dry else 200),
                packed=packed,
            )
            result = np.concatenate(rows)
            result = result / 255 if packed else np.clip(result, 0, 1)
            bound = TILING_BOUND + (0.5 / 255 if packed else 0)
            kind = "packed" if packed else "floats"
            yield Finding(f"{name} tiled against whole, {kind}", float(np.abs(result - whole).max()), bound)


def check_weights(machine: Machine, name: str) -> Iterator[Finding]:
    """Weights in place under a recorded graph: other ones, the first ones again, and blends."""
    first, second = machine.model(name), machine.model(name, seed=1)
    batch = tiles(1, 32 if machine.dry else 96)
    precision: Precision = "fp32"
    with machine.session(first, precision) as session, machine.eager(first, precision) as eager:
        for _ in range(4):
            before = session.run(batch)
        spread = float(before.std())
        for what, model in {
            "other weights": second,
            "blend 0.3": blend(first, second, 0.3),
            "blend 0.7": blend(first, second, 0.7),
        }.items():
            session.set_weights(model.weights)
            eager.set_weights(model.weights)
            error = float(np.abs(session.run(batch) - eager.run(batch)).max())
            yield Finding(f"{name} {what} under a graph, / deviation", error / spread, PEAK_BOUNDS[precision])
        session.set_weights(first.weights)
        yield Finding(f"{name} first weights again", float(np.abs(session.run(batch) - before).max()) / spread, 1e-5)


def check_injected_shortage(machine: Machine, name: str) -> Iterator[Finding]:
    """torch's own exception from the middle of a batch: smaller batches, then smaller tiles, the same picture."""
    model = machine.model(name)
    height, width = (100, 140) if machine.dry else (400, 560)
    picture = picture8(height, width)
    with machine.session(model, "fp32") as session:
        plain = _restored(session, picture, 0)
        network, limit = session._network, height * width // 3

        def short(tensor: Any) -> Any:
            if tensor.shape[0] * tensor.shape[2] * tensor.shape[3] > limit:
                raise torch.OutOfMemoryError("injected")
            return network(tensor)

        session._network = short
        session.use_compiled(None)  # forgets what was recorded
        halved = _restored(session, picture, 0)
        try:
            session.run(tiles(1, int((2 * limit) ** 0.5 / 16) * 16))
            told = 1.0
        except OutOfMemory:
            told = 0.0
    yield Finding(f"{name} divided against not, steps of 255", float(np.abs(halved - plain).max()), 1.0)
    yield Finding(f"{name} out of memory told by class (0: yes)", told, 0.0)


HOG = """
    import sys, torch
    keep, held = int(sys.argv[1]), []
    torch.cuda.init()
    while True:
        free, _ = torch.cuda.mem_get_info()
        if free <= keep:
            break
        held.append(torch.empty(min(free - keep, 1 << 30) or 1, dtype=torch.uint8, device="cuda"))
        if free - keep < 1 << 22:
            break
    print("full", flush=True)
    sys.stdin.read()
"""


def check_real_shortage(machine: Machine, name: str) -> Iterator[Finding]:
    """Another process takes all but some memory while the session is open: the picture is still made, and the same."""
    if machine.dry:
        return
    model = machine.model(name)
    picture = picture8(700, 900)
    with machine.session(model, "bf16") as session:
        plain = _restored(session, picture, 0)
        session.use_compiled(None)  # gives back what it holds
        hog = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(HOG), str(600 << 20)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert hog.stdout is not None
            hog.stdout.readline()
            squeezed = _restored(session, picture, 0)
            shared = machine.device.is_shared()
        finally:
            hog.kill()
            hog.wait()
    # bf16 tiles of another size round elsewhere: a few steps.
    difference = np.abs(squeezed - plain)
    yield Finding(f"{name} beside a hog against alone, mean steps of 255", float(difference.mean()), 1.0)
    yield Finding(f"{name} the hog was noticed (0: yes)", 0.0 if shared else 1.0, 0.0)


def check_opening_beside_recordings(machine: Machine, name: str) -> Iterator[Finding]:
    """Sessions open, and count memory, while another records one shape after the other: neither disturbs the other."""
    model, sides = machine.model(name), (24, 32) if machine.dry else (96, 128, 160, 192)
    done = threading.Event()
    needs: list[int | None] = []

    def open_others() -> None:
        while not done.is_set():
            with machine.session(model, "bf16") as other:
                picture = torch.zeros((1, 3, sides[-1], sides[-1]), device=other.device.torch_device)
                needs.append(other.device.peak_of(partial(other._network, picture)))

    opener = threading.Thread(target=open_others)
    with machine.session(model, "fp32") as session, machine.eager(model) as eager:
        opener.start()
        try:
            worst, unrecorded = 0.0, 0
            for side in sides:
                batch = tiles(1, side)
                expected = eager.run(batch)
                for _ in range(4):
                    worst = max(worst, float(np.abs(session.run(batch) - expected).max() / expected.std()))
                unrecorded += not is_recorded(session)
                session.use_compiled(None)  # forgets what was recorded
        finally:
            done.set()
            opener.join()
    yield Finding(f"{name} beside sessions that open, / deviation", worst, PEAK_BOUNDS["fp32"])
    yield Finding(f"{name} shapes not recorded beside sessions that open", float(unrecorded), 0.0)
    yield Finding(f"{name} sessions that opened meanwhile (0: some)", float(not needs), 0.0)


def check_refusals(machine: Machine) -> Iterator[Finding]:
    """SwinIR never in fp16."""
    try:
        open_session(machine.model("swinir-78"), backend="torch", device=machine.device.name, precision="fp16")
        refused = 1.0
    except PellucidError:
        refused = 0.0
    yield Finding("SwinIR in fp16 is refused (0: yes)", refused, 0.0)


def _restored(session: PipelinedSession, picture: Any, tile: int) -> Any:
    rows: list[Any] = []
    restore_tiles(
        InterleavedSource(picture),
        session,
        on_band=lambda top, bottom, band: rows.append(band.astype(np.int16)),
        settings=TilingSettings(tile=tile),
        packed=True,
    )
    return np.concatenate(rows)


PER_NETWORK: tuple[Callable[[Machine, str], Iterator[Finding]], ...] = (
    check_precision,
    check_tiling,
    check_weights,
)
SHORTAGE_ON = "compact-32"


def all_findings(machine: Machine) -> Iterator[Finding]:
    for name in machine.names:
        for check in PER_NETWORK:
            yield from check(machine, name)
    yield from check_opening_beside_recordings(machine, SHORTAGE_ON)
    yield from check_injected_shortage(machine, SHORTAGE_ON)
    yield from check_real_shortage(machine, SHORTAGE_ON)
    yield from check_refusals(machine)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="small networks on the CPU")
    machine = Machine(parser.parse_args().dry_run)
    broken = 0
    for finding in all_findings(machine):
        broken += not finding.kept
        print(f"{'ok  ' if finding.kept else 'FAIL'} {finding.what}: {finding.worst:.3g} (bound {finding.bound:.3g})")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
