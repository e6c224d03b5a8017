// The wide lane types of this build, with the operations arithmetic.h asks for: F32 and I32, LANES wide.
// Chosen by PELLUCID_LANES: 1 (any processor), 8 (AVX2 and FMA), 16 (AVX-512 F, BW, DQ, VL).
#pragma once

#include "../arithmetic.h"

#if PELLUCID_LANES > 1
#include <immintrin.h>
#endif

namespace pellucid {
namespace PELLUCID_SPACE {

constexpr int LANES = PELLUCID_LANES;

#if PELLUCID_LANES == 1

using F32 = float;
using I32 = int32_t;

PELLUCID_HD F32 load(const float* p) { return *p; }
PELLUCID_HD void store(float* p, F32 v) { *p = v; }
PELLUCID_HD I32 load_bytes(const uint8_t* p) { return *p; }
PELLUCID_HD void store_bytes(uint8_t* p, I32 v) { *p = static_cast<uint8_t>(v); }
PELLUCID_HD I32 lane_numbers() { return 0; }
PELLUCID_HD I32 look_up(const uint32_t* table, I32 index) { return static_cast<int32_t>(table[index]); }
PELLUCID_HD bool all_within(F32 v, float low, float high) { return v >= low && v <= high; }

// W rows of W floats, columns become rows.
PELLUCID_HD void transpose(F32[1]) {}

#elif PELLUCID_LANES == 8

struct F32 {
    __m256 v;
};
struct I32 {
    __m256i v;
};

template <>
PELLUCID_HD I32 splat_int<I32>(int32_t value) {
    return {_mm256_set1_epi32(value)};
}
template <>
PELLUCID_HD F32 splat<F32>(float value) {
    return {_mm256_set1_ps(value)};
}
PELLUCID_HD F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
PELLUCID_HD void store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }
PELLUCID_HD I32 load_bytes(const uint8_t* p) {
    return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
}
// Values 0..255.
PELLUCID_HD void store_bytes(uint8_t* p, I32 a) {
    const __m256i words = _mm256_packus_epi32(a.v, a.v);
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const __m256i joined = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(joined));
}
PELLUCID_HD I32 lane_numbers() { return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)}; }
PELLUCID_HD I32 look_up(const uint32_t* table, I32 index) {
    return {_mm256_i32gather_epi32(reinterpret_cast<const int*>(table), index.v, 4)};
}
PELLUCID_HD bool all_within(F32 a, float low, float high) {
    const __m256 inside = _mm256_and_ps(
        _mm256_cmp_ps(a.v, _mm256_set1_ps(low), _CMP_GE_OQ), _mm256_cmp_ps(a.v, _mm256_set1_ps(high), _CMP_LE_OQ));
    return _mm256_movemask_ps(inside) == 0xff;
}

PELLUCID_HD F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
PELLUCID_HD F32 operator-(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
PELLUCID_HD F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
PELLUCID_HD F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
PELLUCID_HD F32 square_root(F32 a) { return {_mm256_sqrt_ps(a.v)}; }
PELLUCID_HD F32 smaller(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
PELLUCID_HD F32 larger(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
PELLUCID_HD F32 as_float(I32 a) { return {_mm256_castsi256_ps(a.v)}; }
PELLUCID_HD I32 as_int(F32 a) { return {_mm256_castps_si256(a.v)}; }
PELLUCID_HD F32 to_float(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }
PELLUCID_HD I32 truncated(F32 a) { return {_mm256_cvttps_epi32(a.v)}; }
PELLUCID_HD I32 nearest(F32 a) { return {_mm256_cvtps_epi32(a.v)}; }

PELLUCID_HD I32 operator+(I32 a, I32 b) { return {_mm256_add_epi32(a.v, b.v)}; }
PELLUCID_HD I32 operator-(I32 a, I32 b) { return {_mm256_sub_epi32(a.v, b.v)}; }
PELLUCID_HD I32 operator*(I32 a, I32 b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
PELLUCID_HD I32 operator&(I32 a, I32 b) { return {_mm256_and_si256(a.v, b.v)}; }
PELLUCID_HD I32 operator|(I32 a, I32 b) { return {_mm256_or_si256(a.v, b.v)}; }
PELLUCID_HD I32 operator^(I32 a, I32 b) { return {_mm256_xor_si256(a.v, b.v)}; }
PELLUCID_HD I32 smaller(I32 a, I32 b) { return {_mm256_min_epi32(a.v, b.v)}; }
PELLUCID_HD I32 larger(I32 a, I32 b) { return {_mm256_max_epi32(a.v, b.v)}; }
template <int N>
PELLUCID_HD I32 shift_left(I32 a) {
    return {_mm256_slli_epi32(a.v, N)};
}
template <int N>
PELLUCID_HD I32 shift_right(I32 a) {
    return {_mm256_srai_epi32(a.v, N)};
}
template <int N>
PELLUCID_HD I32 shift_right_logical(I32 a) {
    return {_mm256_srli_epi32(a.v, N)};
}
PELLUCID_HD F32 where_odd(I32 odd, F32 a, F32 b) {
    return {_mm256_blendv_ps(b.v, a.v, _mm256_castsi256_ps(_mm256_slli_epi32(odd.v, 31)))};
}
PELLUCID_HD I32 where_less(I32 a, I32 b, I32 yes, I32 no) {
    return {_mm256_blendv_epi8(no.v, yes.v, _mm256_cmpgt_epi32(b.v, a.v))};
}
PELLUCID_HD F32 where_greater(F32 a, F32 b, F32 yes, F32 no) {
    return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}
PELLUCID_HD void multiply_wide(I32 a, uint32_t b, I32& high, I32& low) {
    const __m256i factor = _mm256_set1_epi32(static_cast<int>(b));
    const __m256i even = _mm256_mul_epu32(a.v, factor);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), factor);
    high = {_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa)};
    low = {_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa)};
}

// Eight rows of eight lanes, columns become rows.
PELLUCID_HD void transpose(F32 r[8]) {
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i].v, r[i + 1].v);
        a[i + 1] = _mm256_unpackhi_ps(r[i].v, r[i + 1].v);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
        r[i].v = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4].v = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

// The 8x8 blocks that lie side by side in eight rows, each transposed.
PELLUCID_HD void transpose_blocks(I32 r[8]) {
    F32 f[8];
    for (int i = 0; i < 8; ++i) f[i] = as_float(r[i]);
    transpose(f);
    for (int i = 0; i < 8; ++i) r[i] = as_int(f[i]);
}

#elif PELLUCID_LANES == 16

struct F32 {
    __m512 v;
};
struct I32 {
    __m512i v;
};

template <>
PELLUCID_HD I32 splat_int<I32>(int32_t value) {
    return {_mm512_set1_epi32(value)};
}
template <>
PELLUCID_HD F32 splat<F32>(float value) {
    return {_mm512_set1_ps(value)};
}
PELLUCID_HD F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
PELLUCID_HD void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }
PELLUCID_HD I32 load_bytes(const uint8_t* p) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
PELLUCID_HD void store_bytes(uint8_t* p, I32 a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
PELLUCID_HD I32 lane_numbers() {
    return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
}
PELLUCID_HD I32 look_up(const uint32_t* table, I32 index) { return {_mm512_i32gather_epi32(index.v, table, 4)}; }
PELLUCID_HD bool all_within(F32 a, float low, float high) {
    const __mmask16 above = _mm512_cmp_ps_mask(a.v, _mm512_set1_ps(low), _CMP_GE_OQ);
    return _mm512_mask_cmp_ps_mask(above, a.v, _mm512_set1_ps(high), _CMP_LE_OQ) == 0xffff;
}

PELLUCID_HD F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
PELLUCID_HD F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
PELLUCID_HD F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
PELLUCID_HD F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
PELLUCID_HD F32 square_root(F32 a) { return {_mm512_sqrt_ps(a.v)}; }
PELLUCID_HD F32 smaller(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
PELLUCID_HD F32 larger(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
PELLUCID_HD F32 as_float(I32 a) { return {_mm512_castsi512_ps(a.v)}; }
PELLUCID_HD I32 as_int(F32 a) { return {_mm512_castps_si512(a.v)}; }
PELLUCID_HD F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
PELLUCID_HD I32 truncated(F32 a) { return {_mm512_cvttps_epi32(a.v)}; }
PELLUCID_HD I32 nearest(F32 a) { return {_mm512_cvtps_epi32(a.v)}; }

PELLUCID_HD I32 operator+(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
PELLUCID_HD I32 operator-(I32 a, I32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
PELLUCID_HD I32 operator*(I32 a, I32 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
PELLUCID_HD I32 operator&(I32 a, I32 b) { return {_mm512_and_si512(a.v, b.v)}; }
PELLUCID_HD I32 operator|(I32 a, I32 b) { return {_mm512_or_si512(a.v, b.v)}; }
PELLUCID_HD I32 operator^(I32 a, I32 b) { return {_mm512_xor_si512(a.v, b.v)}; }
PELLUCID_HD I32 smaller(I32 a, I32 b) { return {_mm512_min_epi32(a.v, b.v)}; }
PELLUCID_HD I32 larger(I32 a, I32 b) { return {_mm512_max_epi32(a.v, b.v)}; }
template <int N>
PELLUCID_HD I32 shift_left(I32 a) {
    return {_mm512_slli_epi32(a.v, N)};
}
template <int N>
PELLUCID_HD I32 shift_right(I32 a) {
    return {_mm512_srai_epi32(a.v, N)};
}
template <int N>
PELLUCID_HD I32 shift_right_logical(I32 a) {
    return {_mm512_srli_epi32(a.v, N)};
}
PELLUCID_HD F32 where_odd(I32 odd, F32 a, F32 b) {
    return {_mm512_mask_blend_ps(_mm512_test_epi32_mask(odd.v, _mm512_set1_epi32(1)), b.v, a.v)};
}
PELLUCID_HD I32 where_less(I32 a, I32 b, I32 yes, I32 no) {
    return {_mm512_mask_blend_epi32(_mm512_cmplt_epi32_mask(a.v, b.v), no.v, yes.v)};
}
PELLUCID_HD F32 where_greater(F32 a, F32 b, F32 yes, F32 no) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), no.v, yes.v)};
}
PELLUCID_HD void multiply_wide(I32 a, uint32_t b, I32& high, I32& low) {
    const __m512i factor = _mm512_set1_epi32(static_cast<int>(b));
    const __m512i even = _mm512_mul_epu32(a.v, factor);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), factor);
    high = {_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd)};
    low = {_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32))};
}

// Four rows, each of the four 4x4 blocks in them transposed: the first two steps of every transposition here.
PELLUCID_HD void transpose_quads(const __m512* r, __m512* out) {
    const __m512 a0 = _mm512_unpacklo_ps(r[0], r[1]), a1 = _mm512_unpackhi_ps(r[0], r[1]);
    const __m512 a2 = _mm512_unpacklo_ps(r[2], r[3]), a3 = _mm512_unpackhi_ps(r[2], r[3]);
    out[0] = _mm512_shuffle_ps(a0, a2, 0x44);
    out[1] = _mm512_shuffle_ps(a0, a2, 0xee);
    out[2] = _mm512_shuffle_ps(a1, a3, 0x44);
    out[3] = _mm512_shuffle_ps(a1, a3, 0xee);
}

// Sixteen rows of sixteen lanes, columns become rows.
PELLUCID_HD void transpose(F32 r[16]) {
    __m512 in[16], q[16];
    for (int i = 0; i < 16; ++i) in[i] = r[i].v;
    for (int i = 0; i < 16; i += 4) transpose_quads(in + i, q + i);
    for (int i = 0; i < 4; ++i) {
        const __m512 low01 = _mm512_shuffle_f32x4(q[i], q[i + 4], 0x88);
        const __m512 low23 = _mm512_shuffle_f32x4(q[i + 8], q[i + 12], 0x88);
        const __m512 high01 = _mm512_shuffle_f32x4(q[i], q[i + 4], 0xdd);
        const __m512 high23 = _mm512_shuffle_f32x4(q[i + 8], q[i + 12], 0xdd);
        r[i].v = _mm512_shuffle_f32x4(low01, low23, 0x88);
        r[i + 8].v = _mm512_shuffle_f32x4(low01, low23, 0xdd);
        r[i + 4].v = _mm512_shuffle_f32x4(high01, high23, 0x88);
        r[i + 12].v = _mm512_shuffle_f32x4(high01, high23, 0xdd);
    }
}

// The 8x8 blocks that lie side by side in eight rows, each transposed.
PELLUCID_HD void transpose_blocks(I32 r[8]) {
    __m512 in[8], q[8];
    for (int i = 0; i < 8; ++i) in[i] = _mm512_castsi512_ps(r[i].v);
    for (int i = 0; i < 8; i += 4) transpose_quads(in + i, q + i);
    const __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i upper = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    for (int i = 0; i < 4; ++i) {
        const __m512i a = _mm512_castps_si512(q[i]), b = _mm512_castps_si512(q[i + 4]);
        r[i].v = _mm512_permutex2var_epi64(a, lower, b);
        r[i + 4].v = _mm512_permutex2var_epi64(a, upper, b);
    }
}

#endif

#if PELLUCID_LANES > 1
template <>
struct LanesOf<F32> {
    using Int = I32;
};
// Compilers like to work out sums of values that stay in registers a whole turn of a loop ahead, and then run out of
// registers. A value that may have changed keeps the sum where it is written.
PELLUCID_HD void hold(F32& a) {
#if defined(__GNUC__)
    asm("" : "+v"(a.v));
#else
    (void)a;
#endif
}
PELLUCID_HD F32 magnitude(F32 a) { return as_float(as_int(a) & splat_int<I32>(0x7fffffff)); }
#endif

}  // namespace PELLUCID_SPACE
}  // namespace pellucid
