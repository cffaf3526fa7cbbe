// The completions of an evaluation as JSONL, a line each, that zeroth score reads again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "rl/evaluate.h"
#include "system/file.h"

namespace zeroth {

struct NamedScores {
  std::string name;
  std::vector<double> scores;  // [completion]
};

class EvalCompletions {
 public:
  /// The file appears, whole, with commit(). `problems` must outlive this.
  EvalCompletions(const std::filesystem::path& file, const std::vector<Problem>& problems);

  /// rewards[0] says what is right.
  void write(const EvaluatedSamples& samples, const std::vector<NamedScores>& rewards);
  void commit() { file_.commit(); }

 private:
  PendingFile file_;
  const std::vector<Problem>& problems_;
};

}  // namespace zeroth
