"""Learned distances between pictures: ST-LPIPS, and LPIPS from a weights file that the user has. Lower is closer.

Both compare what a small classifying network sees in two pictures. One weights file holds the network and the linear
weights of its five stages; which network, and whether it shrinks by shift-tolerant blurring (ST-LPIPS) or by plain
pooling (LPIPS), is read from the tensors, and the name of the metric follows from that. Nothing is ever downloaded,
and no metric stands in for another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from engine.errors import Code, PellucidError
from engine.metrics.scored import Scored, comparable

if TYPE_CHECKING:
    import torch

PACKAGE = "stlpips_pytorch"
PACKAGE_WEIGHTS = "weights/vST0.0/alex_shift_tolerant.pth"
SMALLEST_SIDE = 32
LARGEST_PICTURE = 24_000_000
"""Pixels. The first stage keeps 64 floats for each of them."""

MEAN = (-0.030, -0.088, -0.188)
DEVIATION = (0.458, 0.448, 0.450)
"""Of the training pictures in -1..1, channel by channel."""

Trunk = Literal["alex", "vgg"]
STAGES: dict[Trunk, tuple[int, ...]] = {"alex": (1, 1, 1, 1, 1), "vgg": (2, 2, 3, 3, 3)}
"""Convolutions of each stage."""


@dataclass(frozen=True)
class Perceptual:
    """A metric with its weights: `name` is what may stand over its figures."""

    name: str
    trunk: Trunk
    shift_tolerant: bool
    stages: tuple[tuple[tuple[torch.Tensor, torch.Tensor], ...], ...]
    """(weight, bias) of every convolution, stage by stage."""
    linear: tuple[torch.Tensor, ...]
    """(1, channels, 1, 1) for each stage."""

    def distance(self, result: Scored, truth: Scored) -> float:
        """0 for equal pictures. Whole pictures in RGB, no border cut."""
        return self.distance_of_each([result], truth)[0]

    def distance_of_each(self, results: Sequence[Scored], truth: Scored) -> list[float]:
        """Of several results of one picture: what the network sees in the truth is worked out once."""
        import torch

        *ours, theirs = comparable(*results, truth)
        height, width = theirs.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise PellucidError(
                Code.IMAGE_UNSUPPORTED,
                f"{self.name} needs at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels, and this picture has "
                f"{width} x {height}.",
            )
        if height * width > LARGEST_PICTURE:
            raise PellucidError(
                Code.IMAGE_TOO_LARGE,
                f"{self.name} takes pictures of at most {LARGEST_PICTURE // 1_000_000} megapixels, "
                f"this one has {height * width / 1e6:.0f}.",
            )
        with torch.inference_mode():
            totals = [0.0] * len(ours)
            seen = [self._features(_to_tensor(picture)) for picture in ours]
            for true_features, weights in zip(self._features(_to_tensor(theirs)), self.linear, strict=True):
                wanted = _unit_length(true_features)
                for number, features in enumerate(seen):
                    difference = (_unit_length(next(features)) - wanted) ** 2
                    totals[number] += float((difference * weights).sum(1).mean(dtype=torch.float64))
            return totals

    def _features(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """The five stages' outputs, one at a time so that only one of each picture is held."""
        import torch.nn.functional as F

        for stage, convolutions in enumerate(self.stages):
            if stage > 0 and (self.trunk == "vgg" or stage < 3):
                window = 2 if self.trunk == "vgg" else 3
                x = _blurred_half(F.max_pool2d(x, window, 1)) if self.shift_tolerant else F.max_pool2d(x, window, 2)
            for weight, bias in convolutions:
                if weight.shape[-1] == 11:
                    x = F.conv2d(x, weight, bias, stride=1 if self.shift_tolerant else 4, padding=2)
                    x = F.relu(_blurred_half(x) if self.shift_tolerant else x)
                else:
                    x = F.relu(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2))
            yield x


def load_st_lpips() -> Perceptual:
    """ST-LPIPS (AlexNet) with the weights that the installed package `stlpips-pytorch` brings; its code is not run."""
    spec = find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise PellucidError(
            Code.MODEL_MISSING,
            "ST-LPIPS needs the weights of the Python package stlpips-pytorch, which is not installed.",
            "Install it with: pip install --no-deps stlpips-pytorch",
        )
    return load_perceptual(Path(folders[0]) / PACKAGE_WEIGHTS)


def load_perceptual(path: Path) -> Perceptual:
    """A metric from a file (.pth, .pt, .safetensors) that holds its network and its linear weights together."""
    tensors = _read_tensors(path)
    stages = _convolutions(tensors, path)
    trunk: Trunk = "alex" if stages[0][0][0].shape[-1] == 11 else "vgg"
    if tuple(len(stage) for stage in stages) != STAGES[trunk]:
        raise _unfit(path, f"its stages have {[len(stage) for stage in stages]} convolutions")
    channels = 3
    for stage in stages:
        for weight, bias in stage:
            if weight.ndim != 4 or weight.shape[1] != channels or bias.shape != weight.shape[:1]:
                raise _unfit(path, "its convolutions do not follow one another")
            channels = weight.shape[0]
    linear = []
    for stage_number, stage in enumerate(stages):
        key = f"lin{stage_number}.model.1.weight"
        weights = tensors.get(key, tensors.get(f"lins.{stage_number}.model.1.weight"))
        if weights is None:
            raise _unfit(path, f"the linear weights {key} are missing")
        if tuple(weights.shape) != (1, stage[-1][0].shape[0], 1, 1):
            raise _unfit(path, f"the linear weights {key} have the shape {tuple(weights.shape)}")
        linear.append(weights)
    shift_tolerant = any(key.endswith(".filt") for key in tensors)
    name = f"{'ST-LPIPS' if shift_tolerant else 'LPIPS'} ({trunk})"
    return Perceptual(name, trunk, shift_tolerant, stages, tuple(linear))


def _convolutions(
    tensors: dict[str, torch.Tensor], path: Path
) -> tuple[tuple[tuple[torch.Tensor, torch.Tensor], ...], ...]:
    """(weight, bias) in order, stage by stage, from names like `net.slice2.5.weight`."""
    pattern = re.compile(r"net\.slice([1-5])\.(\d{1,3})\.weight")
    found = sorted((int(m[1]), int(m[2])) for key in tensors if (m := pattern.fullmatch(key)))
    stages = []
    for stage in range(1, 6):
        layers = [layer for of_stage, layer in found if of_stage == stage]
        if not layers:
            raise _unfit(path, f"stage {stage} of its network is missing")
        pairs = []
        for layer in layers:
            bias = tensors.get(f"net.slice{stage}.{layer}.bias")
            if bias is None:
                raise _unfit(path, f"net.slice{stage}.{layer}.bias is missing")
            pairs.append((tensors[f"net.slice{stage}.{layer}.weight"], bias))
        stages.append(tuple(pairs))
    return tuple(stages)


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name, as float32. Pickles are read as weights only: they cannot run code."""
    if not path.is_file():
        raise PellucidError(
            Code.FILE_MISSING, f"There is no weights file {path}.", "Name a file of LPIPS or ST-LPIPS weights."
        )
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            content = load_file(path)
        else:
            import torch

            content = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise PellucidError(
            Code.BACKEND_UNAVAILABLE, f"Learned distances need torch, which is not installed ({error}).", ""
        ) from error
    except Exception as error:  # torch and safetensors raise a dozen classes for a broken file
        raise PellucidError(
            Code.MODEL_CORRUPT, f"The weights file {path} cannot be read.", "", path=str(path)
        ) from error
    if not isinstance(content, dict):
        raise _unfit(path, "it is no table of tensors")
    return {str(key): value.float() for key, value in content.items() if hasattr(value, "float")}


def _unfit(path: Path, reason: str) -> PellucidError:
    return PellucidError(
        Code.MODEL_UNSUPPORTED,
        f"The file {path} holds no LPIPS weights that can be used: {reason}.",
        "It must be the whole state of an LPIPS metric with AlexNet or VGG16, network and linear weights together.",
        path=str(path),
    )


def _to_tensor(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    """(h, w, 1 or 3) uint8 -> (1, 3, h, w), normalised as the networks were trained."""
    import torch

    chw = np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).transpose(2, 0, 1))
    x = torch.from_numpy(chw).float().div_(127.5).sub_(1.0).unsqueeze(0)
    return x.sub_(torch.tensor(MEAN).view(1, 3, 1, 1)).div_(torch.tensor(DEVIATION).view(1, 3, 1, 1))


def _blurred_half(x: torch.Tensor) -> torch.Tensor:
    """Half the size after a 1-2-1 blur, with two reflected pixels around."""
    import torch
    import torch.nn.functional as F

    channels = x.shape[1]
    taps = torch.tensor([0.25, 0.5, 0.25])
    kernel = (taps[:, None] * taps[None, :]).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=channels)


def _unit_length(x: torch.Tensor) -> torch.Tensor:
    return x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
