// What a worker counts, and GET /metrics of it. Internal to the worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace zeroth {

struct WorkerCounters {
  std::int64_t completions = 0, tokens = 0, groups = 0, rollouts = 0, given_up = 0, refused = 0;
  std::int64_t weights = 0, weights_bytes = 0;
  std::int64_t preemptions = 0, recomputed_tokens = 0;
  double generate_seconds = 0.0, load_seconds = 0.0;
};

/// In Prometheus' text format; `policy_version` is -1 without weights.
std::string worker_metrics(const WorkerCounters& counters, std::size_t queued,
                           std::int64_t policy_version);

}  // namespace zeroth
