// A pool of threads that stays between calls, is made on the first call that asks for more than one thread, and is made
// anew in a forked child, which has none of its parent's threads.
#pragma once

#include <stdint.h>

namespace pellucid {

// Calls run(context, index) for every index below `count` on up to `threads` threads, the caller's among them.
// `run` must not throw. Calls from several threads take turns.
void run_parallel(uint64_t count, int threads, void (*run)(void* context, uint64_t index), void* context);

}  // namespace pellucid
