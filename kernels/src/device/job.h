// What one launch tells a kernel about one sample, and how a batch becomes a list of launches. Shared by the CUDA library
// and by its emulation on the CPU.
#pragma once

#include <stdint.h>

#include <vector>

#include "../prepare.h"

namespace pellucid {

enum class KernelKind : int32_t {
    COPY,
    BLUR,
    FILTER_ROWS,
    FILTER_COLUMNS,
    RESIZE_ROWS,
    RESIZE_COLUMNS,
    GAUSSIAN_NOISE,
    LEVELS,
    POISSON_NOISE,
    JPEG_SPLIT,
    JPEG_CODE,
    JPEG_JOIN,
    DROPOUT,
    FLIP,
    CLAMP_ROUND,
    CROP
};
constexpr int KERNEL_KINDS = static_cast<int>(KernelKind::CROP) + 1;

constexpr int THREADS = 256;

// Planes on the device have no padding: plane p, row y, column x is at (p * height + y) * width + x.
// Addresses are absolute once `place` has run; before, those inside the workspace are offsets with the top bit set.
struct Job {
    uint64_t from, to;         // float planes
    uint64_t picture, extra;   // float planes: the sharpened picture, its blur; or the sum so far of a low rank
    uint64_t bytes;            // JPEG components
    uint64_t taps, starts;     // float, int32
    uint64_t seen;             // uint32 x 8: the set of 8-bit levels
    int32_t height, width;     // of `from`
    int32_t to_height, to_width;
    int32_t taps_height, taps_width;
    int32_t blocks;            // of THREADS threads that the sample needs
    int32_t mode;              // a kernel's own
    int32_t i[4];
    float f[8];
    uint64_t seed, sample;
    uint32_t stage;
    uint32_t odd;              // the taps turn their sign at the middle
};

struct Launch {
    KernelKind kind;
    uint32_t first_job, jobs;
    uint32_t blocks;        // of the largest job
    uint32_t shared_bytes;
};

// A batch, ready to run once it is told where its workspace lies. The workspace begins with `head`, which is copied there
// first: jobs, tables, empty sets of levels.
struct Schedule {
    std::vector<Launch> launches;
    std::vector<Job> jobs;
    std::vector<uint8_t> tables;
    uint64_t head_bytes = 0, workspace_bytes = 0;
    bool needs_poisson = false;

    // The head for a workspace at `base`.
    std::vector<uint8_t> place(uint64_t base) const;
};

// Plans have been checked; pictures lie where the kernels will find them.
Schedule make_schedule(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const uint32_t* counts, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples);

}  // namespace pellucid
