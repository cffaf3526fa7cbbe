// The thread pool: every index once, whatever the count, the grain and the threads.
#include "kernels/parallel.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <vector>

namespace zeroth {
namespace {

TEST_CASE("parallel_for: covers each index exactly once", "[threads]") {
  for (const int num_threads : {1, 2, 3, 7, 16}) {
    ThreadPool pool(num_threads);
    CHECK(pool.num_threads() == num_threads);
    for (const std::int64_t count : {0, 1, 2, 15, 17, 100, 1001}) {
      for (const std::int64_t grain : {1, 3, 16, 1000, 5000}) {
        std::vector<int> visits(static_cast<std::size_t>(count));
        pool.parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        const auto once = std::count(visits.begin(), visits.end(), 1);
        INFO(num_threads << " threads, count " << count << ", grain " << grain);
        CHECK(once == count);
      }
    }
  }
}

TEST_CASE("parallel_for: pieces are not empty and lie in the range", "[threads]") {
  for (const int num_threads : {1, 2, 5}) {
    ThreadPool pool(num_threads);
    std::atomic<int> wrong{0};
    pool.parallel_for(101, 7, [&](std::int64_t begin, std::int64_t end) {
      if (begin < 0 || begin >= end || end > 101 || (num_threads > 1 && end - begin > 7)) ++wrong;
    });
    CHECK(wrong == 0);
  }
}

TEST_CASE("parallel_for: many short jobs in a row", "[threads]") {
  for (const int num_threads : {2, 5}) {
    ThreadPool pool(num_threads);
    std::vector<std::int64_t> counters(9);
    for (int job = 0; job < 3000; ++job) {
      pool.parallel_for(9, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) ++counters[static_cast<std::size_t>(i)];
      });
    }
    CHECK(counters == std::vector<std::int64_t>(9, 3000));
  }
}

TEST_CASE("parallel_for: what the pieces wrote is visible to the caller and to the next job",
          "[threads]") {
  ThreadPool pool(4);
  std::vector<std::int64_t> values(64, 1);
  std::vector<std::int64_t> next(64);
  for (int job = 0; job < 200; ++job) {
    pool.parallel_for(64, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        next[static_cast<std::size_t>(i)] = values[static_cast<std::size_t>((i + 1) % 64)] + 1;
      }
    });
    values.swap(next);
  }
  CHECK(values == std::vector<std::int64_t>(64, 201));
}

TEST_CASE("parallel_for: workers that went to sleep wake for the next job", "[threads]") {
  ThreadPool pool(3);
  for (int job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<std::int64_t> sum{0};
    pool.parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) sum += i;
    });
    CHECK(sum == 4950);
  }
}

TEST_CASE(
    "ThreadPool: is made and destroyed without a job, and by default has a thread a processor",
    "[threads]") {
  for (int i = 0; i < 20; ++i) ThreadPool pool(6);
  const ThreadPool pool;
  CHECK(pool.num_threads() >= 1);
}

}  // namespace
}  // namespace zeroth
