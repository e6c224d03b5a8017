"""Stands for Pellucid's command line: answers `models list --json` and `doctor --json`."""

from __future__ import annotations

import json
import sys

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

words = sys.argv[1:]
if words[:2] == ["models", "list"]:
    for model in MODELS:
        print(json.dumps(model))
    print(json.dumps({"models": len(MODELS), "library": "", "default": "photo-compact", "unreadable": []}))
elif words[:1] == ["doctor"]:
    print(json.dumps(DOCTOR))
else:
    print(json.dumps({"error": "usage", "message": f"There is no command {words}.", "hint": ""}))
    sys.exit(1)
