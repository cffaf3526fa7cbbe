#include "tools/distill_report.h"

#include <boost/json.hpp>
#include <cstdio>

#include "tools/evaluation_report.h"

namespace zeroth {

std::string distill_table(const DistillResult& result) {
  std::string text = evaluation_header();
  for (const EvaluatedPolicy& policy : result.policies)
    text += evaluation_row(policy.name, policy.evaluation);
  char line[200];
  std::snprintf(line, sizeof line, "\n%-24s %12s %12s %12s %10s\n", "policy", "parameters",
                "active", "bytes", "tokens/s");
  text += line;
  for (const EvaluatedPolicy& policy : result.policies) {
    std::snprintf(
        line, sizeof line, "%-24.100s %12lld %12lld %12lld %10.0f\n", policy.name.c_str(),
        static_cast<long long>(policy.parameters), static_cast<long long>(policy.active_parameters),
        static_cast<long long>(policy.bytes),
        static_cast<double>(policy.evaluation.sampled_tokens) / policy.evaluation.seconds);
    text += line;
  }
  std::snprintf(line, sizeof line,
                "\nteacher less student: %+.1f points of pass@1 (paired, 95 %% %+.1f to %+.1f)\n",
                100 * result.difference.mean, 100 * result.difference.low,
                100 * result.difference.high);
  return text + line;
}

boost::json::object policy_json(const EvaluatedPolicy& policy) {
  boost::json::object json = evaluation_json(policy.evaluation);
  json["parameters"] = policy.parameters;
  json["active_parameters"] = policy.active_parameters;
  json["bytes"] = policy.bytes;
  json["tokens_per_second"] =
      static_cast<double>(policy.evaluation.sampled_tokens) / policy.evaluation.seconds;
  return json;
}

boost::json::object distill_json(const DistillResult& result) {
  boost::json::object json;
  for (const EvaluatedPolicy& policy : result.policies) {
    json[policy.name] = policy_json(policy);
    json[policy.name].as_object()["checkpoint"] = policy.checkpoint.string();
  }
  json["teacher_less_student"] = {
      {"pass_at_1", result.difference.mean},
      {"ci95", boost::json::array{result.difference.low, result.difference.high}}};
  return json;
}

}  // namespace zeroth
