#include "sample.h"

#include <string.h>

#include <memory>
#include <new>
#include <vector>

namespace pellucid {
namespace {

#if defined(PELLUCID_SANITIZE)
constexpr bool ALWAYS_FRESH = true;  // exactly as large as asked for, so that the sanitizer sees every step beyond
#else
constexpr bool ALWAYS_FRESH = false;
#endif

// Floats that start on a cache line, zero when first made.
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { release(); }

    float* at_least(size_t floats) {
        if (floats > size_ || ALWAYS_FRESH) {
            release();
            data_ = static_cast<float*>(::operator new(floats * sizeof(float), std::align_val_t{64}));
            size_ = floats;
            memset(data_, 0, floats * sizeof(float));
        }
        return data_;
    }
    size_t size() const { return size_; }
    void release() {
        ::operator delete(data_, std::align_val_t{64});
        data_ = nullptr;
        size_ = 0;
    }

  private:
    float* data_ = nullptr;
    size_t size_ = 0;
};

// What a thread keeps between samples.
struct Arena {
    Buffer here, there, scratch, weights;
    std::vector<int32_t> starts;
    std::unique_ptr<BlurKernel> kernel;
    std::unique_ptr<JpegTables> tables;

    // A thread that once met a huge picture does not hold its memory for ever.
    void shrink() {
        constexpr size_t KEEP = size_t{16} << 20;
        for (Buffer* buffer : {&here, &there, &scratch, &weights})
            if (buffer->size() > KEEP) buffer->release();
    }
};

void drop_region(const Planes& on, const PellucidOp& op) {
    for (int p = 0; p < 3; ++p)
        for (int32_t y = op.i[0]; y < op.i[0] + op.i[2]; ++y)
            for (int32_t x = op.i[1]; x < op.i[1] + op.i[3]; ++x)
                on.plane(p)[static_cast<size_t>(y) * on.stride + x] = op.f[0];
}

void flip(const Planes& from, const Planes& to, const PellucidOp& op) {
    for (int p = 0; p < 3; ++p) {
        const float* in = from.plane(p);
        float* out = to.plane(p);
        for (int32_t y = 0; y < from.height; ++y) {
            const float* row = in + static_cast<size_t>(op.i[1] ? from.height - 1 - y : y) * from.stride;
            float* first = op.i[2] ? out + y : out + static_cast<size_t>(y) * to.stride;
            const size_t step = op.i[2] ? to.stride : 1;
            if (op.i[0])
                for (int32_t x = 0; x < from.width; ++x) first[x * step] = row[from.width - 1 - x];
            else
                for (int32_t x = 0; x < from.width; ++x) first[x * step] = row[x];
        }
    }
}

void crop(const Planes& from, const Planes& to, const PellucidOp& op) {
    for (int p = 0; p < 3; ++p)
        for (int32_t y = 0; y < to.height; ++y)
            memcpy(
                to.plane(p) + static_cast<size_t>(y) * to.stride,
                from.plane(p) + static_cast<size_t>(y + op.i[0]) * from.stride + op.i[1], to.width * sizeof(float));
}

Planes planes_in(Buffer& buffer, Size size) {
    return {buffer.at_least(planes_floats(size.height, size.width)), size.height, size.width, padded(size.width)};
}

int run_operations(
    Arena& arena, const Stages& stages, const PellucidOp* ops, uint32_t count, const PellucidPicture& input,
    const PellucidPicture& output, uint64_t seed, uint64_t sample, int64_t& operation) {
    operation = -1;
    Size size{input.height, input.width};
    Buffer* here = &arena.here;
    Buffer* there = &arena.there;
    Planes picture = planes_in(*here, size);
    if (!stages.read(input.planes, picture)) return PELLUCID_BAD_PIXELS;
    for (uint32_t index = 0; index < count; ++index) {
        operation = index;
        const PellucidOp& op = ops[index];
        const Size before = size;
        if (const int status = check_operation(op, 0, index, size, nullptr)) return status;
        const Source source{seed, sample, op.stage};
        const auto scratch = [&] { return arena.scratch.at_least(scratch_floats(before.height, before.width)); };
        bool moved = false;
        const auto target = [&] {
            moved = true;
            return planes_in(*there, size);
        };
        Planes next = picture;
        switch (op.opcode) {
            case PELLUCID_BLUR:
                if (!make_blur(op, *arena.kernel)) return PELLUCID_BAD_OPERATION;
                stages.blur(picture, next = target(), *arena.kernel, scratch());
                break;
            case PELLUCID_RESIZE: {
                const bool antialias = op.i[3] != 0;
                const int32_t taps_y = axis_taps(before.height, size.height, op.i[2], antialias, op.f[0]);
                const int32_t taps_x = axis_taps(before.width, size.width, op.i[2], antialias, op.f[1]);
                const size_t weights_y = static_cast<size_t>(size.height) * taps_y;
                float* weights = arena.weights.at_least(weights_y + static_cast<size_t>(size.width) * taps_x);
                arena.starts.resize(static_cast<size_t>(size.height) + size.width);
                int32_t* starts = arena.starts.data();
                make_axis(before.height, size.height, op.i[2], antialias, op.f[0], taps_y, starts, weights);
                make_axis(
                    before.width, size.width, op.i[2], antialias, op.f[1], taps_x, starts + size.height,
                    weights + weights_y);
                const ResizeAxis vertical{before.height, size.height, taps_y, starts, weights};
                const ResizeAxis horizontal{before.width, size.width, taps_x, starts + size.height, weights + weights_y};
                float* memory = arena.scratch.at_least(resize_scratch_floats(before, size));
                stages.resize(picture, next = target(), vertical, horizontal, memory);
                break;
            }
            case PELLUCID_GAUSSIAN_NOISE:
                stages.gaussian_noise(picture, op.i[0], op.f, source, scratch());
                break;
            case PELLUCID_POISSON_NOISE: {
                const bool grey = op.i[0] == PELLUCID_GREY;
                const int levels = op.i[1] ? op.i[1] : stages.distinct_levels(picture, grey);
                stages.poisson_noise(picture, grey, poisson_table(exponent_of(levels)), op.f[0], source, scratch());
                break;
            }
            case PELLUCID_JPEG:
                make_jpeg(op.i[0], *arena.tables);
                stages.jpeg(picture, *arena.tables, op.i[1], reinterpret_cast<uint8_t*>(scratch()));
                break;
            case PELLUCID_USM: {
                float taps[MAX_USM];
                make_usm(op.i[0], taps);
                stages.usm(picture, next = target(), taps, usm_taps(op.i[0]), op.f[0], op.f[1], scratch());
                break;
            }
            case PELLUCID_DROPOUT: drop_region(picture, op); break;
            case PELLUCID_FLIP: flip(picture, next = target(), op); break;
            case PELLUCID_CLAMP_ROUND: stages.clamp_round(picture); break;
            case PELLUCID_CROP: crop(picture, next = target(), op); break;
            default: return PELLUCID_BAD_OPERATION;
        }
        if (moved) {
            Buffer* const swapped = here;
            here = there;
            there = swapped;
            picture = next;
        }
    }
    stages.write(picture, output.planes);
    return PELLUCID_OK;
}

}  // namespace

int degrade_sample(
    const Stages& stages, const PellucidOp* ops, uint32_t count, const PellucidPicture& input,
    const PellucidPicture& output, uint64_t seed, uint64_t sample, int64_t& operation) {
    thread_local Arena arena;
    try {
        if (!arena.kernel) arena.kernel.reset(new BlurKernel);
        if (!arena.tables) arena.tables.reset(new JpegTables);
        const int status = run_operations(arena, stages, ops, count, input, output, seed, sample, operation);
        arena.shrink();
        return status;
    } catch (const std::bad_alloc&) {
        arena.shrink();
        return PELLUCID_NO_MEMORY;
    }
}

}  // namespace pellucid
