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


LONGEST_ROW = 64
"""Records a row may have."""


class Opcode(IntEnum):
    """Operations, and what they read from `i` and `f`. Pictures are three float32 planes (R, G, B) in 0..1. Sigmas of
    noise are in 0..1 units, lengths in pixels, angles in radians. Border of BLUR and USM: reflect without repeating the
    edge, repeated as often as the picture is small. Fields an operation does not name must be zero."""

    END = 0
    # i = kernel (Blur), size (odd, 3..63); f = sigma_x, sigma_y, angle, beta, cutoff, tolerance.
    # With c = cos(angle), s = sin(angle) and x to the right, y downwards, both from the centre:
    #   q = ((c*x + s*y) / sigma_x)**2 + ((c*y - s*x) / sigma_y)**2
    # GAUSSIAN exp(-q/2), GENERALISED exp(-q**beta / 2), PLATEAU 1 / (1 + q**beta); SINC (isotropic low pass, cutoff in
    # 0..pi) cutoff * J1(cutoff * r) / (2 pi r), at the centre cutoff**2 / (4 pi). Taps are divided by their sum.
    # tolerance 0: every tap; > 0: sum of separable kernels whose taps differ from the true ones by at most tolerance
    # in absolute sum.
    BLUR = 1
    # i = height, width, filter (Filter), antialias (0 or 1); f = scale_y, scale_x: the factors the sampling grid
    # assumes, 0: output / input. NEAREST takes the pixel whose centre is nearest (torch "nearest-exact"), AREA averages
    # floor(o * in / out) .. ceil((o + 1) * in / out); both ignore antialias and AREA ignores the factors. Without
    # antialias: BILINEAR and BICUBIC (a = -0.75) as torch align_corners=False, LANCZOS (3 lobes) with six taps, edges
    # repeated. With antialias (as Pillow and torch antialias=True): the filter is widened by in / out when shrinking,
    # BICUBIC a = -0.5, taps beyond the edge are dropped and the rest divided by their sum. The result is not clamped.
    RESIZE = 2
    # i = noise (Noise); f = sigma; for CORRELATED f[1:7] = lower triangle (l00, l10, l11, l20, l21, l22) of a 3x3
    # Cholesky factor L: picture + sigma * (L z), z three independent normals a pixel; GREY: one normal a pixel for all
    # planes. Clamped to 0..1.
    GAUSSIAN_NOISE = 3
    # i = noise (COLOUR or GREY), levels (a power of two 1..256; 0: next power of two of the number of distinct 8-bit
    # levels in all planes, or in the grey picture for GREY); f = scale. With q = the picture rounded to 8 bits (GREY:
    # 0.2989 R + 0.587 G + 0.114 B rounded): picture + scale * (Poisson(q * levels) / levels - q), clamped to 0..1.
    POISSON_NOISE = 4
    # i = quality 1..100, subsampling (Subsampling). The picture is clamped and rounded to 8 bits, coded and decoded.
    JPEG = 5
    # i = radius r: a Gaussian of r taps (r + 1 when r is even, 3..127) with sigma 0.3 * ((taps - 1) / 2 - 1) + 0.8;
    # f = weight, threshold (0..255 units). d = picture - blurred; soft = blurred (|d| * 255 > threshold);
    # soft * clamp(picture + weight * d, 0, 1) + (1 - soft) * picture.
    USM = 6
    DROPOUT = 7  # i = y, x, height, width (inside the picture); f = fill (0..1)
    FLIP = 8  # i = horizontal, vertical, transpose (0 or 1 each; transpose last)
    CLAMP_ROUND = 9  # to 0..1 and to the 8-bit grid: round(255 x) / 255, halves to even
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
