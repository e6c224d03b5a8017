// The CUDA kernels, written as phases: ordinary functions of (job, shared memory, block, thread) between which a block
// waits for all its threads. The .cu file loops phases over a block; emulate.cpp runs the very same functions on the CPU.
#pragma once

#include "../fold.h"
#include "job.h"

namespace pellucid {
namespace PELLUCID_SPACE {

PELLUCID_HD const float* floats(uint64_t address) { return reinterpret_cast<const float*>(address); }
PELLUCID_HD float* writable(uint64_t address) { return reinterpret_cast<float*>(address); }
PELLUCID_HD uint8_t* bytes(uint64_t address) { return reinterpret_cast<uint8_t*>(address); }

PELLUCID_HD void add_to_set(uint32_t* word, uint32_t bits) {
#if defined(__CUDA_ARCH__)
    atomicOr(word, bits);
#else
    *word |= bits;
#endif
}

// Pictures end at 2^26 pixels, so three planes are counted in 32 bits, which GPUs divide much faster than 64.
PELLUCID_HD int32_t plane_size(const Job& job) { return job.height * job.width; }

PELLUCID_HD Stream stream_of(const Job& job) {
    return {
        static_cast<uint32_t>(job.seed), static_cast<uint32_t>(job.seed >> 32), static_cast<uint32_t>(job.sample),
        static_cast<uint32_t>(job.sample >> 32), job.stage};
}

// Tables a kernel may need beside its job.
struct Shelf {
    const PoissonTable* poisson;  // nine of them
};

// ---- one thread, one value -----------------------------------------------------------------------------------------

struct Copy {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        if (k < 3 * plane_size(job)) writable(job.to)[k] = floats(job.from)[k];
    }
};

struct ClampRound {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        if (k < 3 * plane_size(job)) writable(job.to)[k] = unit_of<float>(level_of(floats(job.from)[k]));
    }
};

struct Dropout {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        if (k >= 3 * plane_size(job)) return;
        const int32_t x = k % job.width;
        const int32_t y = k / job.width % job.height;
        const bool dropped = y >= job.i[0] && y < job.i[0] + job.i[2] && x >= job.i[1] && x < job.i[1] + job.i[3];
        writable(job.to)[k] = dropped ? job.f[0] : floats(job.from)[k];
    }
};

// Walks over the output.
struct Flip {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        if (k >= 3 * plane_size(job)) return;
        int32_t x = k % job.to_width;
        int32_t y = k / job.to_width % job.to_height;
        const int32_t p = k / job.to_width / job.to_height;
        if (job.i[2]) {
            const int32_t swapped = x;
            x = y;
            y = swapped;
        }
        if (job.i[0]) x = job.width - 1 - x;
        if (job.i[1]) y = job.height - 1 - y;
        writable(job.to)[k] = floats(job.from)[(p * job.height + y) * job.width + x];
    }
};

struct Crop {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        if (k >= 3 * job.to_height * job.to_width) return;
        const int32_t x = k % job.to_width + job.i[1];
        const int32_t y = k / job.to_width % job.to_height + job.i[0];
        const int32_t p = k / job.to_width / job.to_height;
        writable(job.to)[k] = floats(job.from)[(p * job.height + y) * job.width + x];
    }
};

// ---- blur ----------------------------------------------------------------------------------------------------------

// A thread makes this many neighbouring outputs, and keeps in registers what they share.
constexpr int GROUP = 8;

// A block makes 32 x 64 outputs, a thread eight below one another, from a tile of the reflected picture.
struct Blur {
    static constexpr int PHASES = 2;
    static constexpr int WIDE = 32, HIGH = 64;

    static PELLUCID_HD int tile_stride(int taps_width) { return WIDE + taps_width - 1; }
    static PELLUCID_HD int shared_floats(int taps_height, int taps_width) {
        return tile_stride(taps_width) * (HIGH + taps_height - 1);
    }

    static PELLUCID_HD void phase(int number, const Job& job, const Shelf&, float* tile, int block, int thread) {
        const int across = (job.width + WIDE - 1) / WIDE, down = (job.height + HIGH - 1) / HIGH;
        const int x0 = block % across * WIDE, y0 = block / across % down * HIGH, p = block / across / down;
        const int taps_width = job.taps_width, taps_height = job.taps_height;
        const int stride = tile_stride(taps_width);
        if (number == 0) {
            const float* from = floats(job.from) + p * plane_size(job);
            const int values = stride * (HIGH + taps_height - 1);
            for (int k = thread; k < values; k += THREADS) {
                const int y = y0 + k / stride - taps_height / 2, x = x0 + k % stride - taps_width / 2;
                tile[k] = from[reflected(y, job.height) * job.width + reflected(x, job.width)];
            }
            return;
        }
        const int x = thread % WIDE, y = thread / WIDE * GROUP;
        if (y0 + y >= job.height || x0 + x >= job.width) return;
        const float* first = tile + (y + taps_height / 2) * stride + x + taps_width / 2;
        float sum[GROUP];
        for (int r = 0; r < GROUP; ++r) sum[r] = 0.0f;
        filter_dense<GROUP>(sum, floats(job.taps), taps_height, taps_width, [first, stride](int dy, int dx) {
            return first[dy * stride + dx];
        });
        float* to = writable(job.to) + (p * job.height + y0 + y) * job.width + x0 + x;
        for (int r = 0; r < GROUP; ++r)
            if (y0 + y + r < job.height) to[r * job.width] = sum[r];
    }
};

// Along rows: a block makes 64 x 32 outputs, a thread eight neighbours of one row. The tile lies on its side (a column
// every PITCH floats), so that threads of a warp, which have a row each, read neighbours; the results are turned back
// the same way. Mode 1 filters the sharpening mask of (picture, extra) instead of `from`.
struct FilterRows {
    static constexpr int PHASES = 3;
    static constexpr int WIDE = 64, HIGH = 32, PITCH = HIGH + 1;

    static PELLUCID_HD int shared_floats(int taps) { return PITCH * (WIDE + taps - 1 + WIDE); }

    static PELLUCID_HD void phase(int number, const Job& job, const Shelf&, float* tile, int block, int thread) {
        const int across = (job.width + WIDE - 1) / WIDE;
        const int x0 = block % across * WIDE, y0 = block / across * HIGH;  // rows of all planes are counted through
        const int rows = 3 * job.height, count = job.taps_width, columns = WIDE + count - 1;
        float* const results = tile + PITCH * columns;
        if (number == 0) {
            for (int k = thread; k < HIGH * columns; k += THREADS) {
                const int y = k / columns, x = k % columns;
                float value = 0.0f;
                if (y0 + y < rows) {
                    const int32_t at = (y0 + y) * job.width + reflected(x0 + x - count / 2, job.width);
                    value = job.mode ? usm_mask(floats(job.picture)[at], floats(job.extra)[at], job.f[1])
                                     : floats(job.from)[at];
                }
                tile[x * PITCH + y] = value;
            }
        } else if (number == 1) {
            const int x = thread / HIGH * GROUP, y = thread % HIGH;
            const float* first = tile + (x + count / 2) * PITCH + y;
            float sum[GROUP];
            for (int r = 0; r < GROUP; ++r) sum[r] = 0.0f;
            filter_taps<GROUP>(sum, floats(job.taps), count, job.odd != 0, [first](int i) { return first[i * PITCH]; });
            for (int r = 0; r < GROUP; ++r) results[(x + r) * PITCH + y] = sum[r];
        } else {
            for (int k = thread; k < HIGH * WIDE; k += THREADS) {
                const int y = k / WIDE, x = k % WIDE;
                if (y0 + y < rows && x0 + x < job.width)
                    writable(job.to)[(y0 + y) * job.width + x0 + x] = results[x * PITCH + y];
            }
        }
    }
};

// Down columns: a block makes 32 x 64 outputs, a thread eight neighbours of one column. Mode 1 starts from `extra`, mode
// 2 ends in the sharpened picture of (picture, extra).
struct FilterColumns {
    static constexpr int PHASES = 2;
    static constexpr int WIDE = 32, HIGH = 64;

    static PELLUCID_HD int shared_floats(int taps) { return WIDE * (HIGH + taps - 1); }

    static PELLUCID_HD void phase(int number, const Job& job, const Shelf&, float* tile, int block, int thread) {
        const int across = (job.width + WIDE - 1) / WIDE, down = (job.height + HIGH - 1) / HIGH;
        const int x0 = block % across * WIDE, y0 = block / across % down * HIGH, p = block / across / down;
        const int count = job.taps_height;
        if (number == 0) {
            const float* from = floats(job.from) + p * plane_size(job);
            for (int k = thread; k < (HIGH + count - 1) * WIDE; k += THREADS) {
                const int y = k / WIDE, x = x0 + k % WIDE;
                tile[k] = x < job.width
                    ? from[reflected(y0 + y - count / 2, job.height) * job.width + x]
                    : 0.0f;
            }
            return;
        }
        const int x = thread % WIDE, y = thread / WIDE * GROUP;
        if (x0 + x >= job.width || y0 + y >= job.height) return;
        const int32_t place = (p * job.height + y0 + y) * job.width + x0 + x;
        float sum[GROUP];
        for (int r = 0; r < GROUP; ++r)
            sum[r] = job.mode == 1 && y0 + y + r < job.height
                ? floats(job.extra)[place + r * job.width]
                : 0.0f;
        const float* first = tile + (y + count / 2) * WIDE + x;
        filter_taps<GROUP>(sum, floats(job.taps), count, job.odd != 0, [first](int i) { return first[i * WIDE]; });
        for (int r = 0; r < GROUP && y0 + y + r < job.height; ++r) {
            const int32_t at = place + r * job.width;
            writable(job.to)[at] = job.mode == 2
                ? sharpened(floats(job.picture)[at], floats(job.extra)[at], sum[r], job.f[0])
                : sum[r];
        }
    }
};

// ---- resize: one thread, one output ----------------------------------------------------------------------------------

// Down columns: changes the height.
struct ResizeRows {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        if (k >= 3 * job.to_height * job.to_width) return;
        const int32_t x = k % job.to_width;
        const int32_t y = k / job.to_width % job.to_height;
        const int32_t p = k / job.to_width / job.to_height;
        const int32_t start = reinterpret_cast<const int32_t*>(job.starts)[y];
        const float* in = floats(job.from) + (p * job.height + start) * job.width + x;
        const float* weights = floats(job.taps) + y * job.taps_height;
        float sum = 0.0f;
        for (int32_t t = 0; t < job.taps_height; ++t) sum = fma(weights[t], in[t * job.width], sum);
        writable(job.to)[k] = sum;
    }
};

// Along rows: changes the width.
struct ResizeColumns {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        if (k >= 3 * job.to_height * job.to_width) return;
        const int32_t x = k % job.to_width;
        const int32_t row = k / job.to_width;
        const float* in = floats(job.from) + row * job.width + reinterpret_cast<const int32_t*>(job.starts)[x];
        const float* weights = floats(job.taps) + x * job.taps_width;
        float sum = 0.0f;
        for (int32_t t = 0; t < job.taps_width; ++t) sum = fma(weights[t], in[t], sum);
        writable(job.to)[k] = sum;
    }
};

// ---- noise: one thread, four rows of one column ------------------------------------------------------------------------

struct GaussianNoise {
    static constexpr int PHASES = 1;
    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        const int32_t x = k % job.width;
        const int32_t plane = plane_size(job);
        const Stream stream = stream_of(job);
        const float* from = floats(job.from);
        float* to = writable(job.to);
        if (job.i[0] == PELLUCID_CORRELATED) {
            if (k >= plane) return;
            const int32_t y = k / job.width;
            float z[3];
            for (int32_t p = 0; p < 3; ++p) {
                const int32_t row = p * job.height + y;
                const uint32_t position = static_cast<uint32_t>(noise_position(row, job.width)) + x;
                const Normal4<float> normal = normals<float>(draw(stream, static_cast<int32_t>(position)));
                z[p] = (row & 2) ? ((row & 1) ? normal.value[3] : normal.value[2])
                                 : ((row & 1) ? normal.value[1] : normal.value[0]);
            }
            const float r = job.f[1] * z[0];
            const float g = fma(job.f[3], z[1], job.f[2] * z[0]);
            const float b = fma(job.f[6], z[2], fma(job.f[5], z[1], job.f[4] * z[0]));
            to[k] = clamp_unit(fma(job.f[0], r, from[k]));
            to[k + plane] = clamp_unit(fma(job.f[0], g, from[k + plane]));
            to[k + 2 * plane] = clamp_unit(fma(job.f[0], b, from[k + 2 * plane]));
            return;
        }
        const bool grey = job.i[0] == PELLUCID_GREY;
        const int32_t rows = grey ? job.height : 3 * job.height;
        const int32_t row = k / job.width * 4;
        if (row >= rows) return;
        const uint32_t position = static_cast<uint32_t>(noise_position(row, job.width)) + x;
        const Normal4<float> normal = normals<float>(draw(stream, static_cast<int32_t>(position)));
        for (int j = 0; j < 4 && row + j < rows; ++j) {
            const int32_t at = (row + j) * job.width + x;
            for (int p = 0; p < (grey ? 3 : 1); ++p)
                to[at + p * plane] = clamp_unit(fma(job.f[0], normal.value[j], from[at + p * plane]));
        }
    }
};

PELLUCID_HD int32_t level_at(const Job& job, const float* at, bool grey) {
    const int32_t plane = plane_size(job);
    return level_of(grey ? grey_of(at[0], at[plane], at[2 * plane]) : at[0]);
}

// The set of 8-bit levels that occur, one bit a level.
struct Levels {
    static constexpr int PHASES = 3;
    static constexpr int PER_THREAD = 16;
    static PELLUCID_HD void phase(int number, const Job& job, const Shelf&, float* shared, int block, int thread) {
        uint32_t* set = reinterpret_cast<uint32_t*>(shared);
        if (number == 0) {
            if (thread < 8) set[thread] = 0;
        } else if (number == 1) {
            const bool grey = job.i[0] == PELLUCID_GREY;
            const int32_t values = (grey ? 1 : 3) * plane_size(job);
            for (int j = 0; j < PER_THREAD; ++j) {
                const int32_t k = (block * PER_THREAD + j) * THREADS + thread;
                if (k >= values) break;
                const int32_t level = level_at(job, floats(job.from) + k, grey);
                add_to_set(set + (level >> 5), 1u << (level & 31));
            }
        } else if (thread < 8 && set[thread]) {
            add_to_set(reinterpret_cast<uint32_t*>(job.seen) + thread, set[thread]);
        }
    }
};

struct PoissonNoise {
    static constexpr int PHASES = 1;

    static PELLUCID_HD int distinct(const uint32_t* set) {
        int count = 0;
        for (int k = 0; k < 8; ++k)
            for (uint32_t bits = set[k]; bits; bits &= bits - 1) ++count;
        return count;
    }

    static PELLUCID_HD float count_at(const PoissonTable& table, int32_t level, int32_t word) {
        const int32_t entry = static_cast<int32_t>(table.entry[poisson_index(level, word)]);
        return to_float(poisson_bucket(entry, word) + table.first[level]);
    }

    static PELLUCID_HD void phase(int, const Job& job, const Shelf& shelf, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread;
        const int32_t x = k % job.width;
        const int32_t plane = plane_size(job), row = k / job.width * 4;
        const bool grey = job.i[0] == PELLUCID_GREY;
        const int32_t rows = grey ? job.height : 3 * job.height;
        if (row >= rows) return;
        const int levels = job.i[1] ? job.i[1] : distinct(reinterpret_cast<const uint32_t*>(job.seen));
        int exponent = 0;
        while ((1 << exponent) < levels) ++exponent;
        const PoissonTable& table = shelf.poisson[exponent];
        const uint32_t position = static_cast<uint32_t>(noise_position(row, job.width)) + x;
        const Random4<int32_t> random = draw(stream_of(job), static_cast<int32_t>(position));
        const float* from = floats(job.from);
        float* to = writable(job.to);
        for (int j = 0; j < 4 && row + j < rows; ++j) {
            const int32_t at = (row + j) * job.width + x;
            const int32_t level = level_at(job, from + at, grey);
            const float count = count_at(table, level, random.word[j]), unit = unit_of<float>(level);
            for (int p = 0; p < (grey ? 3 : 1); ++p)
                to[at + p * plane] = with_poisson(from[at + p * plane], count, unit, table.per_count, job.f[0]);
        }
    }
};

// ---- JPEG --------------------------------------------------------------------------------------------------------------

// Where the three components lie in `bytes`, in whole blocks of 8 x 8.
struct Extent {
    int32_t height, width;  // of the samples that mean something
    int32_t rows, stride;   // in whole blocks

    PELLUCID_HD int32_t size() const { return rows * stride; }
};

struct Layout {
    Extent luma, chroma;

    // Components 0, 1, 2: luma, blueness, redness.
    PELLUCID_HD const Extent& extent(int component) const { return component == 0 ? luma : chroma; }
    PELLUCID_HD int32_t start(int component) const {
        return component == 0 ? 0 : luma.size() + (component == 2 ? chroma.size() : 0);
    }
    PELLUCID_HD int32_t total() const { return luma.size() + 2 * chroma.size(); }
    PELLUCID_HD int component_at(int32_t k) const { return k < start(1) ? 0 : k < start(2) ? 1 : 2; }
};

PELLUCID_HD Extent extent_of(int32_t height, int32_t width) { return {height, width, (height + 7) & ~7, (width + 7) & ~7}; }

PELLUCID_HD Layout layout_of(int32_t height, int32_t width, int32_t subsampling) {
    return {
        extent_of(height, width),
        extent_of(
            subsampling == PELLUCID_S420 ? (height + 1) / 2 : height,
            subsampling == PELLUCID_S444 ? width : (width + 1) / 2)};
}

// Colour conversion and the means of chroma: one thread, one sample of one component.
struct JpegSplit {
    static constexpr int PHASES = 1;

    static PELLUCID_HD int32_t sample_at(const Job& job, int component, int32_t y, int32_t x) {
        const float* at = floats(job.from) + smaller(y, job.height - 1) * job.width + smaller(x, job.width - 1);
        const int32_t plane = plane_size(job);
        const int32_t r = level_of(at[0]), g = level_of(at[plane]), b = level_of(at[2 * plane]);
        return component == 0 ? luma_of(r, g, b) : component == 1 ? blueness_of(r, g, b) : redness_of(r, g, b);
    }

    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const Layout l = layout_of(job.height, job.width, job.i[1]);
        const int32_t k = block * THREADS + thread;
        if (k >= l.total()) return;
        const int component = l.component_at(k);
        const Extent& extent = l.extent(component);
        const int32_t inside = k - l.start(component), x = inside % extent.stride;
        // Rows below the last repeat the last one of the component, columns the last one of the picture.
        const int32_t y = smaller(inside / extent.stride, extent.height - 1);
        int32_t value;
        if (component == 0 || job.i[1] == PELLUCID_S444) {
            value = sample_at(job, component, y, x);
        } else if (job.i[1] == PELLUCID_S422) {
            value = (sample_at(job, component, y, 2 * x) + sample_at(job, component, y, 2 * x + 1) + (x & 1)) >> 1;
        } else {
            value = (sample_at(job, component, 2 * y, 2 * x) + sample_at(job, component, 2 * y, 2 * x + 1) +
                     sample_at(job, component, 2 * y + 1, 2 * x) + sample_at(job, component, 2 * y + 1, 2 * x + 1) + 1 +
                     (x & 1)) >>
                    2;
        }
        bytes(job.bytes)[k] = static_cast<uint8_t>(value);
    }
};

// The transforms and the quantiser: eight threads a block of 8 x 8, a row or a column each.
struct JpegCode {
    static constexpr int PHASES = 3;
    static constexpr int BLOCKS = THREADS / 8;

    static PELLUCID_HD void phase(int number, const Job& job, const Shelf&, float* shared, int block, int thread) {
        const Layout l = layout_of(job.height, job.width, job.i[1]);
        const int32_t index = block * BLOCKS + thread / 8, lane = thread % 8;
        if (index >= l.total() / 64) return;
        const int component = l.component_at(64 * index);
        const int32_t stride = l.extent(component).stride, across = stride / 8;
        const int32_t inside = index - l.start(component) / 64;
        uint8_t* row =
            bytes(job.bytes) + l.start(component) + (inside / across * 8 + lane) * stride + inside % across * 8;
        int32_t* tile = reinterpret_cast<int32_t*>(shared) + thread / 8 * 72;  // rows of 9: no two columns share a bank
        int32_t v[8];
        if (number == 0) {
            for (int j = 0; j < 8; ++j) v[j] = row[j] - 128;
            forward_dct<true>(v);
            for (int j = 0; j < 8; ++j) tile[lane * 9 + j] = v[j];
        } else if (number == 1) {
            const QuantTable& table = reinterpret_cast<const QuantTable*>(job.taps)[component > 0];
            for (int j = 0; j < 8; ++j) v[j] = tile[j * 9 + lane];
            forward_dct<false>(v);
            for (int j = 0; j < 8; ++j)
                v[j] = requantised<float>(v[j], table.divisor[j][lane], table.inverse[j][lane]);
            inverse_dct<true>(v);
            for (int j = 0; j < 8; ++j) tile[j * 9 + lane] = v[j];
        } else {
            for (int j = 0; j < 8; ++j) v[j] = tile[lane * 9 + j];
            inverse_dct<false>(v);
            for (int j = 0; j < 8; ++j) row[j] = static_cast<uint8_t>(clamp_byte(v[j] + 128));
        }
    }
};

// Chroma back to full size and colour back to R, G, B: one thread, one pixel.
struct JpegJoin {
    static constexpr int PHASES = 1;

    static PELLUCID_HD int32_t chroma_at(const uint8_t* part, const Layout& l, int32_t subsampling, int32_t y, int32_t x) {
        const int32_t stride = l.chroma.stride, width = l.chroma.width;
        if (subsampling == PELLUCID_S444) return part[y * stride + x];
        const int32_t cx = x / 2, cy = subsampling == PELLUCID_S420 ? y / 2 : y;
        const uint8_t* near_row = part + cy * stride;
        if (width <= 2) return near_row[cx];  // the triangle filter is left out on narrow pictures
        const bool right = x & 1, edge = right ? cx == width - 1 : cx == 0;
        const int32_t beside = edge ? cx : right ? cx + 1 : cx - 1;
        if (subsampling == PELLUCID_S422) {
            if (edge) return near_row[cx];
            return (near_row[cx] * 3 + near_row[beside] + (right ? 2 : 1)) >> 2;
        }
        const int32_t far_y = larger(smaller((y & 1) ? cy + 1 : cy - 1, l.chroma.height - 1), 0);
        const uint8_t* far_row = part + far_y * stride;
        const int32_t here = near_row[cx] * 3 + far_row[cx], there = near_row[beside] * 3 + far_row[beside];
        return (here * 3 + there + (right ? 7 : 8)) >> 4;  // at an edge there == here
    }

    static PELLUCID_HD void phase(int, const Job& job, const Shelf&, float*, int block, int thread) {
        const int32_t k = block * THREADS + thread, plane = plane_size(job);
        if (k >= plane) return;
        const int32_t x = k % job.width, y = k / job.width;
        const Layout l = layout_of(job.height, job.width, job.i[1]);
        const uint8_t* all = bytes(job.bytes);
        int32_t r, g, b;
        rgb_of(
            static_cast<int32_t>(all[y * l.luma.stride + x]),
            chroma_at(all + l.start(1), l, job.i[1], y, x), chroma_at(all + l.start(2), l, job.i[1], y, x), r, g, b);
        float* to = writable(job.to) + k;
        to[0] = unit_of<float>(r);
        to[plane] = unit_of<float>(g);
        to[2 * plane] = unit_of<float>(b);
    }
};

}  // namespace PELLUCID_SPACE
}  // namespace pellucid
