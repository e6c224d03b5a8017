// libpellucid_cuda: loops the phases of phases.h over blocks, and queues a schedule on a stream.
#include "pellucid/pellucid_cuda.h"

#include <cuda_runtime.h>
#include <string.h>

#include <memory>
#include <mutex>
#include <new>
#include <vector>

#define PELLUCID_SPACE device
#include "phases.h"

struct PellucidSchedule {
    pellucid::Schedule schedule;
};

namespace pellucid {
namespace {

// ---- kernels ---------------------------------------------------------------------------------------------------------

template <class Kernel>
__global__ void __launch_bounds__(THREADS) run_phases(const Job* jobs, const PoissonTable* poisson) {
    extern __shared__ float shared[];
    const Job& job = jobs[blockIdx.y];
    const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
    if (block >= job.blocks) return;  // this sample is smaller than the largest of the launch
    const device::Shelf shelf{poisson};
    Kernel::phase(0, job, shelf, shared, block, thread);
    if (Kernel::PHASES > 1) {
        __syncthreads();
        Kernel::phase(1, job, shelf, shared, block, thread);
    }
    if (Kernel::PHASES > 2) {
        __syncthreads();
        Kernel::phase(2, job, shelf, shared, block, thread);
    }
}

template <class Kernel>
void queue(const Launch& launch, const Job* jobs, const PoissonTable* poisson, cudaStream_t stream) {
    run_phases<Kernel><<<dim3(launch.blocks, launch.jobs), THREADS, launch.shared_bytes, stream>>>(
        jobs + launch.first_job, poisson);
}

void queue_launch(const Launch& launch, const Job* jobs, const PoissonTable* poisson, cudaStream_t stream) {
    using namespace device;
    switch (launch.kind) {
        case KernelKind::COPY: return queue<Copy>(launch, jobs, poisson, stream);
        case KernelKind::BLUR: return queue<Blur>(launch, jobs, poisson, stream);
        case KernelKind::FILTER_ROWS: return queue<FilterRows>(launch, jobs, poisson, stream);
        case KernelKind::FILTER_COLUMNS: return queue<FilterColumns>(launch, jobs, poisson, stream);
        case KernelKind::RESIZE_ROWS: return queue<ResizeRows>(launch, jobs, poisson, stream);
        case KernelKind::RESIZE_COLUMNS: return queue<ResizeColumns>(launch, jobs, poisson, stream);
        case KernelKind::GAUSSIAN_NOISE: return queue<GaussianNoise>(launch, jobs, poisson, stream);
        case KernelKind::LEVELS: return queue<Levels>(launch, jobs, poisson, stream);
        case KernelKind::POISSON_NOISE: return queue<PoissonNoise>(launch, jobs, poisson, stream);
        case KernelKind::JPEG_SPLIT: return queue<JpegSplit>(launch, jobs, poisson, stream);
        case KernelKind::JPEG_CODE: return queue<JpegCode>(launch, jobs, poisson, stream);
        case KernelKind::JPEG_JOIN: return queue<JpegJoin>(launch, jobs, poisson, stream);
        case KernelKind::DROPOUT: return queue<Dropout>(launch, jobs, poisson, stream);
        case KernelKind::FLIP: return queue<Flip>(launch, jobs, poisson, stream);
        case KernelKind::CLAMP_ROUND: return queue<ClampRound>(launch, jobs, poisson, stream);
        case KernelKind::CROP: return queue<Crop>(launch, jobs, poisson, stream);
    }
}

// ---- what stays between calls ----------------------------------------------------------------------------------------

// Page-locked memory that one batch's head is copied from; free again once its event has passed.
struct Stage {
    void* memory;
    size_t bytes;
    cudaEvent_t copied;
    int device;
    bool taken;
};

struct Kept {
    std::mutex mutex;
    std::vector<Stage> stages;
    std::vector<PoissonTable*> poisson;  // a device each
};

Kept& kept() {
    static Kept* const one = new Kept;  // lives as long as the process: the driver may be gone before destructors run
    return *one;
}

cudaError_t poisson_on(int device, const PoissonTable*& tables) {
    std::lock_guard<std::mutex> lock(kept().mutex);
    std::vector<PoissonTable*>& all = kept().poisson;
    if (all.size() <= static_cast<size_t>(device)) all.resize(device + 1, nullptr);
    if (!all[device]) {
        PoissonTable* made = nullptr;
        if (const cudaError_t error = cudaMalloc(&made, 9 * sizeof(PoissonTable))) return error;
        cudaError_t error = cudaSuccess;
        for (int exponent = 0; exponent < 9 && !error; ++exponent)
            error = cudaMemcpy(made + exponent, &poisson_table(exponent), sizeof(PoissonTable), cudaMemcpyHostToDevice);
        // From pageable memory the copy may return before it has arrived, and other streams do not wait for this one's.
        if (!error) error = cudaStreamSynchronize(cudaStreamLegacy);
        if (error) {
            cudaFree(made);
            return error;
        }
        all[device] = made;
    }
    tables = all[device];
    return cudaSuccess;
}

cudaError_t take_stage(int device, size_t bytes, size_t& number) {
    std::lock_guard<std::mutex> lock(kept().mutex);
    std::vector<Stage>& stages = kept().stages;
    for (number = 0; number < stages.size(); ++number) {
        Stage& stage = stages[number];
        if (stage.taken || stage.device != device || stage.bytes < bytes) continue;
        if (cudaEventQuery(stage.copied) == cudaSuccess) {
            stage.taken = true;
            return cudaSuccess;
        }
    }
    Stage made{nullptr, (bytes + 65535) & ~size_t{65535}, nullptr, device, true};
    if (const cudaError_t error = cudaEventCreateWithFlags(&made.copied, cudaEventDisableTiming)) return error;
    if (const cudaError_t error = cudaMallocHost(&made.memory, made.bytes)) {
        cudaEventDestroy(made.copied);
        return error;
    }
    stages.push_back(made);
    return cudaSuccess;
}

cudaError_t copy_head(const std::vector<uint8_t>& head, void* workspace, int device, cudaStream_t stream) {
    size_t number;
    if (const cudaError_t error = take_stage(device, head.size(), number)) return error;
    Stage stage;
    {
        std::lock_guard<std::mutex> lock(kept().mutex);
        stage = kept().stages[number];
    }
    memcpy(stage.memory, head.data(), head.size());
    cudaError_t error = cudaMemcpyAsync(workspace, stage.memory, head.size(), cudaMemcpyHostToDevice, stream);
    if (!error) error = cudaEventRecord(stage.copied, stream);
    std::lock_guard<std::mutex> lock(kept().mutex);
    kept().stages[number].taken = false;
    return error;
}

// Makes a device current for one call and gives the caller's back. To set a device is to take half a gigabyte of it for a
// context, so the caller's is set again only where another was.
class CurrentDevice {
  public:
    explicit CurrentDevice(int device) {
        error = cudaGetDevice(&before_);
        changed_ = !error && before_ != device;
        if (changed_) error = cudaSetDevice(device);
    }
    ~CurrentDevice() {
        if (changed_) cudaSetDevice(before_);
    }
    CurrentDevice(const CurrentDevice&) = delete;
    CurrentDevice& operator=(const CurrentDevice&) = delete;
    cudaError_t error;

  private:
    int before_ = 0;
    bool changed_ = false;
};

bool is_absence(cudaError_t error) {
    return error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver || error == cudaErrorStubLibrary ||
           error == cudaErrorSystemDriverMismatch || error == cudaErrorCompatNotSupportedOnDevice;
}

int refuse_cuda(PellucidFailure* failure, cudaError_t error, const char* doing) {
    if (error == cudaErrorMemoryAllocation)
        return refuse(failure, PELLUCID_NO_MEMORY, -1, -1, "%s: %s", doing, cudaGetErrorString(error));
    return refuse(
        failure, is_absence(error) ? PELLUCID_NO_DEVICE : PELLUCID_DEVICE_FAILED, -1, -1, "%s: %s", doing,
        cudaGetErrorString(error));
}

int prepare_checked(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, PellucidSchedule** schedule,
    uint64_t* workspace_bytes, PellucidFailure* failure) {
    if (max_ops > MAX_OPERATIONS || count > (uint64_t{1} << 24))
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "at most %u operations and 2^24 samples a call", MAX_OPERATIONS);
    if (!schedule || !workspace_bytes ||
        (count > 0 && ((max_ops > 0 && !ops) || !inputs || !outputs || !seeds || !samples)))
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "a pointer is null");
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
    std::unique_ptr<PellucidSchedule> made(new PellucidSchedule);
    made->schedule = make_schedule(ops, max_ops, count, counts.data(), inputs, outputs, seeds, samples);
    *workspace_bytes = made->schedule.workspace_bytes;
    *schedule = made.release();
    return PELLUCID_OK;
}

int run_checked(const Schedule& schedule, void* workspace, int device, void* stream_pointer, PellucidFailure* failure) {
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_pointer);
    const CurrentDevice current(device);
    if (current.error) return refuse_cuda(failure, current.error, "choosing the device");
    if (schedule.launches.empty()) return PELLUCID_OK;
    const PoissonTable* poisson = nullptr;
    if (schedule.needs_poisson)
        if (const cudaError_t error = poisson_on(device, poisson)) return refuse_cuda(failure, error, "loading tables");
    const std::vector<uint8_t> head = schedule.place(reinterpret_cast<uint64_t>(workspace));
    if (const cudaError_t error = copy_head(head, workspace, device, stream))
        return refuse_cuda(failure, error, "copying the plan");
    for (const Launch& launch : schedule.launches) {
        queue_launch(launch, static_cast<const Job*>(workspace), poisson, stream);
        if (const cudaError_t error = cudaGetLastError()) return refuse_cuda(failure, error, "starting a kernel");
    }
    return PELLUCID_OK;
}

}  // namespace
}  // namespace pellucid

using namespace pellucid;

extern "C" {

int pellucid_cuda_version(void) { return PELLUCID_ABI; }

int pellucid_cuda_devices(int* count, PellucidFailure* failure) {
    if (!count) return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "a pointer is null");
    *count = 0;
    const cudaError_t error = cudaGetDeviceCount(count);
    if (error) {
        cudaGetLastError();
        *count = 0;
        return refuse(failure, PELLUCID_NO_DEVICE, -1, -1, "looking for devices: %s", cudaGetErrorString(error));
    }
    if (*count == 0) return refuse(failure, PELLUCID_NO_DEVICE, -1, -1, "looking for devices: there is none");
    return PELLUCID_OK;
}

int pellucid_cuda_prepare(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, PellucidSchedule** schedule,
    uint64_t* workspace_bytes, PellucidFailure* failure) {
    try {
        return prepare_checked(
            ops, max_ops, count, inputs, outputs, seeds, samples, schedule, workspace_bytes, failure);
    } catch (const std::bad_alloc&) {
        return refuse(failure, PELLUCID_NO_MEMORY, -1, -1, "there is not enough memory for this plan");
    } catch (...) {
        return refuse(failure, PELLUCID_INTERNAL, -1, -1, "an unexpected failure");
    }
}

int pellucid_cuda_run(
    const PellucidSchedule* schedule, void* workspace, int device, void* stream, PellucidFailure* failure) {
    if (!schedule || (!workspace && schedule->schedule.workspace_bytes))
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "a pointer is null");
    if (reinterpret_cast<uint64_t>(workspace) % 256)
        return refuse(failure, PELLUCID_BAD_ARGUMENT, -1, -1, "the workspace is not aligned to 256 bytes");
    try {
        return run_checked(schedule->schedule, workspace, device, stream, failure);
    } catch (const std::bad_alloc&) {
        return refuse(failure, PELLUCID_NO_MEMORY, -1, -1, "there is not enough memory for this plan");
    } catch (...) {
        return refuse(failure, PELLUCID_INTERNAL, -1, -1, "an unexpected failure");
    }
}

void pellucid_cuda_release(PellucidSchedule* schedule) { delete schedule; }

}  // extern "C"
