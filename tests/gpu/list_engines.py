"""Size and processor time of every network's TensorRT engine, as a table. Needs the tensorrt-rtx wheels and no GPU.

python tests/gpu/list_engines.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from check_sessions import make_model

from engine.models.presets import PRESETS
from engine.runtime.tensorrt_engine import build_engine
from engine.runtime.tensorrt_library import find_flavour, installed_version, load_library
from engine.runtime.tensorrt_network import ExportedNetwork, define_network

SIDE, BATCH = 64, 8


def main() -> None:
    flavour = find_flavour("tensorrt-rtx")
    trt = load_library(flavour)
    print(f"{flavour.name} {installed_version(flavour)}, tile {SIDE}, up to {BATCH} tiles; s: of the processor\n")
    print("| network | layers | export, s | whole build bf16 / fp16, s | engine, MB |\n|---|---|---|---|---|")
    for preset in PRESETS:
        model = make_model(preset.id)
        started = time.process_time()
        exported = ExportedNetwork(model.card, SIDE)
        export = time.process_time() - started
        layers = define_network(trt, trt.Builder(trt.Logger()), exported, model.weights, "bf16").network.num_layers
        seconds, size = [], 0
        for precision in ("bf16", "fp16") if preset.architecture.fp16_safe else ("bf16",):
            started = time.process_time()
            plan = build_engine(
                trt, model.card, model.weights, precision=precision, side=SIDE, batch=BATCH, refittable=False
            )
            seconds.append(f"{time.process_time() - started:.1f}")
            size = len(plan)
        print(f"| {preset.id} | {layers} | {export:.1f} | {' / '.join(seconds)} | {size / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
