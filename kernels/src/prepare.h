// Everything about an operation that does not depend on pixels, made once on the host by ordinary code: checks, sizes, tap
// tables, Poisson and quantisation tables. The wide builds and CUDA read these tables and never make their own.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pellucid/pellucid.h"

namespace pellucid {

constexpr int32_t MAX_SIDE = 65535;
constexpr int64_t MAX_PIXELS = int64_t{1} << 26;
constexpr uint32_t MAX_OPERATIONS = 64;
constexpr int32_t MAX_BLUR = 63;
constexpr int32_t MAX_RANK = 16;
constexpr int32_t MAX_USM = 127;
constexpr float LOWEST_PIXEL = -1.0f;  // room for the overshoot of a cubic or a sharpening filter
constexpr float HIGHEST_PIXEL = 2.0f;

struct Size {
    int32_t height, width;
};

// Writes the message; returns `status` so that a caller can `return refuse(...)`.
int refuse(PellucidFailure* failure, int status, int64_t sample, int64_t operation, const char* format, ...);

int check_size(Size size, int64_t sample, PellucidFailure* failure);
// Checks one operation against the picture it meets and moves `size` on to the picture it leaves.
int check_operation(const PellucidOp& op, int64_t sample, int64_t index, Size& size, PellucidFailure* failure);
// Checks a row of records. `count` receives the number of operations before END.
int check_plan(
    const PellucidOp* ops, uint32_t max_ops, int64_t sample, Size& size, uint32_t& count, PellucidFailure* failure);

// rank 0: `taps` holds height x width taps, each equal to the one mirrored through the middle. Otherwise a sum of `rank`
// products: taps_x[r * width + i], taps_y[r * height + i], both of which mirror each other, with the sign turned where odd[r].
struct BlurKernel {
    int32_t height, width, rank;
    float taps[MAX_BLUR * MAX_BLUR];
    float taps_x[MAX_RANK * MAX_BLUR];
    float taps_y[MAX_RANK * MAX_BLUR];
    bool odd[MAX_RANK];
};

// Returns false when the taps do not have a positive sum.
bool make_blur(const PellucidOp& op, BlurKernel& kernel);
// The full size x size taps, before cropping.
bool make_blur_taps(const PellucidOp& op, double* taps);

int32_t usm_taps(int32_t radius);
void make_usm(int32_t radius, float* taps);

// Output position o is sum over t of weights[o * taps + t] * input[start[o] + t]; every start + taps <= input size.
struct ResizeAxis {
    int32_t input, output, taps;
    const int32_t* start;
    const float* weights;
};

int32_t axis_taps(int32_t input, int32_t output, int32_t filter, bool antialias, float factor);
void make_axis(
    int32_t input, int32_t output, int32_t filter, bool antialias, float factor, int32_t taps, int32_t* start,
    float* weights);
// Which pass runs first: the one that leaves the smaller picture between the two.
inline bool vertical_first(Size from, Size to) {
    return int64_t{to.height} * from.width <= int64_t{from.height} * to.width;
}

struct PoissonTable {
    uint32_t entry[256 * 256];  // see arithmetic.h
    int32_t first[256];         // count of bucket 0 at each level
    float per_count;            // 1 / levels
};

// levels = 2^exponent, exponent 0..8. Made on first use, shared, never freed.
const PoissonTable& poisson_table(int exponent);
// The exponent of the next power of two of a number 1..256.
int exponent_of(int distinct);

// Tables of one component: eight times the quantiser's steps and their reciprocals, row by row, each row twice.
struct QuantTable {
    int32_t divisor[8][16];
    float inverse[8][16];
};
struct JpegTables {
    QuantTable luma, chroma;
};
void make_jpeg(int32_t quality, JpegTables& tables);

}  // namespace pellucid
