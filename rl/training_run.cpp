#include "rl/training_run.h"

#include <algorithm>

#include "rl/checkpoint.h"
#include "system/error.h"

namespace zeroth {

TrainingRun::TrainingRun(const TrainingOptions& options, const std::string& command,
                         RunSettings settings, TrainedPolicy& policy, TrainingHooks hooks)
    : options_(options), policy_(policy), hooks_(std::move(hooks)) {
  std::filesystem::create_directories(options.output_dir);
  lock_ = std::make_unique<DirectoryLock>(options.output_dir);
  state_.command = command;
  state_.seed = static_cast<std::uint64_t>(options.seed);
  state_.settings = std::move(settings);
  if (!options.resume_from_checkpoint.empty()) {
    resume();
  } else if (const LatestCheckpoint latest = latest_checkpoint(options.output_dir);
             latest.directory || !latest.skipped.empty()) {
    throw InputError(
        {.source = "output_dir",
         .field = "",
         .expected = "a directory without checkpoints, or resume_from_checkpoint = \"latest\"",
         .actual = options.output_dir + ", which holds " +
                   (latest.directory ? latest.directory->filename().string() : "broken ones")});
  }
  remove_leftovers(options.output_dir);
  const auto completions = std::filesystem::path(options.output_dir) / "completions";
  if (std::filesystem::is_directory(completions)) remove_left_over(completions);
  metrics_ =
      std::make_unique<MetricsLog>(std::filesystem::path(options.output_dir) / "metrics.jsonl",
                                   saved_step_ < 0 ? -1 : state_.step);
  const MetricsLog::Cut& cut = metrics_->cut();
  if (cut.lines_after_step > 0 || cut.torn_line) {
    note("metrics.jsonl: cut " + std::to_string(cut.lines_after_step) + " lines after step " +
         std::to_string(state_.step) + (cut.torn_line ? " and a torn one" : ""));
  }
}

void TrainingRun::note(const std::string& text) const {
  if (hooks_.note) hooks_.note(text);
}

void TrainingRun::resume() {
  std::filesystem::path directory = options_.resume_from_checkpoint;
  if (options_.resume_from_checkpoint == "latest") {
    const LatestCheckpoint latest = latest_checkpoint(options_.output_dir);
    for (const std::string& reason : latest.skipped) note("passed over: " + reason);
    if (!latest.directory) {
      note("no checkpoint in " + options_.output_dir + ": starting anew");
      return;
    }
    directory = *latest.directory;
  }
  LoadedCheckpoint loaded = load_checkpoint(directory, policy_.config());
  const auto differs = [&](const std::string& field, const std::string& expected,
                           const std::string& actual) {
    if (expected == actual) return;
    throw InputError({.source = (directory / "trainer_state.json").string(),
                      .field = field,
                      .expected = expected + ", as this run has it",
                      .actual = actual});
  };
  differs("command", state_.command, loaded.state.command);
  differs("seed", std::to_string(state_.seed), std::to_string(loaded.state.seed));
  if (options_.allow_mixed_numerics) accept_numerics(loaded.state.settings);
  if (const auto difference = first_difference(state_.settings, loaded.state.settings))
    differs(difference->key, difference->expected, difference->actual);
  state_ = loaded.state;
  saved_step_ = state_.step;
  saved_ = directory;
  policy_.restore(std::move(loaded.weights), std::move(loaded.exp_avg),
                  std::move(loaded.exp_avg_sq), static_cast<std::int64_t>(state_.num_updates));
  note("resumed " + directory.string() + " after step " + std::to_string(state_.step));
}

// Makes the checkpoint's fingerprint this machine's, and says so.
void TrainingRun::accept_numerics(RunSettings& of_checkpoint) const {
  const auto is_numerics = [](const auto& setting) { return setting.first == kNumericsKey; };
  const auto ours = std::find_if(state_.settings.begin(), state_.settings.end(), is_numerics);
  const auto theirs = std::find_if(of_checkpoint.begin(), of_checkpoint.end(), is_numerics);
  if (ours == state_.settings.end() || theirs == of_checkpoint.end()) return;
  if (ours->second == theirs->second) return;
  note("numerics: goes on with " + ours->second + " from a checkpoint of " + theirs->second +
       "; this run is no longer a function of (config, data, seed)");
  theirs->second = ours->second;
}

std::int64_t TrainingRun::safe_step() const {
  const std::vector<std::int64_t> steps = checkpoint_steps(options_.output_dir);
  const std::size_t newest = options_.save_total_limit == 1 ? 0 : 1;
  return steps.size() > newest ? steps[newest] : 0;
}

bool TrainingRun::after_step(std::int64_t step, std::int64_t num_tokens,
                             std::vector<Metric> metrics, const std::vector<Metric>& evaluation) {
  state_.step = step;
  state_.num_tokens = num_tokens;
  state_.num_updates = static_cast<std::uint64_t>(policy_.num_updates());
  metrics.insert(metrics.end(), evaluation.begin(), evaluation.end());
  if (step % options_.logging_steps == 0 || step == options_.max_steps) {
    metrics_->append(step, metrics);
  } else if (!evaluation.empty()) {
    metrics_->append(step, evaluation);
  }
  if (hooks_.on_step) hooks_.on_step(step, metrics);
  if (options_.save_steps > 0 && step % options_.save_steps == 0) save();
  return !stop_requested();
}

void TrainingRun::save() {
  metrics_->sync();
  saved_ = save_checkpoint(options_.output_dir,
                           {.config = policy_.config(),
                            .weights = policy_.weights(),
                            .exp_avg = policy_.exp_avg(),
                            .exp_avg_sq = policy_.exp_avg_sq(),
                            .state = state_,
                            .tokenizer_directory = policy_.directory()},
                           options_.save_total_limit);
  saved_step_ = state_.step;
}

RunResult TrainingRun::finish() {
  if (saved_step_ != state_.step) save();
  return {.end = state_.step >= options_.max_steps ? RunEnd::finished : RunEnd::stopped,
          .step = state_.step,
          .checkpoint = saved_};
}

}  // namespace zeroth
