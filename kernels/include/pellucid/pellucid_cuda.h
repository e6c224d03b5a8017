// The plain C interface of libpellucid_cuda. It loads and answers on machines without a driver.
#pragma once

#include "pellucid/pellucid.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PellucidSchedule PellucidSchedule;

PELLUCID_API int pellucid_cuda_version(void);

// PELLUCID_OK and the number of devices, or PELLUCID_NO_DEVICE with the driver's reason.
PELLUCID_API int pellucid_cuda_devices(int* count, PellucidFailure* failure);

// Checks a batch whose pictures lie on a device and plans its launches; works without a device. Pixel values are not
// looked at. The schedule is freed by pellucid_cuda_release.
PELLUCID_API int pellucid_cuda_prepare(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples, PellucidSchedule** schedule,
    uint64_t* workspace_bytes, PellucidFailure* failure);

// Queues the batch on a stream (a cudaStream_t; null is the default stream) and returns without waiting. `workspace` is
// device memory aligned to 256 bytes that stays the caller's; it may be reused by what is queued on the stream afterwards.
PELLUCID_API int pellucid_cuda_run(
    const PellucidSchedule* schedule, void* workspace, int device, void* stream, PellucidFailure* failure);

PELLUCID_API void pellucid_cuda_release(PellucidSchedule* schedule);

#ifdef __cplusplus
}
#endif
