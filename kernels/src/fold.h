// Sums of taps that mirror each other, written once for every build. A filter whose taps are the same on both sides of
// its centre (or the same with the other sign) first adds or subtracts the two values a tap meets and multiplies once:
// half of the products. Which value meets which, and in which order the products are added, decides the bits, so CPU and
// CUDA both call the one function here.
#pragma once

#include <stddef.h>

#include "arithmetic.h"

namespace pellucid {
namespace PELLUCID_SPACE {

// The values on both sides of R neighbouring outputs, as a ring: at distance k output r meets after[(r + k - 1) % R] and
// before[(r - k + 1) % R], so that a step further takes one new value a side and moves none.
template <int R, class F>
struct Sides {
    F after[R], before[R];
};

template <int R, bool ODD, int S, class F, class After, class Before>
PELLUCID_HD void fold_round(
    F (&sum)[R], Sides<R, F>& sides, const float* taps, ptrdiff_t step, int32_t reach, int32_t& k, const After& after,
    const Before& before) {
    if constexpr (S < R) {
        const F tap = splat<F>(taps[(k - 1) * step]);
#if defined(__CUDACC__)
#pragma unroll
#endif
        for (int r = 0; r < R; ++r) {
            const F ahead = sides.after[(r + S) % R], behind = sides.before[(r - S + R) % R];
            sum[r] = fma(tap, ODD ? ahead - behind : ahead + behind, sum[r]);
        }
        if (++k > reach) return;
        for (int r = 0; r < R; ++r) hold(sides.after[r]);
        sides.after[S] = after(R - 1 + k);
        sides.before[R - 1 - S] = before(-k);
        fold_round<R, ODD, S + 1>(sum, sides, taps, step, reach, k, after, before);
    }
}

// sum[r] += taps[(k - 1) * step] * (after(r + k) +- before(r - k)) for k = 1..reach in this order, minus where ODD.
// `after` and `before` take a position relative to the first output.
template <int R, bool ODD, class F, class After, class Before>
PELLUCID_HD void fold_taps(
    F (&sum)[R], const float* taps, ptrdiff_t step, int32_t reach, const After& after, const Before& before) {
    if (reach < 1) return;
    Sides<R, F> sides;
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int r = 0; r < R; ++r) {
        sides.after[r] = after(r + 1);
        sides.before[r] = before(r - 1);
    }
    for (int32_t k = 1; k <= reach;) fold_round<R, ODD, 0>(sum, sides, taps, step, reach, k, after, before);
}

// A whole one-dimensional filter on top of what `sum` holds: the middle tap, then the pairs outwards.
template <int R, class F, class Value>
PELLUCID_HD void filter_taps(F (&sum)[R], const float* taps, int32_t count, bool odd, const Value& value) {
    const int32_t reach = count / 2;
    const F middle = splat<F>(taps[reach]);
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int r = 0; r < R; ++r) sum[r] = fma(middle, value(r), sum[r]);
    if (odd)
        fold_taps<R, true>(sum, taps + reach + 1, 1, reach, value, value);
    else
        fold_taps<R, false>(sum, taps + reach + 1, 1, reach, value, value);
}

// A whole two-dimensional filter of R outputs below one another; taps mirror each other through the middle. value(dy, dx).
template <int R, class F, class Value>
PELLUCID_HD void filter_dense(
    F (&sum)[R], const float* taps, int32_t taps_height, int32_t taps_width, const Value& value) {
    const int32_t reach_y = taps_height / 2, reach_x = taps_width / 2;
    const float* centre = taps + static_cast<ptrdiff_t>(reach_y) * taps_width + reach_x;
    const F middle = splat<F>(*centre);
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int r = 0; r < R; ++r) sum[r] = fma(middle, value(r, 0), sum[r]);
    for (int32_t dx = 1; dx <= reach_x; ++dx) {
        const F tap = splat<F>(centre[dx]);
#if defined(__CUDACC__)
#pragma unroll
#endif
        for (int r = 0; r < R; ++r) sum[r] = fma(tap, value(r, dx) + value(r, -dx), sum[r]);
    }
    for (int32_t dx = -reach_x; dx <= reach_x; ++dx)
        fold_taps<R, false>(
            sum, centre + taps_width + dx, taps_width, reach_y, [&value, dx](int32_t dy) { return value(dy, dx); },
            [&value, dx](int32_t dy) { return value(dy, -dx); });
}

}  // namespace PELLUCID_SPACE
}  // namespace pellucid
