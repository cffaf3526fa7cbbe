// What every training command does around its steps: the run's directory, metrics, checkpoints,
// resuming, stopping.
//
// With several ranks, rank 0 alone writes; all resume from the checkpoint that it finds, stop after
// the same step and compare their weights whenever they are saved.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "policy/mesh/collectives.h"
#include "rl/config.h"
#include "rl/event_file.h"
#include "rl/metrics.h"
#include "rl/trained_policy.h"
#include "rl/trainer_state.h"
#include "system/file.h"

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
  bool stop_requested = false;       // on any rank
};

class TrainingRun {
 public:
  /// Opens or resumes the run of `command` in options.output_dir, and removes what an interrupted
  /// one left half-written there. InputError when another process works in it. A checkpoint of
  /// another command or of other settings is an InputError that names the first key that differs. A
  /// new run refuses a directory that holds checkpoints already. Every rank opens it; settings that
  /// differ between them are an InputError that names the rank.
  TrainingRun(const TrainingOptions& options, Collectives& ranks, const std::string& command,
              RunSettings settings, TrainedPolicy& policy, TrainingHooks hooks);

  std::int64_t first_step() const { return state_.step + 1; }
  std::int64_t num_tokens() const { return state_.num_tokens; }
  std::int64_t saved_step() const { return saved_step_; }  // -1: none yet
  const RunSettings& settings() const { return state_.settings; }
  /// The step whose state a crash may fall back to: that of the checkpoint before the newest, or of
  /// the newest where save_total_limit keeps one; 0 while there is none.
  std::int64_t safe_step() const { return safe_step_; }

  /// Logs an evaluation before the first step.
  void before_first_step(std::span<const Metric> evaluation);

  /// Logs step `step`, saves when it is due, and says whether to go on. `evaluation` is logged also
  /// where the step's own metrics are not.
  bool after_step(std::int64_t step, std::int64_t num_tokens, std::vector<Metric> metrics,
                  const std::vector<Metric>& evaluation = {});

  /// The evaluation of the step that comes next to after_step, or that was resumed, is still to be
  /// made: a checkpoint says so.
  void set_evaluation_due() { state_.evaluation_due = true; }
  bool evaluation_due() const { return state_.evaluation_due; }

  /// Adds the evaluation that was due to the line of the last step.
  void add_evaluation(const std::vector<Metric>& evaluation);

  /// Saves the last step unless it is saved, and reports where the run stands.
  RunResult finish();

  void note(const std::string& text) const;
  /// Of this rank.
  bool stop_requested() const { return hooks_.stop_requested && hooks_.stop_requested(); }

 private:
  void open_metrics();
  void open_events(const std::filesystem::path& metrics_file);
  void log(std::span<const Metric> metrics);
  std::string checkpoint_to_resume() const;
  void resume();
  void accept_numerics(RunSettings& of_checkpoint) const;
  void save();
  std::int64_t find_safe_step() const;

  const TrainingOptions& options_;
  Collectives& ranks_;
  std::unique_ptr<DirectoryLock> lock_;  // of output_dir; rank 0's
  TrainedPolicy& policy_;
  TrainingHooks hooks_;
  TrainerState state_;
  std::int64_t saved_step_ = -1;
  std::filesystem::path saved_;
  std::int64_t safe_step_ = 0;
  bool stop_requested_ = false;
  std::unique_ptr<MetricsLog> metrics_;  // of rank 0
  std::unique_ptr<EventFile> events_;    // of rank 0, where report_to asks for it
};

}  // namespace zeroth
