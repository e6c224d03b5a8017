// The plain C interface of libpellucid_cpu. Nothing here knows Python or torch.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pellucid/ops.h"

#if defined(_WIN32)
#define PELLUCID_API __declspec(dllexport)
#else
#define PELLUCID_API __attribute__((visibility("default")))
#endif

// Raised whenever a signature, a record or the meaning of an operation changes.
#define PELLUCID_ABI 3

#ifdef __cplusplus
extern "C" {
#endif

enum PellucidStatus {
    PELLUCID_OK = 0,
    PELLUCID_BAD_ARGUMENT = 1,   // a null pointer, a count or an option out of range
    PELLUCID_BAD_SIZE = 2,       // a picture of no or too many pixels, or an output of another size than the plan's
    PELLUCID_BAD_OPERATION = 3,  // an unknown opcode or a parameter out of range
    PELLUCID_BAD_PIXELS = 4,     // NaN, infinity, or far outside 0..1
    PELLUCID_NEEDS_HOST = 5,     // the plan holds an operation that only the caller can run
    PELLUCID_NO_VARIANT = 6,     // the forced instruction set is not in this build or not in this processor
    PELLUCID_NO_MEMORY = 7,
    PELLUCID_NO_DEVICE = 8,
    PELLUCID_DEVICE_FAILED = 9,
    PELLUCID_INTERNAL = 10
};

enum PellucidVariant {
    PELLUCID_AUTOMATIC = -1,
    PELLUCID_SCALAR = 0,
    PELLUCID_AVX2 = 1,
    PELLUCID_AVX512 = 2,
    PELLUCID_EMULATED_DEVICE = 3  // the bodies of the CUDA kernels, run one thread after another; slow, for tests
};

// Three float32 planes (R, G, B) of height x width, one after another without gaps, values 0..1.
typedef struct PellucidPicture {
    float* planes;
    int32_t height;
    int32_t width;
} PellucidPicture;

// Where and why a call was refused. `sample` and `operation` are -1 where they do not apply.
typedef struct PellucidFailure {
    int64_t sample;
    int64_t operation;
    char message[240];
} PellucidFailure;

PELLUCID_API int pellucid_version(void);
PELLUCID_API const char* pellucid_status_name(int status);

// Whether this build and this processor can run a variant.
PELLUCID_API int pellucid_has_variant(int variant);

// Checks row s of at most `max_ops` records against a picture of sizes[2 s] x sizes[2 s + 1] (height, width), for s in
// 0..count-1, and replaces both by the size it ends in.
PELLUCID_API int pellucid_plan_sizes(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, int32_t* sizes, PellucidFailure* failure);

// Runs row s of `ops` over inputs[s] into outputs[s], for s in 0..count-1. Pointers, records and sizes are checked before
// the first pixel is written. Pixels are looked at while each picture is read (PELLUCID_EMULATED_DEVICE, like a device,
// does not look): after PELLUCID_BAD_PIXELS or PELLUCID_NO_MEMORY the output of the sample named is as it was, and the
// others may be written. Inputs are never written and may share memory with one another; an output that shares memory
// with an input or another output is the caller's fault and is not noticed. `threads` >= 1. `used_variant` may be null.
PELLUCID_API int pellucid_degrade(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, int threads, int variant,
    int* used_variant, PellucidFailure* failure);

// Pictures of R, G, B bytes side by side to float planes (level / 255), and back (rounded, halves to even, NaN to 0).
PELLUCID_API void pellucid_planes_from_pixels(
    const uint8_t* pixels, uint64_t count, int32_t height, int32_t width, float* planes);
PELLUCID_API void pellucid_pixels_from_planes(
    const float* planes, uint64_t count, int32_t height, int32_t width, uint8_t* pixels);

// One Philox 4x32-10 block, for known-answer tests.
PELLUCID_API void pellucid_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t result[4]);

// The taps of a BLUR record as the kernels use them, size x size, for tests and for drawing.
PELLUCID_API int pellucid_blur_taps(const PellucidOp* op, float* taps, PellucidFailure* failure);

#ifdef __cplusplus
}
#endif
