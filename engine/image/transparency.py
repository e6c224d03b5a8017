"""Transparent pictures: colours that may stand beside transparent pixels, and the alpha plane through the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.image.colour import round_samples

Pixels = npt.NDArray[Any]


def bleed_colours(colour: Pixels, alpha: Pixels) -> Pixels:
    """The same picture with colours under fully transparent pixels taken from their visible surroundings.

    What a program left there (black, mostly) would be drawn into the visible edge by any resampling. colour: (height,
    width, 1 or 3), alpha: (height, width), same dtype; pixels that show at all keep their colour exactly.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colour
    weight = alpha.astype(np.float32)
    if alpha.dtype.kind != "f":
        weight *= np.float32(1.0 / np.iinfo(alpha.dtype).max)
    surroundings = _pull_push(colour.astype(np.float32), np.clip(weight, 0.0, 1.0))
    if colour.dtype.kind != "f":
        surroundings = np.rint(surroundings)
    return np.where(hidden[..., None], surroundings.astype(colour.dtype), colour)


def _pull_push(colour: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Fills what has no weight: means over ever larger blocks on the way down, smooth enlargement on the way up."""
    height, width = weight.shape
    if height == 1 and width == 1:
        return colour
    even = ((0, height % 2), (0, width % 2))
    weighted = np.pad(colour * weight[..., None], (*even, (0, 0)))
    padded = np.pad(weight, even)
    small_weight = padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    small = weighted[::2, ::2] + weighted[1::2, ::2] + weighted[::2, 1::2] + weighted[1::2, 1::2]
    small /= np.maximum(small_weight, np.float32(1e-12))[..., None]
    small = _pull_push(small, np.minimum(small_weight, np.float32(1.0)))
    # a pixel without weight takes the coarser level; in a coarse level weights say how far its mean is to be trusted
    coarse = _double(small)[:height, :width]
    trust = weight[..., None]
    return coarse + trust * (colour - coarse)


def _double(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Twice as high and wide, linear between centres."""
    for axis in (0, 1):
        before = np.concatenate([values.take([0], axis), values.take(range(values.shape[axis] - 1), axis)], axis)
        after = np.concatenate([values.take(range(1, values.shape[axis]), axis), values.take([-1], axis)], axis)
        pair = np.stack([values + (before - values) * 0.25, values + (after - values) * 0.25], axis=axis + 1)
        shape = list(values.shape)
        shape[axis] *= 2
        values = pair.reshape(shape)
    return values


def uniform_alpha(alpha: Pixels) -> float | None:
    """The one value (0..1) that the whole plane has, or None: a uniform plane needs no network."""
    first = alpha.flat[0]
    if bool((alpha != first).any()):
        return None
    return float(first) if alpha.dtype.kind == "f" else float(first) / float(np.iinfo(alpha.dtype).max)


def alpha_to_network(alpha: Pixels) -> npt.NDArray[np.float32]:
    """(height, width) of any depth to (3, height, width) float32, 0..1: alpha as a grey picture."""
    plane = alpha.astype(np.float32)
    if alpha.dtype.kind != "f":
        plane *= np.float32(1.0 / np.iinfo(alpha.dtype).max)
    return np.ascontiguousarray(np.broadcast_to(np.clip(plane, 0.0, 1.0), (3, *alpha.shape)))


def alpha_from_network(planes: npt.NDArray[np.float32], bits: int) -> Pixels:
    """(3, height, width) float32 to (height, width) of `bits` (8, 16, or 32 for float): the mean of three, rounded."""
    return round_samples(planes.mean(axis=0, dtype=np.float32), bits)


def composite(samples: Pixels, background: float = 1.0) -> Pixels:
    """(rows, width, 2 or 4) with straight alpha last, laid on a plain background (0 black, 1 white): (rows, width, 1 or
    3), same dtype."""
    top = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
    alpha = samples[..., -1:].astype(np.float32) / np.float32(top)
    ground = np.float32(background * top)
    mixed = ground + alpha * (samples[..., :-1].astype(np.float32) - ground)
    return np.rint(mixed).astype(samples.dtype) if samples.dtype.kind != "f" else mixed
