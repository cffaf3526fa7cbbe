// zeroth bench worker: what a worker's way costs by itself. The backend hands out completions that
// were made before: the quickstart's 8 groups of 100, of 36 tokens each with the experts of one
// layer, through queue, HTTP on the loopback, hashes and checks, to the learner's hands.

#include <boost/json.hpp>
#include <cstdio>
#include <iostream>

#include "policy/weights.h"
#include "system/json.h"
#include "tools/bench.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/loopback_worker.h"
#include "tools/presets.h"

namespace zeroth {
namespace {

constexpr std::int64_t kGroups = 8;
constexpr std::int64_t kCompletions = 100;  // of a group
constexpr std::int64_t kTokens = 36;        // of a completion: the quickstart's mean
constexpr std::int64_t kPromptTokens = 8;
constexpr std::int64_t kVocabulary = 21;

ModelConfig bench_model() {
  boost::json::object json = preset_config("tiny-mla-moe");
  json["vocab_size"] = kVocabulary;
  json["bos_token_id"] = 0;
  json["eos_token_id"] = 1;
  return parse_model_config(write_json(json), "bench");
}

// Hands out the same group for every request.
class ReadyBackend : public WorkerBackend {
 public:
  explicit ReadyBackend(const ModelConfig& config) {
    std::size_t experts = 0;  // of a token
    for (const LayerConfig& layer : config.layers) {
      if (layer.ffn.kind == FfnKind::moe)
        experts += static_cast<std::size_t>(layer.ffn.num_experts_per_tok);
    }
    group_.prompt_experts.assign(kPromptTokens * experts, 1);
    group_.completions.assign(kCompletions,
                              {.tokens = std::vector<std::int32_t>(kTokens, 5),
                               .logprobs = std::vector<float>(kTokens, -0.5F),
                               .stop_reason = StopReason::length,
                               .experts = std::vector<std::uint16_t>((kTokens - 1) * experts, 3)});
  }
  void load(const std::filesystem::path&) override {}
  GenerationStatistics statistics() const override { return {}; }
  std::vector<Group> generate(std::span<const GenerateRequest> requests, const SamplingParams&,
                              const GroupSink& on_group,
                              const std::function<void()>& on_progress) override {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      on_progress();
      on_group(i, group_);
    }
    return {};
  }
  const Group& group() const { return group_; }

 private:
  Group group_;
};

}  // namespace

int bench_worker(const BenchConfig& config) {
  const Compute compute(config);
  const ModelConfig model = bench_model();
  const Weights weights(model);
  const PackedPolicy policy(model, weights, Dtype::float32, false);
  ReadyBackend backend(model);
  LoopbackWorker worker(compute.context(), policy, backend);
  std::vector<GenerateRequest> requests(kGroups);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i] = {.prompt = std::vector<std::int32_t>(kPromptTokens, 2),
                   .num_generations = kCompletions,
                   .problem = static_cast<std::uint32_t>(i)};
  }
  std::vector<double> seconds;
  for (std::int64_t step = 1; step <= config.steps; ++step) {
    const double start = monotonic_seconds();
    const std::vector<Group> groups =
        worker.engine().generate(requests, {.max_new_tokens = kTokens});
    if (step > config.warmup) seconds.push_back(monotonic_seconds() - start);
  }
  const double each = median(seconds);
  const double completions = static_cast<double>(kGroups * kCompletions);
  const auto bytes = static_cast<double>(write_groups(std::span(&backend.group(), 1)).size());
  if (config.json) {
    std::cout << write_json(boost::json::object{
                     {"completions_a_call", kGroups * kCompletions},
                     {"tokens_a_completion", kTokens},
                     {"bytes_a_completion", bytes / static_cast<double>(kCompletions)},
                     {"calls", static_cast<std::int64_t>(seconds.size())},
                     {"median_seconds_a_call", each},
                     {"completions_per_second", completions / each}})
              << "\n";
  } else {
    std::printf(
        "%.0f completions of %lld tokens a call, %.0f bytes each: %.2f ms a call (median of "
        "%zu), %.0f completions a second\n",
        completions, static_cast<long long>(kTokens), bytes / static_cast<double>(kCompletions),
        1e3 * each, seconds.size(), completions / each);
  }
  return kExitDone;
}

}  // namespace zeroth
