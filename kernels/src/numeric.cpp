#include "numeric.h"

#include <stdint.h>
#include <string.h>

namespace pellucid {
namespace {

constexpr double LN2_HIGH = 6.93147180369123816490e-01;
constexpr double LN2_LOW = 1.90821492927058770002e-10;
constexpr double PI_HALF_HIGH = 1.57079632673412561417e+00;
constexpr double PI_HALF_LOW = 6.07710050650619224932e-11;

double from_bits(int64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int64_t to_bits(double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

double rounded(double x) { return x < 0 ? static_cast<double>(static_cast<int64_t>(x - 0.5)) : static_cast<double>(static_cast<int64_t>(x + 0.5)); }

}  // namespace

double exponential(double x) {
    if (x < -700.0) return 0.0;
    if (x > 700.0) x = 700.0;
    const double n = rounded(x * 1.44269504088896340736);
    const double r = (x - n * LN2_HIGH) - n * LN2_LOW;
    double sum = 1.0;
    for (int k = 16; k >= 1; --k) sum = 1.0 + sum * r / k;
    return sum * from_bits((static_cast<int64_t>(n) + 1023) * (int64_t{1} << 52));
}

double logarithm(double x) {
    int64_t bits = to_bits(x);
    int64_t exponent = (bits - to_bits(0.70710678118654752440)) >> 52;
    const double m = from_bits(bits - exponent * (int64_t{1} << 52));
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double sum = 0.0;
    for (int k = 25; k >= 3; k -= 2) sum = (sum + 1.0 / k) * z;
    const double n = static_cast<double>(exponent);
    return n * LN2_HIGH + (n * LN2_LOW + 2.0 * (s + s * sum));
}

double power(double x, double y) {
    if (x <= 0.0) return 0.0;
    return exponential(y * logarithm(x));
}

void cos_sin(double x, double& cosine, double& sine) {
    const double n = rounded(x * 0.63661977236758134308);
    const double r = (x - n * PI_HALF_HIGH) - n * PI_HALF_LOW, z = r * r;
    double s = 1.0, c = 1.0;
    for (int k = 20; k >= 2; k -= 2) {
        s = 1.0 - s * z / (k * (k + 1.0));
        c = 1.0 - c * z / (k * (k - 1.0));
    }
    s *= r;
    switch (static_cast<int64_t>(n) & 3) {
        case 0: cosine = c; sine = s; break;
        case 1: cosine = -s; sine = c; break;
        case 2: cosine = -c; sine = -s; break;
        default: cosine = s; sine = -c; break;
    }
}

// Miller's recurrence: run J_n downwards from far above x and scale by J_0 + 2 J_2 + 2 J_4 + ... = 1.
double bessel_j1(double x) {
    if (x < 1e-4) return 0.5 * x * (1.0 - 0.125 * x * x);
    const int top = (static_cast<int>(1.2 * x) + 40) & ~1;
    const double two_over_x = 2.0 / x;
    double above = 0.0, here = 1e-200, norm = 0.0, first = 0.0;
    for (int n = top; n >= 1; --n) {
        const double below = n * two_over_x * here - above;
        above = here;
        here = below;
        if (here > 1e150 || here < -1e150) {
            here *= 1e-150;
            above *= 1e-150;
            norm *= 1e-150;
            first *= 1e-150;
        }
        if (n == 2) first = here;
        if (((n - 1) & 1) == 0) norm += n == 1 ? here : 2.0 * here;
    }
    return first / norm;
}

}  // namespace pellucid
