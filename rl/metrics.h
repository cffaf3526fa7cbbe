// metrics.jsonl: one JSON object a step, in the order of steps, each step once however often the
// run was interrupted. Names are the caller's (TRL's).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "system/file.h"

namespace zeroth {

struct Metric {
  std::string name;
  double value = 0.0;
};

class MetricsLog {
 public:
  /// What opening the file cut off.
  struct Cut {
    std::int64_t lines_after_step = 0;  // whole lines of steps that will be executed again
    bool torn_line = false;             // a last line without its end, or that is no JSON
  };

  /// Opens or creates `file` to go on after `last_step`, the step of the checkpoint that is
  /// resumed: the file is cut at the first line of a later step. -1 begins a run with an empty
  /// file. InputError naming file and line when a line other than the last is no JSON object with
  /// an integer `step`.
  MetricsLog(const std::filesystem::path& file, std::int64_t last_step);

  /// Appends {"step": step, name: value, …} in the order given. A value that is not finite, which
  /// JSON cannot hold, is written as null and counted. std::invalid_argument for a name that is
  /// empty, "step" or given twice; std::system_error when the disk is full, with nothing of the
  /// line left.
  void append(std::int64_t step, std::span<const Metric> metrics);

  /// Makes the lines durable. Called before a checkpoint is written, so that a resumed run has
  /// them.
  void sync() { file_.sync(); }

  const Cut& cut() const { return cut_; }
  /// Values written as null so far.
  std::int64_t num_not_finite() const { return num_not_finite_; }

 private:
  AppendFile file_;
  Cut cut_;
  std::int64_t num_not_finite_ = 0;
};

/// One line of a metrics file. A value that was written as null is NaN.
struct MetricsLine {
  std::int64_t step = 0;
  std::vector<Metric> metrics;  // in the order of the line
};

struct MetricsRecord {
  std::vector<MetricsLine> lines;
  bool torn_line = false;  // a last line without its end, or that is no JSON: left out
};

/// Reads `file` without changing it, also while a run writes to it. InputError naming file and line
/// when a line other than the last is no JSON object of numbers and nulls with a larger `step` than
/// the one before it.
MetricsRecord read_metrics(const std::filesystem::path& file);

/// How long a run has trained, from the `step_time` of its lines: a line stands for the steps since
/// the one before it. Evaluations and checkpoints are not in it.
class TrainingClock {
 public:
  /// Seconds up to this line; lines come in the order of their steps. One without a `step_time`
  /// adds nothing.
  double after(std::int64_t step, std::span<const Metric> metrics);

 private:
  double seconds_ = 0.0;
  std::int64_t timed_step_ = 0;
};

}  // namespace zeroth
