#include "tools/evaluation_report.h"

#include <boost/json/array.hpp>
#include <cstdio>

namespace zeroth {

std::string evaluation_header() {
  char line[200];
  std::snprintf(line, sizeof line, "%-24s %8s %17s %8s %8s %9s %8s %8s %9s\n", "policy", "pass@1",
                "95 % interval", "greedy", "maj@n", "pass@n", "format", "length", "seconds");
  return line;
}

std::string evaluation_row(const std::string& name, const Evaluation& e) {
  char line[400];
  std::snprintf(line, sizeof line,
                "%-24.200s %7.1f%% %6.1f%% – %5.1f%% %7.1f%% %6.1f%%@%-2lld %5.1f%%@%-3lld %6.1f%% "
                "%8.1f %9.1f\n",
                name.c_str(), 100 * e.pass_at_1.mean, 100 * e.pass_at_1.low, 100 * e.pass_at_1.high,
                100 * e.greedy, 100 * e.majority, static_cast<long long>(e.majority_generations),
                100 * e.pass_at_n, static_cast<long long>(e.num_generations), 100 * e.format_rate,
                e.mean_length, e.seconds);
  return line;
}

boost::json::object evaluation_json(const Evaluation& e) {
  return {{"pass_at_1", e.pass_at_1.mean},
          {"ci95", boost::json::array{e.pass_at_1.low, e.pass_at_1.high}},
          {"greedy", e.greedy},
          {"maj_at_" + std::to_string(e.majority_generations), e.majority},
          {"pass_at_" + std::to_string(e.num_generations), e.pass_at_n},
          {"format_rate", e.format_rate},
          {"mean_length", e.mean_length},
          {"problems", e.num_problems},
          {"reward_failures", e.reward_failures},
          {"seconds", e.seconds}};
}

boost::json::object evaluation_record(const Evaluation& e) {
  return {{"problems", e.num_problems},
          {"num_generations", e.num_generations},
          {"pass_at_1", e.pass_at_1.mean},
          {"ci95_low", e.pass_at_1.low},
          {"ci95_high", e.pass_at_1.high},
          {"greedy", e.greedy},
          {"majority_generations", e.majority_generations},
          {"majority", e.majority},
          {"pass_at_n", e.pass_at_n},
          {"format_rate", e.format_rate},
          {"mean_length", e.mean_length},
          {"sampled_tokens", e.sampled_tokens},
          {"reward_failures", e.reward_failures},
          {"seconds", e.seconds},
          {"right_shares", boost::json::array(e.right_shares.begin(), e.right_shares.end())}};
}

Evaluation read_evaluation_record(const JsonReader& json) {
  Evaluation e;
  e.num_problems = json.get_int64("problems");
  e.num_generations = json.get_int64("num_generations");
  e.pass_at_1 = {.mean = json.get_double("pass_at_1"),
                 .low = json.get_double("ci95_low"),
                 .high = json.get_double("ci95_high")};
  e.greedy = json.get_double("greedy");
  e.majority_generations = json.get_int64("majority_generations");
  e.majority = json.get_double("majority");
  e.pass_at_n = json.get_double("pass_at_n");
  e.format_rate = json.get_double("format_rate");
  e.mean_length = json.get_double("mean_length");
  e.sampled_tokens = json.get_int64("sampled_tokens");
  e.reward_failures = json.get_int64("reward_failures", 0);
  e.seconds = json.get_double("seconds");
  for (const JsonReader& share : json.child("right_shares").elements())
    e.right_shares.push_back(share.as_double());
  return e;
}

}  // namespace zeroth
