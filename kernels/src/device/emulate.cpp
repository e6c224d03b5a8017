#include "emulate.h"

#include <string.h>

#include <memory>
#include <new>

#define PELLUCID_SPACE device
#include "phases.h"

namespace pellucid {
namespace {

template <class Kernel>
void run_kernel(const Launch& launch, const Job* jobs, const device::Shelf& shelf, float* shared) {
    for (uint32_t j = 0; j < launch.jobs; ++j) {
        const Job& job = jobs[launch.first_job + j];
        for (int block = 0; block < job.blocks; ++block) {
            // Shared memory holds anything when a block starts: a body that relies on zeros shows here.
            memset(shared, 0xff, launch.shared_bytes);
            for (int phase = 0; phase < Kernel::PHASES; ++phase)
                for (int thread = 0; thread < THREADS; ++thread)
                    Kernel::phase(phase, job, shelf, shared, block, thread);
        }
    }
}

void run_launch(const Launch& launch, const Job* jobs, const device::Shelf& shelf, float* shared) {
    using namespace device;
    switch (launch.kind) {
        case KernelKind::COPY: return run_kernel<Copy>(launch, jobs, shelf, shared);
        case KernelKind::BLUR: return run_kernel<Blur>(launch, jobs, shelf, shared);
        case KernelKind::FILTER_ROWS: return run_kernel<FilterRows>(launch, jobs, shelf, shared);
        case KernelKind::FILTER_COLUMNS: return run_kernel<FilterColumns>(launch, jobs, shelf, shared);
        case KernelKind::RESIZE_ROWS: return run_kernel<ResizeRows>(launch, jobs, shelf, shared);
        case KernelKind::RESIZE_COLUMNS: return run_kernel<ResizeColumns>(launch, jobs, shelf, shared);
        case KernelKind::GAUSSIAN_NOISE: return run_kernel<GaussianNoise>(launch, jobs, shelf, shared);
        case KernelKind::LEVELS: return run_kernel<Levels>(launch, jobs, shelf, shared);
        case KernelKind::POISSON_NOISE: return run_kernel<PoissonNoise>(launch, jobs, shelf, shared);
        case KernelKind::JPEG_SPLIT: return run_kernel<JpegSplit>(launch, jobs, shelf, shared);
        case KernelKind::JPEG_CODE: return run_kernel<JpegCode>(launch, jobs, shelf, shared);
        case KernelKind::JPEG_JOIN: return run_kernel<JpegJoin>(launch, jobs, shelf, shared);
        case KernelKind::DROPOUT: return run_kernel<Dropout>(launch, jobs, shelf, shared);
        case KernelKind::FLIP: return run_kernel<Flip>(launch, jobs, shelf, shared);
        case KernelKind::CLAMP_ROUND: return run_kernel<ClampRound>(launch, jobs, shelf, shared);
        case KernelKind::CROP: return run_kernel<Crop>(launch, jobs, shelf, shared);
    }
}

}  // namespace

int emulate_device(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const uint32_t* counts, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, PellucidFailure*) {
    const Schedule schedule = make_schedule(ops, max_ops, count, counts, inputs, outputs, seeds, samples);
    std::unique_ptr<uint64_t[]> workspace(new uint64_t[schedule.workspace_bytes / 8 + 1]);
    const std::vector<uint8_t> head = schedule.place(reinterpret_cast<uint64_t>(workspace.get()));
    if (!head.empty()) memcpy(workspace.get(), head.data(), head.size());
    std::unique_ptr<PoissonTable[]> tables;
    if (schedule.needs_poisson) {
        tables.reset(new PoissonTable[9]);
        for (int exponent = 0; exponent < 9; ++exponent) tables[exponent] = poisson_table(exponent);
    }
    uint32_t shared_bytes = 0;
    for (const Launch& launch : schedule.launches)
        if (launch.shared_bytes > shared_bytes) shared_bytes = launch.shared_bytes;
    std::unique_ptr<float[]> shared(new float[shared_bytes / 4 + 1]);
    const Job* jobs = reinterpret_cast<const Job*>(workspace.get());
    for (const Launch& launch : schedule.launches) run_launch(launch, jobs, {tables.get()}, shared.get());
    return PELLUCID_OK;
}

}  // namespace pellucid
