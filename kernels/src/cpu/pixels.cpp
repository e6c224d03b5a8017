// Between pixels as files have them (R, G, B bytes side by side) and the float planes that the operations work on.
#include <stddef.h>

#include "pellucid/pellucid.h"

#define PELLUCID_SPACE host
#include "../arithmetic.h"

using namespace pellucid::host;

extern "C" {

void pellucid_planes_from_pixels(
    const uint8_t* pixels, uint64_t count, int32_t height, int32_t width, float* planes) {
    float units[256];
    for (int32_t level = 0; level < 256; ++level) units[level] = unit_of<float>(level);
    const size_t plane = static_cast<size_t>(height) * width;
    for (uint64_t s = 0; s < count; ++s, pixels += 3 * plane, planes += 3 * plane) {
        for (size_t k = 0; k < plane; ++k) {
            planes[k] = units[pixels[3 * k]];
            planes[k + plane] = units[pixels[3 * k + 1]];
            planes[k + 2 * plane] = units[pixels[3 * k + 2]];
        }
    }
}

void pellucid_pixels_from_planes(
    const float* planes, uint64_t count, int32_t height, int32_t width, uint8_t* pixels) {
    constexpr size_t PIECE = 256;  // levels first, then side by side: the first half is what compilers make wide
    uint8_t levels[3][PIECE];
    const size_t plane = static_cast<size_t>(height) * width;
    for (uint64_t s = 0; s < count; ++s, pixels += 3 * plane, planes += 3 * plane) {
        for (size_t first = 0; first < plane; first += PIECE) {
            const size_t length = plane - first < PIECE ? plane - first : PIECE;
            for (int p = 0; p < 3; ++p) {
                const float* from = planes + p * plane + first;
                for (size_t k = 0; k < length; ++k) levels[p][k] = static_cast<uint8_t>(level_of(from[k]));
            }
            uint8_t* to = pixels + 3 * first;
            for (size_t k = 0; k < length; ++k) {
                to[3 * k] = levels[0][k];
                to[3 * k + 1] = levels[1][k];
                to[3 * k + 2] = levels[2][k];
            }
        }
    }
}

}  // extern "C"
