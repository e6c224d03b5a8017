// The operations, written once over the lane types of vector.h and compiled once an instruction set. Nothing here may call
// a function of the standard library: a template of it compiled for AVX-512 could be the copy that the linker keeps for
// everybody.
#pragma once

#include "../fold.h"
#include "stages.h"
#include "vector.h"

namespace pellucid {
namespace PELLUCID_SPACE {
namespace {

Stream stream_of(const Source& source) {
    return {
        static_cast<uint32_t>(source.seed), static_cast<uint32_t>(source.seed >> 32),
        static_cast<uint32_t>(source.sample), static_cast<uint32_t>(source.sample >> 32), source.stage};
}

// Carves aligned pieces off a scratch buffer.
struct Scratch {
    float* next;

    float* floats(size_t count) {
        float* piece = next;
        next += (count + 15) & ~static_cast<size_t>(15);
        return piece;
    }
    const float** rows(size_t count) { return reinterpret_cast<const float**>(floats(2 * count)); }
};

// ---- in and out ----------------------------------------------------------------------------------------------------

bool read_picture(const float* picture, const Planes& to) {
    const int32_t rows = 3 * to.height, width = to.width;
    bool good = true;
    for (int32_t row = 0; row < rows; ++row) {
        const float* in = picture + static_cast<size_t>(row) * width;
        float* out = to.data + static_cast<size_t>(row) * to.stride;
        int32_t x = 0;
        for (; x + LANES <= width; x += LANES) {
            const F32 v = load(in + x);
            good &= all_within(v, LOWEST_PIXEL, HIGHEST_PIXEL);
            store(out + x, v);
        }
        for (; x < width; ++x) {
            good &= in[x] >= LOWEST_PIXEL && in[x] <= HIGHEST_PIXEL;
            out[x] = in[x];
        }
        for (; x < to.stride; ++x) out[x] = 0.0f;
    }
    return good;
}

void write_picture(const Planes& from, float* picture) {
    const int32_t rows = 3 * from.height, width = from.width;
    for (int32_t row = 0; row < rows; ++row) {
        const float* in = from.data + static_cast<size_t>(row) * from.stride;
        float* out = picture + static_cast<size_t>(row) * width;
        int32_t x = 0;
        for (; x + LANES <= width; x += LANES) store(out + x, load(in + x));
        for (; x < width; ++x) out[x] = in[x];
    }
}

// ---- transposed strips -------------------------------------------------------------------------------------------------
// A pass along rows runs on a strip: LANES rows at once, column by column, so that neighbours along the row are whole
// vectors and nothing is gathered.

// Column x of the strip starts at strip + x * LANES. Rows beyond `rows` repeat the last.
void load_strip(const float* first_row, int32_t stride, int32_t rows, int32_t width, float* strip) {
    for (int32_t x = 0; x < width; x += LANES) {
        F32 tile[LANES];
        for (int l = 0; l < LANES; ++l)
            tile[l] = load(first_row + static_cast<size_t>(l < rows ? l : rows - 1) * stride + x);
        transpose(tile);
        for (int l = 0; l < LANES; ++l) store(strip + static_cast<size_t>(x + l) * LANES, tile[l]);
    }
}

void store_strip(const float* strip, int32_t rows, int32_t width, float* first_row, int32_t stride) {
    for (int32_t x = 0; x < width; x += LANES) {
        F32 tile[LANES];
        for (int l = 0; l < LANES; ++l) tile[l] = load(strip + static_cast<size_t>(x + l) * LANES);
        transpose(tile);
        for (int l = 0; l < LANES && l < rows; ++l) store(first_row + static_cast<size_t>(l) * stride + x, tile[l]);
    }
}

// Fills `reach` columns on both sides of a strip by reflection.
void reflect_strip(float* strip, int32_t width, int32_t reach) {
    for (int32_t k = 1; k <= reach; ++k) {
        store(strip - static_cast<ptrdiff_t>(k) * LANES, load(strip + static_cast<ptrdiff_t>(reflected(-k, width)) * LANES));
        store(
            strip + static_cast<ptrdiff_t>(width - 1 + k) * LANES,
            load(strip + static_cast<ptrdiff_t>(reflected(width - 1 + k, width)) * LANES));
    }
}

// R outputs are summed at once, so that an input is loaded once for all of them.
template <int R>
void filter_strip(const float* strip, const float* taps, int32_t count, bool odd, int32_t width, float* out) {
    for (int32_t x = 0; x < width; x += R) {
        const int32_t at = x + R <= width ? x : width - R;  // the last group overlaps the one before
        F32 sum[R];
        for (int r = 0; r < R; ++r) sum[r] = splat<F32>(0.0f);
        const float* first = strip + static_cast<ptrdiff_t>(at) * LANES;
        filter_taps<R>(sum, taps, count, odd, [first](int32_t i) {
            return load(first + static_cast<ptrdiff_t>(i) * LANES);
        });
        for (int r = 0; r < R; ++r) store(out + static_cast<size_t>(at + r) * LANES, sum[r]);
    }
}

constexpr int GROUP = LANES == 16 ? 8 : 4;  // sums, and the values on both sides of each, kept in 32 registers or 16

void filter_along_rows(
    const float* from, float* to, int32_t height, int32_t width, int32_t stride, const float* taps, int32_t count,
    bool odd, Scratch scratch) {
    const int32_t reach = count / 2;
    float* in = scratch.floats(static_cast<size_t>(width + 2 * reach + 16) * LANES) + static_cast<size_t>(reach) * LANES;
    float* out = scratch.floats(static_cast<size_t>(width + 16) * LANES);
    for (int32_t y = 0; y < height; y += LANES) {
        const int32_t rows = height - y < LANES ? height - y : LANES;
        load_strip(from + static_cast<size_t>(y) * stride, stride, rows, width, in);
        reflect_strip(in, width, reach);
        if (width >= GROUP)
            filter_strip<GROUP>(in, taps, count, odd, width, out);
        else
            filter_strip<1>(in, taps, count, odd, width, out);
        store_strip(out, rows, width, to + static_cast<size_t>(y) * stride, stride);
    }
}

// Row -reach..height-1+reach of a plane at index 0..
const float** reflected_rows(const float* plane, int32_t height, int32_t stride, int32_t reach, Scratch& scratch) {
    const float** rows = scratch.rows(static_cast<size_t>(height) + 2 * reach);
    for (int32_t y = -reach; y < height + reach; ++y)
        rows[y + reach] = plane + static_cast<size_t>(reflected(y, height)) * stride;
    return rows;
}

// `rows` begins with that of the first output.
template <int R>
void filter_down_rows(
    const float* const* rows, const float* taps, int32_t count, bool odd, int32_t height, int32_t width, int32_t stride,
    const float* before, float* to) {
    for (int32_t y = 0; y < height; y += R) {
        const int32_t at = y + R <= height ? y : height - R;
        const float* const* first = rows + at;
        const size_t place = static_cast<size_t>(at) * stride;
        for (int32_t x = 0; x < width; x += LANES) {
            F32 sum[R];
            for (int r = 0; r < R; ++r)
                sum[r] = before ? load(before + place + static_cast<size_t>(r) * stride + x) : splat<F32>(0.0f);
            filter_taps<R>(sum, taps, count, odd, [first, x](int32_t i) { return load(first[i] + x); });
            for (int r = 0; r < R; ++r) store(to + place + static_cast<size_t>(r) * stride + x, sum[r]);
        }
    }
}

// `before`, when given, is added to first; it must not be `to`.
void filter_down_columns(
    const float* from, float* to, const float* before, int32_t height, int32_t width, int32_t stride, const float* taps,
    int32_t count, bool odd, Scratch scratch) {
    const float* const* rows = reflected_rows(from, height, stride, count / 2, scratch) + count / 2;
    if (height >= GROUP)
        filter_down_rows<GROUP>(rows, taps, count, odd, height, width, stride, before, to);
    else
        filter_down_rows<1>(rows, taps, count, odd, height, width, stride, before, to);
}

// ---- blur --------------------------------------------------------------------------------------------------------------

// `rows` begins with that of the first output, and column 0 of a row is that of the first output.
template <int R>
void blur_rows(const float* const* rows, const BlurKernel& kernel, int32_t height, int32_t width, int32_t stride, float* to) {
    for (int32_t y = 0; y < height; y += R) {
        const int32_t at = y + R <= height ? y : height - R;
        const float* const* first = rows + at;
        float* out = to + static_cast<size_t>(at) * stride;
        for (int32_t x = 0; x < width; x += LANES) {
            F32 sum[R];
            for (int r = 0; r < R; ++r) sum[r] = splat<F32>(0.0f);
            filter_dense<R>(sum, kernel.taps, kernel.height, kernel.width, [first, x](int32_t dy, int32_t dx) {
                return load(first[dy] + (x + dx));
            });
            for (int r = 0; r < R; ++r) store(out + static_cast<size_t>(r) * stride + x, sum[r]);
        }
    }
}

void blur_dense(const Planes& from, const Planes& to, const BlurKernel& kernel, Scratch scratch) {
    const int32_t height = from.height, width = from.width;
    const int32_t reach_x = kernel.width / 2, reach_y = kernel.height / 2;
    const int32_t wide = padded(width) + 2 * reach_x + 16;
    float* copy = scratch.floats(static_cast<size_t>(height) * wide);
    const float* const* rows = reflected_rows(copy + reach_x, height, wide, reach_y, scratch) + reach_y;
    for (int p = 0; p < 3; ++p) {
        const float* plane = from.plane(p);
        for (int32_t y = 0; y < height; ++y) {
            const float* in = plane + static_cast<size_t>(y) * from.stride;
            float* out = copy + static_cast<size_t>(y) * wide;
            for (int32_t x = 0; x < width; x += LANES) store(out + reach_x + x, load(in + x));
            for (int32_t k = 1; k <= reach_x; ++k) {
                out[reach_x - k] = in[reflected(-k, width)];
                out[reach_x + width - 1 + k] = in[reflected(width - 1 + k, width)];
            }
        }
        if (height >= GROUP)
            blur_rows<GROUP>(rows, kernel, height, width, to.stride, to.plane(p));
        else
            blur_rows<1>(rows, kernel, height, width, to.stride, to.plane(p));
    }
}

void blur_separable(const Planes& from, const Planes& to, const BlurKernel& kernel, Scratch scratch) {
    const size_t plane = static_cast<size_t>(from.height + 1) * from.stride;
    float* along = scratch.floats(plane);
    float* sums[2] = {scratch.floats(plane), scratch.floats(plane)};
    for (int p = 0; p < 3; ++p) {
        const float* before = nullptr;
        for (int32_t r = 0; r < kernel.rank; ++r) {
            filter_along_rows(
                from.plane(p), along, from.height, from.width, from.stride, kernel.taps_x + r * kernel.width,
                kernel.width, kernel.odd[r], scratch);
            float* sum = r + 1 == kernel.rank ? to.plane(p) : sums[r & 1];
            filter_down_columns(
                along, sum, before, from.height, from.width, from.stride, kernel.taps_y + r * kernel.height,
                kernel.height, kernel.odd[r], scratch);
            before = sum;
        }
    }
}

void blur(const Planes& from, const Planes& to, const BlurKernel& kernel, float* scratch) {
    if (kernel.rank == 0)
        blur_dense(from, to, kernel, {scratch});
    else
        blur_separable(from, to, kernel, {scratch});
}

// ---- resize ------------------------------------------------------------------------------------------------------------

void resize_rows(
    const float* from, int32_t width, int32_t from_stride, float* to, int32_t to_stride, const ResizeAxis& axis) {
    for (int32_t o = 0; o < axis.output; ++o) {
        const float* in = from + static_cast<size_t>(axis.start[o]) * from_stride;
        const float* weights = axis.weights + static_cast<size_t>(o) * axis.taps;
        float* out = to + static_cast<size_t>(o) * to_stride;
        int32_t x = 0;
        for (; x + 4 * LANES <= from_stride && x < width; x += 4 * LANES) {
            F32 sum[4];
            for (int c = 0; c < 4; ++c) sum[c] = splat<F32>(0.0f);
            for (int32_t t = 0; t < axis.taps; ++t) {
                const F32 weight = splat<F32>(weights[t]);
                const float* row = in + static_cast<size_t>(t) * from_stride + x;
                for (int c = 0; c < 4; ++c) sum[c] = fma(weight, load(row + c * LANES), sum[c]);
            }
            for (int c = 0; c < 4; ++c) store(out + x + c * LANES, sum[c]);
        }
        for (; x < width; x += LANES) {
            F32 sum = splat<F32>(0.0f);
            for (int32_t t = 0; t < axis.taps; ++t)
                sum = fma(splat<F32>(weights[t]), load(in + static_cast<size_t>(t) * from_stride + x), sum);
            store(out + x, sum);
        }
    }
}

template <int TAPS>  // 0: as many as the axis says
void resize_strip(const float* strip, const ResizeAxis& axis, float* out) {
    const int32_t taps = TAPS ? TAPS : axis.taps;
    for (int32_t o = 0; o < axis.output; ++o) {
        const float* in = strip + static_cast<size_t>(axis.start[o]) * LANES;
        const float* weights = axis.weights + static_cast<size_t>(o) * taps;
        F32 sum = splat<F32>(0.0f);
        for (int32_t t = 0; t < taps; ++t)
            sum = fma(splat<F32>(weights[t]), load(in + static_cast<size_t>(t) * LANES), sum);
        store(out + static_cast<size_t>(o) * LANES, sum);
    }
}

void resize_columns(
    const float* from, int32_t height, int32_t from_stride, float* to, int32_t to_stride, const ResizeAxis& axis,
    Scratch scratch) {
    float* in = scratch.floats(static_cast<size_t>(padded(axis.input)) * LANES);
    float* out = scratch.floats(static_cast<size_t>(padded(axis.output)) * LANES);
    for (int32_t y = 0; y < height; y += LANES) {
        const int32_t rows = height - y < LANES ? height - y : LANES;
        load_strip(from + static_cast<size_t>(y) * from_stride, from_stride, rows, axis.input, in);
        switch (axis.taps) {
            case 1: resize_strip<1>(in, axis, out); break;
            case 2: resize_strip<2>(in, axis, out); break;
            case 3: resize_strip<3>(in, axis, out); break;
            case 4: resize_strip<4>(in, axis, out); break;
            default: resize_strip<0>(in, axis, out);
        }
        store_strip(out, rows, axis.output, to + static_cast<size_t>(y) * to_stride, to_stride);
    }
}

void resize(
    const Planes& from, const Planes& to, const ResizeAxis& vertical, const ResizeAxis& horizontal, float* memory) {
    Scratch scratch{memory};
    const bool down_first = vertical_first({from.height, from.width}, {to.height, to.width});
    const int32_t stride = down_first ? from.stride : to.stride;
    float* middle = scratch.floats(static_cast<size_t>((down_first ? to.height : from.height) + 1) * stride);
    for (int p = 0; p < 3; ++p) {
        if (down_first) {
            resize_rows(from.plane(p), from.width, from.stride, middle, stride, vertical);
            resize_columns(middle, to.height, stride, to.plane(p), to.stride, horizontal, scratch);
        } else {
            resize_columns(from.plane(p), from.height, from.stride, middle, stride, horizontal, scratch);
            resize_rows(middle, to.width, stride, to.plane(p), to.stride, vertical);
        }
    }
}

// ---- noise -------------------------------------------------------------------------------------------------------------

// Calls use(row, x, normal) for every vector of `rows` rows of `width` columns.
template <class Use>
PELLUCID_HD void for_each_normal(const Stream& stream, int32_t rows, int32_t width, const Use& use) {
    for (int32_t row = 0; row < rows; row += 4) {
        const int32_t left = rows - row < 4 ? rows - row : 4;
        const int32_t base = noise_position(row, width);
        for (int32_t x = 0; x < width; x += LANES) {
            const I32 position = splat_int<I32>(static_cast<int32_t>(static_cast<uint32_t>(base) + x)) + lane_numbers();
            const Normal4<F32> normal = normals<F32>(draw(stream, position));
            for (int32_t k = 0; k < left; ++k) use(row + k, x, normal.value[k]);
        }
    }
}

void gaussian_noise(const Planes& on, int32_t noise, const float* f, const Source& source, float* scratch) {
    const Stream stream = stream_of(source);
    const F32 sigma = splat<F32>(f[0]);
    const size_t plane = static_cast<size_t>(on.height) * on.stride;
    if (noise == PELLUCID_COLOUR) {
        for_each_normal(stream, 3 * on.height, on.width, [&](int32_t row, int32_t x, F32 normal) {
            float* at = on.data + static_cast<size_t>(row) * on.stride + x;
            store(at, clamp_unit(fma(sigma, normal, load(at))));
        });
    } else if (noise == PELLUCID_GREY) {
        for_each_normal(stream, on.height, on.width, [&](int32_t row, int32_t x, F32 normal) {
            float* at = on.data + static_cast<size_t>(row) * on.stride + x;
            for (int p = 0; p < 3; ++p) store(at + p * plane, clamp_unit(fma(sigma, normal, load(at + p * plane))));
        });
    } else {
        for_each_normal(stream, 3 * on.height, on.width, [&](int32_t row, int32_t x, F32 normal) {
            store(scratch + static_cast<size_t>(row) * on.stride + x, normal);
        });
        const F32 l00 = splat<F32>(f[1]), l10 = splat<F32>(f[2]), l11 = splat<F32>(f[3]);
        const F32 l20 = splat<F32>(f[4]), l21 = splat<F32>(f[5]), l22 = splat<F32>(f[6]);
        for (size_t k = 0; k < plane; k += LANES) {
            const F32 z0 = load(scratch + k), z1 = load(scratch + plane + k), z2 = load(scratch + 2 * plane + k);
            float* at = on.data + k;
            const F32 r = l00 * z0;
            const F32 g = fma(l11, z1, l10 * z0);
            const F32 b = fma(l22, z2, fma(l21, z1, l20 * z0));
            store(at, clamp_unit(fma(sigma, r, load(at))));
            store(at + plane, clamp_unit(fma(sigma, g, load(at + plane))));
            store(at + 2 * plane, clamp_unit(fma(sigma, b, load(at + 2 * plane))));
        }
    }
}

PELLUCID_HD I32 grey_level(const float* at, size_t plane) {
    return level_of(grey_of(load(at), load(at + plane), load(at + 2 * plane)));
}

PELLUCID_HD void store_ints(int32_t* to, I32 value) { store(reinterpret_cast<float*>(to), as_float(value)); }

int distinct_levels(const Planes& of, bool grey) {
    const size_t plane = static_cast<size_t>(of.height) * of.stride;
    uint8_t seen[256];
    for (int k = 0; k < 256; ++k) seen[k] = 0;
    const int32_t rows = grey ? of.height : 3 * of.height;
    for (int32_t row = 0; row < rows; ++row) {
        const float* in = of.data + static_cast<size_t>(row) * of.stride;
        for (int32_t x = 0; x < of.width; x += LANES) {
            int32_t level[LANES];
            store_ints(level, grey ? grey_level(in + x, plane) : level_of(load(in + x)));
            const int32_t valid = of.width - x < LANES ? of.width - x : LANES;
            for (int32_t l = 0; l < valid; ++l) seen[level[l] & 255] = 1;
        }
        int distinct = 0;
        for (int k = 0; k < 256; ++k) distinct += seen[k];
        if (distinct > 128 || row == rows - 1) return distinct > 128 ? 129 : distinct;
    }
    return 1;
}

PELLUCID_HD F32 poisson_count(const PoissonTable& table, I32 level, I32 word) {
    const I32 index = shift_left<8>(level) | (word & splat_int<I32>(255));
    const I32 bucket = poisson_bucket(look_up(table.entry, index), word);
    return to_float(bucket + look_up(reinterpret_cast<const uint32_t*>(table.first), level));
}

void poisson_noise(
    const Planes& on, bool grey, const PoissonTable& table, float scale, const Source& source, float*) {
    const Stream stream = stream_of(source);
    const F32 strength = splat<F32>(scale), per_count = splat<F32>(table.per_count);
    const size_t plane = static_cast<size_t>(on.height) * on.stride;
    const int32_t rows = grey ? on.height : 3 * on.height;
    for (int32_t row = 0; row < rows; row += 4) {
        const int32_t left = rows - row < 4 ? rows - row : 4;
        const int32_t base = noise_position(row, on.width);
        for (int32_t x = 0; x < on.width; x += LANES) {
            const I32 position = splat_int<I32>(static_cast<int32_t>(static_cast<uint32_t>(base) + x)) + lane_numbers();
            const Random4<I32> random = draw(stream, position);
            for (int32_t k = 0; k < left; ++k) {
                float* at = on.data + static_cast<size_t>(row + k) * on.stride + x;
                if (grey) {
                    const I32 level = grey_level(at, plane);
                    const F32 count = poisson_count(table, level, random.word[k]), unit = unit_of<F32>(level);
                    for (int p = 0; p < 3; ++p)
                        store(at + p * plane, with_poisson(load(at + p * plane), count, unit, per_count, strength));
                } else {
                    const F32 value = load(at);
                    const I32 level = level_of(value);
                    const F32 count = poisson_count(table, level, random.word[k]);
                    store(at, with_poisson(value, count, unit_of<F32>(level), per_count, strength));
                }
            }
        }
    }
}

// ---- sharpening --------------------------------------------------------------------------------------------------------

void usm(
    const Planes& from, const Planes& to, const float* taps, int32_t count, float weight, float threshold,
    float* memory) {
    Scratch scratch{memory};
    const int32_t height = from.height, width = from.width, stride = from.stride;
    const size_t size = static_cast<size_t>(height) * stride;
    float* along = scratch.floats(size + stride);
    float* mask = scratch.floats(size + stride);
    const F32 strength = splat<F32>(weight), limit = splat<F32>(threshold);
    for (int p = 0; p < 3; ++p) {
        const float* picture = from.plane(p);
        float* blurred = to.plane(p);
        filter_along_rows(picture, along, height, width, stride, taps, count, false, scratch);
        filter_down_columns(along, blurred, nullptr, height, width, stride, taps, count, false, scratch);
        for (size_t k = 0; k < size; k += LANES) store(mask + k, usm_mask(load(picture + k), load(blurred + k), limit));
        filter_along_rows(mask, along, height, width, stride, taps, count, false, scratch);
        filter_down_columns(along, mask, nullptr, height, width, stride, taps, count, false, scratch);
        for (size_t k = 0; k < size; k += LANES)
            store(blurred + k, sharpened(load(picture + k), load(blurred + k), load(mask + k), strength));
    }
}

void clamp_round(const Planes& on) {
    const size_t count = static_cast<size_t>(3) * on.height * on.stride;
    for (size_t k = 0; k < count; k += LANES) store(on.data + k, unit_of<F32>(level_of(load(on.data + k))));
}

// ---- JPEG --------------------------------------------------------------------------------------------------------------

// A component in bytes, `stride` apart, whole 8x8 blocks.
struct Component {
    uint8_t* data;
    int32_t height, width, stride;

    uint8_t* row(int32_t y) const { return data + static_cast<size_t>(y) * stride; }
};

Component component(uint8_t*& memory, int32_t height, int32_t width) {
    Component made{memory, height, width, padded(width) + 16};
    memory += (static_cast<size_t>((height + 7) & ~7) * made.stride + 63) & ~static_cast<size_t>(63);
    return made;
}

// Repeats the last column and the last row to whole blocks.
void extend(const Component& of) {
    const int32_t whole_width = (of.width + 7) & ~7, whole_height = (of.height + 7) & ~7;
    for (int32_t y = 0; y < of.height; ++y) {
        uint8_t* row = of.row(y);
        for (int32_t x = of.width; x < whole_width; ++x) row[x] = row[of.width - 1];
    }
    for (int32_t y = of.height; y < whole_height; ++y)
        for (int32_t x = 0; x < whole_width; ++x) of.row(y)[x] = of.row(of.height - 1)[x];
}

#if PELLUCID_LANES == 1
void code_block(uint8_t* at, int32_t stride, const QuantTable& table) {
    int32_t block[8][8], line[8];
    for (int y = 0; y < 8; ++y) {
        for (int x = 0; x < 8; ++x) line[x] = at[static_cast<size_t>(y) * stride + x] - 128;
        forward_dct<true>(line);
        for (int x = 0; x < 8; ++x) block[y][x] = line[x];
    }
    for (int x = 0; x < 8; ++x) {
        for (int y = 0; y < 8; ++y) line[y] = block[y][x];
        forward_dct<false>(line);
        for (int y = 0; y < 8; ++y)
            line[y] = requantised<float>(line[y], table.divisor[y][x], table.inverse[y][x]);
        inverse_dct<true>(line);
        for (int y = 0; y < 8; ++y) block[y][x] = line[y];
    }
    for (int y = 0; y < 8; ++y) {
        for (int x = 0; x < 8; ++x) line[x] = block[y][x];
        inverse_dct<false>(line);
        for (int x = 0; x < 8; ++x) at[static_cast<size_t>(y) * stride + x] = static_cast<uint8_t>(clamp_byte(line[x] + 128));
    }
}
constexpr int BLOCK_STEP = 8;
#else
void code_block(uint8_t* at, int32_t stride, const QuantTable& table) {
    I32 v[8];
    for (int y = 0; y < 8; ++y) v[y] = load_bytes(at + static_cast<size_t>(y) * stride) - splat_int<I32>(128);
    transpose_blocks(v);
    forward_dct<true>(v);
    transpose_blocks(v);
    forward_dct<false>(v);
    for (int y = 0; y < 8; ++y) {
        const I32 divisor = as_int(load(reinterpret_cast<const float*>(table.divisor[y])));
        v[y] = requantised<F32>(v[y], divisor, load(table.inverse[y]));
    }
    inverse_dct<true>(v);
    transpose_blocks(v);
    inverse_dct<false>(v);
    transpose_blocks(v);
    for (int y = 0; y < 8; ++y)
        store_bytes(at + static_cast<size_t>(y) * stride, clamp_byte(v[y] + splat_int<I32>(128)));
}
constexpr int BLOCK_STEP = LANES;
#endif

void code_component(const Component& of, const QuantTable& table) {
    for (int32_t y = 0; y < of.height; y += 8)
        for (int32_t x = 0; x < of.width; x += BLOCK_STEP) code_block(of.row(y) + x, of.stride, table);
}

struct ColourRows {
    uint8_t *luma, *blueness, *redness;
};

void convert_row(const float* r, const float* g, const float* b, int32_t width, const ColourRows& to) {
    for (int32_t x = 0; x < width; x += LANES) {
        const I32 red = level_of(load(r + x)), green = level_of(load(g + x)), blue = level_of(load(b + x));
        store_bytes(to.luma + x, luma_of(red, green, blue));
        store_bytes(to.blueness + x, blueness_of(red, green, blue));
        store_bytes(to.redness + x, redness_of(red, green, blue));
    }
}

void unconvert_row(const ColourRows& from, int32_t width, float* r, float* g, float* b) {
    for (int32_t x = 0; x < width; x += LANES) {
        I32 red, green, blue;
        rgb_of(load_bytes(from.luma + x), load_bytes(from.blueness + x), load_bytes(from.redness + x), red, green, blue);
        store(r + x, unit_of<F32>(red));
        store(g + x, unit_of<F32>(green));
        store(b + x, unit_of<F32>(blue));
    }
}

// Means of two columns, rounded down and up in turn.
void halve_row(const uint8_t* row, int32_t count, uint8_t* to) {
    for (int32_t x = 0; x < count; ++x) to[x] = static_cast<uint8_t>((row[2 * x] + row[2 * x + 1] + (x & 1)) >> 1);
}

// Means of two columns of two rows, a quarter and a half added in turn.
void halve_rows(const uint8_t* row0, const uint8_t* row1, int32_t count, uint8_t* to) {
    for (int32_t x = 0; x < count; ++x)
        to[x] = static_cast<uint8_t>(
            (row0[2 * x] + row0[2 * x + 1] + row1[2 * x] + row1[2 * x + 1] + 1 + (x & 1)) >> 2);
}

// Triangle filter across columns: three quarters of the nearer sample, one of the farther.
void double_row(const uint8_t* row, int32_t count, uint8_t* to) {
    to[0] = row[0];
    to[1] = static_cast<uint8_t>((row[0] * 3 + row[1] + 2) >> 2);
    for (int32_t x = 1; x < count - 1; ++x) {
        to[2 * x] = static_cast<uint8_t>((row[x] * 3 + row[x - 1] + 1) >> 2);
        to[2 * x + 1] = static_cast<uint8_t>((row[x] * 3 + row[x + 1] + 2) >> 2);
    }
    to[2 * count - 2] = static_cast<uint8_t>((row[count - 1] * 3 + row[count - 2] + 1) >> 2);
    to[2 * count - 1] = row[count - 1];
}

// The same across rows and columns; `sums` holds count values.
void double_rows(const uint8_t* near_row, const uint8_t* far_row, int32_t count, uint16_t* sums, uint8_t* to) {
    for (int32_t x = 0; x < count; ++x) sums[x] = static_cast<uint16_t>(near_row[x] * 3 + far_row[x]);
    to[0] = static_cast<uint8_t>((sums[0] * 4 + 8) >> 4);
    to[1] = static_cast<uint8_t>((sums[0] * 3 + sums[1] + 7) >> 4);
    for (int32_t x = 1; x < count - 1; ++x) {
        to[2 * x] = static_cast<uint8_t>((sums[x] * 3 + sums[x - 1] + 8) >> 4);
        to[2 * x + 1] = static_cast<uint8_t>((sums[x] * 3 + sums[x + 1] + 7) >> 4);
    }
    to[2 * count - 2] = static_cast<uint8_t>((sums[count - 1] * 3 + sums[count - 2] + 8) >> 4);
    to[2 * count - 1] = static_cast<uint8_t>((sums[count - 1] * 4 + 7) >> 4);
}

void repeat_row(const uint8_t* row, int32_t count, uint8_t* to) {
    for (int32_t x = 0; x < count; ++x) to[2 * x] = to[2 * x + 1] = row[x];
}

void jpeg(const Planes& on, const JpegTables& tables, int32_t subsampling, uint8_t* memory) {
    const int32_t height = on.height, width = on.width;
    const bool halve_width = subsampling != PELLUCID_S444, halve_height = subsampling == PELLUCID_S420;
    const int32_t chroma_width = halve_width ? (width + 1) / 2 : width;
    const int32_t chroma_height = halve_height ? (height + 1) / 2 : height;
    const Component luma = component(memory, height, width);
    const Component chroma[2] = {
        component(memory, chroma_height, chroma_width), component(memory, chroma_height, chroma_width)};
    const size_t wide = padded(width) + 64;
    uint8_t* full[2][2];  // rows of chroma at full width, two for each component
    for (auto& pair : full)
        for (auto& row : pair) {
            row = memory;
            memory += wide;
        }
    uint16_t* sums = reinterpret_cast<uint16_t*>(memory);

    const auto convert = [&](int32_t y, uint8_t* blueness, uint8_t* redness) {
        const size_t at = static_cast<size_t>(y) * on.stride;
        convert_row(on.plane(0) + at, on.plane(1) + at, on.plane(2) + at, width, {luma.row(y), blueness, redness});
    };
    for (int32_t y = 0; y < chroma_height; ++y) {
        if (!halve_width) {
            convert(y, chroma[0].row(y), chroma[1].row(y));
            continue;
        }
        const int32_t rows = halve_height && 2 * y + 1 < height ? 2 : 1;
        for (int32_t k = 0; k < rows; ++k) convert(halve_height ? 2 * y + k : y, full[0][k], full[1][k]);
        for (int c = 0; c < 2; ++c) {
            // The right edge repeats the last input column before the means are taken.
            const int32_t whole = 2 * ((chroma_width + 7) & ~7);
            for (int32_t k = 0; k < rows; ++k)
                for (int32_t x = width; x < whole; ++x) full[c][k][x] = full[c][k][width - 1];
            if (halve_height)
                halve_rows(full[c][0], full[c][rows - 1], whole / 2, chroma[c].row(y));
            else
                halve_row(full[c][0], whole / 2, chroma[c].row(y));
        }
    }
    extend(luma);
    for (const Component& part : chroma) {
        if (halve_width) {  // columns are extended already, with the means of repeated columns
            const Component whole{part.data, part.height, (part.width + 7) & ~7, part.stride};
            extend(whole);
        } else {
            extend(part);
        }
        code_component(part, tables.chroma);
    }
    code_component(luma, tables.luma);

    const bool narrow = chroma_width <= 2;  // the triangle filter is left out there
    for (int32_t y = 0; y < height; ++y) {
        ColourRows rows{luma.row(y), nullptr, nullptr};
        for (int c = 0; c < 2; ++c) {
            uint8_t* row = chroma[c].row(halve_height ? y / 2 : y);
            if (halve_width) {
                uint8_t* wide_row = full[c][0];
                if (narrow) {
                    repeat_row(row, chroma_width, wide_row);
                } else if (halve_height) {
                    int32_t far_y = (y & 1) ? y / 2 + 1 : y / 2 - 1;
                    if (far_y < 0) far_y = 0;
                    if (far_y >= chroma_height) far_y = chroma_height - 1;
                    double_rows(row, chroma[c].row(far_y), chroma_width, sums, wide_row);
                } else {
                    double_row(row, chroma_width, wide_row);
                }
                row = wide_row;
            }
            (c == 0 ? rows.blueness : rows.redness) = row;
        }
        const size_t at = static_cast<size_t>(y) * on.stride;
        unconvert_row(rows, width, on.plane(0) + at, on.plane(1) + at, on.plane(2) + at);
    }
}

}  // namespace
}  // namespace PELLUCID_SPACE

#define PELLUCID_JOIN_(a, b) a##b
#define PELLUCID_JOIN(a, b) PELLUCID_JOIN_(a, b)
extern const Stages PELLUCID_JOIN(PELLUCID_SPACE, _stages) = {
    PELLUCID_SPACE::read_picture,    PELLUCID_SPACE::write_picture,   PELLUCID_SPACE::blur,
    PELLUCID_SPACE::resize,          PELLUCID_SPACE::gaussian_noise,  PELLUCID_SPACE::distinct_levels,
    PELLUCID_SPACE::poisson_noise,   PELLUCID_SPACE::jpeg,            PELLUCID_SPACE::usm,
    PELLUCID_SPACE::clamp_round};

}  // namespace pellucid
