// A teacher's samples of a data set, scored and written to a store, block by block.
//
// Goal: the engine is kept as wide as in one call over all problems: blocks are cut out of long
// calls and written while others are sampled. A sample is a function of (teacher, problem, seed,
// sample index), so neither blocks nor an interruption can show in it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "policy/tokenizer.h"
#include "rewards/weighted_sum.h"
#include "rl/trace_store.h"
#include "rollout/engine.h"

namespace zeroth {

/// Gives `samples` of `problem` the scores of `rewards`, in place of those they have, and returns
/// what failed. `prompt` is the rendered question. RewardError naming problem and sample.
std::vector<RewardFailure> score_samples(std::span<SampledTrace> samples, const Problem& problem,
                                         const std::string& prompt, const WeightedRewards& rewards,
                                         std::int64_t max_completion_length);

/// One group as text, scored.
std::vector<SampledTrace> score_group(const Tokenizer& tokenizer, const Problem& problem,
                                      const std::string& prompt, const Group& group,
                                      const WeightedRewards& rewards,
                                      std::int64_t max_completion_length);

struct SampleTracesOptions {
  std::int64_t num_problems = 0;  // the first of the order; 0: all
  std::int64_t num_generations = 4;
  std::int64_t max_completion_length = 56;
  double temperature = 1.0;
  std::uint64_t seed = 0;
};

struct SampledTraces {
  std::int64_t problems = 0;          // of those that are wanted, in the store
  std::int64_t sampled_problems = 0;  // of them, by this call
  std::int64_t scored_again = 0;      // problems whose samples this call took from the store before
  std::int64_t sampled_tokens = 0;    // completion tokens, by this call
  double seconds = 0.0;               // of this call
  double scoring_seconds = 0.0;       // of them, in decoding and rewards
  double store_seconds = 0.0;         // of them, in writing
  std::int64_t reward_failures = 0;   // by this call
  std::string first_failure = {};     // reward, place and message
};

/// Completes `store` with the problems it lacks, in the order of ProblemOrder(seed); what it has
/// beyond them stays. Samples of `previous` (null: none), a store of the same samples under other
/// rewards, are scored again in place of being sampled. `on_block` is told how many of the problems
/// the store has. What the engine or `on_block` throws (a request to stop) leaves whole blocks.
/// InputError naming a problem whose prompt cannot be encoded; RewardError naming the sample.
SampledTraces sample_traces(Engine& engine, const Tokenizer& tokenizer,
                            const PromptTemplate& prompt_template,
                            const std::vector<Problem>& problems, const WeightedRewards& rewards,
                            const SampleTracesOptions& options, TraceStore& store,
                            const TraceStore* previous,
                            const std::function<void(std::int64_t problems)>& on_block);

/// Problems of a block: about as many as make 512 samples.
std::int64_t problems_per_block(std::int64_t num_generations);

}  // namespace zeroth
