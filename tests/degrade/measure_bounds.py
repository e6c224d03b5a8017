"""Worst differences between the kernels and the float64 reference, operation by operation.

`python tests/degrade/measure_bounds.py --write` measures and writes the `worst`, `device` and `date` columns of
bounds.toml beside this file; bounds themselves are set by hand. The test measures again and enforces them.
"""

from __future__ import annotations

import platform
import sys
import tomllib
from datetime import date
from pathlib import Path

import numpy as np

from kernels.degrade import degrade
from kernels.ops import OP, Blur, Filter, Noise, Opcode, Subsampling

TABLE = Path(__file__).with_name("bounds.toml")
SEED, SAMPLE = 0x1234_5678_9ABC, 2**35 + 7
SIZES = ((33, 47), (8, 8), (5, 90), (1, 2))


def plan(opcode, i=(), f=(), stage=3):
    """One picture's row of one operation."""
    records = np.zeros((1, 2), OP)
    records["opcode"][0, 0], records["stage"][0, 0] = opcode, stage
    records["i"][0, 0, : len(i)], records["f"][0, 0, : len(f)] = i, f
    return records


def picture(size, seed=0):
    """(1, 3, height, width) float32 noise in 0..1."""
    return np.random.default_rng(seed).random((1, 3, *size), np.float32)


def native(image, records, variant):
    return degrade(image, records, SEED, [SAMPLE], threads=1, variant=variant)[0].astype(np.float64)


def difference(reference, variant, opcode, i=(), f=(), size=(33, 47), image=None):
    image = picture(size) if image is None else image
    records = plan(opcode, i, f)
    expected = reference.run(image[0], records[0], SEED, SAMPLE)
    result = native(image, records, variant)
    assert result.shape == expected.shape
    return float(np.abs(result - expected).max())


def blur(reference, variant, kind, tolerance=0.0):
    f = {
        Blur.GAUSSIAN: (2.0, 1.0, 0.5),
        Blur.GENERALISED: (2.5, 0.7, -1.1, 0.7),
        Blur.PLATEAU: (1.2, 3.0, 2.9, 1.5),
        Blur.SINC: (0, 0, 0, 0, 2.0),
    }[kind]
    f = (*f, *(0.0,) * (5 - len(f)), tolerance)
    return max(
        difference(reference, variant, Opcode.BLUR, (kind, taps), f, size)
        for taps in (3, 7, 13, 21, 41, 63)
        for size in SIZES
    )


def resize(reference, variant, kind, antialias):
    cases = [((33, 47), new) for new in ((16, 16), (50, 80), (33, 46), (2, 3), (1, 1))]
    cases += [((1, 2), (7, 9)), ((5, 90), (80, 6))]
    return max(difference(reference, variant, Opcode.RESIZE, (*new, kind, antialias), (), old) for old, new in cases)


def resize_by_scale(reference, variant):
    return max(
        difference(reference, variant, Opcode.RESIZE, (16, 23, kind, 0), (0.49, 0.495))
        for kind in (Filter.BILINEAR, Filter.BICUBIC, Filter.LANCZOS)
    )


def gaussian(reference, variant, kind):
    factor = (1.0, 0.5, 0.7, -0.3, 0.2, 0.1) if kind == Noise.CORRELATED else ()
    return max(difference(reference, variant, Opcode.GAUSSIAN_NOISE, (kind,), (0.1, *factor), size) for size in SIZES)


def poisson(reference, variant, kind):
    """The largest |z| of mean and variance over levels of light and table sizes."""
    worst = 0.0
    for level in (1, 3, 10, 40, 128, 200, 250):
        image = np.full((1, 3, 128, 128), level / 255, np.float32)
        for levels in (4, 32, 256):
            records = plan(Opcode.POISSON_NOISE, (kind, levels), (0.01,), stage=level)
            result = (native(image, records, variant) - image[0]) / 0.01
            draws = result[0] if kind == Noise.GREY else result
            light = reference.quantised_for_poisson(image[0], kind).flat[0] / 255 * levels
            events = draws.ravel() * levels
            count = events.size
            # Of a Poisson variable: variance = light, fourth central moment = light + 3 light^2.
            worst = max(worst, abs(events.mean()) / np.sqrt(light / count))
            spread = np.sqrt((light + 2 * light**2) / count)
            worst = max(worst, abs(np.mean(events**2) - light) / spread)
    return float(worst)


def jpeg(reference, variant, subsampling):
    """The largest difference in 8-bit levels from Pillow."""
    worst = 0
    for size in ((33, 47), (16, 16), (5, 3), (1, 40), (17, 6)):
        for quality in (1, 10, 30, 50, 75, 95, 100):
            image = picture(size, quality)
            records = plan(Opcode.JPEG, (quality, subsampling))
            expected = reference.to_bytes(reference.run(image[0], records[0])).astype(int)
            worst = max(worst, int(np.abs(reference.to_bytes(native(image, records, variant)) - expected).max()))
    return worst


def sharpen(reference, variant):
    """Pictures with a value within 1e-3 of the threshold are passed over: there the last bit decides a mask."""
    worst, used = 0.0, 0
    for radius in (5, 20, 50):
        for seed in range(15):
            random = np.random.default_rng(seed)
            size = SIZES[seed % 3]
            image = (picture(size, seed) * np.float32(random.uniform(0.05, 1))).astype(np.float32)
            if reference.sharpen_margin(image[0].astype(np.float64), radius, 10.0).min() < 1e-3:
                continue
            used += 1
            worst = max(worst, difference(reference, variant, Opcode.USM, (radius,), (0.5, 10.0), image=image))
    assert used >= 10
    return worst


def exact(reference, variant, opcode, i, f=()):
    return difference(reference, variant, opcode, i, f)


MEASURES = {
    "blur gaussian": lambda r, v: blur(r, v, Blur.GAUSSIAN),
    "blur generalised": lambda r, v: blur(r, v, Blur.GENERALISED),
    "blur plateau": lambda r, v: blur(r, v, Blur.PLATEAU),
    "blur sinc": lambda r, v: blur(r, v, Blur.SINC),
    "blur gaussian, tolerance 1e-3": lambda r, v: blur(r, v, Blur.GAUSSIAN, 1e-3),
    "blur plateau, tolerance 1e-3": lambda r, v: blur(r, v, Blur.PLATEAU, 1e-3),
    "resize nearest": lambda r, v: resize(r, v, Filter.NEAREST, 0),
    "resize area": lambda r, v: resize(r, v, Filter.AREA, 0),
    "resize bilinear": lambda r, v: resize(r, v, Filter.BILINEAR, 0),
    "resize bicubic": lambda r, v: resize(r, v, Filter.BICUBIC, 0),
    "resize lanczos": lambda r, v: resize(r, v, Filter.LANCZOS, 0),
    "resize bilinear, antialiased": lambda r, v: resize(r, v, Filter.BILINEAR, 1),
    "resize bicubic, antialiased": lambda r, v: resize(r, v, Filter.BICUBIC, 1),
    "resize lanczos, antialiased": lambda r, v: resize(r, v, Filter.LANCZOS, 1),
    "resize by a given scale": resize_by_scale,
    "gaussian noise, colour": lambda r, v: gaussian(r, v, Noise.COLOUR),
    "gaussian noise, grey": lambda r, v: gaussian(r, v, Noise.GREY),
    "gaussian noise, correlated": lambda r, v: gaussian(r, v, Noise.CORRELATED),
    "poisson noise, colour (z of mean and variance)": lambda r, v: poisson(r, v, Noise.COLOUR),
    "poisson noise, grey (z of mean and variance)": lambda r, v: poisson(r, v, Noise.GREY),
    "jpeg 4:4:4 (levels of 255)": lambda r, v: jpeg(r, v, Subsampling.S444),
    "jpeg 4:2:2 (levels of 255)": lambda r, v: jpeg(r, v, Subsampling.S422),
    "jpeg 4:2:0 (levels of 255)": lambda r, v: jpeg(r, v, Subsampling.S420),
    "sharpen": sharpen,
    "dropout": lambda r, v: exact(r, v, Opcode.DROPOUT, (3, 4, 5, 6), (0.5,)),
    "flip": lambda r, v: max(
        exact(r, v, Opcode.FLIP, (h, w, t)) for h in (0, 1) for w in (0, 1) for t in (0, 1)
    ),
    "clamp and round": lambda r, v: exact(r, v, Opcode.CLAMP_ROUND, ()),
    "crop": lambda r, v: exact(r, v, Opcode.CROP, (1, 2, 30, 40)),
}  # fmt: skip


def read_table():
    return tomllib.loads(TABLE.read_text("utf-8"))["bounds"]


def _device():
    names = [line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {platform.system()} {platform.machine()}"


def _cpu_lines():
    facts = Path("/proc/cpuinfo")
    return facts.read_text().splitlines() if facts.exists() else []


def _write(reference):
    from kernels.library import runnable_variants

    old = {row["op"]: row["bound"] for row in read_table()} if TABLE.exists() else {}
    variants = [variant.name.lower() for variant in runnable_variants()]
    lines = [
        "# Kernels against the float64 reference: the largest difference allowed and the worst seen, in 0..1 units",
        "# unless the operation says otherwise. All CPU variants of one machine are measured. Set bounds by hand; the",
        "# other columns come from: python tests/degrade/measure_bounds.py --write",
    ]
    for name, measure in MEASURES.items():
        worst = max(measure(reference, variant) for variant in variants)
        lines += ["", "[[bounds]]", f'op = "{name}"', f'backend = "cpu ({", ".join(variants)})"']
        lines += [f"bound = {old.get(name, 0.0):g}", f"worst = {float(worst):.2g}"]
        lines += [f'device = "{_device()}"', f"date = {date.today().isoformat()}"]
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    sys.path.insert(0, str(Path(__file__).parent))
    import reference

    _write(reference)
