#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace pellucid {
namespace {

class Pool {
  public:
    void run(uint64_t count, int threads, void (*run_one)(void*, uint64_t), void* context) {
        std::lock_guard<std::mutex> turn(turn_);
        const size_t wanted = static_cast<size_t>(threads - 1);
        {
            std::unique_lock<std::mutex> lock(mutex_);
            try {
                while (workers_.size() < wanted) {
                    const size_t number = workers_.size();
                    workers_.emplace_back([this, number, seen = generation_] { work(number, seen); });
                }
            } catch (const std::system_error&) {
                // The system gives no more threads: the work is done by those there are.
            }
            run_ = run_one;
            context_ = context;
            count_ = count;
            next_.store(0, std::memory_order_relaxed);
            helpers_ = wanted < workers_.size() ? wanted : workers_.size();
            busy_ = helpers_;
            ++generation_;
        }
        wake_.notify_all();
        take(run_one, context, count);
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [this] { return busy_ == 0; });
    }

  private:
    void take(void (*run_one)(void*, uint64_t), void* context, uint64_t count) {
        for (uint64_t index; (index = next_.fetch_add(1, std::memory_order_relaxed)) < count;) run_one(context, index);
    }

    void work(size_t number, uint64_t seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return generation_ != seen; });
            seen = generation_;
            if (number >= helpers_) continue;
            const auto run_one = run_;
            void* const context = context_;
            const uint64_t count = count_;
            lock.unlock();
            take(run_one, context, count);
            lock.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::mutex turn_, mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> workers_;
    std::atomic<uint64_t> next_{0};
    void (*run_)(void*, uint64_t) = nullptr;
    void* context_ = nullptr;
    uint64_t count_ = 0, generation_ = 0;
    size_t helpers_ = 0, busy_ = 0;
};

// Never destroyed: its threads wait until the process ends, and a forked child must not touch its parent's.
std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
#if !defined(_WIN32)
    static const int registered =
        pthread_atfork(nullptr, nullptr, [] { current_pool.store(nullptr, std::memory_order_relaxed); });
    (void)registered;
#endif
    if (Pool* existing = current_pool.load(std::memory_order_acquire)) return *existing;
    std::unique_ptr<Pool> made(new Pool);
    Pool* expected = nullptr;
    if (current_pool.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) return *made.release();
    return *expected;
}

}  // namespace

void run_parallel(uint64_t count, int threads, void (*run)(void*, uint64_t), void* context) {
    if (threads <= 1 || count <= 1) {
        for (uint64_t index = 0; index < count; ++index) run(context, index);
        return;
    }
    const uint64_t useful = static_cast<uint64_t>(threads) < count ? static_cast<uint64_t>(threads) : count;
    pool().run(count, static_cast<int>(useful), run, context);
}

}  // namespace pellucid
