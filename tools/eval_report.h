// What zeroth eval prints: a table for people, one JSON object for programs (docs/evaluation.md).
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rl/config.h"
#include "rl/evaluate.h"

namespace zeroth {

/// A rate as it is called in JSON and in a table.
struct NamedRate {
  std::string key;    // "pass_at_4"
  std::string label;  // "pass@4"
  MeanInterval rate;
  bool is_share = true;  // printed in per cent, a difference in points; otherwise in tokens
};

/// In the order pass@k, maj@k, greedy (where it was decoded), format, length.
std::vector<NamedRate> named_rates(const EvaluationRates& rates, bool greedy);

/// The problems with one value of the column group_by.
struct EvaluatedGroup {
  std::string value;
  EvaluationRates rates;
};

struct MeanReward {
  std::string name;
  double mean = 0.0;  // over all samples
};

/// Paired differences to another evaluation of the same problems.
struct Comparison {
  std::string file;
  std::string model;
  std::vector<NamedRate> differences;
};

struct EvalReport {
  EvalConfig config;
  Evaluation evaluation;
  std::vector<std::string> group_of_problem;  // empty without group_by
  std::vector<EvaluatedGroup> groups;
  std::vector<MeanReward> rewards;
  std::optional<Comparison> comparison;
  std::string problems_sha256;
  std::int64_t num_parameters = 0;
};

std::string eval_table(const EvalReport& report);
boost::json::object eval_json(const EvalReport& report);

/// Identity of the problems that an evaluation was over: ids, questions and answers in order.
std::string problems_sha256(const std::vector<Problem>& problems);

}  // namespace zeroth
