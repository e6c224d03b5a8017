#include "prepare.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include <atomic>
#include <initializer_list>
#include <memory>

#include "numeric.h"

namespace pellucid {
namespace {

constexpr double PI = 3.14159265358979323846;

// Written so that NaN fails.
bool within(float value, float low, float high) { return value >= low && value <= high; }

int bad(PellucidFailure* failure, int64_t sample, int64_t index, const char* what, double value, const char* wanted) {
    return refuse(
        failure, PELLUCID_BAD_OPERATION, sample, index, "%s is %.9g, which must be %s", what, value, wanted);
}

bool flag(int32_t value) { return value == 0 || value == 1; }

bool region_inside(const PellucidOp& op, Size size) {
    const int64_t y = op.i[0], x = op.i[1], height = op.i[2], width = op.i[3];
    return y >= 0 && x >= 0 && height >= 1 && width >= 1 && y + height <= size.height && x + width <= size.width;
}

}  // namespace

int refuse(PellucidFailure* failure, int status, int64_t sample, int64_t operation, const char* format, ...) {
    if (failure) {
        failure->sample = sample;
        failure->operation = operation;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(failure->message, sizeof failure->message, format, arguments);
        va_end(arguments);
    }
    return status;
}

int check_size(Size size, int64_t sample, PellucidFailure* failure) {
    if (size.height >= 1 && size.width >= 1 && size.height <= MAX_SIDE && size.width <= MAX_SIDE &&
        int64_t{size.height} * size.width <= MAX_PIXELS)
        return PELLUCID_OK;
    return refuse(
        failure, PELLUCID_BAD_SIZE, sample, -1, "a picture of %d x %d pixels: sides must be 1..%d and pixels at most %lld",
        size.height, size.width, MAX_SIDE, static_cast<long long>(MAX_PIXELS));
}

int check_operation(const PellucidOp& op, int64_t sample, int64_t index, Size& size, PellucidFailure* failure) {
    const auto wrong = [&](const char* what, double value, const char* wanted) {
        return bad(failure, sample, index, what, value, wanted);
    };
    if (op.reserved[0] || op.reserved[1]) return wrong("a reserved field", op.reserved[0] | op.reserved[1], "0");
    switch (op.opcode) {
        case PELLUCID_BLUR: {
            if (op.i[0] < PELLUCID_GAUSSIAN || op.i[0] > PELLUCID_SINC) return wrong("the blur kernel", op.i[0], "0..3");
            if (op.i[1] < 3 || op.i[1] > MAX_BLUR || op.i[1] % 2 == 0)
                return wrong("the blur size", op.i[1], "an odd number 3..63");
            if (!within(op.f[5], 0.0f, 1.0f)) return wrong("the blur tolerance", op.f[5], "0..1");
            if (op.i[0] == PELLUCID_SINC) {
                if (!within(op.f[4], 0.01f, 3.1416f)) return wrong("the sinc cutoff", op.f[4], "0.01..pi");
            } else {
                if (!within(op.f[0], 0.01f, 1000.0f)) return wrong("sigma_x", op.f[0], "0.01..1000");
                if (!within(op.f[1], 0.01f, 1000.0f)) return wrong("sigma_y", op.f[1], "0.01..1000");
                if (!within(op.f[2], -100.0f, 100.0f)) return wrong("the angle", op.f[2], "-100..100 radians");
                if (op.i[0] != PELLUCID_GAUSSIAN && !within(op.f[3], 0.01f, 100.0f))
                    return wrong("beta", op.f[3], "0.01..100");
            }
            return PELLUCID_OK;
        }
        case PELLUCID_RESIZE: {
            if (op.i[2] < PELLUCID_NEAREST || op.i[2] > PELLUCID_LANCZOS) return wrong("the filter", op.i[2], "0..4");
            if (!flag(op.i[3])) return wrong("antialias", op.i[3], "0 or 1");
            for (int axis = 0; axis < 2; ++axis)
                if (op.f[axis] != 0.0f && !within(op.f[axis], 1.0f / 1024, 1024.0f))
                    return wrong("a scale factor", op.f[axis], "0 or 1/1024..1024");
            size = {op.i[0], op.i[1]};
            const int status = check_size(size, sample, failure);
            if (status && failure) failure->operation = index;
            return status;
        }
        case PELLUCID_GAUSSIAN_NOISE:
            if (op.i[0] < PELLUCID_COLOUR || op.i[0] > PELLUCID_CORRELATED) return wrong("the noise", op.i[0], "0..2");
            if (!within(op.f[0], 0.0f, 10.0f)) return wrong("sigma", op.f[0], "0..10");
            if (op.i[0] == PELLUCID_CORRELATED)
                for (int k = 1; k < 7; ++k)
                    if (!within(op.f[k], -10.0f, 10.0f)) return wrong("a Cholesky entry", op.f[k], "-10..10");
            return PELLUCID_OK;
        case PELLUCID_POISSON_NOISE:
            if (op.i[0] != PELLUCID_COLOUR && op.i[0] != PELLUCID_GREY) return wrong("the noise", op.i[0], "0 or 1");
            if (op.i[1] < 0 || op.i[1] > 256 || (op.i[1] & (op.i[1] - 1)))
                return wrong("the number of levels", op.i[1], "0 or a power of two 1..256");
            if (!within(op.f[0], 0.0f, 100.0f)) return wrong("the Poisson scale", op.f[0], "0..100");
            return PELLUCID_OK;
        case PELLUCID_JPEG:
            if (op.i[0] < 1 || op.i[0] > 100) return wrong("the JPEG quality", op.i[0], "1..100");
            if (op.i[1] < PELLUCID_S444 || op.i[1] > PELLUCID_S420) return wrong("the subsampling", op.i[1], "0..2");
            return PELLUCID_OK;
        case PELLUCID_USM:
            if (op.i[0] < 2 || op.i[0] > MAX_USM) return wrong("the sharpening radius", op.i[0], "2..127");
            if (!within(op.f[0], 0.0f, 100.0f)) return wrong("the sharpening weight", op.f[0], "0..100");
            if (!within(op.f[1], 0.0f, 1000.0f)) return wrong("the sharpening threshold", op.f[1], "0..1000");
            return PELLUCID_OK;
        case PELLUCID_DROPOUT:
            if (!within(op.f[0], 0.0f, 1.0f)) return wrong("the fill", op.f[0], "0..1");
            if (!region_inside(op, size)) return wrong("the width of a region", op.i[3], "one that lies inside the picture");
            return PELLUCID_OK;
        case PELLUCID_FLIP:
            for (int k = 0; k < 3; ++k)
                if (!flag(op.i[k])) return wrong("a flip", op.i[k], "0 or 1");
            if (op.i[2]) size = {size.width, size.height};
            return PELLUCID_OK;
        case PELLUCID_CLAMP_ROUND:
            return PELLUCID_OK;
        case PELLUCID_CROP:
            if (!region_inside(op, size)) return wrong("the width of a region", op.i[3], "one that lies inside the picture");
            size = {op.i[2], op.i[3]};
            return PELLUCID_OK;
        case PELLUCID_HOST_CODEC:
            return refuse(
                failure, PELLUCID_NEEDS_HOST, sample, index,
                "a host codec has no kernel; the caller runs it between two calls");
        default:
            return wrong("the opcode", op.opcode, "0..11");
    }
}

int check_plan(
    const PellucidOp* ops, uint32_t max_ops, int64_t sample, Size& size, uint32_t& count, PellucidFailure* failure) {
    if (const int status = check_size(size, sample, failure)) return status;
    for (count = 0; count < max_ops && ops[count].opcode != PELLUCID_END; ++count)
        if (const int status = check_operation(ops[count], sample, count, size, failure)) return status;
    return PELLUCID_OK;
}

// ---- blur --------------------------------------------------------------------------------------------------------

namespace {

// cutoff * J1(cutoff * r) / (2 pi r), one value for the eight places at the same distance.
double fill_sinc(double cutoff, int32_t radius, double* taps) {
    const int32_t size = 2 * radius + 1;
    double sum = 0.0;
    for (int32_t high = 0; high <= radius; ++high) {
        for (int32_t low = 0; low <= high; ++low) {
            const double r = sqrt(static_cast<double>(high) * high + static_cast<double>(low) * low);
            const double tap =
                high == 0 ? cutoff * cutoff / (4.0 * PI) : cutoff * bessel_j1(cutoff * r) / (2.0 * PI * r);
            for (const int32_t y : {-high, high})
                for (const int32_t x : {-low, low})
                    taps[(radius + y) * size + radius + x] = taps[(radius + x) * size + radius + y] = tap;
        }
    }
    for (int32_t k = 0; k < size * size; ++k) sum += taps[k];
    return sum;
}

// The kernels of a quadratic form, which are the same upside down.
double fill_elliptic(const PellucidOp& op, int32_t radius, double* taps) {
    const int32_t size = 2 * radius + 1;
    double cosine = 1.0, sine = 0.0;
    if (op.f[2] != 0.0f) cos_sin(op.f[2], cosine, sine);
    double sum = 0.0;
    for (int32_t y = -radius; y <= radius; ++y) {
        for (int32_t x = -radius; x <= radius; ++x) {
            double& tap = taps[(y + radius) * size + x + radius];
            if (y > 0 || (y == 0 && x > 0)) {
                tap = taps[(radius - y) * size + radius - x];
            } else {
                const double u = (cosine * x + sine * y) / op.f[0], v = (cosine * y - sine * x) / op.f[1];
                const double q = u * u + v * v;
                if (op.i[0] == PELLUCID_GAUSSIAN)
                    tap = exponential(-0.5 * q);
                else if (op.i[0] == PELLUCID_GENERALISED)
                    tap = exponential(-0.5 * power(q, op.f[3]));
                else
                    tap = 1.0 / (1.0 + power(q, op.f[3]));
            }
            sum += tap;
        }
    }
    return sum;
}

}  // namespace

bool make_blur_taps(const PellucidOp& op, double* taps) {
    const int32_t size = op.i[1], radius = size / 2;
    const double sum =
        op.i[0] == PELLUCID_SINC ? fill_sinc(op.f[4], radius, taps) : fill_elliptic(op, radius, taps);
    if (!(sum > 1e-6)) return false;
    for (int32_t k = 0; k < size * size; ++k) taps[k] /= sum;
    return true;
}

namespace {

// exp(-(i / sigma)^2 / 2) over -radius..radius divided by its sum, cut where every further float tap is zero.
int32_t gaussian_taps(double sigma, int32_t radius, float* taps) {
    double values[MAX_USM];
    double sum = 0.0;
    for (int32_t i = -radius; i <= radius; ++i) sum += values[i + radius] = exponential(-0.5 * (i / sigma) * (i / sigma));
    int32_t cut = 0;
    while (cut < radius && static_cast<float>(values[cut] / sum) == 0.0f) ++cut;
    const int32_t count = 2 * (radius - cut) + 1;
    for (int32_t i = 0; i < count; ++i) taps[i] = static_cast<float>(values[i + cut] / sum);
    return count;
}

// Sum of separable terms by cross approximation with full pivoting: each step takes the row and the column through the
// largest error left. Taps that mirror each other through the middle are the sum of a part that is even along both axes
// and one that is odd along both; each is taken apart by itself, so every term folds. Stops when the errors sum to at
// most `tolerance`; false if MAX_RANK terms do not get there.
bool make_low_rank(const double* taps, int32_t size, double tolerance, BlurKernel& kernel) {
    double rest[2][MAX_BLUR * MAX_BLUR];
    for (int32_t y = 0; y < size; ++y) {
        for (int32_t x = 0; x < size; ++x) {
            const double tap = taps[y * size + x], mirrored = taps[y * size + size - 1 - x];
            rest[0][y * size + x] = 0.5 * (tap + mirrored);
            rest[1][y * size + x] = 0.5 * (tap - mirrored);
        }
    }
    kernel.height = kernel.width = size;
    for (kernel.rank = 0; kernel.rank <= MAX_RANK; ++kernel.rank) {
        double error = 0.0, largest = 0.0;
        int32_t pivot = 0;
        bool odd = false;
        for (int32_t k = 0; k < size * size; ++k) {
            const double whole = rest[0][k] + rest[1][k];
            error += whole < 0 ? -whole : whole;
            for (int part = 0; part < 2; ++part) {
                const double a = rest[part][k] < 0 ? -rest[part][k] : rest[part][k];
                if (a > largest) {
                    largest = a;
                    pivot = k;
                    odd = part == 1;
                }
            }
        }
        if (error <= tolerance && kernel.rank > 0) return true;
        if (kernel.rank == MAX_RANK || largest == 0.0) return false;
        double* const of = rest[odd];
        const int32_t row = pivot / size, column = pivot % size;
        const double at_pivot = of[pivot];
        float* tx = kernel.taps_x + kernel.rank * size;
        float* ty = kernel.taps_y + kernel.rank * size;
        for (int32_t i = 0; i < size; ++i) {
            tx[i] = static_cast<float>(of[row * size + i]);
            ty[i] = static_cast<float>(of[i * size + column] / at_pivot);
        }
        for (int32_t y = 0; y < size; ++y)
            for (int32_t x = 0; x < size; ++x) of[y * size + x] -= static_cast<double>(ty[y]) * tx[x];
        kernel.odd[kernel.rank] = odd;
    }
    return false;
}

}  // namespace

bool make_blur(const PellucidOp& op, BlurKernel& kernel) {
    const int32_t size = op.i[1], radius = size / 2;
    const bool round_kernel = op.f[0] == op.f[1];
    if (op.i[0] == PELLUCID_GAUSSIAN && (round_kernel || op.f[2] == 0.0f)) {  // a product exactly
        kernel.rank = 1;
        kernel.odd[0] = false;
        kernel.width = gaussian_taps(op.f[0], radius, kernel.taps_x);
        kernel.height = gaussian_taps(op.f[1], radius, kernel.taps_y);
        return true;
    }
    double taps[MAX_BLUR * MAX_BLUR];
    if (!make_blur_taps(op, taps)) return false;
    // A product of passes costs more a tap than the dense sum: measured, it pays below five eighths of the taps.
    if (op.f[5] > 0.0f && make_low_rank(taps, size, op.f[5], kernel) && 16 * kernel.rank < 5 * size) return true;
    int32_t reach_y = 0, reach_x = 0;
    for (int32_t y = 0; y < size; ++y) {
        for (int32_t x = 0; x < size; ++x) {
            if (static_cast<float>(taps[y * size + x]) == 0.0f) continue;
            const int32_t dy = y < radius ? radius - y : y - radius, dx = x < radius ? radius - x : x - radius;
            if (dy > reach_y) reach_y = dy;
            if (dx > reach_x) reach_x = dx;
        }
    }
    kernel.rank = 0;
    kernel.height = 2 * reach_y + 1;
    kernel.width = 2 * reach_x + 1;
    for (int32_t y = 0; y < kernel.height; ++y)
        for (int32_t x = 0; x < kernel.width; ++x)
            kernel.taps[y * kernel.width + x] =
                static_cast<float>(taps[(y + radius - reach_y) * size + x + radius - reach_x]);
    return true;
}

int32_t usm_taps(int32_t radius) { return radius | 1; }

void make_usm(int32_t radius, float* taps) {
    const int32_t count = usm_taps(radius);
    const double sigma = 0.3 * ((count - 1) * 0.5 - 1.0) + 0.8;
    double values[MAX_USM];
    double sum = 0.0;
    for (int32_t i = 0; i < count; ++i) {
        const double distance = (i - count / 2) / sigma;
        sum += values[i] = exponential(-0.5 * distance * distance);
    }
    for (int32_t i = 0; i < count; ++i) taps[i] = static_cast<float>(values[i] / sum);
}

// ---- resize ------------------------------------------------------------------------------------------------------

namespace {

double cubic(double x, double a) {
    if (x < 0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

double lanczos(double x) {
    if (x < 0) x = -x;
    if (x >= 3.0) return 0.0;
    if (x < 1e-9) return 1.0;
    double c, s, t;
    cos_sin(PI * x, c, s);
    cos_sin(PI * x / 3.0, c, t);
    return 3.0 * s * t / (PI * PI * x * x);
}

double filter_value(int32_t filter, double x, bool antialias) {
    if (x < 0) x = -x;
    switch (filter) {
        case PELLUCID_BILINEAR: return x < 1.0 ? 1.0 - x : 0.0;
        case PELLUCID_BICUBIC: return cubic(x, antialias ? -0.5 : -0.75);
        default: return lanczos(x);
    }
}

int32_t filter_reach(int32_t filter) {
    return filter == PELLUCID_BILINEAR ? 1 : filter == PELLUCID_BICUBIC ? 2 : 3;
}

// Source pixels per output pixel, in single precision as torch has it.
float grid_step(int32_t input, int32_t output, float factor) {
    return factor > 0.0f ? static_cast<float>(1.0 / static_cast<double>(factor))
                         : static_cast<float>(input) / static_cast<float>(output);
}

int32_t floor_of(float x) {
    const int32_t whole = static_cast<int32_t>(x);
    return static_cast<float>(whole) > x ? whole - 1 : whole;
}

int32_t clamped(int32_t value, int32_t low, int32_t high) { return value < low ? low : value > high ? high : value; }

}  // namespace

int32_t axis_taps(int32_t input, int32_t output, int32_t filter, bool antialias, float factor) {
    int64_t taps;
    if (filter == PELLUCID_NEAREST) {
        taps = 1;
    } else if (filter == PELLUCID_AREA) {
        taps = (input + output - 1) / output + (input % output ? 1 : 0);
    } else {
        taps = 2 * filter_reach(filter);
        if (antialias) {
            const float step = grid_step(input, output, factor);
            const float support = filter_reach(filter) * (step > 1.0f ? step : 1.0f);
            taps = static_cast<int64_t>(2.0f * support) + 2;
        }
    }
    return static_cast<int32_t>(taps < input ? taps : input);
}

void make_axis(
    int32_t input, int32_t output, int32_t filter, bool antialias, float factor, int32_t taps, int32_t* start,
    float* weights) {
    const float step = grid_step(input, output, factor);
    std::unique_ptr<double[]> values(new double[taps + 8]);
    for (int32_t o = 0; o < output; ++o) {
        float* w = weights + static_cast<int64_t>(o) * taps;
        for (int32_t t = 0; t < taps; ++t) w[t] = 0.0f;
        if (filter == PELLUCID_NEAREST) {
            start[o] = clamped(floor_of((static_cast<float>(o) + 0.5f) * step), 0, input - 1);
            w[0] = 1.0f;
        } else if (filter == PELLUCID_AREA) {
            const int64_t low = int64_t{o} * input / output;
            const int64_t high = (int64_t{o + 1} * input + output - 1) / output;
            start[o] = clamped(static_cast<int32_t>(low), 0, input - taps);
            const float share = static_cast<float>(1.0 / (high - low));
            for (int64_t k = low; k < high; ++k) w[k - start[o]] = share;
        } else if (antialias) {
            const float stretch = step > 1.0f ? step : 1.0f;
            const float support = filter_reach(filter) * stretch;
            const float centre = step * (static_cast<float>(o) + 0.5f);
            int32_t low = static_cast<int32_t>(centre - support + 0.5f);
            int32_t high = static_cast<int32_t>(centre + support + 0.5f);
            low = clamped(low, 0, input - 1);
            high = clamped(high, low + 1, input);
            if (high - low > taps) high = low + taps;
            start[o] = clamped(low, 0, input - taps);
            double sum = 0.0;
            for (int32_t k = low; k < high; ++k)
                sum += values[k - low] = filter_value(filter, (k - centre + 0.5) / stretch, true);
            if (!(sum > 1e-9 || sum < -1e-9)) {  // the grid lies outside the picture: its nearest pixel
                for (int32_t k = low; k < high; ++k) values[k - low] = 0.0;
                values[0] = sum = 1.0;
            }
            for (int32_t k = low; k < high; ++k) w[k - start[o]] = static_cast<float>(values[k - low] / sum);
        } else {
            float place = step * (static_cast<float>(o) + 0.5f) - 0.5f;
            if (filter == PELLUCID_BILINEAR && place < 0.0f) place = 0.0f;
            const int32_t reach = filter_reach(filter);
            const int32_t base = floor_of(place);
            const double t = static_cast<double>(place - static_cast<float>(base));
            const int32_t low = base - reach + 1;
            start[o] = clamped(low, 0, input - taps);
            double sum = 0.0;
            double merged[6] = {0, 0, 0, 0, 0, 0};
            for (int32_t k = 0; k < 2 * reach; ++k) {
                const double value = filter_value(filter, k - reach + 1 - t, false);
                sum += value;
                merged[clamped(low + k, 0, input - 1) - start[o]] += value;
            }
            for (int32_t k = 0; k < taps; ++k) w[k] = static_cast<float>(merged[k] / sum);
        }
    }
}

// ---- Poisson -----------------------------------------------------------------------------------------------------

namespace {

// The law of Poisson(mean) on the 256 counts around its mean, in units of 2^-32, summing to 2^32 exactly.
void poisson_masses(double mean, int32_t first, int64_t masses[256]) {
    double value[256];
    int32_t mode = static_cast<int32_t>(mean) - first;
    if (mode > 255) mode = 255;
    value[mode] = 1.0;
    for (int32_t k = mode + 1; k < 256; ++k) value[k] = value[k - 1] * mean / (first + k);
    for (int32_t k = mode - 1; k >= 0; --k) value[k] = mean > 0 ? value[k + 1] * (first + k + 1) / mean : 0.0;
    double sum = 0.0;
    for (int32_t k = 0; k < 256; ++k) sum += value[k];
    int64_t total = 0;
    for (int32_t k = 0; k < 256; ++k) total += masses[k] = static_cast<int64_t>(value[k] / sum * 4294967296.0 + 0.5);
    masses[mode] += (int64_t{1} << 32) - total;
}

void fill_level(const int64_t masses[256], uint32_t* entries) {
    constexpr int64_t BUCKET = int64_t{1} << 24;
    int64_t left[256];
    int32_t small[256], large[256];
    int32_t smalls = 0, larges = 0;
    for (int32_t k = 0; k < 256; ++k) {
        left[k] = masses[k];
        if (left[k] < BUCKET)
            small[smalls++] = k;
        else
            large[larges++] = k;
    }
    while (smalls > 0 && larges > 0) {
        const int32_t s = small[--smalls], l = large[larges - 1];
        entries[s] = static_cast<uint32_t>(left[s] << 8) | static_cast<uint32_t>(l);
        left[l] -= BUCKET - left[s];
        if (left[l] < BUCKET) {
            --larges;
            small[smalls++] = l;
        }
    }
    while (larges > 0) {
        const int32_t l = large[--larges];
        entries[l] = 0xffffff00u | static_cast<uint32_t>(l);
    }
    while (smalls > 0) {  // cannot happen while the masses sum to 2^32; kept whole all the same
        const int32_t s = small[--smalls];
        entries[s] = 0xffffff00u | static_cast<uint32_t>(s);
    }
}

std::atomic<const PoissonTable*> poisson_tables[9];

}  // namespace

const PoissonTable& poisson_table(int exponent) {
    if (const PoissonTable* made = poisson_tables[exponent].load(std::memory_order_acquire)) return *made;
    // No lock: a process may fork while another thread is here. Two makers make the same table; the second is dropped.
    std::unique_ptr<PoissonTable> table(new PoissonTable);
    const int32_t levels = 1 << exponent;
    table->per_count = 1.0f / static_cast<float>(levels);
    for (int32_t level = 0; level < 256; ++level) {
        const double mean = level * static_cast<double>(levels) / 255.0;
        const int32_t first = mean > 128.0 ? static_cast<int32_t>(mean) - 128 : 0;
        int64_t masses[256];
        poisson_masses(mean, first, masses);
        table->first[level] = first;
        fill_level(masses, table->entry + 256 * level);
    }
    const PoissonTable* expected = nullptr;
    if (poisson_tables[exponent].compare_exchange_strong(expected, table.get(), std::memory_order_acq_rel))
        return *table.release();
    return *expected;
}

int exponent_of(int distinct) {
    int exponent = 0;
    while ((1 << exponent) < distinct) ++exponent;
    return exponent;
}

// ---- JPEG --------------------------------------------------------------------------------------------------------

namespace {

// ITU-T T.81, tables K.1 and K.2.
constexpr uint8_t LUMA_STEPS[64] = {
    16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,  14, 13, 16, 24, 40,  57,
    69, 56, 14, 17, 22,  29,  51,  87,  80, 62, 18, 22, 37,  56,  68,  109, 103, 77, 24, 35, 55,  64,
    81, 104, 113, 92, 49, 64, 78,  87,  103, 121, 120, 101, 72, 92, 95,  98,  112, 100, 103, 99};
constexpr uint8_t CHROMA_STEPS[64] = {
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
    99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

void make_quantiser(const uint8_t* steps, int32_t quality, QuantTable& table) {
    const int32_t scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    for (int32_t k = 0; k < 64; ++k) {
        const int32_t step = clamped((steps[k] * scale + 50) / 100, 1, 255);
        for (int32_t copy = 0; copy < 16; copy += 8) {
            table.divisor[k / 8][k % 8 + copy] = 8 * step;
            table.inverse[k / 8][k % 8 + copy] = 1.0f / static_cast<float>(8 * step);
        }
    }
}

}  // namespace

void make_jpeg(int32_t quality, JpegTables& tables) {
    make_quantiser(LUMA_STEPS, quality, tables.luma);
    make_quantiser(CHROMA_STEPS, quality, tables.chroma);
}

}  // namespace pellucid
