// What zeroth sft and zeroth grpo share: the saved configuration, progress, notes and stopping.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "rl/training_run.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/stop.h"

namespace zeroth {

/// The configuration that the run recorded which this one goes on with; empty for a new run.
std::filesystem::path recorded_config(const TrainingOptions& options);

class TrainingCommand {
 public:
  /// `metric` is shown beside the progress. A rank that is not `first` shows and saves nothing.
  TrainingCommand(const TrainingOptions& options, const std::string& name, std::string metric,
                  bool first);

  /// Writes the resolved configuration to output_dir/config.toml; on resume to config-resumed.toml.
  void save_config(const ResolvedOptions& resolved) const;

  TrainingHooks hooks();

  /// Writes output_dir/report.html, says how the run ended and returns the exit code.
  int report(const RunResult& result);

 private:
  void write_page() const;

  const TrainingOptions& options_;
  std::string name_;
  std::string metric_;
  bool first_;
  StopRequest stop_;
  std::unique_ptr<Progress> progress_;
};

}  // namespace zeroth
