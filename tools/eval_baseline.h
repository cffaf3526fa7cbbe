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
  /// InputError for a file that is none of zeroth eval's, or over other problems than those with
  /// this problems_sha256().
  EvalBaseline(const std::filesystem::path& file, const std::string& problems_sha256);

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
  std::vector<Result> results_;  // [problem]
};

}  // namespace zeroth
