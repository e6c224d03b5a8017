// The arithmetic that every build of the kernels shares: plain C++, AVX2, AVX-512 and CUDA include this one file, each in
// a namespace of its own (PELLUCID_SPACE), so that the same source line makes the same bits everywhere.
//
// Rules that keep it so: no contraction (the compilers are told not to, fused steps are written `fma`), no library
// mathematics, sums in one written order, integers where a rounding decides.
//
// The templates are written once over a lane type: F holds floats, I holds 32-bit integers. Here F = float and
// I = int32_t; cpu/vector.h adds the wide ones.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define PELLUCID_HD __host__ __device__ __forceinline__
#elif defined(PELLUCID_SANITIZE)
#define PELLUCID_HD inline  // inlined by force, every check is compiled over and over
#elif defined(_MSC_VER)
#define PELLUCID_HD __forceinline
#else
#define PELLUCID_HD inline __attribute__((always_inline))
#endif

#ifndef PELLUCID_SPACE
#error "name the namespace of this build in PELLUCID_SPACE before including arithmetic.h"
#endif

#if !defined(__CUDA_ARCH__)
#include <math.h>
#include <string.h>
#endif

namespace pellucid {
namespace PELLUCID_SPACE {

// ---- one lane ----------------------------------------------------------------------------------------------------

PELLUCID_HD float as_float(int32_t bits) {
#if defined(__CUDA_ARCH__)
    return __int_as_float(bits);
#else
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

PELLUCID_HD int32_t as_int(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_int(value);
#else
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
}

#if !defined(__CUDA_ARCH__) && !defined(__FMA__) && !defined(__aarch64__) && !defined(_M_ARM64)
#define PELLUCID_FMA_BY_HAND 1
#endif

// a * b + c rounded once. Processors without the instruction get it from double: the product is exact there, the sum is
// rounded to odd, and rounding that to float is then the one rounding of the exact value.
PELLUCID_HD float fma(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(a, b, c);
#elif defined(PELLUCID_FMA_BY_HAND)
    const double product = static_cast<double>(a) * static_cast<double>(b);
    const double addend = c;
    const double sum = product + addend;
    const double back = sum - product;
    const double lost = (product - (sum - back)) + (addend - back);
    int64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if (lost != 0.0 && (bits & 1) == 0) bits += ((lost > 0.0) == (sum > 0.0)) ? 1 : -1;
    double odd;
    memcpy(&odd, &bits, sizeof odd);
    return static_cast<float>(odd);
#else
    return fmaf(a, b, c);
#endif
}

PELLUCID_HD float square_root(float value) {
#if defined(__CUDA_ARCH__)
    return __fsqrt_rn(value);
#else
    return sqrtf(value);
#endif
}

PELLUCID_HD float smaller(float a, float b) { return a < b ? a : b; }
PELLUCID_HD float larger(float a, float b) { return a > b ? a : b; }
PELLUCID_HD float magnitude(float a) { return as_float(as_int(a) & 0x7fffffff); }
PELLUCID_HD int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
PELLUCID_HD int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

// To the nearest integer, halves to even. The value must lie within +-2^22.
PELLUCID_HD int32_t nearest(float value) {
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it leaves the rounded integer in the low bits
    return as_int(value + shift) - as_int(shift);
}

PELLUCID_HD int32_t truncated(float value) { return static_cast<int32_t>(value); }
PELLUCID_HD float to_float(int32_t value) { return static_cast<float>(value); }

template <class I>
PELLUCID_HD I splat_int(int32_t value);
template <>
PELLUCID_HD int32_t splat_int<int32_t>(int32_t value) {
    return value;
}
template <class F>
PELLUCID_HD F splat(float value);
template <>
PELLUCID_HD float splat<float>(float value) {
    return value;
}

// Nothing for one lane; the wide types tell the compiler that the value may have changed (see vector.h).
PELLUCID_HD void hold(float&) {}

template <int N>
PELLUCID_HD int32_t shift_left(int32_t a) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) << N);
}
template <int N>
PELLUCID_HD int32_t shift_right(int32_t a) {  // keeps the sign
    return a >> N;
}
template <int N>
PELLUCID_HD int32_t shift_right_logical(int32_t a) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) >> N);
}

// a where the lowest bit of `odd` is set, else b.
PELLUCID_HD float where_odd(int32_t odd, float a, float b) { return (odd & 1) ? a : b; }
PELLUCID_HD int32_t where_less(int32_t a, int32_t b, int32_t yes, int32_t no) { return a < b ? yes : no; }
PELLUCID_HD float where_greater(float a, float b, float yes, float no) { return a > b ? yes : no; }

PELLUCID_HD void multiply_wide(int32_t a, uint32_t b, int32_t& high, int32_t& low) {
    const uint64_t product = static_cast<uint64_t>(static_cast<uint32_t>(a)) * b;
    high = static_cast<int32_t>(static_cast<uint32_t>(product >> 32));
    low = static_cast<int32_t>(static_cast<uint32_t>(product));
}

template <class F>
struct LanesOf;
template <>
struct LanesOf<float> {
    using Int = int32_t;
};

// ---- random numbers ----------------------------------------------------------------------------------------------

template <class I>
struct Random4 {
    I word[4];
};

// Philox 4x32 with ten rounds (Salmon, Moraes, Dror, Shaw 2011).
template <class I>
PELLUCID_HD Random4<I> philox(I c0, I c1, I c2, I c3, uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
        I high0, low0, high1, low1;
        multiply_wide(c0, 0xD2511F53u, high0, low0);
        multiply_wide(c2, 0xCD9E8D57u, high1, low1);
        const I next0 = high1 ^ c1 ^ splat_int<I>(static_cast<int32_t>(key0));
        const I next2 = high0 ^ c3 ^ splat_int<I>(static_cast<int32_t>(key1));
        c0 = next0;
        c1 = low1;
        c2 = next2;
        c3 = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

// Which stream a noise operation draws from.
struct Stream {
    uint32_t seed_low, seed_high, sample_low, sample_high, stage;
};

// The four words of one position. A position covers four rows of one column: see `noise_position`.
template <class I>
PELLUCID_HD Random4<I> draw(const Stream& stream, I position) {
    return philox<I>(
        position, splat_int<I>(static_cast<int32_t>(stream.stage)),
        splat_int<I>(static_cast<int32_t>(stream.sample_low)), splat_int<I>(static_cast<int32_t>(stream.sample_high)),
        stream.seed_low, stream.seed_high);
}

// Rows of all planes are counted through; four neighbouring rows share a position, a column each, and take a word each.
PELLUCID_HD int32_t noise_position(int32_t row, int32_t width) {
    return static_cast<int32_t>(static_cast<uint32_t>(row >> 2) * static_cast<uint32_t>(width));
}

// -2 * ln(u) with u = (top 24 bits of `word` + 1) / 2^24, in 0..33.3; relative error below 2e-7.
template <class F>
PELLUCID_HD F minus_two_log(typename LanesOf<F>::Int word) {
    using I = typename LanesOf<F>::Int;
    const F u = to_float(shift_right_logical<8>(word) + splat_int<I>(1)) * splat<F>(5.9604644775390625e-08f);
    const I bits = as_int(u);
    const I exponent = shift_right<23>(bits - splat_int<I>(0x3f3504f3));  // of u / sqrt(1/2): leaves 0.707..1.414
    const F f = as_float(bits - shift_left<23>(exponent)) - splat<F>(1.0f);
    F p = splat<F>(-0.0786670446f);
    p = fma(p, f, splat<F>(0.128810272f));
    p = fma(p, f, splat<F>(-0.131256595f));
    p = fma(p, f, splat<F>(0.141811892f));
    p = fma(p, f, splat<F>(-0.166249141f));
    p = fma(p, f, splat<F>(0.200022906f));
    p = fma(p, f, splat<F>(-0.250007987f));
    p = fma(p, f, splat<F>(0.333333164f));
    const F square = f * f;
    const F log1p = fma(square, fma(p, f, splat<F>(-0.5f)), f);
    return splat<F>(-2.0f) * fma(to_float(exponent), splat<F>(0.693147181f), log1p);
}

// Cosine and sine of a full turn times `word` / 2^32 (top 26 bits); absolute error below 1.5e-7.
template <class F>
PELLUCID_HD void cos_sin_turn(typename LanesOf<F>::Int word, F& cosine, F& sine) {
    using I = typename LanesOf<F>::Int;
    const I quadrant = shift_right_logical<30>(word);
    const I fraction = shift_right_logical<6>(word) & splat_int<I>(0xffffff);
    // -0.5..0.5 of a quarter turn; the angle is that plus the quadrant (the common eighth of a turn is left out: the
    // direction is uniform anyway).
    const F x = to_float(fraction - splat_int<I>(0x800000)) * splat<F>(5.9604644775390625e-08f);
    const F z = x * x;
    F s = splat<F>(-0.00460217707f);
    s = fma(s, z, splat<F>(0.0796802267f));
    s = fma(s, z, splat<F>(-0.64596349f));
    s = fma(s, z, splat<F>(1.57079637f));
    s = s * x;
    F c = splat<F>(0.000903631677f);
    c = fma(c, z, splat<F>(-0.0208600722f));
    c = fma(c, z, splat<F>(0.253669202f));
    c = fma(c, z, splat<F>(-1.23370051f));
    c = fma(c, z, splat<F>(1.0f));
    const F along = where_odd(quadrant, s, c);
    const F across = where_odd(quadrant, c, s);
    // quadrants 1 and 2 turn the cosine's sign, 2 and 3 the sine's
    const I half = shift_right_logical<1>(quadrant);
    cosine = as_float(as_int(along) ^ shift_left<31>(half ^ quadrant));
    sine = as_float(as_int(across) ^ shift_left<31>(half));
}

template <class F>
struct Normal4 {
    F value[4];
};

// Four independent standard normals (Box and Muller 1958), |value| < 5.8.
template <class F>
PELLUCID_HD Normal4<F> normals(const Random4<typename LanesOf<F>::Int>& random) {
    Normal4<F> out;
    for (int pair = 0; pair < 2; ++pair) {
        const F radius = square_root(minus_two_log<F>(random.word[2 * pair]));
        F cosine, sine;
        cos_sin_turn<F>(random.word[2 * pair + 1], cosine, sine);
        out.value[2 * pair] = radius * cosine;
        out.value[2 * pair + 1] = radius * sine;
    }
    return out;
}

// ---- pixels ------------------------------------------------------------------------------------------------------

template <class F>
PELLUCID_HD F clamp_unit(F value) {
    return smaller(larger(value, splat<F>(0.0f)), splat<F>(1.0f));
}

// The 8-bit level 0..255 nearest to a value of 0..1, halves to even.
template <class F>
PELLUCID_HD typename LanesOf<F>::Int level_of(F value) {
    return nearest(clamp_unit(value) * splat<F>(255.0f));
}

// level / 255 rounded correctly: one product and one step of correction (checked for all 256 levels).
template <class F>
PELLUCID_HD F unit_of(typename LanesOf<F>::Int level) {
    const F inverse = splat<F>(0.00392156886f);
    const F l = to_float(level);
    const F q = l * inverse;
    return fma(fma(q, splat<F>(-255.0f), l), inverse, q);
}

// The grey of three planes, 0.2989 R + 0.587 G + 0.114 B.
template <class F>
PELLUCID_HD F grey_of(F r, F g, F b) {
    return fma(b, splat<F>(0.114f), fma(g, splat<F>(0.587f), r * splat<F>(0.2989f)));
}

// One unsharp-masked value: `soft` is the blurred mask.
template <class F>
PELLUCID_HD F sharpened(F picture, F blurred, F soft, F weight) {
    const F sharp = clamp_unit(fma(weight, picture - blurred, picture));
    return fma(soft, sharp - picture, picture);
}

template <class F>
PELLUCID_HD F usm_mask(F picture, F blurred, F threshold) {
    return where_greater(
        magnitude(picture - blurred) * splat<F>(255.0f), threshold, splat<F>(1.0f), splat<F>(0.0f));
}

// ---- Poisson counts ----------------------------------------------------------------------------------------------

// A table of 256 levels x 256 buckets (Walker's alias method): the upper 24 bits of an entry are the threshold, the
// lower 8 the other bucket. Exact to 2^-24 a bucket and free of rejection, so one word is one draw everywhere.
PELLUCID_HD int32_t poisson_index(int32_t level, int32_t word) { return shift_left<8>(level) | (word & 255); }

template <class I>
PELLUCID_HD I poisson_bucket(I entry, I word) {
    return where_less(
        shift_right_logical<8>(word), shift_right_logical<8>(entry), word & splat_int<I>(255),
        entry & splat_int<I>(255));
}

// The picture with Poisson noise: `count` events at `level` 0..255, `per_count` = 1 / levels.
template <class F>
PELLUCID_HD F with_poisson(F picture, F count, F level_unit, F per_count, F scale) {
    return clamp_unit(fma(scale, fma(count, per_count, splat<F>(0.0f) - level_unit), picture));
}

// ---- JPEG (ITU-T T.81) with the integer arithmetic of libjpeg-turbo's defaults ---------------------------------------

template <class I>
PELLUCID_HD I scaled(I value, int32_t factor) {
    return value * splat_int<I>(factor);
}

template <class I>
PELLUCID_HD I clamp_byte(I value) {
    return smaller(larger(value, splat_int<I>(0)), splat_int<I>(255));
}

// Colour, 16 fractional bits.
template <class I>
PELLUCID_HD I luma_of(I r, I g, I b) {
    return shift_right<16>(scaled(r, 19595) + scaled(g, 38470) + scaled(b, 7471) + splat_int<I>(32768));
}
template <class I>
PELLUCID_HD I blueness_of(I r, I g, I b) {
    return shift_right<16>(scaled(b, 32768) - scaled(r, 11059) - scaled(g, 21709) + splat_int<I>((128 << 16) + 32767));
}
template <class I>
PELLUCID_HD I redness_of(I r, I g, I b) {
    return shift_right<16>(scaled(r, 32768) - scaled(g, 27439) - scaled(b, 5329) + splat_int<I>((128 << 16) + 32767));
}
template <class I>
PELLUCID_HD void rgb_of(I luma, I blueness, I redness, I& r, I& g, I& b) {
    const I cb = blueness - splat_int<I>(128);
    const I cr = redness - splat_int<I>(128);
    const I half = splat_int<I>(32768);
    r = clamp_byte(luma + shift_right<16>(scaled(cr, 91881) + half));
    g = clamp_byte(luma + shift_right<16>(half - scaled(cb, 22554) - scaled(cr, 46802)));
    b = clamp_byte(luma + shift_right<16>(scaled(cb, 116130) + half));
}

template <int N, class I>
PELLUCID_HD I descale(I value) {
    return shift_right<N>(value + splat_int<I>(1 << (N - 1)));
}

// The 8-point transform of Loeffler, Ligtenberg and Moschytz (1989), 13 fractional bits in the constants.
enum : int32_t {
    DCT_0_298 = 2446,
    DCT_0_390 = 3196,
    DCT_0_541 = 4433,
    DCT_0_765 = 6270,
    DCT_0_899 = 7373,
    DCT_1_175 = 9633,
    DCT_1_501 = 12299,
    DCT_1_847 = 15137,
    DCT_1_961 = 16069,
    DCT_2_053 = 16819,
    DCT_2_562 = 20995,
    DCT_3_072 = 25172
};

// The odd half that both directions share, up to the final rounding: four inputs in place.
template <class I>
PELLUCID_HD void dct_odd(I& a, I& b, I& c, I& d) {
    const I sum_ad = a + d, sum_bc = b + c, sum_ac = a + c, sum_bd = b + d;
    const I common = scaled(sum_ac + sum_bd, DCT_1_175);
    const I z1 = scaled(sum_ad, -DCT_0_899);
    const I z2 = scaled(sum_bc, -DCT_2_562);
    const I z3 = scaled(sum_ac, -DCT_1_961) + common;
    const I z4 = scaled(sum_bd, -DCT_0_390) + common;
    a = scaled(a, DCT_0_298) + z1 + z3;
    b = scaled(b, DCT_2_053) + z2 + z4;
    c = scaled(c, DCT_3_072) + z2 + z3;
    d = scaled(d, DCT_1_501) + z1 + z4;
}

// FIRST: rows, keeps two extra bits. Otherwise columns, drops them; the result is eight times the true coefficient.
template <bool FIRST, class I>
PELLUCID_HD void forward_dct(I v[8]) {
    const I s0 = v[0] + v[7], d0 = v[0] - v[7], s1 = v[1] + v[6], d1 = v[1] - v[6];
    const I s2 = v[2] + v[5], d2 = v[2] - v[5], s3 = v[3] + v[4], d3 = v[3] - v[4];
    const I e0 = s0 + s3, e3 = s0 - s3, e1 = s1 + s2, e2 = s1 - s2;
    const I z = scaled(e2 + e3, DCT_0_541);
    I a = d3, b = d2, c = d1, d = d0;
    dct_odd(a, b, c, d);
    if (FIRST) {
        v[0] = shift_left<2>(e0 + e1);
        v[4] = shift_left<2>(e0 - e1);
    } else {
        v[0] = descale<2>(e0 + e1);
        v[4] = descale<2>(e0 - e1);
    }
    constexpr int N = FIRST ? 11 : 15;
    v[2] = descale<N>(z + scaled(e3, DCT_0_765));
    v[6] = descale<N>(z - scaled(e2, DCT_1_847));
    v[7] = descale<N>(a);
    v[5] = descale<N>(b);
    v[3] = descale<N>(c);
    v[1] = descale<N>(d);
}

// FIRST: columns of dequantised coefficients. Otherwise rows, down to samples less 128.
template <bool FIRST, class I>
PELLUCID_HD void inverse_dct(I v[8]) {
    const I z = scaled(v[2] + v[6], DCT_0_541);
    const I e2 = z - scaled(v[6], DCT_1_847);
    const I e3 = z + scaled(v[2], DCT_0_765);
    const I e0 = shift_left<13>(v[0] + v[4]);
    const I e1 = shift_left<13>(v[0] - v[4]);
    const I t0 = e0 + e3, t3 = e0 - e3, t1 = e1 + e2, t2 = e1 - e2;
    I a = v[7], b = v[5], c = v[3], d = v[1];
    dct_odd(a, b, c, d);
    constexpr int N = FIRST ? 11 : 18;
    v[0] = descale<N>(t0 + d);
    v[7] = descale<N>(t0 - d);
    v[1] = descale<N>(t1 + c);
    v[6] = descale<N>(t1 - c);
    v[2] = descale<N>(t2 + b);
    v[5] = descale<N>(t2 - b);
    v[3] = descale<N>(t3 + a);
    v[4] = descale<N>(t3 - a);
}

// Quantised and dequantised at once. `divisor` is eight times the table's entry, `inverse` its float reciprocal;
// rounds halves away from zero. The half step added before the product keeps the truncation right for every 16-bit value.
template <class F>
PELLUCID_HD typename LanesOf<F>::Int requantised(
    typename LanesOf<F>::Int value, typename LanesOf<F>::Int divisor, F inverse) {
    using I = typename LanesOf<F>::Int;
    const I sign = shift_right<31>(value);
    const I absolute = (value ^ sign) - sign;
    const F numerator = to_float(absolute + shift_right<1>(divisor)) + splat<F>(0.5f);
    const I steps = truncated(numerator * inverse);
    return ((steps ^ sign) - sign) * shift_right<3>(divisor);
}

// ---- borders -----------------------------------------------------------------------------------------------------

// The index 0..size-1 that a mirror without a repeated edge shows at `index`, however far outside.
PELLUCID_HD int32_t reflected(int32_t index, int32_t size) {
    if (index >= 0 && index < size) return index;
    if (size == 1) return 0;
    const int32_t period = 2 * (size - 1);
    index %= period;
    if (index < 0) index += period;
    return index < size ? index : period - index;
}

}  // namespace PELLUCID_SPACE
}  // namespace pellucid
