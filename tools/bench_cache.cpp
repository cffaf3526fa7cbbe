// zeroth bench cache: what a cache costs that is too small for all completions at their greatest
// length. A model with random weights, the quickstart's by default, whose every 65th token or so
// ends a completion: 8 groups, at most 256 tokens a completion, about a quarter of that on average.
// Caches for an eighth, a quarter, a half and all of the completions take turns, call by call.

#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "policy/weights.h"
#include "rl/training_options.h"
#include "rollout/local_engine.h"
#include "system/json.h"
#include "tools/bench.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/presets.h"

namespace zeroth {
namespace {

constexpr std::int64_t kGroups = 8;
constexpr std::int64_t kTokens = 256;  // of a completion, at most
constexpr std::int64_t kPromptTokens = 32;
constexpr std::int64_t kVocabulary = 65;  // one of them ends a completion
constexpr std::int64_t kPageSize = 16;
constexpr std::array kShares = {0.125, 0.25, 0.5, 1.0};  // of the completions that the cache holds

ModelConfig bench_model(const BenchConfig& config) {
  boost::json::object json = preset_config(config.preset);
  json["vocab_size"] = kVocabulary;
  json["bos_token_id"] = 0;
  json["eos_token_id"] = 1;
  ModelConfig model = parse_model_config(write_json(json), "bench");
  set_mla_prefix(model, parse_mla_prefix(config.mla_prefix), "bench");
  return model;
}

std::vector<GenerateRequest> bench_requests(std::int64_t num_generations) {
  std::vector<GenerateRequest> requests(kGroups);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i] = {
        .prompt = {}, .num_generations = num_generations, .problem = static_cast<std::uint32_t>(i)};
    for (std::int64_t t = 0; t < kPromptTokens; ++t)
      requests[i].prompt.push_back(
          static_cast<std::int32_t>(2 + (7 * t + static_cast<std::int64_t>(i)) % 60));
  }
  return requests;
}

// One size of the cache.
struct Arrangement {
  double share;
  std::unique_ptr<LocalEngine> engine;
  std::vector<double> seconds, processor_seconds;  // one a call
};

// Of all threads of this process.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

boost::json::object report(const Arrangement& arrangement) {
  const GenerationStatistics statistics = arrangement.engine->statistics();
  const auto tokens = static_cast<double>(statistics.sampled_tokens);
  return {{"share", arrangement.share},
          {"cache_bytes", arrangement.engine->cache_bytes()},
          {"tokens_per_second", tokens / median(arrangement.seconds)},
          {"tokens_per_processor_second", tokens / median(arrangement.processor_seconds)},
          {"mean_length", tokens / static_cast<double>(statistics.num_completions)},
          {"forward_passes", statistics.forward_passes},
          {"preemptions", statistics.preemptions},
          {"recomputed_share", static_cast<double>(statistics.recomputed_tokens) / tokens}};
}

void print(const BenchConfig& config, const Compute& compute,
           const std::vector<Arrangement>& arrangements) {
  if (!config.json)
    std::printf("%s, %s\n%8s %14s %20s %8s %12s %11s\n", compute.description().c_str(),
                config.dtype.c_str(), "share", "tokens/s", "tokens/processor s", "passes",
                "preemptions", "recomputed");
  for (const Arrangement& arrangement : arrangements) {
    const boost::json::object line = report(arrangement);
    if (config.json) {
      std::cout << write_json(line) << "\n";
      continue;
    }
    std::printf("%8.3f %14.0f %20.0f %8lld %12lld %10.1f%%\n", line.at("share").as_double(),
                line.at("tokens_per_second").as_double(),
                line.at("tokens_per_processor_second").as_double(),
                static_cast<long long>(line.at("forward_passes").as_int64()),
                static_cast<long long>(line.at("preemptions").as_int64()),
                100.0 * line.at("recomputed_share").as_double());
  }
}

}  // namespace

int bench_cache(const BenchConfig& config) {
  const Compute compute(config);
  const ModelConfig model = bench_model(config);
  Weights weights(model);
  initialize_weights(weights, model, static_cast<std::uint64_t>(config.seed));
  const PackedPolicy policy(model, weights, parse_dtype(config.dtype), false);
  const std::vector<GenerateRequest> requests = bench_requests(config.num_generations);
  const SamplingParams sampling{.max_new_tokens = kTokens,
                                .seed = static_cast<std::uint64_t>(config.seed)};
  const std::int64_t slots = kGroups * config.num_generations;
  PageCounts pages = enough_pages(requests, sampling, slots, kPageSize);
  const std::int64_t all = pages.completions;
  std::vector<Arrangement> arrangements;
  for (const double share : kShares) {
    pages.completions = static_cast<std::int64_t>(share * static_cast<double>(all));
    arrangements.push_back({.share = share,
                            .engine = std::make_unique<LocalEngine>(
                                compute.context(), policy,
                                EngineConfig{.max_num_seqs = slots,
                                             .page_size = kPageSize,
                                             .max_cache_bytes = bytes_of(pages, model, kPageSize)}),
                            .seconds = {},
                            .processor_seconds = {}});
  }
  for (std::int64_t step = 1; step <= config.steps; ++step) {
    for (Arrangement& arrangement : arrangements) {
      const double start = monotonic_seconds();
      const double processor_start = processor_seconds();
      arrangement.engine->generate(requests, sampling);
      if (step <= config.warmup) continue;
      arrangement.seconds.push_back(monotonic_seconds() - start);
      arrangement.processor_seconds.push_back(processor_seconds() - processor_start);
    }
  }
  print(config, compute, arrangements);
  return kExitDone;
}

}  // namespace zeroth
