// One sample through its whole plan on one thread.
#pragma once

#include "stages.h"

namespace pellucid {

// The plan has been checked. Returns a PellucidStatus; `operation` receives where it stopped, -1 for the input itself.
int degrade_sample(
    const Stages& stages, const PellucidOp* ops, uint32_t count, const PellucidPicture& input,
    const PellucidPicture& output, uint64_t seed, uint64_t sample, int64_t& operation);

}  // namespace pellucid
