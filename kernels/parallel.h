// A small thread pool for kernels. Work is cut into tasks that each write their own outputs and
// never split a sum, so neither the number of threads nor which of them takes a task can show in a
// result.
#pragma once

#include <cstdint>
#include <memory>

namespace zeroth {

/// A reference to a callable `void(std::int64_t begin, std::int64_t end)` that outlives the call.
class RangeFunction {
 public:
  template <class F>
  RangeFunction(const F& f)  // NOLINT(google-explicit-constructor): call sites pass lambdas
      : object_(&f), call_([](const void* object, std::int64_t begin, std::int64_t end) {
          (*static_cast<const F*>(object))(begin, end);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(object_, begin, end); }

 private:
  const void* object_;
  void (*call_)(const void*, std::int64_t, std::int64_t);
};

class ThreadPool {
 public:
  /// `num_threads` counts the calling thread; 0 takes every processor the process may run on.
  explicit ThreadPool(int num_threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return num_threads_; }

  /// Calls f(begin, end) over [0, count) on all threads, in pieces of at most `grain` (one thread:
  /// in one piece), and returns when all are done. One caller at a time; f must not throw and must
  /// not call parallel_for.
  void parallel_for(std::int64_t count, std::int64_t grain, RangeFunction f);

 private:
  struct Shared;
  int num_threads_ = 1;
  std::unique_ptr<Shared> shared_;
};

}  // namespace zeroth
