// The plan of a degradation: one 64-byte record an operation, a row of them a sample.
// What each operation computes is written in kernels/ops.py, which describes the same layout; a test holds both equal.
#pragma once

#include <stdint.h>

typedef struct PellucidOp {
    uint32_t opcode;
    uint32_t stage;  // random stream: noise depends on (seed, sample, stage, position) alone
    int32_t i[4];
    float f[8];
    uint32_t reserved[2];
} PellucidOp;

enum PellucidOpcode {
    PELLUCID_END = 0,
    PELLUCID_BLUR = 1,
    PELLUCID_RESIZE = 2,
    PELLUCID_GAUSSIAN_NOISE = 3,
    PELLUCID_POISSON_NOISE = 4,
    PELLUCID_JPEG = 5,
    PELLUCID_USM = 6,
    PELLUCID_DROPOUT = 7,
    PELLUCID_FLIP = 8,
    PELLUCID_CLAMP_ROUND = 9,
    PELLUCID_CROP = 10,
    PELLUCID_HOST_CODEC = 11
};

enum PellucidBlur { PELLUCID_GAUSSIAN = 0, PELLUCID_GENERALISED = 1, PELLUCID_PLATEAU = 2, PELLUCID_SINC = 3 };

enum PellucidFilter {
    PELLUCID_NEAREST = 0,
    PELLUCID_AREA = 1,
    PELLUCID_BILINEAR = 2,
    PELLUCID_BICUBIC = 3,
    PELLUCID_LANCZOS = 4
};

enum PellucidNoise { PELLUCID_COLOUR = 0, PELLUCID_GREY = 1, PELLUCID_CORRELATED = 2 };

enum PellucidSubsampling { PELLUCID_S444 = 0, PELLUCID_S422 = 1, PELLUCID_S420 = 2 };
