// The CUDA kernels' bodies run by the CPU, one thread of one block after another, to show without a device that they make
// the same bytes.
#pragma once

#include <stdint.h>

#include "pellucid/pellucid.h"

namespace pellucid {

// The plans have been checked; counts[s] operations each.
int emulate_device(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const uint32_t* counts, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, PellucidFailure* failure);

}  // namespace pellucid
