"""Runs plans: a batch of pictures and its plan become the damaged input and its target, through the native kernels.

Pictures are float32 (samples, 3, height, width) in 0..1, RGB, as numpy arrays or torch tensors on any device the
kernels know; what comes back is of the same kind, on the same device.
"""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.degrade.plan import Plan, kernels_missing
from engine.degrade.plan_words import Records
from engine.errors import Code, PellucidError
from kernels.degrade import degrade
from kernels.errors import KernelInputError, KernelsMissingError
from kernels.ops import OP, Opcode

Target = Literal["recipe", "plain", "sharpened"]
_WEBP_METHOD = 4
"""Pillow's trade of speed for size; a fixed value, because the pixels depend on it."""


def degrade_batch(
    images: Any,
    plan: Plan,
    *,
    target: Target = "recipe",
    threads: int | None = None,
    variant: str | None = None,
) -> tuple[Any, Any]:
    """(input, target) of a batch that `plan` was drawn for.

    images: float32 (samples, 3, height, width) in 0..1; never written. input: on the 8-bit grid of 0..1.
    target: plain, sharpened, or what the recipe says; it may share memory with `images` where nothing changes it.
    """
    _check(images, plan)
    plain = _run(images, plan.shared, plan, threads, variant)
    wants_sharp = plan.sharpen_target if target == "recipe" else target == "sharpened"
    if wants_sharp:
        sharp = _run(plain, plan.sharpen, plan, threads, variant)
        return _run(sharp, plan.damage, plan, threads, variant), sharp
    return _run(plain, joined(plan.sharpen, plan.damage), plan, threads, variant), plain


def joined(first: Records, second: Records) -> Records:
    """One row of records a sample: those of `first`, then those of `second`."""
    if first.shape[1] == 1:
        return second
    lengths = (first["opcode"] != Opcode.END).sum(1)
    result = np.zeros((len(first), first.shape[1] - 1 + second.shape[1]), OP)
    result[:, : first.shape[1]] = first
    result[np.arange(len(first))[:, None], lengths[:, None] + np.arange(second.shape[1])] = second
    return result


def _check(images: Any, plan: Plan) -> None:
    expected = (len(plan), 3, *plan.source_size)
    if tuple(images.shape) != expected:
        raise PellucidError(
            Code.INTERNAL,
            f"The plan is for pictures of the shape {expected}, and these have {tuple(images.shape)}.",
            "Draw the plan for the size of the pictures.",
        )
    for what, sizes in (("inputs", plan.input_sizes), ("targets", plan.target_sizes)):
        if len(plan) and (sizes != sizes[0]).any():
            raise PellucidError(
                Code.CONFIG,
                f"The recipe {plan.recipe} turns some pictures, so these {what} differ in shape and make no batch.",
                "Use square crops, or run the pictures one by one.",
            )


def _run(images: Any, records: Records, plan: Plan, threads: int | None, variant: str | None) -> Any:
    if records.shape[1] == 1 or not len(images):
        return images
    if (records["opcode"] == Opcode.HOST_CODEC).any():
        return _run_with_codecs(images, records, plan, threads, variant)
    return _native(images, records, plan.seed, plan.samples, threads, variant)


def _native(
    images: Any, records: Records, seed: int, samples: npt.NDArray[np.int64], threads: int | None, variant: str | None
) -> Any:
    try:
        return degrade(images, records, seed, samples, threads=threads, variant=variant)
    except KernelsMissingError as error:
        raise kernels_missing(error) from error
    except KernelInputError as error:
        raise PellucidError(
            Code.IMAGE_UNSUPPORTED, f"A picture or its plan was refused: {error}.", "Check the pictures and the recipe."
        ) from error


def _run_with_codecs(images: Any, records: Records, plan: Plan, threads: int | None, variant: str | None) -> Any:
    """Sample by sample, native stretches around each operation that only the host can run."""
    results = []
    for number in range(len(images)):
        picture = images[number : number + 1]
        for stretch in _stretches(records[number]):
            if stretch[0]["opcode"] == Opcode.HOST_CODEC:
                picture = _through_webp(picture, int(stretch[0]["i"][1]))
            else:
                row = np.zeros((1, len(stretch) + 1), OP)
                row[0, :-1] = stretch
                samples = plan.samples[number : number + 1]
                picture = _native(picture, row, plan.seed, samples, threads, variant)
        results.append(picture)
    if isinstance(images, np.ndarray):
        return np.concatenate(results)
    import torch

    return torch.cat(results)


def _stretches(row: Records) -> list[Records]:
    """The records up to END, cut before and after every host codec."""
    length = int((row["opcode"] != Opcode.END).sum())
    codecs = np.flatnonzero(row["opcode"][:length] == Opcode.HOST_CODEC)
    cuts = sorted({0, length, *codecs.tolist(), *(codecs + 1).tolist()})
    return [row[start:end] for start, end in pairwise(cuts)]


def _through_webp(picture: Any, quality: int) -> Any:
    """A (1, 3, height, width) picture, clamped and rounded to 8 bits, coded as lossy WebP and decoded."""
    if not isinstance(picture, np.ndarray):
        import torch

        coded = _through_webp(picture.cpu().numpy(), quality)
        return torch.from_numpy(coded).to(picture.device)
    levels = np.rint(np.clip(picture[0], 0.0, 1.0) * np.float32(255)).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels)).save(file, "WEBP", quality=quality, method=_WEBP_METHOD)
    with Image.open(file) as image:
        decoded = np.asarray(image.convert("RGB"))
    result: npt.NDArray[np.float32] = decoded.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(result)
