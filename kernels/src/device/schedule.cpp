#define PELLUCID_SPACE device
#include <string.h>

#include <algorithm>
#include <array>
#include <memory>

#include "phases.h"

namespace pellucid {
namespace {

constexpr uint64_t IN_WORKSPACE = uint64_t{1} << 63;  // behind the head
constexpr uint64_t IN_TABLES = uint64_t{1} << 62;

uint64_t aligned(uint64_t bytes) { return (bytes + 255) & ~uint64_t{255}; }

struct Step {
    KernelKind kind;
    Job job;
    uint32_t shared_bytes;
};

int32_t blocks_for(int64_t threads) { return static_cast<int32_t>((threads + THREADS - 1) / THREADS); }
int64_t pieces(int64_t length, int64_t of) { return (length + of - 1) / of; }
int64_t area(Size size) { return int64_t{size.height} * size.width; }

// Builds what one batch needs; lives for one call of make_schedule.
class Builder {
  public:
    Schedule schedule;

    uint64_t region(uint64_t bytes) {
        const uint64_t at = region_;
        region_ += aligned(bytes);
        return IN_WORKSPACE | at;
    }

    uint64_t table(const void* data, size_t bytes) {
        std::vector<uint8_t>& tables = schedule.tables;
        const size_t at = (tables.size() + 15) & ~size_t{15};
        tables.resize(at + bytes);
        if (data) memcpy(tables.data() + at, data, bytes);
        return IN_TABLES | at;
    }

    void finish() {
        schedule.head_bytes = aligned(schedule.jobs.size() * sizeof(Job)) + aligned(schedule.tables.size());
        schedule.workspace_bytes = schedule.head_bytes + region_;
    }

    // Adds the kernels of one operation on one sample, in order.
    void add_steps(
        const PellucidOp& op, Size from, Size to, const Job& base, uint64_t scratch, std::vector<Step>& list) {
        const auto add = [&](KernelKind kind, const Job& job, int64_t threads, uint32_t shared = 0) {
            list.push_back({kind, job, shared});
            list.back().job.blocks = blocks_for(threads);
        };
        const auto add_blocks = [&](KernelKind kind, const Job& job, int64_t blocks, uint32_t shared) {
            add(kind, job, blocks * THREADS, shared);
        };
        const uint64_t picture_bytes = aligned(12 * static_cast<uint64_t>(area(from)));
        const auto piece = [&](int number) { return scratch + number * picture_bytes; };
        // The two passes of a separable filter.
        const auto across = [&](Job job, uint64_t taps, int32_t count, uint64_t source, uint64_t target, int32_t mode) {
            job.from = source;
            job.to = target;
            job.taps = taps;
            job.taps_width = count;
            job.mode = mode;
            using device::FilterRows;
            add_blocks(
                KernelKind::FILTER_ROWS, job,
                pieces(from.width, FilterRows::WIDE) * pieces(3 * int64_t{from.height}, FilterRows::HIGH),
                4 * FilterRows::shared_floats(count));
        };
        const auto down = [&](Job job, uint64_t taps, int32_t count, uint64_t source, uint64_t target, int32_t mode) {
            job.from = source;
            job.to = target;
            job.taps = taps;
            job.taps_height = count;
            job.mode = mode;
            using device::FilterColumns;
            add_blocks(
                KernelKind::FILTER_COLUMNS, job,
                3 * pieces(from.width, FilterColumns::WIDE) * pieces(from.height, FilterColumns::HIGH),
                4 * FilterColumns::shared_floats(count));
        };
        Job job = base;
        memcpy(job.i, op.i, sizeof job.i);
        memcpy(job.f, op.f, sizeof job.f);
        job.stage = op.stage;
        job.height = from.height;
        job.width = from.width;
        job.to_height = to.height;
        job.to_width = to.width;
        switch (op.opcode) {
            case PELLUCID_BLUR: {
                std::unique_ptr<BlurKernel> kernel(new BlurKernel);
                make_blur(op, *kernel);
                if (kernel->rank == 0) {
                    job.taps_height = kernel->height;
                    job.taps_width = kernel->width;
                    job.taps = table(kernel->taps, sizeof(float) * kernel->height * kernel->width);
                    using device::Blur;
                    add_blocks(
                        KernelKind::BLUR, job, 3 * pieces(from.width, Blur::WIDE) * pieces(from.height, Blur::HIGH),
                        4 * Blur::shared_floats(kernel->height, kernel->width));
                    break;
                }
                for (int32_t r = 0; r < kernel->rank; ++r) {
                    const uint64_t x = table(kernel->taps_x + r * kernel->width, sizeof(float) * kernel->width);
                    const uint64_t y = table(kernel->taps_y + r * kernel->height, sizeof(float) * kernel->height);
                    job.odd = kernel->odd[r];
                    across(job, x, kernel->width, base.from, piece(0), 0);
                    job.extra = piece(1 + ((r + 1) & 1));
                    down(job, y, kernel->height, piece(0), r + 1 == kernel->rank ? base.to : piece(1 + (r & 1)), r > 0);
                }
                break;
            }
            case PELLUCID_USM: {
                float taps[MAX_USM];
                make_usm(op.i[0], taps);
                const int32_t count = usm_taps(op.i[0]);
                const uint64_t at = table(taps, sizeof(float) * count);
                job.picture = base.from;
                job.extra = piece(1);
                across(job, at, count, base.from, piece(0), 0);
                down(job, at, count, piece(0), piece(1), 0);
                across(job, at, count, base.from, piece(0), 1);
                down(job, at, count, piece(0), base.to, 2);
                break;
            }
            case PELLUCID_RESIZE: {
                const bool antialias = op.i[3] != 0;
                const auto axis = [&](int32_t input, int32_t output, float factor, int32_t& taps, uint64_t& weights) {
                    taps = axis_taps(input, output, op.i[2], antialias, factor);
                    std::vector<float> values(static_cast<size_t>(output) * taps);
                    std::vector<int32_t> starts(output);
                    make_axis(input, output, op.i[2], antialias, factor, taps, starts.data(), values.data());
                    weights = table(values.data(), values.size() * sizeof(float));
                    return table(starts.data(), starts.size() * sizeof(int32_t));
                };
                Job rows = job, columns = job;
                rows.starts = axis(from.height, to.height, op.f[0], rows.taps_height, rows.taps);
                columns.starts = axis(from.width, to.width, op.f[1], columns.taps_width, columns.taps);
                Job* order[2] = {&rows, &columns};
                const bool rows_first = vertical_first(from, to);
                if (!rows_first) std::swap(order[0], order[1]);
                if (rows_first)
                    rows.to_width = from.width;
                else
                    columns.to_height = from.height;
                order[0]->to = order[1]->from = scratch;
                order[1]->height = order[0]->to_height;
                order[1]->width = order[0]->to_width;
                for (Job* one : order)
                    add(one == &rows ? KernelKind::RESIZE_ROWS : KernelKind::RESIZE_COLUMNS, *one,
                        3 * int64_t{one->to_height} * one->to_width);
                break;
            }
            case PELLUCID_GAUSSIAN_NOISE:
            case PELLUCID_POISSON_NOISE: {
                const bool poisson = op.opcode == PELLUCID_POISSON_NOISE;
                const int64_t rows = (op.i[0] == PELLUCID_GREY ? 1 : 3) * int64_t{from.height};
                if (poisson && op.i[1] == 0) {
                    job.seen = table(nullptr, 8 * sizeof(uint32_t));
                    add_blocks(
                        KernelKind::LEVELS, job,
                        blocks_for((rows * from.width + device::Levels::PER_THREAD - 1) / device::Levels::PER_THREAD),
                        8 * sizeof(uint32_t));
                }
                schedule.needs_poisson |= poisson;
                const bool correlated = !poisson && op.i[0] == PELLUCID_CORRELATED;
                add(poisson ? KernelKind::POISSON_NOISE : KernelKind::GAUSSIAN_NOISE, job,
                    correlated ? area(from) : (rows + 3) / 4 * from.width);
                break;
            }
            case PELLUCID_JPEG: {
                std::unique_ptr<JpegTables> tables(new JpegTables);
                make_jpeg(op.i[0], *tables);
                job.taps = table(tables.get(), sizeof(JpegTables));
                job.bytes = scratch;
                const device::Layout layout = device::layout_of(from.height, from.width, op.i[1]);
                add(KernelKind::JPEG_SPLIT, job, layout.total());
                add_blocks(
                    KernelKind::JPEG_CODE, job, (layout.total() / 64 + device::JpegCode::BLOCKS - 1) / device::JpegCode::BLOCKS,
                    device::JpegCode::BLOCKS * 72 * 4);
                add(KernelKind::JPEG_JOIN, job, area(from));
                break;
            }
            case PELLUCID_DROPOUT: add(KernelKind::DROPOUT, job, 3 * area(from)); break;
            case PELLUCID_FLIP: add(KernelKind::FLIP, job, 3 * area(to)); break;
            case PELLUCID_CLAMP_ROUND: add(KernelKind::CLAMP_ROUND, job, 3 * area(from)); break;
            case PELLUCID_CROP: add(KernelKind::CROP, job, 3 * area(to)); break;
            default: break;  // the plan has been checked
        }
    }

    // Steps of one kind, one of each sample that has one next, as one launch.
    void launch(KernelKind kind, const std::vector<const Step*>& steps) {
        constexpr size_t MOST_JOBS = 32768;  // of a launch: the second dimension of a grid ends at 65535
        for (size_t k = 0; k < steps.size(); ++k) {
            const uint32_t number = static_cast<uint32_t>(schedule.jobs.size());
            schedule.jobs.push_back(steps[k]->job);
            if (k % MOST_JOBS == 0) schedule.launches.push_back({kind, number, 0, 0, 0});
            Launch& last = schedule.launches.back();
            ++last.jobs;
            last.blocks = std::max(last.blocks, static_cast<uint32_t>(steps[k]->job.blocks));
            last.shared_bytes = std::max(last.shared_bytes, steps[k]->shared_bytes);
        }
    }

    // Runs every sample's steps in the sample's order, with few launches: of the kinds that come next somewhere, that one
    // whose samples have most left to do goes first.
    void launch_all(const std::vector<std::vector<Step>>& lists) {
        std::vector<size_t> done(lists.size(), 0);
        std::vector<const Step*> steps;
        for (;;) {
            std::array<uint64_t, KERNEL_KINDS> left{};
            for (size_t s = 0; s < lists.size(); ++s)
                if (done[s] < lists[s].size())
                    left[static_cast<size_t>(lists[s][done[s]].kind)] += lists[s].size() - done[s];
            const size_t most = std::max_element(left.begin(), left.end()) - left.begin();
            if (left[most] == 0) return;
            const KernelKind kind = static_cast<KernelKind>(most);
            steps.clear();
            for (size_t s = 0; s < lists.size(); ++s)
                if (done[s] < lists[s].size() && lists[s][done[s]].kind == kind) steps.push_back(&lists[s][done[s]++]);
            launch(kind, steps);
        }
    }

  private:
    uint64_t region_ = 0;
};

uint64_t scratch_bytes(const PellucidOp& op, Size from, Size to) {
    const uint64_t picture = aligned(12 * static_cast<uint64_t>(area(from)));
    switch (op.opcode) {
        case PELLUCID_BLUR: return 3 * picture;
        case PELLUCID_USM: return 2 * picture;
        case PELLUCID_RESIZE:
            return 12 * static_cast<uint64_t>(
                            std::min(int64_t{to.height} * from.width, int64_t{from.height} * to.width));
        case PELLUCID_JPEG:
            return static_cast<uint64_t>(device::layout_of(from.height, from.width, op.i[1]).total());
        default: return 0;
    }
}

}  // namespace

Schedule make_schedule(
    const PellucidOp* ops, uint32_t max_ops, uint64_t count, const uint32_t* counts, const PellucidPicture* inputs,
    const PellucidPicture* outputs, const uint64_t* seeds, const uint64_t* samples) {
    Builder builder;
    std::vector<std::vector<Step>> lists(count);
    for (uint64_t s = 0; s < count; ++s) {
        const PellucidOp* const row = ops + s * max_ops;
        const Size start{inputs[s].height, inputs[s].width};
        Size size = start;
        uint64_t room = 0, scratch = 0;
        for (uint32_t k = 0; k < counts[s]; ++k) {
            const Size before = size;
            check_operation(row[k], 0, k, size, nullptr);
            if (k + 1 < counts[s]) room = std::max(room, 12 * static_cast<uint64_t>(area(size)));
            scratch = std::max(scratch, scratch_bytes(row[k], before, size));
        }
        const uint64_t rooms[2] = {builder.region(room), builder.region(room)};
        const uint64_t scratch_at = builder.region(scratch);
        Job base{};
        base.seed = seeds[s];
        base.sample = samples[s];
        base.from = reinterpret_cast<uint64_t>(inputs[s].planes);
        const uint64_t end = reinterpret_cast<uint64_t>(outputs[s].planes);
        size = start;
        for (uint32_t k = 0; k < counts[s]; ++k) {
            const Size before = size;
            check_operation(row[k], 0, k, size, nullptr);
            base.to = k + 1 == counts[s] ? end : rooms[k & 1];
            builder.add_steps(row[k], before, size, base, scratch_at, lists[s]);
            base.from = base.to;
        }
        if (counts[s] == 0) {
            base.to = end;
            base.height = base.to_height = size.height;
            base.width = base.to_width = size.width;
            base.blocks = blocks_for(3 * area(size));
            lists[s].push_back({KernelKind::COPY, base, 0});
        }
    }
    builder.launch_all(lists);
    builder.finish();
    return std::move(builder.schedule);
}

std::vector<uint8_t> Schedule::place(uint64_t base) const {
    std::vector<uint8_t> head(head_bytes);
    const uint64_t tables_at = base + aligned(jobs.size() * sizeof(Job));
    const auto placed = [&](uint64_t address) {
        if (address & IN_WORKSPACE) return base + head_bytes + (address & ~IN_WORKSPACE);
        if (address & IN_TABLES) return tables_at + (address & ~IN_TABLES);
        return address;
    };
    for (size_t k = 0; k < jobs.size(); ++k) {
        Job job = jobs[k];
        for (uint64_t* address :
             {&job.from, &job.to, &job.picture, &job.extra, &job.bytes, &job.taps, &job.starts, &job.seen})
            *address = placed(*address);
        memcpy(head.data() + k * sizeof(Job), &job, sizeof job);
    }
    if (!tables.empty()) memcpy(head.data() + (tables_at - base), tables.data(), tables.size());
    return head;
}

}  // namespace pellucid
