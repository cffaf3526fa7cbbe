#include "tools/training_command.h"

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <vector>

#include "rl/checkpoint.h"
#include "rl/report.h"
#include "system/file.h"
#include "tools/build.h"
#include "tools/clock.h"
#include "tools/commands.h"

namespace zeroth {

std::filesystem::path recorded_config(const TrainingOptions& options) {
  if (options.resume_from_checkpoint.empty()) return {};
  return std::filesystem::path(options.output_dir) / "config.toml";
}

TrainingCommand::TrainingCommand(const TrainingOptions& options, const std::string& name,
                                 std::string metric, bool first)
    : options_(options),
      name_(name),
      metric_(std::move(metric)),
      first_(first),
      stop_(options.max_seconds, monotonic_seconds) {}

void TrainingCommand::save_config(const ResolvedOptions& resolved) const {
  if (!first_) return;
  const bool resumed = !options_.resume_from_checkpoint.empty();
  // The run will be refused: the record of the one that is there stays.
  if (!resumed && latest_checkpoint(options_.output_dir).directory) return;
  std::filesystem::create_directories(options_.output_dir);
  write_file_atomically(std::filesystem::path(options_.output_dir) /
                            (resumed ? "config-resumed.toml" : "config.toml"),
                        "# " + build_description() + "\n" + to_toml_with_provenance(resolved));
}

TrainingHooks TrainingCommand::hooks() {
  const std::function<bool()> stop_requested = [this] { return stop_.requested(); };
  if (!first_) return {.on_step = {}, .stop_requested = stop_requested, .note = {}};
  return {.on_step =
              [this](std::int64_t step, std::span<const Metric> metrics) {
                if (!progress_) {
                  progress_ = std::make_unique<Progress>(
                      stderr_progress(name_, "steps", options_.max_steps, step - 1));
                }
                std::string note;
                for (const Metric& metric : metrics) {
                  if (metric.name != metric_) continue;
                  char text[64];
                  std::snprintf(text, sizeof text, "%s %.3f", metric_.c_str(), metric.value);
                  note = text;
                }
                progress_->update(step, note);
              },
          .stop_requested = stop_requested,
          .note = [](const std::string& text) { std::cerr << text << "\n"; }};
}

// What the run is worth is saved already: a page that cannot be written does not make it fail.
void TrainingCommand::write_page() const {
  const std::filesystem::path directory = options_.output_dir;
  const std::filesystem::path page = directory / "report.html";
  try {
    write_report(std::vector{directory}, page, build_description());
    std::cerr << name_ << ": wrote " << page.string() << "\n";
  } catch (const std::exception& error) {
    std::cerr << name_ << ": no " << page.string() << ": " << error.what() << "\n";
  }
}

int TrainingCommand::report(const RunResult& result) {
  const bool interrupted = result.end == RunEnd::stopped && result.stop_requested;
  if (!first_) return interrupted ? kExitInterrupted : kExitDone;
  if (progress_) progress_->finish();
  write_page();
  if (!interrupted) {
    std::cerr << name_ << ": step " << result.step << ", saved " << result.checkpoint.string()
              << "\n";
    return kExitDone;
  }
  const std::string reason =
      stop_.requested() ? stop_.reason() : "stopped, as another rank was asked to,";
  std::cerr << name_ << ": " << reason << " after step " << result.step
            << "; go on with --resume_from_checkpoint "
            << "latest (" << result.checkpoint.string() << ")\n";
  return kExitInterrupted;
}

}  // namespace zeroth
