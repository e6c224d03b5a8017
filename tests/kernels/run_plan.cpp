// Runs a batch from a file through the C interface on whatever processor this is built for, and prints which instruction
// set ran. File: count and longest plan (uint64 each), sizes (int32 height, width), sizes of the results, seeds, sample
// numbers (uint64), records, pixels. The results are written as they come out.
//   run_plan BATCH RESULT VARIANT
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "pellucid/pellucid.h"

static void read_all(void* to, size_t bytes, FILE* file) {
    if (bytes && fread(to, 1, bytes, file) != bytes) exit(3);
}

int main(int count_of_arguments, char** arguments) {
    if (count_of_arguments != 4) return 2;
    FILE* file = fopen(arguments[1], "rb");
    if (!file) return 3;
    uint64_t count, longest;
    read_all(&count, 8, file);
    read_all(&longest, 8, file);
    std::vector<int32_t> before(2 * count), after(2 * count);
    std::vector<uint64_t> seeds(count), samples(count);
    std::vector<PellucidOp> ops(count * longest);
    read_all(before.data(), 8 * count, file);
    read_all(after.data(), 8 * count, file);
    read_all(seeds.data(), 8 * count, file);
    read_all(samples.data(), 8 * count, file);
    read_all(ops.data(), sizeof(PellucidOp) * ops.size(), file);
    std::vector<std::vector<float>> pixels(count), results(count);
    std::vector<PellucidPicture> inputs(count), outputs(count);
    for (uint64_t s = 0; s < count; ++s) {
        pixels[s].resize(size_t{3} * before[2 * s] * before[2 * s + 1]);
        results[s].resize(size_t{3} * after[2 * s] * after[2 * s + 1]);
        read_all(pixels[s].data(), 4 * pixels[s].size(), file);
        inputs[s] = {pixels[s].data(), before[2 * s], before[2 * s + 1]};
        outputs[s] = {results[s].data(), after[2 * s], after[2 * s + 1]};
    }
    fclose(file);
    int used = -1;
    PellucidFailure failure{};
    const int status = pellucid_degrade(
        ops.data(), static_cast<uint32_t>(longest), count, inputs.data(), outputs.data(), seeds.data(), samples.data(), 2,
        atoi(arguments[3]), &used, &failure);
    if (status) {
        fprintf(stderr, "%s: %s\n", pellucid_status_name(status), failure.message);
        return 1;
    }
    FILE* out = fopen(arguments[2], "wb");
    if (!out) return 3;
    for (const std::vector<float>& result : results)
        if (fwrite(result.data(), 4, result.size(), out) != result.size()) return 3;
    printf("%d\n", used);
    return fclose(out) ? 3 : 0;
}
