#include "rollout/group_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "system/error.h"

namespace zeroth {
namespace {

// Experts that are recorded of one token.
std::size_t experts_per_token(const ModelConfig& config) {
  std::int64_t experts = 0;
  for (const LayerConfig& layer : config.layers) {
    if (layer.ffn.kind == FfnKind::moe) experts += layer.ffn.num_experts_per_tok;
  }
  return static_cast<std::size_t>(experts);
}

std::int64_t fewest_experts(const ModelConfig& config) {
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  for (const LayerConfig& layer : config.layers) {
    if (layer.ffn.kind == FfnKind::moe) fewest = std::min(fewest, layer.ffn.num_experts);
  }
  return fewest;
}

}  // namespace

GroupCheck::GroupCheck(const ModelConfig& config, const SamplingParams& sampling,
                       std::string source)
    : config_(config),
      sampling_(sampling),
      source_(std::move(source)),
      experts_per_token_(experts_per_token(config)),
      fewest_experts_(fewest_experts(config)) {}

void GroupCheck::check(const Group& group, const GenerateRequest& request) const {
  check_experts(group.prompt_experts, request.prompt.size(), "prompt_experts");
  for (const Completion& completion : group.completions) {
    check_experts(completion.experts, completion.tokens.size() - 1, "experts");
    check_tokens(completion);
  }
}

void GroupCheck::check_experts(const std::vector<std::uint16_t>& experts, std::size_t tokens,
                               const char* field) const {
  if (experts.size() != tokens * experts_per_token_)
    fail(field, std::to_string(tokens * experts_per_token_) + " of them",
         std::to_string(experts.size()));
  for (const std::uint16_t expert : experts) {
    if (expert >= fewest_experts_)
      fail(field, "below " + std::to_string(fewest_experts_), std::to_string(expert));
  }
}

void GroupCheck::check_tokens(const Completion& completion) const {
  for (const std::int32_t token : completion.tokens) {
    if (token < 0 || token >= config_.vocab_size)
      fail("tokens", "0 to " + std::to_string(config_.vocab_size - 1), std::to_string(token));
  }
  for (const float logprob : completion.logprobs) {
    if (std::isnan(logprob)) fail("logprobs", "numbers", "NaN");
  }
  for (const float logprob : completion.sampling_logprobs) {
    if (std::isnan(logprob)) fail("sampling_logprobs", "numbers", "NaN");
  }
  const auto& ends = config_.eos_token_ids;
  const bool stops = std::find(ends.begin(), ends.end(), completion.tokens.back()) != ends.end();
  const bool is_full =
      static_cast<std::int64_t>(completion.tokens.size()) == sampling_.max_new_tokens;
  const bool by_length = completion.stop_reason == StopReason::length;
  if (by_length ? !is_full : !stops) {
    fail("stop_reason", "one that the tokens bear out",
         std::string(by_length ? "length" : "end of sequence"));
  }
}

void GroupCheck::fail(const char* field, const std::string& expected,
                      const std::string& actual) const {
  throw InputError({.source = source_, .field = field, .expected = expected, .actual = actual});
}

}  // namespace zeroth
