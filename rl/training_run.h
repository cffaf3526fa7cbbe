// What every training command does around its steps: the run's directory, metrics, checkpoints,
// resuming, stopping.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "rl/config.h"
#include "rl/metrics.h"
#include "rl/trained_policy.h"
#include "rl/trainer_state.h"

namespace zeroth {

/// How a command looks on while a run goes. Every member may be empty.
struct TrainingHooks {
  std::function<void(std::int64_t step, std::span<const Metric>)> on_step;
  std::function<bool()> stop_requested;
  // one line worth knowing: what was resumed, skipped, cut
  std::function<void(const std::string&)> note;
};

enum class RunEnd { finished, stopped };

struct RunResult {
  RunEnd end = RunEnd::finished;
  std::int64_t step = 0;             // last step done
  std::filesystem::path checkpoint;  // of that step
};

class TrainingRun {
 public:
  /// Opens or resumes the run of `command` in options.output_dir. `config_sha256` identifies the
  /// settings that change numbers; a checkpoint of other settings, command or seed is an
  /// InputError. A new run refuses a directory that holds checkpoints already.
  TrainingRun(const TrainingOptions& options, const std::string& command,
              const std::string& config_sha256, TrainedPolicy& policy, TrainingHooks hooks);

  std::int64_t first_step() const { return state_.step + 1; }
  std::int64_t num_tokens() const { return state_.num_tokens; }
  const std::string& extra_json() const { return state_.extra_json; }

  /// Logs step `step`, saves when it is due, and says whether to go on.
  bool after_step(std::int64_t step, std::int64_t num_tokens, std::span<const Metric> metrics);

  /// Saves the last step unless it is saved, and reports where the run stands.
  RunResult finish();

  void note(const std::string& text) const;

 private:
  void resume();
  void save();

  const TrainingOptions& options_;
  TrainedPolicy& policy_;
  TrainingHooks hooks_;
  TrainerState state_;
  std::int64_t saved_step_ = -1;
  std::filesystem::path saved_;
  std::unique_ptr<MetricsLog> metrics_;
};

}  // namespace zeroth
