#include "emulate.h"
namespace pellucid {
int emulate_device(
    const PellucidOp*, uint32_t, uint64_t, const uint32_t*, const PellucidPicture*, const PellucidPicture*,
    const uint64_t*, const uint64_t*, PellucidFailure*) { return PELLUCID_NO_DEVICE; }
}
