"""How much context a model's tiles need: the error of cutting, measured on a picture with the statistics of nature."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.runtime.session import Session
from engine.tiling.source import Planes

CANDIDATES = (0, 8, 10, 16, 24, 32, 48, 64)
"""Halos that are tried; 0, 10 and 16 are what other programs take for every model."""

LARGEST_ERROR = 1 / 255

_CORE = 32


def measure_cutting_errors(
    session: Session, candidates: tuple[int, ...] = CANDIDATES, seed: int = 1
) -> dict[int, float]:
    """Halo -> largest difference (in 0..1) between a tile with that halo and the same pixels of the whole picture.

    The session should compute in fp32, or its rounding is measured too. Halos are rounded up to the session's multiple.
    """
    multiple, scale = session.info.multiple, session.info.scale
    reach = [-(-halo // multiple) * multiple for halo in candidates]
    # Twice the largest halo around the core: the whole must know more than any tile.
    margin = 2 * max(*reach, 32)
    side = -(-(_CORE + 2 * margin) // multiple) * multiple
    picture = natural_picture(side, side, seed)
    core = np.s_[:, margin * scale : (margin + _CORE) * scale, margin * scale : (margin + _CORE) * scale]
    whole = session.run(picture[np.newaxis])[0][core]
    errors: dict[int, float] = {}
    for halo, around in zip(candidates, reach, strict=True):
        window = picture[:, margin - around : margin + _CORE + around, margin - around : margin + _CORE + around]
        inner = np.s_[:, around * scale : (around + _CORE) * scale, around * scale : (around + _CORE) * scale]
        tile = session.run(np.ascontiguousarray(window)[np.newaxis])[0][inner]
        errors[halo] = float(np.abs(tile - whole).max())
    return errors


def measure_halo(session: Session, candidates: tuple[int, ...] = CANDIDATES) -> int | None:
    """The smallest candidate from which on cutting changes no sample by more than 1/255; None: not even the largest.

    The number for a model's card.
    """
    errors = measure_cutting_errors(session, candidates)
    enough = None
    for halo in sorted(candidates, reverse=True):
        if errors[halo] > LARGEST_ERROR:
            break
        enough = halo
    return enough


def natural_picture(height: int, width: int, seed: int) -> Planes:
    """(3, height, width) in 0..1: a spectrum that falls with frequency, hard edges of flat shapes, and fine noise."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1.0
    shape = (height, frequency.shape[1])
    brightness = _noise(random, shape) / frequency
    waves = np.stack([brightness + 0.3 * _noise(random, shape) / frequency for _ in range(3)])
    picture = np.fft.irfft2(waves, s=(height, width))
    picture = 0.5 + 0.2 * (picture - picture.mean()) / max(float(picture.std()), 1e-9)
    rows, columns = np.mgrid[:height, :width]
    for _ in range(max(4, height * width // 1500)):
        y, x = random.integers(height), random.integers(width)
        a, b = random.uniform(2, 24, 2)
        turn = random.uniform(0, np.pi)
        along = (rows - y) * np.cos(turn) + (columns - x) * np.sin(turn)
        across = (columns - x) * np.cos(turn) - (rows - y) * np.sin(turn)
        inside = (np.abs(along) < a) & (np.abs(across) < b)
        colour = random.uniform(0, 1, 3)
        picture[:, inside] = 0.5 * picture[:, inside] + 0.5 * colour[:, np.newaxis]
    picture += random.normal(0, 0.01, picture.shape)
    return np.asarray(np.clip(picture, 0, 1), dtype=np.float32)


def _noise(random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.complex128]:
    return random.normal(size=shape) + 1j * random.normal(size=shape)
