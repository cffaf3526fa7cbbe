#include "kernels/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace zeroth {
namespace {

// Kernels follow each other within microseconds, so a short spin saves a sleep and a wake-up; an
// unbounded one starves a busy neighbour (a rollout was measured 25 times slower beside one).
constexpr int kSpinRounds = 2000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

struct ThreadPool::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable finished;
  std::atomic<std::uint64_t> epoch{0};  // counts jobs; a worker runs each once
  std::atomic<bool> stop{false};
  std::atomic<int> active{0};  // workers that have not finished the current job
  std::atomic<std::int64_t> next{0};
  std::int64_t count = 0;
  std::int64_t grain = 1;
  const RangeFunction* function = nullptr;
  std::vector<std::thread> threads;

  void run_pieces() {
    for (;;) {
      const std::int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) return;
      (*function)(begin, std::min(count, begin + grain));
    }
  }

  void work() {
    std::uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpinRounds && epoch.load(std::memory_order_acquire) == seen; ++i)
        relax();
      if (epoch.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return epoch.load(std::memory_order_acquire) != seen; });
      }
      seen = epoch.load(std::memory_order_acquire);
      if (stop.load()) return;
      run_pieces();
      if (active.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        const std::lock_guard lock(mutex);
        finished.notify_one();
      }
    }
  }

  void announce() {
    const std::lock_guard lock(mutex);
    epoch.fetch_add(1, std::memory_order_acq_rel);
    wake.notify_all();
  }
};

ThreadPool::ThreadPool(int num_threads)
    : num_threads_(num_threads > 0 ? num_threads : available_processors()),
      shared_(std::make_unique<Shared>()) {
  for (int i = 1; i < num_threads_; ++i) {
    shared_->threads.emplace_back([shared = shared_.get()] { shared->work(); });
  }
}

ThreadPool::~ThreadPool() {
  shared_->stop.store(true);
  shared_->announce();
  for (std::thread& thread : shared_->threads) thread.join();
}

void ThreadPool::parallel_for(std::int64_t count, std::int64_t grain, RangeFunction f) {
  if (count <= 0) return;
  if (num_threads_ == 1 || count <= grain) {
    f(0, count);
    return;
  }
  Shared& s = *shared_;
  s.count = count;
  s.grain = grain;
  s.function = &f;
  s.next.store(0, std::memory_order_relaxed);
  s.active.store(num_threads_ - 1, std::memory_order_relaxed);
  s.announce();
  s.run_pieces();
  for (int i = 0; i < kSpinRounds && s.active.load(std::memory_order_acquire) != 0; ++i) relax();
  if (s.active.load(std::memory_order_acquire) != 0) {
    std::unique_lock lock(s.mutex);
    s.finished.wait(lock, [&] { return s.active.load(std::memory_order_acquire) == 0; });
  }
}

}  // namespace zeroth
