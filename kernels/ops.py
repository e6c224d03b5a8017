"""The plan of a degradation as the native code reads it: one fixed 64-byte record an operation, a row of them a sample.

This layout is shared with `kernels/include/pellucid/ops.h`; the two are held equal by a test.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

OP = np.dtype(
    [
        ("opcode", "<u4"),
        ("stage", "<u4"),  # random stream of this operation: noise depends on (seed, sample, stage, position) alone
        ("i", "<i4", (4,)),
        ("f", "<f4", (8,)),
        ("reserved", "<u4", (2,)),
    ]
)


class Opcode(IntEnum):
    """Operations, and what they read from `i` and `f`. Sigmas of noise are in 0..1 units, lengths in pixels, angles in
    radians. Border: reflect without repeating the edge, repeated as often as the picture is small."""

    END = 0
    BLUR = 1  # i = kernel (Blur), size; f = sigma_x, sigma_y, angle, beta, cutoff
    RESIZE = 2  # i = height, width, filter (Filter), antialias
    GAUSSIAN_NOISE = 3  # i = noise (Noise); f = sigma; for CORRELATED f[1:7] = lower triangle of a 3x3 Cholesky factor
    POISSON_NOISE = 4  # i = noise (Noise), levels (0: next power of two of the distinct levels); f = scale
    JPEG = 5  # i = quality 1..100, subsampling (Subsampling)
    USM = 6  # i = radius; f = weight, threshold (0..255 units)
    DROPOUT = 7  # i = y, x, height, width; f = fill (0..1)
    FLIP = 8  # i = horizontal, vertical, transpose (0 or 1 each; transpose last)
    CLAMP_ROUND = 9  # to 0..1 and to the 8-bit grid
    CROP = 10  # i = y, x, height, width
    HOST_CODEC = 11  # i = codec (0: WebP), quality; run by the caller between two native calls


class Blur(IntEnum):
    GAUSSIAN = 0
    GENERALISED = 1
    PLATEAU = 2
    SINC = 3


class Filter(IntEnum):
    NEAREST = 0
    AREA = 1
    BILINEAR = 2
    BICUBIC = 3
    LANCZOS = 4


class Noise(IntEnum):
    COLOUR = 0
    GREY = 1
    CORRELATED = 2


class Subsampling(IntEnum):
    S444 = 0
    S422 = 1
    S420 = 2
