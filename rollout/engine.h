// Prompts in, groups of completions out. Extension point: whoever samples is an Engine; LocalEngine
// samples in this process. Goal: a completion is a function of (weights, prompt, sampling
// parameters, keys) alone, so no engine, and nothing about how it batches, can show in a result.
// Non-goals: text and rewards; an engine knows token ids only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace zeroth {

struct SamplingParams {
  double temperature = 1.0;         // divides the logits; 0 takes the most likely token
  std::int64_t max_new_tokens = 1;  // of a completion, the end-of-sequence token included
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  // SampleKey::stream: what the samples are for (rollout, evaluation, …)
  // Which tokens are drawn from, after the temperature (kernels/truncation.h says how).
  std::int64_t top_k = 0;  // 0: all
  double top_p = 1.0;      // above 0; 1: all
  double min_p = 0.0;      // 0 to 1; 0: all

  /// Whether tokens are left out: completions then have sampling_logprobs. At temperature 0 the
  /// most likely token is taken whatever is left.
  bool truncates() const { return temperature != 0.0 && (top_k > 0 || top_p < 1.0 || min_p > 0.0); }
  bool operator==(const SamplingParams&) const = default;
};

/// One prompt and how many completions it gets. `step` and `problem` key its random numbers
/// (kernels/random.h); two requests of one seed and stream that agree in both draw the same
/// numbers.
struct GenerateRequest {
  std::vector<std::int32_t> prompt = {};  // at least one token
  std::int64_t num_generations = 1;       // G
  std::uint32_t step = 0;
  std::uint32_t problem = 0;
};

enum class StopReason { end_of_sequence, length };

struct Completion {
  std::vector<std::int32_t> tokens = {};  // at least one; the end-of-sequence token included
  // One a token: log-softmax(logits / temperature) of the token taken, over all tokens; at
  // temperature 0 that of temperature 1.
  std::vector<float> logprobs = {};
  StopReason stop_reason = StopReason::length;
  // [tokens.size() - 1, moe layers, K]: the experts of every token but the last, which no layer
  // sees. Empty when not recorded.
  std::vector<std::uint16_t> experts = {};
  std::int64_t policy_version = 0;  // PackedPolicy::version() of the weights that sampled it
  // One a token: its log-prob among the tokens that top_k, top_p and min_p left. Empty where
  // nothing was left out: it would be `logprobs`.
  std::vector<float> sampling_logprobs = {};
};

struct Group {
  std::vector<Completion> completions = {};  // [num_generations]
  // [prompt tokens, moe layers, K]; empty when not recorded
  std::vector<std::uint16_t> prompt_experts = {};
};

/// What a call has done so far.
struct GenerationStatistics {
  std::int64_t prompt_tokens = 0;  // fed; a prompt counts once a group
  std::int64_t sampled_tokens = 0;
  std::int64_t forward_passes = 0;
  std::int64_t peak_pages = 0;  // most pages of the cache in use at a time, prompts' own added
  std::int64_t finished_completions = 0;
  std::int64_t num_completions = 0;    // asked for
  std::int64_t preemptions = 0;        // completions that gave up their pages to others
  std::int64_t recomputed_tokens = 0;  // fed again for it, those of prompts included
};

/// Takes a group that answers requests[index].
using GroupSink = std::function<void(std::size_t index, const Group& group)>;

class Engine {
 public:
  virtual ~Engine() = default;
  /// groups[i] answers requests[i]. `on_group`, where set, gets every group once, as soon as it is
  /// finished, in the order in which they finish; it may throw to give the call up.
  /// std::invalid_argument for a request the policy cannot take.
  virtual std::vector<Group> generate(std::span<const GenerateRequest> requests,
                                      const SamplingParams& sampling,
                                      const GroupSink& on_group = {}) = 0;

  /// Of the last call. Zeros where another process samples, or nobody had to.
  virtual GenerationStatistics statistics() const { return {}; }
};

}  // namespace zeroth
