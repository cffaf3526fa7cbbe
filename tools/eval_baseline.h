// An earlier evaluation, as zeroth eval --json printed it, and what another one of the same
// problems differs by.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/eval_report.h"

namespace zeroth {

class EvalBaseline {
 public:
  /// InputError for a file that is none of zeroth eval's, or over other problems than these, or by
  /// another reward than the first of `config`.
  EvalBaseline(const std::filesystem::path& file, const EvalConfig& config,
               const std::vector<Problem>& problems);

  /// What was sampled otherwise than `config` asks for: "temperature 1.0, here 0.6". A difference
  /// is then one of these settings, too.
  const std::vector<std::string>& other_settings() const { return other_settings_; }

  /// What `evaluation` has more than this, with intervals that pair the problems; for the rates
  /// that both have.
  Comparison compare(const Evaluation& evaluation, const EvaluationOptions& options) const;

 private:
  struct Result {
    std::int64_t num_right = 0;
    std::optional<bool> greedy;
    std::map<std::int64_t, double> majority_at;  // by k
  };

  std::string file_;
  std::string model_;
  std::int64_t num_generations_ = 0;
  std::vector<std::string> other_settings_;
  std::vector<Result> results_;  // [problem]
};

}  // namespace zeroth
