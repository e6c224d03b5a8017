"""Stands for Pellucid's command line: answers what the windows ask of it, in its words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

MODELS = [
    {
        "name": "photo-compact",
        "architecture": "compact",
        "scale": 4,
        "parameters": 621_424,
        "licence": "Apache-2.0",
        "attribution": ["Trained on freely licensed photographs"],
        "description": "Photographs of any kind, fast on every computer.",
        "role": "psnr",
        "weights_hash": "aaaa",
        "partner": "bbbb",
        "scores": [
            {"metric": "psnr", "dataset": "Set5", "value": 31.0},
            *({"metric": "psnr", "dataset": "Set5", "value": 31 - 3 * a * a / 16, "alpha": a / 4} for a in range(5)),
        ],
    },
    {
        "name": "photo-compact-vivid",
        "architecture": "compact",
        "scale": 4,
        "parameters": 621_424,
        "licence": "Apache-2.0",
        "description": "The vivid half of photo-compact.",
        "role": "gan",
        "weights_hash": "bbbb",
        "partner": "aaaa",
    },
    {
        "name": "classic",
        "architecture": "msrresnet",
        "scale": 4,
        "parameters": 1_517_571,
        "licence": "Apache-2.0",
        "description": "For clean pictures that were merely made smaller.",
        "scores": [{"metric": "psnr", "dataset": "Set14", "value": 28.4}],
    },
]
DOCTOR = {
    "version": "0.1.0",
    "processor": "AMD EPYC",
    "cores": 2,
    "memory_gib": 23.5,
    "backends": [
        {"name": "openvino", "available": True, "reason": "", "devices": ["cpu"]},
        {"name": "tensorrt", "available": False, "reason": "There is no NVIDIA driver.", "devices": []},
    ],
    "packages": {"numpy": "2.4.6", "rawpy": None},
}

RECIPE = {
    "name": "real-esrgan",
    "stages": [
        {"kind": "noise", "choices": [{"type": "gaussian", "sigma": [1.0, 30.0]}]},
        {"kind": "jpeg", "quality": [30, 95]},
    ],
}


def option(name: str) -> str:
    return words[words.index(name) + 1]


def findings(folder: Path) -> list[dict[str, str]]:
    """One file is broken, one is there twice; what is gone is no longer found."""
    found = [("unreadable", "bad.png", "It is no picture."), ("duplicate", "dup.png", "The same as good.png.")]
    return [
        {"kind": kind, "path": str(folder / name), "text": text, "advice": "Take it away."}
        for kind, name, text in found
        if (folder / name).exists()
    ]


def draw_sheet() -> None:
    """Its colour tells how strong the noise is."""
    from PIL import Image

    path = Path(option("--recipe"))
    shade = 40 if not path.is_file() else 40 + len(path.read_bytes()) % 200
    target = Path(option("-o")) / "sheet.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 480), (shade, 90, 120)).save(target)
    boxes = [(160 * (n % 4), 160 * (n // 4), 80, 80) for n in range(12)]
    samples = [{"original": box, "damaged": (box[0] + 80, *box[1:]), "text": "blur 1.3, jpeg 40"} for box in boxes]
    print(json.dumps({"sheet": str(target), "samples": samples}))


words = sys.argv[1:]
if words[:2] == ["models", "list"]:
    for model in MODELS:
        print(json.dumps(model))
    print(json.dumps({"models": len(MODELS), "library": "", "default": "photo-compact", "unreadable": []}))
elif words[:1] == ["doctor"]:
    print(json.dumps(DOCTOR))
elif words[:2] == ["dataset", "check"]:
    found = findings(Path(words[2]))
    for row in found:
        print(json.dumps(row))
    kinds = {row["kind"] for row in found}
    summary = {"pictures": 3, "usable": 3, "megapixels": 1.0, "healthy": "unreadable" not in kinds}
    print(json.dumps(summary))
elif words[:1] == ["degrade"] and "--list" in words:
    for name in ("bicubic", "real-esrgan"):
        print(json.dumps({"recipe": name, "description": f"What {name} does"}))
elif words[:1] == ["degrade"] and "--print" in words:
    print(json.dumps({"recipe": RECIPE}))
elif words[:1] == ["degrade"]:
    draw_sheet()
elif words[:1] == ["train"] and "--dry-run" in words:
    lines = [word.partition(".")[2].replace("=", " = ") for word in words if word.startswith("data.")]
    print(json.dumps({"config": "\n".join(lines), "seconds": 60.0, "memory_mb": 1024.0, "device": "cpu", "fits": True}))
else:
    print(json.dumps({"error": "usage", "message": f"There is no command {words}.", "hint": ""}))
    sys.exit(1)
