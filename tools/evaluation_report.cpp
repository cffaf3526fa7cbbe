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

}  // namespace zeroth
