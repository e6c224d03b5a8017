// The C interface of libpellucid_cpu.
#include <atomic>
#include <new>
#include <vector>

#include "../device/emulate.h"
#include "pellucid/pellucid.h"
#include "pool.h"
#include "sample.h"

#define PELLUCID_SPACE host
#include "../arithmetic.h"

#if defined(PELLUCID_X86_64) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace pellucid {
namespace {

#if defined(PELLUCID_X86_64)
#if defined(_MSC_VER)
struct Processor {
    bool avx2 = false, avx512 = false;
    Processor() {
        int r[4];
        __cpuid(r, 0);
        const int leaves = r[0];
        __cpuidex(r, 1, 0);
        const bool saves = (r[2] >> 27) & 1, fused = (r[2] >> 12) & 1;
        if (!saves || leaves < 7) return;
        const unsigned long long saved = _xgetbv(0);
        __cpuidex(r, 7, 0);
        avx2 = (saved & 0x6) == 0x6 && fused && ((r[1] >> 5) & 1);
        avx512 = avx2 && (saved & 0xe6) == 0xe6 && ((r[1] >> 16) & 1) && ((r[1] >> 17) & 1) && ((r[1] >> 30) & 1) &&
                 ((r[1] >> 31) & 1);
    }
};
#else
struct Processor {
    bool avx2, avx512;
    Processor() {
        __builtin_cpu_init();
        avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
};
#endif
#endif

const Stages* stages_of(int variant) {
    if (variant == PELLUCID_SCALAR) return &scalar_stages;
#if defined(PELLUCID_X86_64)
    static const Processor processor;
    if (variant == PELLUCID_AVX2 && processor.avx2) return &avx2_stages;
    if (variant == PELLUCID_AVX512 && processor.avx512) return &avx512_stages;
#endif
    return nullptr;
}

int best_variant() {
    for (int variant = PELLUCID_AVX512; variant > PELLUCID_SCALAR; --variant)
        if (stages_of(variant)) return variant;
    return PELLUCID_SCALAR;
}

struct Batch {
    const Stages* stages;
    const PellucidOp* ops;
    uint32_t max_ops;
    const uint32_t* counts;
    const PellucidPicture *inputs, *outputs;
    const uint64_t *seeds, *samples;
    int* statuses;
    int64_t* operations;
};

void run_one(void* context, uint64_t s) {
    const Batch& batch = *static_cast<const Batch*>(context);
    batch.statuses[s] = degrade_sample(
        *batch.stages, batch.ops + s * batch.max_ops, batch.counts[s], batch.inputs[s], batch.outputs[s],
        batch.seeds[s], batch.samples[s], batch.operations[s]);
}

const char* reason(int status) {
    switch (status) {
        case PELLUCID_BAD_PIXELS: return "the picture holds NaN, infinity or values far outside 0..1";
        case PELLUCID_NO_MEMORY: return "there is not enough memory for this picture";
        default: return "the operation failed";
    }
}

int degrade_checked(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, int threads, int variant,
    int* used_variant, PellucidFailure* failure) {
    if (max_ops > MAX_OPERATIONS || count > (uint64_t{1} << 24))
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "at most %u operations and 2^24 samples a call", MAX_OPERATIONS);
    if (threads < 1 || threads > 1024)
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "%d threads: must be 1..1024", threads);
    if (count > 0 && ((max_ops > 0 && !ops) || !inputs || !outputs || !seeds || !samples))
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "a pointer is null");
    if (variant == PELLUCID_AUTOMATIC) variant = best_variant();
    if (!pellucid_has_variant(variant))
        return refuse(failure, PELLUCID_NO_VARIANT, -1, -1, "variant %d cannot run here", variant);
    std::vector<uint32_t> counts(count);
    for (uint64_t s = 0; s < count; ++s) {
        const int64_t number = static_cast<int64_t>(s);
        if (!inputs[s].planes || !outputs[s].planes)
            return refuse(failure, PELLUCID_BAD_ARGUMENT, number, -1, "a picture pointer is null");
        Size size{inputs[s].height, inputs[s].width};
        if (const int status = check_plan(ops + s * max_ops, max_ops, number, size, counts[s], failure)) return status;
        if (size.height != outputs[s].height || size.width != outputs[s].width)
            return refuse(
                failure, PELLUCID_BAD_SIZE, number, -1, "the plan makes %d x %d pixels, the output has %d x %d",
                size.height, size.width, outputs[s].height, outputs[s].width);
    }
    if (used_variant) *used_variant = variant;
    if (variant == PELLUCID_EMULATED_DEVICE)
        return emulate_device(ops, max_ops, count, counts.data(), inputs, outputs, seeds, samples, failure);
    std::vector<int> statuses(count);
    std::vector<int64_t> operations(count);
    Batch batch{stages_of(variant), ops,   max_ops, counts.data(),   inputs,
                outputs,            seeds, samples, statuses.data(), operations.data()};
    run_parallel(count, threads, run_one, &batch);
    for (uint64_t s = 0; s < count; ++s)
        if (statuses[s])
            return refuse(failure, statuses[s], static_cast<int64_t>(s), operations[s], "%s", reason(statuses[s]));
    return PELLUCID_OK;
}

}  // namespace
}  // namespace pellucid

using namespace pellucid;

extern "C" {

int pellucid_version(void) { return PELLUCID_ABI; }

const char* pellucid_status_name(int status) {
    switch (status) {
        case PELLUCID_OK: return "ok";
        case PELLUCID_BAD_ARGUMENT: return "bad argument";
        case PELLUCID_BAD_SIZE: return "bad size";
        case PELLUCID_BAD_OPERATION: return "bad operation";
        case PELLUCID_BAD_PIXELS: return "bad pixels";
        case PELLUCID_NEEDS_HOST: return "needs the host";
        case PELLUCID_NO_VARIANT: return "no such variant here";
        case PELLUCID_NO_MEMORY: return "out of memory";
        case PELLUCID_NO_DEVICE: return "no device";
        case PELLUCID_DEVICE_FAILED: return "device failed";
        default: return "internal error";
    }
}

int pellucid_has_variant(int variant) {
    return variant == PELLUCID_EMULATED_DEVICE || stages_of(variant) != nullptr;
}

int pellucid_plan_sizes(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, int32_t* sizes, PellucidFailure* failure) {
    if (count > 0 && ((max_ops > 0 && !ops) || !sizes))
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "a pointer is null");
    for (uint64_t s = 0; s < count; ++s) {
        Size size{sizes[2 * s], sizes[2 * s + 1]};
        uint32_t operations;
        const int status = check_plan(ops + s * max_ops, max_ops, static_cast<int64_t>(s), size, operations, failure);
        if (status) return status;
        sizes[2 * s] = size.height;
        sizes[2 * s + 1] = size.width;
    }
    return PELLUCID_OK;
}

int pellucid_degrade(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, int threads, int variant,
    int* used_variant, PellucidFailure* failure) {
    try {
        return degrade_checked(
            ops, max_ops, count, inputs, outputs, seeds, samples, threads, variant, used_variant, failure);
    } catch (const std::bad_alloc&) {
        return refuse(failure, PELLUCID_NO_MEMORY, -1, -1, "%s", reason(PELLUCID_NO_MEMORY));
    } catch (...) {
        return refuse(failure, PELLUCID_INTERNAL, -1, -1, "an unexpected failure");
    }
}

void pellucid_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t result[4]) {
    const host::Random4<int32_t> random = host::philox<int32_t>(
        static_cast<int32_t>(counter[0]), static_cast<int32_t>(counter[1]), static_cast<int32_t>(counter[2]),
        static_cast<int32_t>(counter[3]), key[0], key[1]);
    for (int k = 0; k < 4; ++k) result[k] = static_cast<uint32_t>(random.word[k]);
}

int pellucid_blur_taps(const PellucidOp* op, float* taps, PellucidFailure* failure) {
    if (!op || !taps || op->opcode != PELLUCID_BLUR)
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "not a blur record");
    Size size{1, 1};
    if (const int status = check_operation(*op, 0, 0, size, failure)) return status;
    double exact[MAX_BLUR * MAX_BLUR];
    if (!make_blur_taps(*op, exact))
        return refuse(failure, PELLUCID_BAD_OPERATION, 0, 0, "the taps do not have a positive sum");
    for (int k = 0; k < op->i[1] * op->i[1]; ++k) taps[k] = static_cast<float>(exact[k]);
    return PELLUCID_OK;
}

}  // extern "C"
