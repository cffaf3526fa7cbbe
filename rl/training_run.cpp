#include "rl/training_run.h"

#include <algorithm>
#include <stdexcept>

#include "rl/checkpoint.h"
#include "rl/run_settings.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {

namespace {

// A run without exact sums depends on how many ranks it has.
void add_num_ranks(RunSettings& settings, const TrainingOptions& options, int num_ranks) {
  if (options.exact_ranks || num_ranks == 1) return;
  settings.emplace_back(kNumRanks, std::to_string(num_ranks));
}

RunSettings without(std::string_view key, RunSettings settings) {
  std::erase_if(settings, [&](const auto& setting) { return setting.first == key; });
  return settings;
}

}  // namespace

TrainingRun::TrainingRun(const TrainingOptions& options, Collectives& ranks,
                         const std::string& command, RunSettings settings, TrainedPolicy& policy,
                         TrainingHooks hooks)
    : options_(options), ranks_(ranks), policy_(policy), hooks_(std::move(hooks)) {
  if (ranks_.is_first()) {
    std::filesystem::create_directories(options.output_dir);
    lock_ = std::make_unique<DirectoryLock>(options.output_dir);
  }
  state_.command = command;
  state_.seed = static_cast<std::uint64_t>(options.seed);
  state_.settings = std::move(settings);
  add_num_ranks(state_.settings, options, ranks.size());
  // What every rank has to know the same of, although no number depends on it.
  RunSettings agreed = without(options.allow_mixed_numerics ? kNumericsKey : "", state_.settings);
  agreed.emplace_back("save_steps", std::to_string(options.save_steps));
  agreed.emplace_back("resume_from_checkpoint", options.resume_from_checkpoint);
  check_same_settings(ranks, agreed);
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
  if (ranks_.is_first()) open_metrics();
}

void TrainingRun::open_metrics() {
  remove_leftovers(options_.output_dir);
  const auto completions = std::filesystem::path(options_.output_dir) / "completions";
  if (std::filesystem::is_directory(completions)) remove_left_over(completions);
  const auto file = std::filesystem::path(options_.output_dir) / "metrics.jsonl";
  metrics_ = std::make_unique<MetricsLog>(file, saved_step_ < 0 ? -1 : state_.step);
  const MetricsLog::Cut& cut = metrics_->cut();
  if (cut.lines_after_step > 0 || cut.torn_line) {
    note("metrics.jsonl: cut " + std::to_string(cut.lines_after_step) + " lines after step " +
         std::to_string(state_.step) + (cut.torn_line ? " and a torn one" : ""));
  }
  open_events(file);
}

void TrainingRun::open_events(const std::filesystem::path& metrics_file) {
  const auto file = event_file_of(options_.output_dir);
  if (options_.reports_to_tensorboard()) {
    events_ = std::make_unique<EventFile>(file, read_metrics(metrics_file).lines);
  } else if (saved_step_ < 0) {
    std::filesystem::remove(file);  // of an earlier beginning, whose metrics are gone as well
  }
}

void TrainingRun::log(std::span<const Metric> metrics) {
  if (!metrics_) return;
  metrics_->append(state_.step, metrics);
  if (events_) events_->append(state_.step, metrics);
}

void TrainingRun::note(const std::string& text) const {
  if (hooks_.note) hooks_.note(text);
}

// Empty where a run begins anew.
std::string TrainingRun::checkpoint_to_resume() const {
  if (options_.resume_from_checkpoint != "latest") return options_.resume_from_checkpoint;
  const LatestCheckpoint latest = latest_checkpoint(options_.output_dir);
  for (const std::string& reason : latest.skipped) note("passed over: " + reason);
  if (latest.directory) return latest.directory->string();
  note("no checkpoint in " + options_.output_dir + ": starting anew");
  return "";
}

void TrainingRun::resume() {
  // Rank 0 decides which one is the latest.
  const std::filesystem::path directory =
      ranks_.from_first(ranks_.is_first() ? checkpoint_to_resume() : "");
  if (directory.empty()) return;
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
  if (const auto difference = first_difference(without(kNumRanks, state_.settings),
                                               without(kNumRanks, loaded.state.settings)))
    differs(difference->key, difference->expected, difference->actual);
  if (first_difference(state_.settings, loaded.state.settings)) {
    note(
        "goes on with another number of ranks: without exact_ranks the weights will differ from "
        "those of one whole run in their last bits");
  }
  loaded.state.settings = std::move(state_.settings);
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

std::int64_t TrainingRun::find_safe_step() const {
  const std::vector<std::int64_t> steps = checkpoint_steps(options_.output_dir);
  const std::size_t newest = options_.save_total_limit == 1 ? 0 : 1;
  return steps.size() > newest ? steps[newest] : 0;
}

void TrainingRun::before_first_step(std::span<const Metric> evaluation) {
  log(evaluation);
}

void TrainingRun::add_evaluation(const std::vector<Metric>& evaluation) {
  state_.evaluation_due = false;
  if (metrics_) {
    // A step has one line: it is taken off and written anew.
    const auto file = std::filesystem::path(options_.output_dir) / "metrics.jsonl";
    metrics_.reset();
    std::vector<Metric> metrics;
    for (const MetricsLine& line : read_metrics(file).lines) {
      if (line.step == state_.step) metrics = line.metrics;
    }
    std::erase_if(metrics, [&](const Metric& old) {
      return std::any_of(evaluation.begin(), evaluation.end(),
                         [&](const Metric& metric) { return metric.name == old.name; });
    });
    metrics.insert(metrics.end(), evaluation.begin(), evaluation.end());
    metrics_ = std::make_unique<MetricsLog>(file, state_.step - 1);
    metrics_->append(state_.step, metrics);
    events_.reset();
    open_events(file);
  }
  saved_step_ = -1;  // the checkpoint still says that it is due
}

bool TrainingRun::after_step(std::int64_t step, std::int64_t num_tokens,
                             std::vector<Metric> metrics, const std::vector<Metric>& evaluation) {
  state_.step = step;
  state_.num_tokens = num_tokens;
  state_.num_updates = static_cast<std::uint64_t>(policy_.num_updates());
  metrics.insert(metrics.end(), evaluation.begin(), evaluation.end());
  const bool logged = step % options_.logging_steps == 0 || step == options_.max_steps;
  if (logged) {
    log(metrics);
  } else if (!evaluation.empty()) {
    log(evaluation);
  }
  if (hooks_.on_step) hooks_.on_step(step, metrics);
  if (options_.save_steps > 0 && step % options_.save_steps == 0) save();
  stop_requested_ = ranks_.any(stop_requested());
  return !stop_requested_;
}

void TrainingRun::save() {
  if (ranks_.size() > 1) {
    const std::vector<std::string> all =
        ranks_.gather(sha256_hex(std::as_bytes(policy_.weights().values())));
    for (std::size_t rank = 1; rank < all.size(); ++rank) {
      if (all[rank] == all[0]) continue;
      throw std::runtime_error("the weights of rank " + std::to_string(rank) +
                               " are not those of rank 0: nothing is saved");
    }
  }
  if (ranks_.is_first()) {
    metrics_->sync();
    if (events_) events_->sync();
    saved_ = save_checkpoint(options_.output_dir,
                             {.config = policy_.config(),
                              .weights = policy_.weights(),
                              .exp_avg = policy_.exp_avg(),
                              .exp_avg_sq = policy_.exp_avg_sq(),
                              .state = state_,
                              .tokenizer_directory = policy_.directory()},
                             options_.save_total_limit);
  }
  saved_step_ = state_.step;
  // The others go on when it is saved, and may forget what it makes needless.
  saved_ = ranks_.from_first(saved_.string());
  safe_step_ = std::stoll(
      ranks_.from_first(ranks_.is_first() ? std::to_string(find_safe_step()) : std::string()));
}

RunResult TrainingRun::finish() {
  if (saved_step_ != state_.step) save();
  return {.end = state_.step >= options_.max_steps ? RunEnd::finished : RunEnd::stopped,
          .step = state_.step,
          .checkpoint = saved_,
          .stop_requested = stop_requested_ || stop_requested()};
}

}  // namespace zeroth
