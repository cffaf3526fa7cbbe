#include "rollout/worker_metrics.h"

#include <cstdio>

namespace zeroth {

std::string worker_metrics(const WorkerCounters& counters, std::size_t queued,
                           std::int64_t policy_version) {
  std::string text;
  const auto add = [&](const char* name, const char* type, const char* help, double value) {
    char number[40];
    std::snprintf(number, sizeof number, "%.17g", value);
    text += std::string("# HELP zeroth_worker_") + name + " " + help + "\n# TYPE zeroth_worker_" +
            name + " " + type + "\nzeroth_worker_" + name + " " + number + "\n";
  };
  const auto count = [&](const char* name, const char* help, std::int64_t value) {
    add(name, "counter", help, static_cast<double>(value));
  };
  count("completions_total", "Completions answered.", counters.completions);
  count("tokens_total", "Tokens of the completions answered.", counters.tokens);
  count("groups_total", "Groups answered.", counters.groups);
  count("rollouts_total", "Requests for rollouts answered.", counters.rollouts);
  count("given_up_total", "Requests for rollouts whose peer went away.", counters.given_up);
  count("refused_total", "Requests refused after their body was read.", counters.refused);
  count("preemptions_total", "Times a completion gave up its pages of the cache to others.",
        counters.preemptions);
  count("recomputed_tokens_total", "Tokens fed again for it.", counters.recomputed_tokens);
  count("weights_total", "Policy versions taken over.", counters.weights);
  count("weights_bytes_total", "Bytes of the policy versions taken over.", counters.weights_bytes);
  add("generate_seconds_total", "counter", "Seconds spent sampling.", counters.generate_seconds);
  add("load_seconds_total", "counter", "Seconds spent taking over weights.", counters.load_seconds);
  add("queue_requests", "gauge", "Requests that wait.", static_cast<double>(queued));
  add("policy_version", "gauge", "Version of the weights here; -1 without any.",
      static_cast<double>(policy_version));
  return text;
}

}  // namespace zeroth
