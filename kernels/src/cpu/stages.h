// What every instruction set implements: one function an operation, over one picture. The pictures live in an arena with
// padded rows; scratch is sized by the functions at the end.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "../prepare.h"

namespace pellucid {

// Three planes one after another; a row starts every `stride` floats, a multiple of 16. What lies between width and
// stride is never meaningful and may be overwritten; 16 rows beyond the last may be read.
struct Planes {
    float* data;
    int32_t height, width, stride;

    float* plane(int p) const { return data + static_cast<size_t>(p) * height * stride; }
};

inline int32_t padded(int32_t width) { return (width + 15) & ~15; }

struct Source {
    uint64_t seed, sample;
    uint32_t stage;
};

struct Stages {
    bool (*read)(const float* picture, const Planes& to);  // false: a value that is no pixel
    void (*write)(const Planes& from, float* picture);
    void (*blur)(const Planes& from, const Planes& to, const BlurKernel& kernel, float* scratch);
    void (*resize)(
        const Planes& from, const Planes& to, const ResizeAxis& vertical, const ResizeAxis& horizontal, float* scratch);
    void (*gaussian_noise)(const Planes& on, int32_t noise, const float* f, const Source& source, float* scratch);
    int (*distinct_levels)(const Planes& of, bool grey);  // counted up to 129
    void (*poisson_noise)(
        const Planes& on, bool grey, const PoissonTable& table, float scale, const Source& source, float* scratch);
    void (*jpeg)(const Planes& on, const JpegTables& tables, int32_t subsampling, uint8_t* scratch);
    void (*usm)(
        const Planes& from, const Planes& to, const float* taps, int32_t count, float weight, float threshold,
        float* scratch);
    void (*clamp_round)(const Planes& on);
};

extern const Stages scalar_stages;
#if defined(PELLUCID_X86_64)
extern const Stages avx2_stages;
extern const Stages avx512_stages;
#endif

// Floats a picture needs in the arena.
inline size_t planes_floats(int32_t height, int32_t width) {
    return (static_cast<size_t>(3) * height + 17) * padded(width) + 64;
}

// Floats of scratch an operation may use on a picture of this size, resize aside.
inline size_t scratch_floats(int32_t height, int32_t width) {
    const size_t row = static_cast<size_t>(padded(width)) + 2 * MAX_USM + 64;
    const size_t strips = 2 * 16 * row + 4 * row;
    const size_t padded_plane = (static_cast<size_t>(height) + 17) * row;
    const size_t pointers = 2 * (static_cast<size_t>(height) + 2 * MAX_USM + 64);
    return strips + 3 * padded_plane + pointers + 1024;
}

inline size_t resize_scratch_floats(Size from, Size to) {
    const size_t middle = vertical_first(from, to) ? (static_cast<size_t>(to.height) + 17) * (padded(from.width) + 64)
                                                   : (static_cast<size_t>(from.height) + 17) * (padded(to.width) + 64);
    return middle + 16 * (static_cast<size_t>(padded(from.width)) + padded(to.width) + 128) + 1024;
}

}  // namespace pellucid
